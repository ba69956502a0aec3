"""Restarts, snapshots, log and limits, as a namelist gives them."""

from pathlib import Path

import pytest

from dassim.config import Namelist, NamelistError, load
from dassim.config.schema.run import Time
from dassim.config.simulation import (
    build_outlets,
    build_plan,
    default_log,
    difference,
    identity_hash,
)
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
    assert (found.keep_last, found.milestones, found.log) == (2, NEVER, Every(3))
    assert namelist().output == ()


def test_times_become_steps():
    found = plan(
        "restarts={every: 1 d, keep_last: 3, keep_every: 5 d}",
        "snapshots={every: 6 h, first: 1 d, last: 36 h}",
        "run={log: 2 h, wall_clock: 1.5 h, limits: {courant_number: 1.2, highest_salinity: none}}",
    )
    assert (found.restarts, found.keep_last, found.milestones) == (Every(24), 3, Every(120))
    assert found.snapshots == Every(6, 24, 36)
    assert plan("snapshots={every: 1 h, first: 90 min, last: 150 min}").snapshots == Every(1, 2, 2)
    assert (found.log, found.wall_clock) == (Every(2), 5400.0)
    assert found.limits == {"courant_number": 1.2, "highest_salinity": None}
    assert plan("snapshots={times: [3 h, 1 d]}").snapshots == At((3, 24))


YEAR = "time={start: 2000-01-01, calendar: noleap, duration: 365 d, step: 1 h}"


def test_months_of_the_calendar_become_steps():
    found = plan(
        YEAR,
        "restarts={every: 1 month, keep_every: 6 months}",
        "snapshots={every: 3 months, first: 100 d, last: 300 d}",
        "run.log=1 year",
    )
    assert found.restarts.steps[:3] == (31 * 24, 59 * 24, 90 * 24)
    assert found.restarts.count(365 * 24) == 12
    assert found.milestones.steps == (181 * 24, 365 * 24)
    assert found.snapshots.steps == (181 * 24, 273 * 24)
    assert found.log == At((365 * 24,))


def test_streams_have_records_of_months():
    stream = "output=[{name: monthly, every: 1 month, variables: [T]}]"
    given = namelist(YEAR, stream)
    (outlet,) = build_outlets(given, given.time, {"monthly": None})
    assert outlet.schedule.steps[:2] == (31 * 24, 59 * 24)


@pytest.mark.parametrize("override", ["restarts={every: 1 month}", "snapshots={every: 1 month}"])
def test_months_that_begin_between_steps_are_refused(override):
    time = "time={start: 2000-01-10, duration: 700 h, step: 7 h}"
    section = override.partition("=")[0]
    assert refusal(time, override) == (
        f"{section}: found every of 1 month, where 2000-02-01 00:00:00 lies between two steps; "
        f"expected a whole number of steps of 25200 s from 2000-01-10 to the first of each month; "
        f"choose a step that divides a day, and a start at midnight, or write days"
    )


@pytest.mark.parametrize("text", ["1.5 months", "0 months"])
def test_parts_of_months_are_refused(text):
    assert refusal(f"restarts={{every: {text}}}") == (
        f"restarts.every: found '{text}', and 'months' has no fixed length; expected a time above "
        f"0 s such as '1 d', or whole months or years such as '1 month'; write days, such as "
        f"'365 d'"
    )


@pytest.mark.parametrize(
    ("duration", "step", "every"),
    [
        ("10 d", "20 min", 3 * 3600),
        ("360 d", "2 h", 5 * 86400),
        ("8100 steps", "1 s", 120),
        ("20 steps", "20 min", 1200),
        ("700 h", "7 h", 7 * 3600),
        ("7000 h", "7 h", 9 * 7 * 3600),
    ],
)
def test_the_log_has_round_times_and_not_too_many_lines(duration, step, every):
    time = Time(duration=duration, step=step)
    assert default_log(time) == Every(round(every / time.step))


def test_the_log_of_ten_years_has_a_line_a_month():
    found = default_log(Time(duration="3600 d", step="2 h", calendar="360_day"))
    assert found.steps[:2] == (360, 720)
    assert found.count(43200) == 120


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
    assert refusal(YEAR, "restarts={every: 10 d, keep_every: 1 month}") == (
        "restarts: found keep_every of 1 month; expected a multiple of every, 864000 s; correct "
        "one of the two"
    )
    assert plan(YEAR, "restarts={every: 1 d, keep_every: 1 month}").milestones.count(8760) == 12
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
        "restarts={every: 1 month, keep_every: 2 years}",
        "snapshots={times: [3 h]}",
        "run={limits: {S: none, T: 3}}",
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


def test_a_stream_keeps_what_its_records_have():
    """Other streams may come and go, and files be divided otherwise."""
    stream = "output=[{{name: daily, every: {}, variables: [{}], file_per: {}}}]".format
    one = as_yaml(namelist(stream("1 d", "T", "month")))
    assert difference(one, namelist(stream("2 d", "T", "year"))) is None
    assert difference(one, namelist("output=[]")) is None
    assert difference(one, namelist(stream("1 d", "T, u", "month"))) == (
        "output.daily.variables is ['T'], now ['T', 'u']"
    )


def test_what_changes_the_states_is_named():
    other = namelist("time.step=30 min", "grid.nx=24")
    assert difference(as_yaml(namelist()), other) == (
        "grid.nx is 12, now 24; time.step is 3600.0, now 1800.0"
    )
    many = namelist("initial={T: 11, S: 34}", "grid.f0=1e-4", "grid.nx=24", "name=other")
    assert difference(as_yaml(namelist()), many).endswith(" more")
    assert identity_hash(namelist()) != identity_hash(other)
