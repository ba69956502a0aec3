"""The validation cases that take less than half a minute; ``tools/validate`` runs all."""

import jax
import numpy as np
import pytest

from tests.validation.basin import box
from tests.validation.cases import CASES
from tests.validation.climate import draw_sst_error

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


def test_the_error_of_the_surface_is_drawn(tmp_path):
    grid = box((1, 4, 6), (10.0, 40.0, 60.0))
    assert draw_sst_error(tmp_path, grid, np.ones((4, 6))).stat().st_size > 1000
