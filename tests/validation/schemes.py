"""The equation of state at its check value, and tracers carried around a box."""

from __future__ import annotations

import numpy as np

from dassim.dynamics.reconstruction import WENO
from dassim.ocean import TEOS10
from tests.unit.dynamics.test_transport import block, once_around, wave
from tests.validation.basin import order
from tests.validation.report import Check, case


@case("equation of state", "Roquet et al. (2015): SA = 30 g/kg, CT = 10 degC, 1000 m")
def equation_of_state():
    at, eos = (10.0, 30.0, -1000.0), TEOS10()
    yield Check("density", 1027.45140, float(eos.density(*at)), 5e-6, "absolute", "kg/m3")
    yield Check("thermal expansion", 0.179646281, float(eos.expansion(*at)), 5e-10, "absolute")
    yield Check("haline contraction", 0.765555368, float(eos.contraction(*at)), 5e-9, "absolute")


@case("advection around a box", "exact: the field returns")
def advection_around_a_box():
    errors = []
    for n in (24, 48):
        start = wave(n, 2)
        end = once_around(WENO(5), start, (1.0, 1.0), 0.3 * (24 / n) ** (2 / 3))
        errors.append(float(np.abs(end - start).mean()))
    yield Check("WENO5: order on smooth data", 4.5, order(errors), bound="above")
    end = once_around(WENO(5), block(), (1.0, 0.0), 0.4)
    beyond = max(float(end.max()) - 1.0, -float(end.min()))
    yield Check("WENO5: new extrema of a step, of its range", 1e-3, beyond, bound="below")
