"""From the section ``twin`` to a nature run, and to a first guess that is wrong."""

from __future__ import annotations

from dataclasses import replace
from functools import singledispatch
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dassim.assimilation.corrections import moved
from dassim.assimilation.scores import point_weights
from dassim.config.assimilation import (
    SECTION,
    build_clock,
    build_gravity_waves,
    build_window,
    require_constant_parameters,
    required,
)
from dassim.config.background import require_background
from dassim.config.data import at_time, open_run, sampling, state_at, truth_of
from dassim.config.errors import NamelistError, Problem, mismatch
from dassim.config.experiment import Experiment
from dassim.config.noise import normal_noise
from dassim.config.observations import require_observations
from dassim.config.schema import assimilation as schema
from dassim.config.schema.background import CorrelatedBackground
from dassim.config.schema.namelist import AbstractNamelist
from dassim.config.unknowns import build_unknowns, chosen_leaves
from dassim.parallel import Domain
from dassim.simulation.events import At
from dassim.simulation.plan import Plan

KEY = ("twin", "first_guess", "size")


def required_twin(namelist: AbstractNamelist) -> schema.Twin:
    if namelist.twin is None:
        message = mismatch("no such section", "what is wrong with the first guess", "add it")
        raise NamelistError([Problem(("twin",), message)])
    return namelist.twin


def nature_namelist(namelist: AbstractNamelist) -> AbstractNamelist:
    """Of the nature run: as long as window and forecast take."""
    section, twin = required(namelist), required_twin(namelist)
    assert namelist.time is not None
    end = section.window.start + section.window.length + twin.forecast
    if isinstance(twin.first_guess, schema.OtherTime):
        end = max(end, twin.first_guess.at)
    time = namelist.time.model_copy(update={"duration": end})
    changes = {"time": time, "assimilation": None, "twin": None, "sensitivity": None}
    return namelist.model_copy(update=changes)


def nature_plan(plan: Plan, namelist: AbstractNamelist, step: float) -> Plan:
    """``plan`` with snapshots at the ends of all segments of window and forecast."""
    twin, steps = required_twin(namelist), {*scored_steps(namelist, step)}
    if isinstance(twin.first_guess, schema.OtherTime):
        steps.add(round(twin.first_guess.at / step))
    return replace(plan, snapshots=At(tuple(sorted(steps - {0}))))


def scored_steps(namelist: AbstractNamelist, step: float) -> range:
    """The window's start, and the ends of all segments of window and forecast."""
    section = required(namelist)
    window = build_window(section.window, schema.segment_length(section), step)
    last = window.last + round(required_twin(namelist).forecast / step)
    return range(window.first, last + 1, window.lengths[0])


def require_known(namelist: AbstractNamelist, experiment: Experiment) -> None:
    """Refuse unknowns, data, observations and errors that cannot be, before nature has run. Files
    of observations are read; all ranks call this together."""
    section, twin = required(namelist), required_twin(namelist)
    if section.first_guess is not None:
        message = mismatch(
            "a first guess", "none beside that of the section twin", "remove one of the two"
        )
        raise NamelistError([Problem((*SECTION, "first_guess"), message)])
    require_constant_parameters(experiment, SECTION)
    model, state = experiment.model, experiment.state
    window = build_window(section.window, schema.segment_length(section), experiment.time.step)
    unknowns = build_unknowns(
        section.control, model, experiment.parameters, state, len(window.lengths)
    )
    if isinstance(section.background, CorrelatedBackground):
        require_background(section.background, model, experiment.parameters, unknowns.deviations)
    require_observations(section.observations, experiment, window)
    build_gravity_waves(section.gravity_waves, model, state)
    for index, data in enumerate(section.data):
        key = (*SECTION, "data", index)
        for leaf, (like, _) in chosen_leaves(
            state, data.errors.by_leaf(), (*key, "errors")
        ).items():
            sampling(data, leaf, model, like, (*key, "levels"))
    if not isinstance(twin.first_guess, schema.OtherTime):
        chosen_leaves(state, twin.first_guess.size.by_leaf(), KEY)


def forecast_segments(namelist: AbstractNamelist) -> int:
    return round(required_twin(namelist).forecast / schema.segment_length(required(namelist)))


def wrong_first_guess(namelist: AbstractNamelist, experiment: Experiment, nature: Path) -> Any:
    """The state at the window's start that the twin begins with. Raises DataError for states that
    nature has not left; all ranks call this together."""
    section, twin = required(namelist), required_twin(namelist)
    series = open_run(nature, "snapshots", namelist, experiment.model.domain)
    clock, start = build_clock(experiment), section.window.start

    def state(seconds: float) -> Any:
        step = round(seconds / clock.time_step)
        return state_at(series, step, clock, experiment.state) if step else experiment.state

    if isinstance(twin.first_guess, schema.OtherTime):
        return at_time(state(twin.first_guess.at), start)
    truth = state(start)
    leaves = chosen_leaves(truth, twin.first_guess.size.by_leaf(), KEY)
    wet = point_weights(experiment.model, {name: leaf for name, (leaf, _) in leaves.items()})
    domain = experiment.model.domain
    errors = {
        name: size * (wet[name] > 0) * error(twin.first_guess, name, leaf, domain)
        for name, (leaf, size) in leaves.items()
    }
    return moved(truth, errors)


@singledispatch
def error(section: Any, name: str, like: jax.Array, domain: Domain) -> jax.Array:
    """An error of standard deviation 1 in the variable ``name``, shaped ``like`` it."""
    raise TypeError(f"found {type(section)}; expected an error that is registered")


@error.register
def _(section: schema.WhiteNoise, name: str, like: jax.Array, domain: Domain) -> jax.Array:
    levels = int(np.prod(like.shape[:-2]))
    noise = normal_noise(domain, levels, f"first guess of {name}", section.seed)
    return jnp.asarray(noise.reshape(like.shape), like.dtype)


@error.register
def _(section: schema.Waves, name: str, like: jax.Array, domain: Domain) -> jax.Array:
    """``sum over k, l of a sin(2 pi (k x + p)) sin(2 pi (l y + q))``, ``x`` and ``y`` from 0 to 1
    over the basin, ``a`` normal, ``p`` and ``q`` uniform by chance in a periodic direction and 0 in
    a closed one."""
    count = section.wavenumbers
    rng = np.random.default_rng([section.seed, *name.encode()])
    size = rng.standard_normal((count, count))
    phases = rng.random((2, count, count)) * np.reshape(domain.periodic[::-1], (2, 1, 1))
    k = np.arange(1, count + 1)

    def waves(points: range, total: int, number: np.ndarray, phase: np.ndarray) -> np.ndarray:
        position = (np.asarray(points) + 0.5) / total
        return np.sin(2 * np.pi * (number[..., None] * position + phase[..., None]))

    ny, nx = domain.global_shape
    along_x = waves(domain.block.x, nx, np.broadcast_to(k, (count, count)), phases[0])
    along_y = waves(domain.block.y, ny, np.broadcast_to(k[:, None], (count, count)), phases[1])
    field = np.einsum("lk,lky,lkx->yx", size, along_y, along_x)
    field *= 2.0 / np.sqrt(np.sum(size**2))
    return jnp.broadcast_to(jnp.asarray(field, like.dtype), like.shape)


def truth_of_twin(
    namelist: AbstractNamelist, experiment: Experiment, nature: Path, variables: tuple[str, ...]
) -> Any:
    """The nature run's states, of which ``variables`` are scored. Raises DataError for those that
    it has not left; all ranks call this together."""
    series = open_run(nature, "snapshots", namelist, experiment.model.domain)
    steps = scored_steps(namelist, experiment.time.step)
    return truth_of(series, experiment, build_clock(experiment), variables, steps)
