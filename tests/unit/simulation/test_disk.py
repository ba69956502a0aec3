"""Runs on a disk that is full or cannot be written."""

import subprocess
from dataclasses import replace

import pytest

from dassim.io.restarts import RestartError, StateArchive
from dassim.simulation.errors import RunError
from dassim.simulation.events import Every
from tests.models.plate import Plate
from tests.models.runs import PLAN, case, end_state, run

KEEP_ALL = replace(PLAN, restarts=Every(1), keep_last=100)


def plate():
    """States of 120 kB."""
    return case(Plate.create((50, 100)))


def assert_resumes(folder):
    """The restarts on the full disk are whole, and with room the run goes on from the newest."""
    archive = StateArchive(folder / "run" / "restarts", plate().model.domain)
    entries, (newest, damaged) = archive.entries(), archive.newest()
    assert newest is not None
    assert (newest.step, damaged) == (len(entries), {})
    subprocess.run(["mount", "-o", "remount,rw,size=100m", str(folder)], check=True)
    run(folder / "run", plate(), KEEP_ALL, resume=True)
    assert float(end_state(folder / "run", plate())["time"]) == 30 * 60.0


def test_a_disk_without_room_for_a_restart_ends_the_run(disk):
    with pytest.raises(RestartError) as ended:
        run(disk / "run", plate(), KEEP_ALL)
    assert "bytes needed, " in str(ended.value)
    assert f"older ones in {disk}/run/restarts are as they were; make room" in str(ended.value)
    assert_resumes(disk)


@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
def test_a_disk_that_fills_up_while_a_restart_is_written_ends_the_run(disk, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises((RestartError, RunError)) as ended:
        patch.setattr("dassim.io.restarts.free_bytes", lambda folder: 10**9)
        run(disk / "run", plate(), KEEP_ALL)
    assert "No space left on device" in str(ended.value)
    assert_resumes(disk)


def test_a_disk_that_is_read_only_is_named(disk):
    run(disk / "run", plate(), replace(KEEP_ALL, restarts=Every(10)), stop_at=3)
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    with pytest.raises(RunError) as refused:
        run(disk / "run", plate(), resume=True)
    assert str(refused.value) == (
        f"{disk}/run/.lock: Read-only file system; choose a folder that can be written, by --folder"
    )
    with pytest.raises(RunError, match=r"other: Read-only file system; choose a folder that can"):
        run(disk / "other" / "run", plate())
    archive = StateArchive(disk / "run" / "restarts", plate().model.domain)
    assert [entry.step for entry in archive.entries()] == [3]
