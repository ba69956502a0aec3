"""Correlated background errors that a namelist describes."""

from __future__ import annotations

import warnings

import jax.numpy as jnp
import numpy as np
import pytest

from dassim.assimilation.balance import GeostrophicBalance, SalinityBalance
from dassim.assimilation.control import Control
from dassim.config.background import build_background
from dassim.config.experiment import build_experiment
from dassim.config.schema.background import Balance, CorrelatedBackground, VariableErrors
from dassim.simulation.segments import RunInputs
from tests.unit.config.ocean import ocean, refusals

LEVELS, NY, NX = 4, 8, 12


@pytest.fixture(scope="module")
def experiment():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return build_experiment(
            ocean("initial.T={type: linear, axis: z, low: 5 degC, high: 20 degC}",
                  "initial.S={type: linear, axis: z, low: 34, high: 35}")
        )  # fmt: skip


def sought(*names, replicated=()):
    sizes = {"state.eta": 0.1, "state.T": 0.5, "state.S": 0.05}
    return Control(
        {name: jnp.asarray(sizes.get(name, 0.2)) for name in names},
        {name: jnp.asarray(1e-3) for name in replicated},
    )


def built(experiment, unknowns, **keys):
    inputs = RunInputs(experiment.parameters, experiment.state)
    section = CorrelatedBackground(type="correlated", **keys)
    return build_background(section, experiment.model, inputs, unknowns)


def test_unknowns_that_lie_alike_share_a_correlation(experiment):
    names = ("state.T", "state.S", "state.eta", "state.u", "parameters.heat", "segments.1.state.T")
    own = {"S": VariableErrors(horizontal="none"), "parameters.heat": VariableErrors(at="v")}
    unknowns = sought(*names, replicated=("parameters.drag",))
    root = built(experiment, unknowns, horizontal=15e3, variables=own)
    T, S, eta, u, heat, late = (root.distributed[name] for name in names)
    assert T.correlation is late.correlation
    assert S.correlation is not None and S.correlation.horizontal is None
    assert eta.correlation.wet.shape == heat.correlation.wet.shape == (1, NY, NX)
    assert u.correlation.wet.shape == (LEVELS, NY, NX)
    assert not heat.correlation.wet[0, 0].any()  # the wall is a y-face
    assert float(T.deviation) == 0.5
    assert root.replicated["parameters.drag"].correlation is None


def test_deviations_may_be_fields(experiment):
    levels = {"type": "levels", "values": [1.0, 0.5, 0.2, 0.1]}
    root = built(experiment, sought("state.T"), variables={"T": {"deviation": levels}})
    deviation = root.distributed["state.T"].deviation
    assert deviation.shape[0] == LEVELS
    np.testing.assert_allclose(np.unique(deviation), [0.1, 0.2, 0.5, 1.0])


def test_a_deviation_is_not_that_of_corrections_of_segments(experiment):
    names = ("state.T", "segments.1.state.T")
    root = built(experiment, sought(*names), horizontal=15e3, variables={"T": {"deviation": 3.0}})
    start, late = (root.distributed[name] for name in names)
    assert float(start.deviation.max()) == 3.0
    assert float(late.deviation) == 0.2
    assert start.correlation is late.correlation
    keys = {"variables": {"T": {"deviation": 3.0}}}
    (found,) = refusals(by=lambda _: built(experiment, sought("segments.1.state.T"), **keys))
    assert found.startswith(
        "assimilation.background.variables.T.deviation: found a deviation of T, of which "
        "corrections of segments alone are sought; expected "
    )


def test_impulses_too_near_to_each_other_are_refused(experiment, monkeypatch):
    monkeypatch.setattr(
        "dassim.assimilation.correlation._horizontal_variance",
        lambda diffusion, wet, spacing, seed: jnp.full(wet.shape, -0.25),
    )
    (found,) = refusals(by=lambda _: built(experiment, sought("state.T"), horizontal=15e3))
    assert found.startswith(
        "assimilation.background.normalisation.separation: found a variance of -2.5e-01; expected "
        "positive ones: "
    )


def test_balances_are_those_of_the_background(experiment):
    names = ("state.T", "state.S", "state.u", "state.v", "state.eta")
    root = built(experiment, sought(*names), balance=Balance(salinity=True, geostrophic=True))
    salinity, geostrophic = root.balances
    assert isinstance(salinity, SalinityBalance) and isinstance(geostrophic, GeostrophicBalance)
    np.testing.assert_allclose(salinity.slope, 1 / 15, rtol=1e-10)
    eos = experiment.parameters.eos
    np.testing.assert_allclose(geostrophic.buoyancy["state.T"], eos.gravity * eos.alpha, rtol=1e-10)
    np.testing.assert_allclose(geostrophic.buoyancy["state.S"], -eos.gravity * eos.beta, rtol=1e-10)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"variables": {"TT": {}}}, "variables.TT: found 'TT'; expected T; did you mean T?"),
        ({"balance": {"salinity": True}}, "balance.salinity: found S not in control.state"),
        ({"balance": {"geostrophic": True}}, "balance.geostrophic: found u and v not in control"),
        (
            {"variables": {"T": {"deviation": -1.0}}},
            "variables.T.deviation: found -1; expected standard deviations",
        ),
    ],
)
def test_what_cannot_be(experiment, keys, expected):
    (found,) = refusals(by=lambda _: built(experiment, sought("state.T"), **keys))
    assert found.startswith(f"assimilation.background.{expected}"), found


SECTION = (
    "assimilation={{window: {{length: 1 d}}, control: {{state: {{T: 1 K}}}}, background: {{"
    "type: correlated, {}}}}}"
)


def test_the_section_in_a_namelist():
    section = ocean(SECTION.format("horizontal: 50 km, vertical: 30 m")).assimilation.background
    assert (section.horizontal, section.vertical, section.solves) == (50e3, 30.0, 4)
    (found,) = refusals(SECTION.format("solves: 5"))
    assert found.startswith("assimilation.background.solves: found 5; expected ")
