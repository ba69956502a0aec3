"""``dassim verify-adjoint`` on namelists of the atmosphere whose derivatives take a minute.

.venv/bin/pytest tests/unit/cli/long.py
"""

from __future__ import annotations

import pytest

from tests.models import terrain
from tests.models.namelists import SMALLER, with_set
from tests.unit.cli.test_atmosphere_namelists import (
    ASSIMILATION,
    FILES,
    LONG,
    TWINS,
    short,
    verify,
)

pytestmark = pytest.mark.timeout(1500)


@pytest.mark.parametrize("name", LONG)
def test_its_adjoint_is_verified(dassim, tmp_path, name):
    verify(dassim, FILES[name], *with_set(terrain.smaller(name, tmp_path)))


@pytest.mark.parametrize("name", TWINS)
def test_the_cost_of_a_recovery_is_verified(dassim, tmp_path, name):
    """Where nature has run."""
    path = ASSIMILATION / f"{name}.yaml"
    assert dassim("twin", path, "-o", tmp_path / "twin", *short(name)).code == 0
    out = verify(dassim, path, "--nature", tmp_path / "twin" / "nature", *short(name))
    assert "Taylor test: J by the control vector" in out


def test_the_model_of_a_sensitivity_is_verified(dassim):
    path = ASSIMILATION / "baroclinic_sensitivity.yaml"
    verify(dassim, path, *with_set(SMALLER["jablonowski_williamson_wave"]))
