"""Requests to stop."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from dassim.simulation.signals import STOP, stop_requests
from dassim.simulation.timing import Pace


@pytest.fixture
def before():
    """Handlers, which the test finds again as they were."""
    handlers = {number: signal.getsignal(number) for number in STOP}
    yield handlers
    for number, handler in handlers.items():
        signal.signal(number, handler)


def test_signals_are_noted_and_the_handlers_of_others_put_back(before):
    with stop_requests() as request:
        assert request.reason is None
        os.kill(os.getpid(), signal.SIGUSR1)
        assert request.reason == "SIGUSR1"
    assert signal.getsignal(signal.SIGTERM) == before[signal.SIGTERM]
    with stop_requests() as request:
        os.kill(os.getpid(), signal.SIGUSR1)
        os.kill(os.getpid(), signal.SIGTERM)
        assert request.received == ["SIGUSR1", "SIGTERM"]


ASKED = """
import os, signal, subprocess, sys
from dassim.simulation.signals import stop_requests

with stop_requests() as request:
    for _ in range(3):
        os.kill(os.getpid(), signal.SIGUSR1)
    assert request.received == ["SIGUSR1"]
os.kill(os.getpid(), signal.SIGUSR1)
assert subprocess.run(["bash", "-c", "kill -USR1 $$"]).returncode == -signal.SIGUSR1


class AtTheVeryEnd:
    def __del__(self, kill=os.kill, myself=os.getpid(), number=signal.SIGUSR1):
        kill(myself, number)


sys.last_of_all = AtTheVeryEnd()
sys.exit(75)
"""


def test_who_asks_again_does_not_disturb_the_end_nor_do_children_ignore_it():
    assert subprocess.run([sys.executable, "-c", ASKED]).returncode == 75


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
