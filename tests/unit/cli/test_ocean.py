"""The commands on a namelist of the ocean."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from dassim.config import Namelist, load
from dassim.config.errors import Place
from dassim.config.yaml import parse

PROJECT = Path(__file__).parents[3]
OCEAN = sorted((PROJECT / "namelists" / "ocean").glob("*.yaml"))
BOX = PROJECT / "tests" / "unit" / "config" / "data" / "ocean.yaml"


def test_check_prints_the_whole_namelist_and_its_sizes(dassim, tmp_path):
    result = dassim("check", BOX)
    assert (result.code, result.err) == (0, "")
    copy = tmp_path / "copy.yaml"
    copy.write_text(result.out)
    assert load(copy, Namelist).namelist == load(BOX, Namelist).namelist
    words = [line.split() for line in result.out.splitlines()]
    assert ["#", "memory:", "state", "13.1", "kB", "13.1", "kB"] in words
    assert ["#", "restarts", "kept", "1", "13.1", "kB", "13.1", "kB"] in words


def test_check_counts_what_a_run_writes(dassim):
    streams = [
        "{name: daily, every: 1 d, variables: [T, eta]}",
        "{name: deep, every: 1 h, kind: snapshot, levels: [2, 3], precision: float64, "
        "variables: [u, mld, dye]}",
        "{name: rare, every: 1 year, kind: snapshot, variables: [T]}",
    ]
    options = [
        "time.duration=2 d",
        "initial.tracers={dye: 1}",
        f"output=[{', '.join(streams)}]",
        "restarts={every: 6 h, keep_last: 3, keep_every: 1 d}",
        "snapshots={every: 12 h, first: 1 d}",
    ]
    out = dassim("check", BOX, *with_set(options)).out
    rows = {line[2:24].strip(): line[24:].split() for line in out.splitlines() if line[:1] == "#"}
    plane = 8 * 12
    state, sums = (5 * 4 + 1) * plane * 8, (4 + 1) * plane * 8
    kept = 4  # of 36 h, 42 h and 48 h, and that of 24 h
    assert rows["restarts kept"] == [f"{kept}", *size(state + sums), *size(kept * (state + sums))]
    assert rows["snapshots"] == ["3", *size(state), *size(3 * state)]
    daily, deep = (4 + 1) * plane * 4, (2 + 1 + 2) * plane * 8
    assert rows["fields/daily"] == ["2", *size(daily), *size(2 * daily)]
    assert rows["fields/deep"] == ["48", *size(deep), *size(48 * deep)]
    assert rows["fields/rare"] == ["0", *size(4 * plane * 4), "0", "B"]


def size(number):
    return [f"{number / 1000:.3g}", "kB"]


def test_check_refuses_streams_of_what_there_is_not(dassim):
    stream = "output=[{name: daily, every: 1 d, levels: [9], variables: [T, temp]}]"
    result = dassim("check", BOX, "--set", stream, "--ranks", "2")
    assert result.code == 2
    assert "output[0].variables[1]: found 'temp'; expected one of u, v, T, S," in result.err
    assert "output[0].levels: found level 9; expected levels 0 to 3; correct" in result.err


def test_check_counts_tracers_and_the_history_of_a_multi_step_scheme(dassim):
    options = "physics.stepper={type: adams_bashforth_2}", "initial.tracers={dye: 1}"
    words = [line.split() for line in dassim("check", BOX, *with_set(options)).out.splitlines()]
    size = f"{2 * (5 * 4 + 1) * 96 * 8 / 1000:.3g}"
    assert ["#", "memory:", "state", size, "kB", size, "kB"] in words


def with_set(overrides):
    return [word for override in overrides for word in ("--set", override)]


def test_check_refuses_a_time_step_with_the_line(dassim):
    result = dassim("check", BOX, "--set", "expected_speed=10 m/s")
    assert result.code == 2
    assert result.out == ""
    assert (
        "box.yaml:27: time.step: found 1200 s; expected at most 707.1 s, because of" in result.err
    )


def test_check_warns_of_unstable_water(dassim):
    result = dassim("check", BOX, "--set", "initial.T={type: levels, values: [5, 6, 7, 8]}")
    assert result.code == 0
    assert "# warning: initial: found water that is denser than the water below" in result.out


def test_check_plans_blocks_as_wide_as_the_halo(dassim):
    result = dassim("check", BOX, "--ranks", "7")
    assert result.code == 2
    assert "with at least 4 points a block and axis; use fewer ranks (at most 6)" in result.err


def test_info_shows_the_decomposition(dassim):
    assert "1 rank, blocks of 8 x 12 cells out of 8 x 12" in dassim("info", BOX).out


@pytest.mark.parametrize("path", OCEAN, ids=lambda path: path.stem)
def test_the_schema_accepts_the_namelists_of_the_project(dassim, path):
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads(dassim("schema").out)
    document = parse(path.read_text(), Place(str(path)), path.parent, {"DASSIM_DATA": "data"})
    jsonschema.validate(document.value, schema)


def test_the_schema_refuses_what_the_command_refuses(dassim):
    jsonschema = pytest.importorskip("jsonschema")
    validator = jsonschema.Draft202012Validator(json.loads(dassim("schema").out))
    good = yaml.safe_load(dassim("check", BOX).out)
    assert validator.is_valid(good)
    for section, key in (("physics", "phisics"), ("forcing", "wind"), ("initial", "temperature")):
        bad = {**good, section: {**good[section], key: 1.0}}
        assert not validator.is_valid(bad)


def test_the_schema_describes_every_key(dassim):
    sections = json.loads(dassim("schema").out)["$defs"]

    def description(field):
        section = sections.get(field.get("$ref", "").rpartition("/")[2], {})
        return field.get("description", section.get("description", "")).split(" [")[0]

    missing = [
        f"{name}.{key}"
        for name, section in sections.items()
        for key, field in section.get("properties", {}).items()
        if key != "type" and not description(field)
    ]
    assert missing == []
