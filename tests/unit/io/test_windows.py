"""Windows of records: whatever the reload, interpolation finds the same as in the whole series."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dassim.io.windows import Series, Windows

END = 350.0
VALUES = np.random.default_rng(0).normal(size=100)


@given(
    st.sets(st.integers(0, 99), min_size=2, max_size=8),
    st.integers(-150, 150),
    st.integers(3, 400),
    st.booleans(),
)
def test_a_window_has_all_that_interpolation_needs(days, shift, reload, repeats):
    times = np.array(sorted(days), float) + shift
    period = 100.0 if repeats else None
    values = VALUES[: len(times)]
    series = Series(times, float(reload), END, period)
    for number in range(int(np.ceil(END / reload))):
        records, at = series.window(number)
        assert len(records) == len(at) == series.size
        assert (np.diff(at) > 0).all()
        now = np.linspace(number * reload, (number + 1) * reload, 7)
        expected = np.interp(now, times, values, period=period)
        np.testing.assert_allclose(np.interp(now, at, values[records]), expected, atol=1e-9)


def test_a_window_has_no_more_than_that():
    series = Series(np.arange(0.0, 1000.0, 10.0), 50.0, 990.0)
    assert series.size == 6
    assert series.window(3)[0] == [15, 16, 17, 18, 19, 20]


def test_a_window_begins_where_a_run_resumes():
    series = Series(np.arange(0.0, 1000.0, 10.0), 50.0, 990.0)
    assert [series.number(seconds) for seconds in (0.0, 49.9, 50.0, 120.0)] == [0, 0, 1, 2]


class Source:
    """Records that are their own numbers, and what has been read of them."""

    def __init__(self):
        self.read, self.gate = [], threading.Event()
        self.gate.set()

    def __call__(self, records):
        assert self.gate.wait(20)
        self.read.append(list(records))
        return np.array(records, float)[:, None]


@pytest.fixture
def source():
    return Source()


def windows(source, reload=50.0, end=990.0):
    return Windows(Series(np.arange(0.0, 1000.0, 10.0), reload, end), source)


def test_the_next_window_is_read_meanwhile(source):
    made = windows(source)
    values, times = made.at(0.0)
    assert values[:, 0].tolist() == [0, 1, 2, 3, 4, 5]
    assert times.tolist() == [0, 10, 20, 30, 40, 50]
    made._coming[1].result()
    assert source.read == [[0, 1, 2, 3, 4, 5], [5, 6, 7, 8, 9, 10]]
    source.gate.clear()  # what is there already needs no reading
    assert made.at(50.0)[0][:, 0].tolist() == [5, 6, 7, 8, 9, 10]
    source.gate.set()


def test_a_window_is_read_once(source):
    made = windows(source)
    for seconds in (0.0, 10.0, 20.0):
        made.at(seconds)
    assert source.read[0] == [0, 1, 2, 3, 4, 5]
    assert made.bytes_read == 6 * 8


def test_nothing_is_read_beyond_the_end(source):
    made = windows(source, end=100.0)
    made.at(50.0)
    assert made._coming == {}


def test_an_error_of_the_reader_is_raised_where_the_window_is_needed(source):
    def fail(records):
        raise OSError("no such file")

    with pytest.raises(OSError, match="no such file"):
        Windows(Series(np.arange(3.0), 1.0, 2.0), fail).at(0.0)
