"""The validation cases that take less than half a minute; ``tools/validate`` runs all."""

import jax
import numpy as np
import pytest

from tests.validation.basin import box
from tests.validation.cases import CASES
from tests.validation.drawing import draw_sst_error, draw_zonal_mean

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


def test_zonal_means_are_drawn(tmp_path):
    lat, sigma = np.linspace(-85, 85, 18), np.linspace(0.05, 0.95, 10)
    wind = np.sin(np.deg2rad(2 * lat)) ** 2 * (1 - sigma[:, None]) - 0.1
    for values in (wind, 200.0 + wind):
        made = draw_zonal_mean(tmp_path, "u", "u", "days 1 to 2", "m s-1", lat, sigma, values)
        assert made.stat().st_size > 1000
