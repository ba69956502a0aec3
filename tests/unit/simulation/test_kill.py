"""A run and a minimisation on 2 ranks are killed at a random moment; ``python -m
tests.harness.kill`` and ``tests.harness.kill_recovery`` do it often."""

import importlib.util
import math
import random

import pytest

from tests.harness.kill import WAYS, Setting, endurance, kill_and_resume, undisturbed
from tests.harness.kill_recovery import bits, checkpoints, killed

SETTING = endurance(ranks=2, steps=120, seconds=1.0)
MINIMISATION = Setting(2, ("tests.models.minimisation", "--seconds", "1.0"), "")

SECONDS_AFTER_THE_FIRST_CHECKPOINT = 0.8

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("mpi4jax") is None,
    reason="no MPI in this environment; run tools/setup --mpi=wheel",
)


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
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


@pytest.mark.timeout(300)
def test_a_killed_minimisation_resumes_to_the_same_bits(tmp_path):
    alone, disturbed = (tmp_path / name for name in ("alone", "disturbed"))
    chance = random.Random(1)
    assert not killed(MINIMISATION.command(alone), math.inf, chance)
    wait = chance.uniform(0.0, SECONDS_AFTER_THE_FIRST_CHECKPOINT)
    command = MINIMISATION.command(disturbed)
    assert killed(command, wait, chance, begun=lambda: len(checkpoints(disturbed)) >= 2)
    assert checkpoints(disturbed) and not (disturbed / "analysis").exists()
    assert not killed(command, math.inf, chance)
    assert bits(disturbed) == bits(alone)
