"""Promises of the project as a whole: its lock file and its warnings."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]


def test_the_lock_file_names_no_index_but_pypi():
    hosts = set(re.findall(r"https?://([^/\"]+)", (PROJECT / "uv.lock").read_text()))
    assert hosts == {"pypi.org", "files.pythonhosted.org"}


@pytest.mark.parametrize("module", ["dassim", "dassim.grid.operators"])
def test_warnings_that_come_from_dassim_are_errors(module):
    with pytest.raises(UserWarning, match="made up"):
        warnings.warn_explicit("made up", UserWarning, "file.py", 1, module=module)


@pytest.mark.filterwarnings("ignore:made up")
def test_a_test_may_allow_a_warning():
    warnings.warn_explicit("made up", UserWarning, "file.py", 1, module="dassim")
