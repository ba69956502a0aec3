"""When things happen."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dassim.simulation.clock import Clock
from dassim.simulation.events import NEVER, At, Every, due_until, months, next_event

steps = st.integers(1, 50)
schedules = st.one_of(
    st.builds(Every, steps, st.integers(0, 60), st.one_of(st.none(), st.integers(0, 200))),
    st.lists(steps, unique=True).map(lambda chosen: At(tuple(sorted(chosen)))),
)


@given(schedules, st.integers(0, 100))
def test_the_next_event_is_the_first_that_is_due(schedule, step):
    due = [later for later in range(step + 1, 400) if schedule.due(later)]
    assert schedule.next_after(step) == (due[0] if due else None)


@given(schedules, st.integers(0, 300))
def test_steps_are_counted(schedule, end):
    due = [step for step in range(1, end + 1) if schedule.due(step)]
    assert list(due_until(schedule, end)) == due
    assert schedule.count(end) == len(due)


@pytest.mark.parametrize(
    "calendar", ["standard", "proleptic_gregorian", "julian", "noleap", "all_leap", "360_day"]
)
@pytest.mark.parametrize("start", ["1999-12-01", "2000-01-15", "1582-09-30T18:00:00"])
@pytest.mark.parametrize("every", [1, 3, 12, 18])
def test_months_begin_on_the_first_at_midnight(calendar, start, every):
    clock = Clock(start, calendar, 6 * 3600.0)
    end = 4 * 365 * 2
    first = clock.date(0)
    begun = [
        step
        for step in range(1, end + 1)
        for date in [clock.date(step)]
        if (date.day, date.hour) == (1, 0)
        and (12 * (date.year - first.year) + date.month - first.month) % every == 0
    ]
    assert list(due_until(months(every, clock, end), end)) == begun
    assert begun or every > 12


def test_months_end_with_the_run():
    clock = Clock("2000-01-01", "360_day", 86400.0)
    assert months(1, clock, 60).steps == (30, 60)
    assert months(1, clock, 59).steps == (30,)


def test_months_that_begin_between_two_steps_are_refused():
    clock = Clock("2000-01-01", "noleap", 7 * 3600.0)
    with pytest.raises(ValueError, match="2000-02-01 00:00:00 lies between two steps"):
        months(1, clock, 200)
    assert months(1, clock, 106).steps == ()


@given(steps, st.integers(0, 200))
def test_every_is_every_multiple(every, step):
    assert Every(every).due(step) == (step > 0 and step % every == 0)


def test_every_keeps_to_its_range():
    assert [step for step in range(30) if Every(4, first=6, last=17).due(step)] == [8, 12, 16]


def test_nothing_is_due_at_the_start():
    assert not Every(1).due(0)
    assert not At((0, 3)).due(0)
    assert NEVER.next_after(0) is None


def test_the_end_comes_before_later_events():
    assert next_event([Every(4), At((7,)), NEVER], 4, 100) == 7
    assert next_event([Every(4)], 97, 99) == 99


def test_every_needs_a_step():
    with pytest.raises(ValueError, match="found every 0 steps, expected at least 1"):
        Every(0)
