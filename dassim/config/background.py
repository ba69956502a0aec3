"""From the section of a correlated background to ``B^(1/2)``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np

from dassim.assimilation.background import BackgroundRoot, VariableErrors
from dassim.assimilation.balance import (
    AbstractBalance,
    GeostrophicBalance,
    SalinityBalance,
    salinity_slope,
)
from dassim.assimilation.control import Control
from dassim.assimilation.correlation import (
    Correlation,
    Normalisation,
    VarianceError,
    correlation,
)
from dassim.config.errors import KeyPath, NamelistError, Problem, mismatch, one_of, suggest
from dassim.config.points import Basin
from dassim.config.profiles import values
from dassim.config.schema import background as schema
from dassim.grid import Location
from dassim.grid.variables import Variable
from dassim.simulation.segments import RunInputs

STATE = "state."
CURRENTS = {"state.u", "state.v"}


def build_background(
    section: schema.CorrelatedBackground,
    model: Any,
    inputs: RunInputs,
    deviations: Control,
    key: KeyPath = ("assimilation", "background"),
) -> BackgroundRoot:
    """``B^(1/2)`` of the unknowns that ``deviations`` name, with these sizes of their errors where
    the section gives none. ``inputs``: the background. All ranks call this together.

    Raises NamelistError.
    """
    require_background(section, model, inputs.parameters, deviations, key)
    builder = _Builder(section, model.variables, Basin.of(model.grid), key, {})
    distributed = {
        name: builder.errors(name, size) for name, size in deviations.distributed.items()
    }
    replicated = {name: VariableErrors(size) for name, size in deviations.replicated.items()}
    balances = tuple(_balances(section.balance, model, inputs, distributed))
    return BackgroundRoot(distributed, replicated, balances)


def require_background(
    section: schema.CorrelatedBackground,
    model: Any,
    parameters: Any,
    deviations: Control,
    key: KeyPath = ("assimilation", "background"),
) -> None:
    """Refuse names and balances that the model and the unknowns of ``deviations`` do not have."""
    if getattr(model, "grid", None) is None:
        message = mismatch("a model without a grid", "one with a grid", "write uncorrelated")
        raise NamelistError([Problem((*key, "type"), message)])
    names = (*deviations.distributed, *deviations.replicated)
    known = sorted({_short(name) for name in names})
    at_start = {_short(name) for name in names if not _of_a_segment(name)}
    for name, own in section.variables.items():
        where = (*key, "variables", name)
        if name not in known:
            message = mismatch(f"'{name}'", one_of(known), suggest(name, known))
            raise NamelistError([Problem(where, message)])
        if own.deviation is not None and name not in at_start:
            message = mismatch(
                f"a deviation of {name}, of which corrections of segments alone are sought",
                "their size in control.windows or control.model_error",
                "remove it",
            )
            raise NamelistError([Problem((*where, "deviation"), message)])
    sought, balance = set(deviations.distributed), (*key, "balance")
    if section.balance.salinity:
        _require({"state.T", "state.S"}, sought, (*balance, "salinity"))
    if section.balance.geostrophic:
        _require(CURRENTS, sought, (*balance, "geostrophic"))
        parts = getattr(parameters, "eos", None), getattr(model, "free_surface", None)
        if None in parts:
            message = mismatch("a model without an equation of state", "an ocean", "remove it")
            raise NamelistError([Problem((*balance, "geostrophic"), message)])


@dataclass(frozen=True)
class _Builder:
    """Errors of distributed unknowns. Unknowns that lie alike and have the same length scales share
    a correlation, which may have cost many solves: ``made`` keeps them."""

    section: schema.CorrelatedBackground
    variables: Any
    basin: Basin
    key: KeyPath
    made: dict[Any, Correlation]

    def errors(self, name: str, size: Any) -> VariableErrors:
        own = self.section.variables.get(_short(name), schema.VariableErrors())
        variable = self._variable(name, own)
        horizontal = _scale(own.horizontal, self.section.horizontal)
        vertical = _scale(own.vertical, self.section.vertical) if variable.levels else None
        deviation = size
        if own.deviation is not None and not _of_a_segment(name):
            at = self.basin.points(variable.location, surface=not variable.levels)
            where = (*self.key, "variables", _short(name), "deviation")
            field = np.where(at.wet, values(own.deviation, at, where), 0.0)
            least = float(np.min(self.basin.grid.domain.comm.allgather(field.min())))
            if not least >= 0:
                message = mismatch(f"{least:g}", "standard deviations", "correct them")
                raise NamelistError([Problem(where, message)])
            deviation = jnp.asarray(field if variable.levels else field[0], jnp.result_type(size))
        kind = (variable.location, variable.levels, horizontal, vertical)
        if kind not in self.made:
            self.made[kind] = self._correlation(variable, horizontal, vertical)
        return VariableErrors(deviation, self.made[kind])

    def _correlation(
        self, variable: Variable, horizontal: float | None, vertical: float | None
    ) -> Correlation:
        try:
            return correlation(
                self.basin.grid,
                variable.location,
                levels=variable.levels,
                horizontal=horizontal,
                vertical=vertical,
                order=self.section.solves,
                normalisation=_normalisation(self.section.normalisation),
            )
        except VarianceError as error:
            where = (*self.key, "normalisation", "separation")
            raise NamelistError([Problem(where, str(error))]) from None

    def _variable(self, name: str, own: schema.VariableErrors) -> Variable:
        """Of the state, or a field over the surface."""
        short = _short(name)
        if short in self.variables:
            return self.variables[short]
        location: Location = own.at or "c"
        return Variable(short, location, "", short, levels=short.startswith("tracers."))


def _short(name: str) -> str:
    """As a namelist has it: ``T`` of ``state.T`` and of ``segments.3.state.T``; parameters with
    their path."""
    parts = name.split(".")
    if parts[0] == "segments":
        parts = parts[2:]
    return ".".join(parts[1:] if parts[0] == "state" else parts)


def _of_a_segment(name: str) -> bool:
    """Whether an unknown is the correction of a segment, whose size is not the background's.

    >>> [name for name in ("state.T", "segments.3.state.T") if _of_a_segment(name)]
    ['segments.3.state.T']
    """
    return name.startswith("segments.")


def _scale(own: Any, common: float | None) -> float | None:
    if own == "none":
        return None
    return common if own is None else own


def _normalisation(section: schema.Normalisation) -> Normalisation:
    if section.type == "exact":
        return Normalisation(None)
    return Normalisation(section.separation, section.seed)


def _balances(
    section: schema.Balance, model: Any, inputs: RunInputs, sought: Iterable[str]
) -> Iterable[AbstractBalance]:
    """In the order in which they act: velocities follow salinity, too."""
    sought, state = set(sought), inputs.state
    if section.salinity:
        yield SalinityBalance(jnp.asarray(salinity_slope(model.grid, state.T, state.S)))
    if section.geostrophic:
        eos, surface = inputs.parameters.eos, model.free_surface
        z, per_density = model.grid.levels.z.c.data, eos.gravity / eos.reference_density
        derivative = {
            "state.T": lambda: per_density * eos.expansion(state.T, state.S, z),
            "state.S": lambda: -per_density * eos.contraction(state.T, state.S, z),
        }
        buoyancy = {name: make() for name, make in derivative.items() if name in sought}
        yield GeostrophicBalance(model.grid, buoyancy, surface.gravity)


def _require(names: set[str], sought: set[str], key: KeyPath) -> None:
    missing = sorted(name.removeprefix(STATE) for name in names - sought)
    if missing:
        message = mismatch(
            f"{' and '.join(missing)} not in control.state", "them among the unknowns", "add them"
        )
        raise NamelistError([Problem(key, message)])
