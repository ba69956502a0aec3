"""What a run that is killed leaves on disk."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.conftest import PROJECT

KILLS = 20


def test_files_closed_before_a_kill_are_whole(tmp_path):
    program = [sys.executable, "-m", "tests.harness.examples.killed_writer", tmp_path, str(KILLS)]
    child = subprocess.run(program, cwd=PROJECT, capture_output=True, text=True, timeout=100)
    assert child.returncode == 0, child.stderr
    counts = json.loads(child.stdout)
    assert len(counts) == KILLS
    assert max(reported for reported, _ in counts) > 3
    assert [reported - whole for reported, whole in counts if whole < reported] == []
