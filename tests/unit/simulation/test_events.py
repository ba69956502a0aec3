"""When things happen."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dassim.simulation.events import NEVER, At, Every, next_event

steps = st.integers(1, 50)
schedules = st.one_of(
    st.builds(Every, steps, st.integers(0, 60), st.one_of(st.none(), st.integers(0, 200))),
    st.lists(steps, unique=True).map(lambda chosen: At(tuple(sorted(chosen)))),
)


@given(schedules, st.integers(0, 100))
def test_the_next_event_is_the_first_that_is_due(schedule, step):
    due = [later for later in range(step + 1, 400) if schedule.due(later)]
    assert schedule.next_after(step) == (due[0] if due else None)


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
