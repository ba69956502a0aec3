"""What a run that is killed leaves on disk."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.conftest import PROJECT

KILLS = 20


def test_records_written_before_a_kill_can_be_read(tmp_path):
    program = [sys.executable, "-m", "tests.harness.examples.killed_writer", tmp_path, str(KILLS)]
    child = subprocess.run(program, cwd=PROJECT, capture_output=True, text=True, timeout=100)
    assert child.returncode == 0, child.stderr
    counts = json.loads(child.stdout)
    assert len(counts) == KILLS
    assert max(reported for reported, _ in counts) > 3
    assert [readable - reported for reported, readable in counts if readable < reported] == []
