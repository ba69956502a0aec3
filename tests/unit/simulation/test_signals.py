"""Requests to stop."""

import os
import signal
import threading

from dassim.simulation.signals import stop_requests
from dassim.simulation.timing import Pace


def test_signals_are_noted_and_handlers_put_back():
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR1)]
    with stop_requests() as request:
        assert request.reason is None
        os.kill(os.getpid(), signal.SIGUSR1)
        os.kill(os.getpid(), signal.SIGTERM)
        assert request.reason == "SIGUSR1"
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR1)] == before


def test_other_threads_leave_signals_alone():
    found = []

    def look():
        with stop_requests() as request:
            found.append((request.reason, signal.getsignal(signal.SIGTERM)))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert found == [(None, signal.getsignal(signal.SIGTERM))]


def test_the_pace_grows_to_the_time_between_looks_and_no_further():
    pace, taken = Pace(1.0), []
    for _ in range(6):
        steps = pace.steps(10**6)
        taken.append(steps)
        pace = pace.after(steps, took=0.01 * steps)
    assert taken == [1, 8, 64, 100, 100, 100]
    assert pace.after(100, took=10.0).steps(10**6) == 10
    assert pace.after(100, took=1000.0).steps(10**6) == 1
    assert pace.steps(3) == 3
