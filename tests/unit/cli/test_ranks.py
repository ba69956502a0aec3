"""Commands under a launcher: one voice, one exit code."""

import sys

import pytest


@pytest.fixture
def on_three_ranks(mpirun):
    return lambda *arguments: mpirun(3, sys.executable, *arguments, timeout=120)


def test_check_plans_for_the_ranks_it_runs_on_and_prints_once(on_three_ranks, box):
    ended = on_three_ranks("-m", "dassim", "check", box)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count("# 3 ranks as ") == 1


def test_a_refused_namelist_is_told_once_and_all_ranks_exit(on_three_ranks, box):
    ended = on_three_ranks("-m", "dassim", "check", box, "--set", "decomposition.layout=[2, 2]")
    assert ended.returncode == 2
    assert ended.stderr.count("needs 4 ranks, found 3") == 1
    assert "Traceback" not in ended.stderr


def test_a_code_on_which_ranks_agree_is_left_in_a_file(on_three_ranks, box, tmp_path, monkeypatch):
    file = tmp_path / "code"
    monkeypatch.setenv("DASSIM_EXIT_CODE", str(file))
    ended = on_three_ranks("-m", "dassim", "check", box, "--set", "decomposition.layout=[2, 2]")
    assert ended.returncode == 0
    assert file.read_text() == "2\n"


def test_a_code_that_cannot_be_left_is_that_of_the_ranks(on_three_ranks, box, monkeypatch):
    monkeypatch.setenv("DASSIM_EXIT_CODE", "/nowhere/code")
    ended = on_three_ranks("-m", "dassim", "check", box, "--set", "decomposition.layout=[2, 2]")
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr


RECOVERY = """
base: {base}
assimilation:
  window: {{length: 2 h}}
  data: [{{run: nowhere, every: 1 h, errors: {{{errors}}}}}]
  control: {{state: {{T: 1 K}}}}
"""


@pytest.mark.parametrize(
    ("errors", "code", "message"),
    [
        ("T: 0.1 K", 1, "nowhere: found no such folder; expected that of a run; correct the path"),
        ("ps: 1 Pa", 2, "assimilation.data[0].errors.ps: found 'ps'; expected one of "),
    ],
)
def test_what_is_refused_before_computing_is_told_once_and_leaves_the_folder_free(
    on_three_ranks, box, tmp_path, errors, code, message
):
    namelist = tmp_path / "recovery.yaml"
    namelist.write_text(RECOVERY.format(base=box.with_name("ocean.yaml"), errors=errors))
    ended = on_three_ranks("-m", "dassim", "assimilate", namelist, "-o", tmp_path / "a")
    assert ended.returncode == code, ended.stderr
    assert ended.stderr.count(message) == 1
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / "a" / "namelist.yaml").exists()


REFUSED_ON_RANK_1 = """
from dassim.cli.ranks import agreed
from dassim.config import NamelistError, Problem
from dassim.parallel import world

comm = world()

def prepare():
    if comm.rank == 1:
        raise {error}

agreed(comm, prepare)
print("not reached")
"""


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        ("NamelistError([Problem(('file',), 'not here')])", 2, "file: not here"),
        ("OSError('disk gone')", 1, "[rank 1] OSError: disk gone"),
    ],
)
def test_what_one_rank_refuses_stops_all_with_its_message(on_three_ranks, error, code, message):
    ended = on_three_ranks("-c", REFUSED_ON_RANK_1.format(error=error))
    assert ended.returncode == code
    assert "not reached" not in ended.stdout
    assert message in ended.stderr
