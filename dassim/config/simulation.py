"""From a namelist to what a run does on its way."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import yaml

from dassim.config.errors import show
from dassim.config.experiment import Experiment
from dassim.config.intervals import Months
from dassim.config.schema.namelist import AbstractNamelist
from dassim.config.schema.run import Time
from dassim.config.schema.simulation import Snapshots, schedule
from dassim.config.text import as_yaml
from dassim.provenance import job, versions
from dassim.simulation.events import NEVER, At, Every, Schedule
from dassim.simulation.plan import Case, Outlet, Plan

WITHOUT_EFFECT = (
    "decomposition",
    "output",
    "restarts",
    "snapshots",
    "run",
    "assimilation",
    "twin",
    "sensitivity",
)
"""Sections that may change between two sessions of one run: its states do not depend on them."""

OF_A_STREAM = ("kind", "variables", "levels", "precision")
"""What all records of an output stream have in common."""

LINES = 120
"""Of a log, at most, unless the namelist says when."""

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
ROUND = (
    *(number * second for second in (1.0, MINUTE) for number in (1, 2, 5, 10, 15, 30)),
    *(number * HOUR for number in (1, 3, 6, 12)),
    *(number * DAY for number in (1, 2, 5, 10)),
    *(Months(number) for number in (1, 3, 6)),
    *(Months(12 * decade * number) for decade in (1, 10, 100) for number in (1, 2, 5)),
)
"""Times that people think in, the shortest first."""


def build_case(experiment: Experiment) -> Case:
    time = experiment.time
    return Case(
        experiment.model,
        experiment.parameters,
        experiment.state,
        time.steps,
        time.clock,
        experiment.refresh,
    )


def build_plan(namelist: AbstractNamelist, time: Time) -> Plan:
    restarts, run = namelist.restarts, namelist.run
    return Plan(
        log=schedule(run.log, time) if run.log else default_log(time),
        restarts=schedule(restarts.every, time) if restarts.every else NEVER,
        keep_last=restarts.keep_last,
        milestones=schedule(restarts.keep_every, time) if restarts.keep_every else NEVER,
        snapshots=_snapshots(namelist.snapshots, time),
        wall_clock=run.wall_clock,
        limits={name: None if at == "none" else at for name, at in run.limits.items()},
    )


def build_outlets(
    namelist: AbstractNamelist, time: Time, writers: Mapping[str, Any]
) -> tuple[Outlet, ...]:
    """The output streams with their ``writers``, by name."""
    return tuple(
        Outlet(
            stream.name,
            stream.kind,
            stream.variables,
            schedule(stream.every, time),
            writers[stream.name],
        )
        for stream in namelist.output
    )


def notes(namelist: AbstractNamelist) -> dict[str, Any]:
    """Where a run comes from."""
    known, batch = versions(), job()
    return {
        "name": namelist.name,
        "source": namelist.source,
        "namelist_sha256": identity_hash(namelist),
        "commit": known.pop("commit"),
        "versions": known,
        **({"job": batch} if batch else {}),
    }


def identity(namelist: Mapping[str, Any]) -> dict[str, Any]:
    """All of a resolved namelist that the states of a run depend on, but for its length."""
    kept = {key: value for key, value in namelist.items() if key not in WITHOUT_EFFECT}
    time = {key: value for key, value in kept.get("time", {}).items() if key != "duration"}
    return {**kept, "time": time}


def identity_hash(namelist: AbstractNamelist) -> str:
    plain = identity(namelist.model_dump(mode="json", exclude_none=True))
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def difference(
    text: str,
    namelist: AbstractNamelist,
    identity: Callable[[Mapping[str, Any]], dict[str, Any]] = identity,
) -> str | None:
    """The first keys in which the resolved namelist ``text`` of a run differs from ``namelist``
    so that one does not continue the other, in words; None if in no such key. ``identity``: what
    counts of a resolved namelist, besides what records of a stream of both have in common."""
    old, now = yaml.safe_load(text), yaml.safe_load(as_yaml(namelist))
    found, new = _flat(identity(old)), _flat(identity(now))
    before, after = _streams(old), _streams(now)
    for name in before.keys() & after.keys():
        found |= _flat(before[name], f"output.{name}")
        new |= _flat(after[name], f"output.{name}")
    keys = [key for key in {**found, **new} if found.get(key) != new.get(key)]
    if not keys:
        return None
    shown = [f"{key} is {show(found.get(key))}, now {show(new.get(key))}" for key in keys[:3]]
    more = f" and {len(keys) - 3} more" if len(keys) > 3 else ""
    return "; ".join(shown) + more


def _streams(namelist: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        stream["name"]: {key: stream.get(key) for key in OF_A_STREAM}
        for stream in namelist.get("output", ())
    }


def default_log(time: Time) -> Schedule:
    """The shortest round time that makes no more than :data:`LINES` lines; where no round time is
    a whole number of steps, the fewest steps that do."""
    for every in ROUND:
        with suppress(ValueError):
            found = schedule(every, time)
            if LINES // 10 <= found.count(time.steps) <= LINES:
                return found
    return Every(-(-time.steps // LINES))


def _snapshots(section: Snapshots, time: Time) -> Schedule:
    if section.times:
        return At(tuple(round(seconds / time.step) for seconds in section.times))
    if section.every is None:
        return NEVER
    first = math.ceil(section.first / time.step * (1 - 1e-12))
    last = None if section.last is None else int(section.last / time.step * (1 + 1e-12))
    return schedule(section.every, time, first, last)


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    """Values by their dotted keys; lists as they are."""
    if not isinstance(value, dict):
        return {prefix: value}
    items = (_flat(inner, f"{prefix}.{key}".lstrip(".")) for key, inner in value.items())
    return {key: inner for each in items for key, inner in each.items()}
