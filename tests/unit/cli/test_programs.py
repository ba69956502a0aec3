"""Where commands keep compiled programs."""

import os
import subprocess
import sys
from dataclasses import dataclass

import pytest

from dassim.cli.programs import MOST_RANKS, folder_of_programs
from dassim.parallel import SerialCommunicator
from tests.models.namelists import PROJECT

CACHE = {"XDG_CACHE_HOME": "/cache"}


@dataclass(frozen=True)
class Ranks:
    rank: int = 3
    size: int = 4
    same_in_later_runs: bool = True


@pytest.fixture
def processor(tmp_path):
    def write(flags):
        path = tmp_path / "cpuinfo"
        path.write_text(f"processor : 0\nflags\t\t: {flags}\nbugs : none\n")
        return path

    return write


def test_ranks_and_processors_keep_programs_apart(processor):
    mine = folder_of_programs(Ranks(), CACHE, processor("fpu avx2"))
    assert str(mine).startswith("/cache/dassim/programs/") and mine.name == "rank3"
    assert folder_of_programs(Ranks(), CACHE, processor("fpu avx2")) == mine
    assert folder_of_programs(Ranks(), CACHE, processor("fpu avx512f")) != mine
    assert folder_of_programs(SerialCommunicator(), CACHE, processor("fpu avx2")).name == "rank0"


@pytest.mark.parametrize(
    "ranks", [Ranks(size=MOST_RANKS + 1), Ranks(same_in_later_runs=False)], ids=["many", "handles"]
)
def test_programs_that_are_of_no_use_later_are_not_kept(ranks):
    assert folder_of_programs(ranks, CACHE) is None


def test_without_a_home_nothing_is_kept(monkeypatch):
    def nowhere(path):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr("pathlib.Path.expanduser", nowhere)
    assert folder_of_programs(Ranks(), {}) is None


COMMAND = """
import jax
from dassim.cli.programs import prepare_jax
from dassim.parallel import SerialCommunicator
prepare_jax(SerialCommunicator())
jax.jit(lambda x: x * 2)(1.0)
print(jax.config.jax_compilation_cache_dir, jax.config.jax_enable_x64)
"""


def told(folder, **settings):
    kept = {name: value for name, value in os.environ.items() if not name.startswith("JAX_")}
    done = subprocess.run(
        [sys.executable, "-c", COMMAND],
        env=kept | {"XDG_CACHE_HOME": str(folder), **settings},
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()


def test_a_command_keeps_its_programs(tmp_path):
    folder, x64 = told(tmp_path)
    assert x64 == "True"
    assert folder.startswith(str(tmp_path)) and list(tmp_path.rglob("*-cache"))


def test_a_folder_that_is_named_has_its_way(tmp_path):
    folder, _ = told(tmp_path / "unused", JAX_COMPILATION_CACHE_DIR=str(tmp_path / "named"))
    assert folder == str(tmp_path / "named") and not (tmp_path / "unused").exists()


def test_a_folder_that_cannot_be_made_is_done_without(tmp_path):
    (tmp_path / "dassim").write_text("a file")
    folder, x64 = told(tmp_path)
    assert (folder, x64) == ("None", "True")
