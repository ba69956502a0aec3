"""Promises of the project as a whole: its lock file and its warnings."""

from __future__ import annotations

import fcntl
import re
import subprocess
import warnings
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]


def test_the_lock_file_names_no_index_but_pypi():
    hosts = set(re.findall(r"https?://([^/\"]+)", (PROJECT / "uv.lock").read_text()))
    assert hosts == {"pypi.org", "files.pythonhosted.org"}


def test_set_ups_of_a_checkout_take_turns():
    setup = PROJECT / "tools" / "setup"
    with (PROJECT / "uv.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with subprocess.Popen([setup, "--help"], stdout=-1, stderr=-1, text=True) as second:
            assert second.stderr is not None and second.stdout is not None
            assert "waiting for another set-up" in second.stderr.readline()
            assert second.poll() is None
            fcntl.flock(file, fcntl.LOCK_UN)
            assert "--cuda" in second.stdout.read()
    assert second.returncode == 0


@pytest.mark.parametrize("module", ["dassim", "dassim.grid.operators"])
def test_warnings_that_come_from_dassim_are_errors(module):
    with pytest.raises(UserWarning, match="made up"):
        warnings.warn_explicit("made up", UserWarning, "file.py", 1, module=module)


@pytest.mark.filterwarnings("ignore:made up")
def test_a_test_may_allow_a_warning():
    warnings.warn_explicit("made up", UserWarning, "file.py", 1, module="dassim")
