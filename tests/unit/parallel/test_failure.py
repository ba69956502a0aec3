"""An error on one rank ends all of them, at once, with that rank's message."""

from __future__ import annotations

import os
import sys
import threading
import time

import pytest

from dassim.parallel import SerialCommunicator
from dassim.parallel.failure import abort_when_uncaught, hand_over

PROGRAM = """
import sys
import jax.numpy as jnp
from dassim.parallel import Domain, abort_on_error, world

comm = world()
with abort_on_error(comm):
    domain = Domain.create((9, 9), periodic=(True, True))
    if comm.rank == 1:
        {failure}
    {others}
"""

WAYS_TO_WAIT = {
    "in a halo exchange": "domain.exchange(jnp.ones(domain.shape), 1).block_until_ready()",
    "in a global sum": "domain.sum(jnp.ones(3)).block_until_ready()",
    "on the host": "comm.bcast('value')",
}


def run(mpirun, tmp_path, failure, others):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM.format(failure=failure, others=others))
    return mpirun(3, sys.executable, program, timeout=60)


@pytest.mark.parametrize("where", WAYS_TO_WAIT)
def test_others_waiting_are_ended_with_the_message_of_the_rank_that_failed(mpirun, tmp_path, where):
    started = time.monotonic()
    ended = run(mpirun, tmp_path, "raise ValueError('no bathymetry')", WAYS_TO_WAIT[where])
    assert ended.returncode != 0
    assert "[rank 1] ValueError: no bathymetry" in ended.stderr
    assert "[rank 1] Traceback (most recent call last):" in ended.stderr
    assert "[rank 0]" not in ended.stderr and "[rank 2]" not in ended.stderr
    assert time.monotonic() - started < 40


def test_a_program_that_does_nothing_about_errors_is_ended_too(mpirun):
    program = (
        "from dassim.parallel import world\n"
        "if world().rank == 1: raise ValueError('no bathymetry')\n"
        "world().barrier()"
    )
    ended = mpirun(2, sys.executable, "-c", program, timeout=30)
    assert ended.returncode != 0
    assert "[rank 1] ValueError: no bathymetry" in ended.stderr
    assert ended.stderr.count("ValueError") == 1


def test_a_hook_of_the_program_is_called_before_the_ranks_are_ended(monkeypatch, capsys):
    class Rank(SerialCommunicator):
        rank, size = 1, 2

        def abort(self, code=1):
            calls.append(f"end with {code}")

    calls = []
    monkeypatch.setattr(sys, "excepthook", lambda kind, error, trace: calls.append(str(error)))
    abort_when_uncaught(Rank())
    error = ValueError("no bathymetry")
    sys.excepthook(ValueError, error, None)
    assert calls == ["no bathymetry", "end with 1"]
    assert capsys.readouterr().err == "[rank 1] ValueError: no bathymetry\n"


def test_an_exit_code_is_kept(mpirun, tmp_path):
    ended = run(mpirun, tmp_path, "sys.exit(85)", WAYS_TO_WAIT["in a halo exchange"])
    assert ended.returncode == 85


def test_without_an_error_all_ranks_end_well(mpirun, tmp_path):
    ended = run(mpirun, tmp_path, "pass", "sys.exit(0)")
    assert ended.returncode == 0, ended.stderr


def test_what_was_written_is_read_before_a_rank_ends():
    reading, writing = os.pipe()
    launcher = threading.Timer(0.3, lambda: os.read(reading, 100))
    with os.fdopen(writing, "w") as stream, os.fdopen(reading):
        stream.write("[rank 1] OSError: disk gone")
        launcher.start()
        hand_over(stream)
        assert not launcher.is_alive()


def test_nobody_waits_for_a_launcher_that_does_not_read():
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as stream, os.fdopen(reading):
        stream.write("x")
        started = time.monotonic()
        hand_over(stream, patience=0.1)
        assert time.monotonic() - started < 2.0
