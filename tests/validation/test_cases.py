"""The validation cases that take less than a minute; ``tools/validate`` runs all."""

import pytest

from tests.validation.cases import CASES

SHORT = [case for case in CASES if case.minutes < 1]


@pytest.mark.parametrize("case", SHORT, ids=[case.name.replace(" ", "_") for case in SHORT])
def test_case(case):
    for check in case.run():
        assert check.passed, f"{check.what}: found {check.got}, expected {check.expectation}"
