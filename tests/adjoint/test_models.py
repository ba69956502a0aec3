"""The checks of ``dassim verify-adjoint`` on namelists that are quick to differentiate."""

from __future__ import annotations

import pytest

from dassim.assimilation.verification import Setting, checks, sizes_of
from dassim.io.checkpoints import FolderStore
from dassim.parallel import SerialCommunicator
from tests.models.namelists import build, integrate

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
