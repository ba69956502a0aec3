"""What a run writes for people to look at: streams of fields."""

from __future__ import annotations

import itertools
import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, Strict, model_validator

from dassim.config.explain import refuse
from dassim.config.intervals import Interval
from dassim.config.schema.section import Count, Section

RANGE = re.compile(r"(\d+)-(\d+)")


def _levels(value: Any) -> Any:
    """``0-9`` as the indices that it stands for."""
    ends = RANGE.fullmatch(value) if isinstance(value, str) else None
    if ends:
        return tuple(range(int(ends[1]), int(ends[2]) + 1))
    listed = value if isinstance(value, list | tuple) else []
    if not listed or any(type(index) is not int or index < 0 for index in listed):
        raise refuse("indices from 0 such as [0, 4], or a range such as 0-9", "correct them")
    if any(low >= high for low, high in itertools.pairwise(listed)):
        raise refuse("indices that grow", "sort them, each once")
    return tuple(listed)


Levels = Annotated[
    tuple[int, ...],
    BeforeValidator(
        _levels,
        json_schema_input_type=tuple[int, ...] | Annotated[str, Field(pattern=RANGE.pattern)],
    ),
]


class OutputStream(Section):
    """Fields that are written together, at the same times, into the same files."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]*$", examples=["daily"])]
    """Name of the stream and of its folder."""
    every: Annotated[Interval, Field(examples=["1 d"])]
    """Time between records: a whole number of steps, or months or years of the calendar."""
    kind: Literal["mean", "snapshot"] = "mean"
    """mean: over the time since the record before; snapshot: at the end of it."""
    variables: Annotated[
        tuple[str, ...], Strict(False), Field(min_length=1, examples=["[T, S, u, v, eta]"])
    ]
    """Names of the model's variables and of fields that it diagnoses."""
    levels: Levels | None = None
    """Levels to write, 0 the topmost: indices, or a range such as 0-9; all when left out."""
    precision: Literal["float32", "float64"] = "float32"
    """Precision of the numbers in the files."""
    files: Literal["per_rank", "collected"] = "per_rank"
    """per_rank: every rank writes its block; collected: a few ranks write for those around them."""
    writers: Count | None = None
    """With files: collected, how many ranks write; 1 when left out."""
    file_per: Literal["day", "month", "year", "run"] = "month"
    """Records that lie in the same day, month or year go to one file; a restart begins another."""

    @model_validator(mode="after")
    def _check(self):
        if self.writers is not None and self.files == "per_rank":
            raise refuse(
                "no writers with files: per_rank",
                "write files: collected, or remove writers",
                found=f"{self.writers}",
                key="writers",
            )
        for name in self.variables:
            if self.variables.count(name) > 1:
                found = f"'{name}' twice"
                raise refuse("each name once", "remove one", found=found, key="variables")
        return self


Output = Annotated[tuple[OutputStream, ...], Strict(False)]
