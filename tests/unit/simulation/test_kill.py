"""A run on 2 ranks is killed at a random moment; ``python -m tests.harness.kill`` does it often."""

import importlib.util
import random

import pytest

from tests.harness.kill import WAYS, endurance, kill_and_resume, undisturbed

SETTING = endurance(ranks=2, steps=120, seconds=1.0)


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    if importlib.util.find_spec("mpi4jax") is None:
        pytest.skip("no MPI in this environment; run tools/setup --mpi=wheel")
    return undisturbed(SETTING, tmp_path_factory.mktemp("undisturbed") / "run")


@pytest.mark.parametrize("way", WAYS)
def test_a_killed_run_resumes_to_the_same_bits(tmp_path, expected, way):
    chance = random.Random(way)
    wait = chance.uniform(0.0, 0.5)
    kill = kill_and_resume(way, wait, SETTING, tmp_path / "run", expected, chance, restarted=True)
    assert kill.problems == ()
    assert kill.in_time
    assert (kill.code == 75) == ("SIGTERM" in way)
    assert kill.newest is not None
