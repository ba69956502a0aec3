"""All validation cases, by topic."""

from tests.validation import circulation, waves
from tests.validation.report import CASES

__all__ = ["CASES", "circulation", "waves"]
