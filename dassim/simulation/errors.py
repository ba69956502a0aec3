"""What ends a run before its end, other than a defect of the program."""

from __future__ import annotations


class RunError(RuntimeError):
    """Something that a user can put right, said in one message. The same on all ranks."""


class UnstableError(RunError):
    """The state is not a number, or beyond a limit of the model."""
