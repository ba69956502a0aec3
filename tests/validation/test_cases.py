"""The validation cases that take less than half a minute; ``tools/validate`` runs all."""

import jax
import pytest

from tests.validation.cases import CASES

SHORT = [case for case in CASES if case.minutes < 0.5]


@pytest.fixture(autouse=True)
def optimised():
    """The cases compute more than they compile."""
    before = jax.config.values["jax_disable_most_optimizations"]
    jax.config.update("jax_disable_most_optimizations", False)
    yield
    jax.config.update("jax_disable_most_optimizations", before)


@pytest.mark.parametrize("case", SHORT, ids=[case.name.replace(" ", "_") for case in SHORT])
def test_case(case):
    for check in case.run():
        assert check.passed, f"{check.what}: found {check.got}, expected {check.expectation}"
