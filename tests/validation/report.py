"""Rows of the validation table, and the list of cases that make them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Check:
    """One number against what it should be: ``got`` within ``tolerance`` of ``expected``.

    ``bound``: "relative" and "absolute" tolerances; "below" and "above" take ``expected`` as the
    bound itself.
    """

    what: str
    expected: float
    got: float
    tolerance: float = 0.0
    bound: str = "relative"
    unit: str = ""

    @property
    def passed(self) -> bool:
        difference = abs(self.got - self.expected)
        match self.bound:
            case "relative":
                return difference <= self.tolerance * abs(self.expected)
            case "absolute":
                return difference <= self.tolerance
            case "below":
                return self.got <= self.expected
            case "above":
                return self.got >= self.expected
        raise ValueError(f"found bound {self.bound!r}; expected relative, absolute, below or above")

    @property
    def expectation(self) -> str:
        match self.bound:
            case "relative":
                return f"{self.expected:.9g} (1 +- {self.tolerance:.3g}) {self.unit}".rstrip()
            case "absolute":
                return f"{self.expected:.9g} +- {self.tolerance:.3g} {self.unit}".rstrip()
        sign = "<=" if self.bound == "below" else ">="
        return f"{sign} {self.expected:.6g} {self.unit}".rstrip()


@dataclass(frozen=True)
class Case:
    """A validation case: a function that computes its checks."""

    name: str
    source: str
    run: Callable[[], Iterable[Check]]
    minutes: float


CASES: list[Case] = []


def case(name: str, source: str, minutes: float = 0.2) -> Callable:
    """Register a function as a case; those over a minute are left to ``tools/validate``."""

    def register(run):
        CASES.append(Case(name, source, run, minutes))
        return run

    return register
