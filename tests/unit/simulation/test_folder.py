"""Whose folder it is."""

import subprocess
import sys

import pytest

from dassim.parallel import SerialCommunicator
from dassim.simulation.errors import RunError
from dassim.simulation.folder import Log, RunFolder, claimed

COMM = SerialCommunicator()


def claim(path, namelist="a\n", resume=False, difference=lambda _: None):
    return claimed(RunFolder(path), namelist, COMM, resume=resume, difference=difference)


def refusal(path, **options):
    with pytest.raises(RunError) as refused, claim(path, **options):
        raise AssertionError("the folder was claimed")
    return str(refused.value).replace(str(path), "RUN")


def test_a_new_folder_gets_the_namelist(tmp_path):
    with claim(tmp_path / "deep" / "run"):
        assert (tmp_path / "deep" / "run" / "namelist.yaml").read_text() == "a\n"


def test_a_folder_without_a_run_may_hold_other_files(tmp_path):
    (tmp_path / "slurm.out").write_text("")
    with claim(tmp_path):
        pass


def test_a_folder_with_a_run_is_refused(tmp_path):
    with claim(tmp_path):
        pass
    assert refusal(tmp_path) == (
        "RUN: found a run; go on with it by --resume, or choose another folder by --folder"
    )
    (tmp_path / "namelist.yaml").unlink()
    (tmp_path / "restarts").mkdir()
    assert refusal(tmp_path).startswith("RUN: found a run; go on")


def test_a_namelist_that_is_refused_leaves_no_run(tmp_path):
    with pytest.raises(SystemExit), claim(tmp_path):
        raise SystemExit(2)
    with claim(tmp_path, "b\n"):
        (tmp_path / "run.json").write_text("{}")
    with pytest.raises(SystemExit), claim(tmp_path, "c\n", resume=True):
        raise SystemExit(2)
    assert refusal(tmp_path).startswith("RUN: found a run; go on")


def test_a_run_of_another_namelist_is_refused(tmp_path):
    with claim(tmp_path):
        pass
    assert refusal(tmp_path, resume=True, difference=lambda other: f"found {other!r}") == (
        "RUN: found a run of another namelist: found 'a\\n'; resume it with its own namelist, or "
        "choose another folder by --folder"
    )
    assert (tmp_path / "namelist.yaml").read_text() == "a\n"


def test_a_run_that_goes_on_gets_its_new_namelist(tmp_path):
    for namelist in ("a\n", "longer\n"):
        with claim(tmp_path, namelist, resume=True):
            pass
    assert (tmp_path / "namelist.yaml").read_text() == "longer\n"


def test_a_folder_in_use_is_refused(tmp_path):
    with claim(tmp_path):
        code = (
            "from tests.unit.simulation.test_folder import *; import pathlib;"
            f"print(refusal(pathlib.Path({str(tmp_path)!r}), resume=True))"
        )
        child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert child.stdout == (
        "RUN: found a run in progress; wait for its end, or choose another folder by --folder\n"
    )
    with claim(tmp_path, resume=True):
        pass


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    assert refusal(tmp_path / "file" / "run") == (
        "RUN: Not a directory; choose a folder that can be written, by --folder"
    )


def test_a_folder_that_cannot_be_written_is_refused(tmp_path, monkeypatch):
    def read_only(path, text):
        raise OSError(30, "", str(path))

    monkeypatch.setattr("dassim.simulation.folder.write_text", read_only)
    assert refusal(tmp_path) == (
        "RUN/namelist.yaml: Read-only file system; choose a folder that can be written, by --folder"
    )


def test_a_record_that_is_none_is_nothing(tmp_path):
    folder = RunFolder(tmp_path)
    assert folder.read_record() == {}
    folder.record.write_text("{")
    assert folder.read_record() == {}


def test_a_log_keeps_the_lines_up_to_the_restart(tmp_path):
    log = Log(tmp_path / "log.csv", ["step", "T"])
    log.start(0)
    for step in (0, 10, 20):
        log.add([step, 1.5])
    with log.path.open("a") as file:
        file.write("\n3")  # half a line, of step 30
    log.start(10)
    assert log.path.read_text() == "step,T\n0,1.5\n10,1.5\n"
    Log(log.path, ["step", "S"]).start(10)
    assert log.path.read_text() == "step,S\n"
