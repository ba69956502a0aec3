"""The checks of ``dassim verify-adjoint`` on namelists that are quick to differentiate."""

from __future__ import annotations

import pytest
from jax.custom_derivatives import linear_call

from dassim.assimilation.dot_products import model_dot_product_test
from dassim.assimilation.verification import Setting, checks, sizes_of
from dassim.io.checkpoints import FolderStore
from dassim.parallel import SerialCommunicator, world
from tests.models.namelists import build, integrate
from tests.models.plate import Plate

SPIN_UP, STEPS, SEGMENTS = 4, 1, 2
SMALL = {
    "double_gyre": ("grid.nx=12", "grid.ny=12"),
    "williamson_6": ("grid.nx=16", "grid.ny=8"),
    "held_suarez": ("grid.nx=12", "grid.ny=6", "vertical.nz=6"),
}


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.timeout(300)
def test_derivatives_of_a_namelist_are_right(name, tmp_path):
    one = build(name, SMALL[name], SerialCommunicator())
    state = integrate(one.model, one.parameters, one.state, SPIN_UP)
    sizes = sizes_of(one.model, state)
    setting = Setting(one.model, one.parameters, state, sizes, steps=STEPS, segments=SEGMENTS)
    found = list(checks(setting, FolderStore(tmp_path)))
    assert len(found) == 5  # dot products over one step and over all, Taylor, parameters, schedules
    for check in found:
        assert check.passed, check


@pytest.mark.ranks(2)
@pytest.mark.parametrize("name", ["double_gyre", "williamson_6"])
def test_a_step_on_ranks_is_dual_to_its_adjoint(name):
    one = build(name, SMALL[name], world())
    state = integrate(one.model, one.parameters, one.state, SPIN_UP)
    test = model_dot_product_test(one.model, one.parameters, state)
    assert test.tolerance == 1e-12 and test.passed, test


class Careless(Plate):
    """Its adjoint is wrong in the eleventh digit."""

    def step(self, parameters, state):
        after = super().step(parameters, state)
        T = linear_call(lambda _, x: x, lambda _, y: (1.0 + 1e-11) * y, (), after.T)
        return type(after)(T, after.tracers, after.time)


def test_one_step_is_held_to_twelve_digits():
    def first(kind):
        model = kind.create(comm=SerialCommunicator())
        state = model.state()
        return next(checks(Setting(model, model.parameters(), state, sizes_of(model, state))))

    assert first(Plate).passed
    assert not first(Careless).passed
