"""The command line, called in this process as its entry point calls it."""

import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from dassim.cli import main

BOX = Path(__file__).parents[1] / "config" / "data" / "box.yaml"


class Result(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def dassim(capsys, monkeypatch):
    """``dassim("check", "a.yaml")``: exit code, standard output and standard error."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["dassim", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        return Result(int(ended.value.code or 0), captured.out, captured.err)

    return run


@pytest.fixture
def box():
    return BOX
