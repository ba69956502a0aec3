"""Times between events: durations, or months and years of the calendar."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from dassim.config.units import Quantity

MONTHS = re.compile(r"\s*(?P<count>[1-9]\d*)\s*(?P<unit>month|year)s?\s*")


@dataclass(frozen=True)
class Months:
    """So many months of the calendar.

    >>> print(Months(1), Months(3), Months(24), sep=", ")
    1 month, 3 months, 2 years
    """

    count: int

    @classmethod
    def parse(cls, value: Any) -> Months | None:
        """What text such as ``3 months`` or ``1 year`` stands for."""
        match = MONTHS.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            return None
        return cls(int(match["count"]) * (12 if match["unit"] == "year" else 1))

    def __str__(self) -> str:
        years, months = divmod(self.count, 12)
        number, unit = (self.count, "month") if months else (years, "year")
        return f"{number} {unit}{'s' * (number > 1)}"


@dataclass(frozen=True)
class IntervalQuantity(Quantity):
    """Annotation of a time between events: seconds, or :class:`Months`.

    >>> from pydantic import TypeAdapter
    >>> [TypeAdapter(Interval).validate_python(text) for text in ("1 d", "1 year")]
    [86400.0, Months(count=12)]
    """

    unit: str = "s"
    above: float | None = 0.0

    @property
    def expected(self) -> str:
        return "a time above 0 s such as '1 d', or whole months or years such as '1 month'"

    def parse(self, value: Any) -> float | Months:
        months = value if isinstance(value, Months) else Months.parse(value)
        return self.number(value) if months is None else months

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        as_written = core_schema.plain_serializer_function_ser_schema(
            lambda value: str(value) if isinstance(value, Months) else value
        )
        return core_schema.no_info_plain_validator_function(self.parse, serialization=as_written)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"type": ["number", "string"], "examples": ["1 d", "1 month"], "unit": self.unit}


Interval = Annotated[float | Months, IntervalQuantity()]


def in_words(every: float | Months) -> str:
    """
    >>> in_words(5400.0), in_words(Months(1))
    ('5400 s', '1 month')
    """
    return str(every) if isinstance(every, Months) else f"{every:g} s"
