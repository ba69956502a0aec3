"""Restarts, snapshots, log and limits, as a namelist gives them."""

from pathlib import Path

import pytest

from dassim.config import Namelist, NamelistError, load
from dassim.config.simulation import build_plan, difference, identity_hash
from dassim.config.text import as_yaml
from dassim.simulation.events import NEVER, At, Every

OCEAN = Path(__file__).parent / "data" / "ocean.yaml"
TIME = "time={duration: 10 d, step: 1 h}"


def namelist(*overrides):
    return load(OCEAN, Namelist, overrides=[TIME, *overrides]).namelist


def plan(*overrides):
    given = namelist(*overrides)
    return build_plan(given, given.time)


def refusal(*overrides):
    with pytest.raises(NamelistError) as refused:
        namelist(*overrides)
    (problem,) = refused.value.problems
    return f"{problem.key}: {problem.message}"


def test_defaults():
    found = plan()
    assert (found.restarts, found.snapshots, found.wall_clock) == (NEVER, NEVER, None)
    assert (found.keep_last, found.keep_every, found.log) == (2, None, Every(2))
    assert namelist().output == ()


def test_times_become_steps():
    found = plan(
        "restarts={every: 1 d, keep_last: 3, keep_every: 5 d}",
        "snapshots={every: 6 h, first: 1 d, last: 36 h}",
        "run={log: 2 h, wall_clock: 1.5 h, limits: {courant_number: 1.2, highest_salinity: none}}",
    )
    assert (found.restarts, found.keep_last, found.keep_every) == (Every(24), 3, 120)
    assert found.snapshots == Every(6, 24, 36)
    assert (found.log, found.wall_clock) == (Every(2), 5400.0)
    assert found.limits == {"courant_number": 1.2, "highest_salinity": None}
    assert plan("snapshots={times: [3 h, 1 d]}").snapshots == At((3, 24))


@pytest.mark.parametrize(
    ("override", "section", "key"),
    [
        ("restarts={every: 90 min}", "restarts", "every"),
        ("restarts={every: 1 h, keep_every: 90 min}", "restarts", "keep_every"),
        ("snapshots={every: 90 min}", "snapshots", "every"),
        ("snapshots={times: [1 h, 90 min]}", "snapshots", "times[1]"),
        ("run={log: 90 min}", "run", "log"),
    ],
)
def test_times_between_steps_are_refused(override, section, key):
    assert refusal(override) == (
        f"{section}: found {key} of 5400 s; expected a whole number of steps of 3600 s; write for "
        f"example 7200 s"
    )


def test_milestones_are_among_the_restarts():
    assert refusal("restarts={every: 2 h, keep_every: 3 h}") == (
        "restarts: found keep_every of 10800 s; expected a multiple of every, 7200 s; correct one "
        "of the two"
    )


def test_snapshots_are_chosen_in_one_way():
    assert refusal("snapshots={every: 1 h, times: [2 h]}") == (
        "snapshots.times: found both; expected either every or times; remove one"
    )
    assert "expected times that grow; sort them" in refusal("snapshots={times: [2 h, 1 h]}")


def test_the_resolved_namelist_reads_back(tmp_path):
    given = namelist(
        "restarts={every: 1 d}", "snapshots={times: [3 h]}", "run={limits: {S: none, T: 3}}"
    )
    (tmp_path / "copy.yaml").write_text(as_yaml(given))
    assert load(tmp_path / "copy.yaml", Namelist).namelist == given


def test_what_does_not_change_the_states_may_differ():
    """A run goes on with another length, layout, output, restarts."""
    one = namelist()
    for override in (
        "time.duration=20 d",
        "decomposition.layout=[1, 2]",
        "output=[{name: daily, every: 1 d, variables: [T]}]",
        "restarts={every: 1 d}",
        "snapshots={every: 1 d}",
        "run={log: 1 h}",
    ):
        other = namelist(override)
        assert difference(as_yaml(one), other) is None
        assert identity_hash(one) == identity_hash(other)


def test_what_changes_the_states_is_named():
    other = namelist("time.step=30 min", "grid.nx=24")
    assert difference(as_yaml(namelist()), other) == (
        "grid.nx is 12, now 24; time.step is 3600.0, now 1800.0"
    )
    many = namelist("initial={T: 11, S: 34}", "grid.f0=1e-4", "grid.nx=24", "name=other")
    assert difference(as_yaml(namelist()), many).endswith(" more")
    assert identity_hash(namelist()) != identity_hash(other)
