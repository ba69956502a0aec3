"""What ends a run before its end, other than a defect of the program."""

from __future__ import annotations

MAKE_ROOM = "make room, and go on with --resume"
"""What to do about a disk that takes no more."""


class RunError(RuntimeError):
    """Something that a user can put right, said in one message. The same on all ranks."""


class RefusedError(RunError):
    """What a run is to begin with is not what it should be: nothing has been computed."""


class UnstableError(RunError):
    """The state is not a number, or beyond a limit of the model."""
