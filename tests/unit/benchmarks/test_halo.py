"""The benchmark of halo exchanges runs and says what it measured."""

from __future__ import annotations

import re
import sys
import tomllib

import pytest

from dassim.config.schema.site import Costs
from tools.benchmarks import record


def test_it_reports_times_bytes_and_ratios(mpirun, tmp_path):
    file = tmp_path / "halo.json"
    options = ["--sizes", "800", "1048576", "--repetitions", "1", "--block", "1", "8", "9"]
    halo = [sys.executable, "-m", "tools.benchmarks.halo"]
    ended = mpirun(2, *halo, *options, "--json", file, timeout=100)
    assert ended.returncode in (0, record.MISSED), ended.stderr
    lines = ended.stdout.splitlines()
    assert any(line.startswith("2 ranks") and "float64" in line for line in lines)
    assert any("mpi4jax" in line and "jax" in line for line in lines)
    table = [line.split() for line in lines if line.split()[:1] in (["800"], ["1048576"])]
    assert [len(row) for row in table] == [7, 7]
    for size, took, rate, bare, ratio, _, _ in (map(float, row) for row in table):
        assert ratio == pytest.approx(took / bare, abs=0.1 + 0.1 * ratio)
        assert rate == pytest.approx(2e-3 * size / took, abs=0.01 + 0.1 * rate)
    (summary,) = (line for line in lines if line.startswith("largest ratios from 1 MB on"))
    largest = [float(word) for word in re.findall(r"\d+\.\d\d", summary)]
    assert largest == [float(table[1][4]), float(table[1][6])]
    beyond = ended.returncode == record.MISSED
    assert beyond == (largest[0] > 1.5) or largest[0] == 1.5  # within rounding
    sent = [line.split()[2] for line in lines if line.split()[:2] == ["5", "3"]]
    in_x = 2 * 5 * 1 * 3 * 8 * 8  # sides, fields, levels, width, rows, bytes of a number
    assert sent == [str(in_x)]
    site = tomllib.loads("\n".join(lines[lines.index("[costs]") :]))
    costs = Costs.model_validate(site["costs"])
    assert 0.0 <= costs.latency < 1e-2 and 1e6 < costs.bandwidth < 1e12
    measured = record.read(file)["halo"].measurements
    assert len(measured) == 2 + 3  # sizes of messages, and exchanges of blocks
    assert measured[1].ratio == pytest.approx(largest[0], abs=0.01)
    assert beyond == (measured[1].verdict == "missed")
