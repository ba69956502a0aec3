"""From the section ``assimilation`` to a recovery that is ready to run."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import singledispatch
from pathlib import Path
from typing import Any

from dassim.assimilation.corrections import Corrections
from dassim.assimilation.cost import BackgroundTerm, FourDVar, ObservationCost
from dassim.assimilation.data import StateData, at_ends
from dassim.assimilation.departures import departures
from dassim.assimilation.gravity_waves import FastPart
from dassim.assimilation.incremental import Incremental
from dassim.assimilation.minimise import Criteria, Minimiser, QuasiNewton
from dassim.assimilation.points import PointData
from dassim.assimilation.recovery import SWEEP, Recovery
from dassim.assimilation.scores import point_weights
from dassim.assimilation.tangent import Tangent, TangentModel
from dassim.assimilation.transform import ControlTransform, Diagonal
from dassim.assimilation.window import Window
from dassim.config.background import build_background
from dassim.config.data import at_time, build_data, state_of_run
from dassim.config.errors import (
    KeyPath,
    NamelistError,
    NamelistWarning,
    Problem,
    mismatch,
)
from dassim.config.experiment import Experiment
from dassim.config.observations import build_observations
from dassim.config.schema import assimilation as schema
from dassim.config.schema.background import CorrelatedBackground
from dassim.config.schema.namelist import AbstractNamelist
from dassim.config.synthetic import Nature
from dassim.config.unknowns import Unknowns, build_unknowns, chosen_leaves
from dassim.io.checkpoints import FolderStore
from dassim.parallel import Domain
from dassim.simulation.adjoint import Run
from dassim.simulation.checkpoints import IN_MEMORY, Schedule, bytes_of_state, states_within
from dassim.simulation.clock import Clock
from dassim.simulation.model import Model
from dassim.simulation.segments import (
    Rematerialisation,
    Segment,
    interior_of_a_step,
    received_in_a_step,
)
from dassim.simulation.trees import differentiable, hashed, rounded

SECTION = ("assimilation",)

WITHOUT_EFFECT = ("output", "restarts", "snapshots", "run", "sensitivity")
"""Sections that may change between two sessions of one recovery."""

ENDS = ("iterations", "evaluations", "outer", "gradient_reduction", "relative_decrease")
"""Keys of a minimiser that say when it ends, not how it goes."""


def recovery_identity(namelist: Mapping[str, Any]) -> dict[str, Any]:
    """All of a resolved namelist that the steps of a minimisation depend on, but for their number
    and how the gradient is computed. Segments count: at their ends the run is compared with data,
    at their starts it is corrected."""
    kept = {key: value for key, value in namelist.items() if key not in WITHOUT_EFFECT}
    section = dict(kept.get("assimilation") or {})
    minimiser = {"type": "lbfgs", **section.get("minimiser", {})}
    section["minimiser"] = {k: v for k, v in minimiser.items() if k not in ENDS}
    section["adjoint"] = {"segment": (section.get("adjoint") or {}).get("segment")}
    return {**kept, "assimilation": section}


# -- time -----------------------------------------------------------------------------------------


def build_clock(experiment: Experiment) -> Clock:
    time = experiment.time
    return Clock(time.start, time.calendar, time.step)


def build_window(section: schema.Window, segment: float, step: float) -> Window:
    first, steps, each = (round(x / step) for x in (section.start, section.length, segment))
    return Window.of(first, steps, each)


# -- background and gradient ----------------------------------------------------------------------


@singledispatch
def background(section: Any, unknowns: Unknowns, model: Any) -> tuple[Any, tuple[Any, ...]]:
    """``B^(1/2)`` and the terms of the cost in the control vector."""
    raise TypeError(f"found {type(section)}; expected a background that is registered")


@background.register
def _(section: schema.NoBackground, unknowns: Unknowns, model: Any):
    return Diagonal(unknowns.deviations), ()


@background.register
def _(section: schema.UncorrelatedBackground, unknowns: Unknowns, model: Any):
    return Diagonal(unknowns.deviations), (BackgroundTerm(),)


@background.register
def _(section: CorrelatedBackground, unknowns: Unknowns, model: Any):
    root = build_background(section, model, unknowns.inputs, unknowns.deviations)
    return root, (BackgroundTerm(),)


@singledispatch
def build_minimiser(section: Any) -> Minimiser:
    raise TypeError(f"found {type(section)}; expected a minimiser that is registered")


@build_minimiser.register
def _(section: schema.LBFGS) -> Minimiser:
    criteria = Criteria(
        section.gradient_reduction,
        section.relative_decrease,
        section.iterations,
        section.evaluations,
    )
    return QuasiNewton(criteria, section.pairs)


@build_minimiser.register
def _(section: schema.Incremental) -> Minimiser:
    return Incremental(section.outer, section.inner, section.tolerance, section.gradient_reduction)


def swept(section: Any, model: Model, parameters: Any, state: Any) -> tuple[Model, Any, Any]:
    """Model, parameters and state of the largest run that is swept back: of an incremental method
    the tangent-linear one."""
    if not isinstance(section, schema.Incremental):
        return model, parameters, state
    with_increments = Tangent(parameters, differentiable(parameters))
    return TangentModel(model), with_increments, Tangent(state, differentiable(state))


def build_gravity_waves(
    section: schema.GravityWaves | None, model: Model, state: Any
) -> FastPart | None:
    if section is None:
        return None
    key = (*SECTION, "gravity_waves", "size")
    chosen = chosen_leaves(state, section.size.by_leaf(), key)
    if not chosen:
        message = mismatch("no variable", "those to filter", "add for example u: 1 cm s-1")
        raise NamelistError([Problem(key, message)])
    weights = point_weights(model, {leaf: like for leaf, (like, _) in chosen.items()})
    inverse = {leaf: (weights[leaf] > 0) / size for leaf, (_, size) in chosen.items()}
    half = int((section.span or section.period) / (2 * model.time_step) * (1 + 1e-12))
    return FastPart(inverse, half, section.period / model.time_step)


def build_sweep(
    section: schema.Adjoint,
    window: Window,
    model: Model,
    parameters: Any,
    state: Any,
    key: KeyPath = (*SECTION, "adjoint"),
    received: float | None = None,
) -> tuple[Schedule, Rematerialisation]:
    """As little is computed again as the memory allows, and the disk. Warns on rank 0
    (NamelistWarning) where the least that is kept is more than the memory allows. ``received`` in a
    step, in states: by default as the model's messages bring it."""
    domain = model.domain
    room = states_within(domain, 1e9 * section.memory, state)
    inside, segments = max(window.lengths), len(window.lengths)
    if received is None:
        received = received_in_a_step(model, parameters, state)
    in_blocks = Rematerialisation(received=received)
    each_step = replace(in_blocks, blocks=False)
    every = each_step.states(inside)
    if every + segments <= room:
        interior = max(domain.comm.allgather(interior_of_a_step(model, parameters, state)))
        if interior * inside + segments <= room:
            return IN_MEMORY, replace(each_step, steps=False, interior=interior)
        return IN_MEMORY, each_step
    if section.disk and every + 1 < room:
        return Schedule(memory=room - every - 1, disk=None), each_step
    least = in_blocks.states(inside) + 1 + (segments > 1)
    gigabytes = 1e-9 * least * bytes_of_state(domain, state)
    if gigabytes > section.memory and domain.comm.is_root:
        message = mismatch(
            f"a memory of {section.memory:.3g} GB for states",
            f"at least {gigabytes:.3g} GB, which the sweep takes anyway",
            "raise it, or shorten adjoint.segment",
        )
        warnings.warn(NamelistWarning(Problem((*key, "memory"), message)), stacklevel=2)
    kept = max(1, room - in_blocks.states(inside) - 1)
    if kept >= segments - 1:
        return IN_MEMORY, in_blocks
    return Schedule(memory=kept, disk=None if section.disk else 0), in_blocks


def sweep_store(section: schema.Adjoint, folder: Path, domain: Domain) -> FolderStore | None:
    """Where a sweep keeps states and from where it goes on, if it may use the disk."""
    return FolderStore(folder / SWEEP, domain.comm.rank) if section.disk else None


# -- all of it ------------------------------------------------------------------------------------


def build_recovery(
    namelist: AbstractNamelist,
    experiment: Experiment,
    folder: Path,
    *,
    nature: Path | None = None,
    first_guess: Any = None,
) -> Recovery:
    """The recovery that ``namelist`` describes, in the folder of its files.

    ``nature``: folder of the run that data come from where they name none. ``first_guess``: state
    at the window's start; by default what the namelist says. All ranks call this together. Raises
    NamelistError or DataError, before anything is computed.
    """
    section, model = required(namelist), experiment.model
    require_constant_parameters(experiment, SECTION)
    clock = build_clock(experiment)
    window = build_window(section.window, schema.segment_length(section), experiment.time.step)
    if first_guess is None:
        first_guess = first_guess_of(section, namelist, experiment)
    sources = build_data(namelist, experiment, window, clock, nature)
    points = build_observations(
        section.observations, experiment, window, nature=Nature(namelist, experiment, nature)
    )
    counts = require_data((*sources, points), points, model.domain)
    terms = tuple(term for source in (*sources, points) for term in source.terms)
    unknowns = build_unknowns(
        section.control, model, experiment.parameters, first_guess, len(window.lengths)
    )
    root, control_terms = background(section.background, unknowns, model)
    schedule, rematerialisation = build_sweep(
        section.adjoint,
        window,
        *swept(section.minimiser, model, experiment.parameters, first_guess),
    )
    corrected = Corrections() if unknowns.inputs.segments else None
    path = build_gravity_waves(section.gravity_waves, model, first_guess)
    segment = Segment(model, ObservationCost(terms), corrected, rematerialisation, path)
    identity = {name: of for each in (*sources, points) for name, of in each.identity.items()}
    given = {"first_guess": first_guess, "model": model, "parameters": experiment.parameters}
    identity |= {name: hashed(rounded(tree)) for name, tree in given.items()}
    run = Run(segment, window.lengths, at_ends(window, (*sources, points)), identity)
    if points.has_check:
        against = departures(run, unknowns.inputs)
        points = points.checked(dict(zip(window.ends, against, strict=True)))
        run = replace(run, data=at_ends(window, (*sources, points)))
        counts = require_data((*sources, points), points, model.domain)
    objective = FourDVar(
        run,
        ControlTransform(unknowns.inputs, root, *unknowns.names),
        control_terms,
        schedule,
        sweep_store(section.adjoint, folder, model.domain),
    )
    return Recovery(
        objective,
        window,
        clock,
        sources,
        counts,
        build_minimiser(section.minimiser),
        points=points,
    )


def required(namelist: AbstractNamelist) -> schema.Assimilation:
    if namelist.assimilation is None:
        message = mismatch("no such section", "what is sought, and from which data", "add it")
        raise NamelistError([Problem(SECTION, message)])
    return namelist.assimilation


def require_constant_parameters(experiment: Experiment, key: KeyPath) -> None:
    """The sweep back needs all of a series at once."""
    if experiment.refresh is not None:
        message = mismatch(
            "forcing that is read in windows",
            "forcing that is in memory, for the way back through the run",
            "remove reload from the forcing",
        )
        raise NamelistError([Problem(key, message)])


def first_guess_of(
    section: schema.Assimilation | schema.Sensitivity,
    namelist: AbstractNamelist,
    experiment: Experiment,
) -> Any:
    """The state at the window's start that the namelist names."""
    start = section.window.start
    if section.first_guess is None:
        return at_time(experiment.state, start)
    return state_of_run(section.first_guess, start, namelist, experiment)


def require_data(
    sources: Sequence[StateData | PointData], points: PointData, domain: Domain
) -> dict[str, int]:
    """Data by term, over all ranks; refuses a cost that is 0 for want of data."""
    counts = _counted(sources, domain)
    if any(counts.values()):
        return counts
    fates = [
        f"{term}: {', '.join(f'{fate} {number}' for fate, number in numbers.items())}"
        for term, numbers in points.rejections.record().items()
    ]
    found = "no data" if not fates else f"no observation that can be used ({'; '.join(fates)})"
    message = mismatch(found, "data", "add the states of a run, or observations in the window")
    blamed = "observations" if fates and not _has_states(sources) else "data"
    raise NamelistError([Problem((*SECTION, blamed), message)])


def _has_states(sources: Iterable[StateData | PointData]) -> bool:
    return any(isinstance(source, StateData) for source in sources)


def _counted(sources: Iterable[StateData | PointData], domain: Domain) -> dict[str, int]:
    counts = [count for source in sources for count in source.count().items()]
    everywhere = domain.comm.allgather([number for _, number in counts])
    return {name: sum(each[i] for each in everywhere) for i, (name, _) in enumerate(counts)}
