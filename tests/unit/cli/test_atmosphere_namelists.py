"""Commands on every namelist of the atmosphere, on few points and for few steps. The adjoints that
take a minute are in long.py."""

from __future__ import annotations

import csv

import numpy as np
import pytest

import dassim as library
from dassim.config import Namelist, load
from tests.models import terrain
from tests.models.namelists import ATMOSPHERE, PROJECT, SMALLER, with_set

ASSIMILATION = PROJECT / "namelists" / "assimilation"
MAPS = {"h", "T", "psl", "speed"}
LONG = ("held_suarez", "aquaplanet", "real_terrain")
FILES = {**ATMOSPHERE, "real_terrain": terrain.NAMELIST}


@pytest.mark.parametrize("name", FILES)
def test_it_is_run_and_drawn(dassim, tmp_path, name):
    """Each stream of the namelist, with all its variables, after each of two steps."""
    small = terrain.smaller(name, tmp_path)
    own = load(FILES[name], Namelist, overrides=small).namelist
    every = own.time.step
    streams = [
        f"{{name: {each.name}, every: {every} s, kind: {each.kind}, "
        f"variables: [{', '.join(each.variables)}]}}"
        for each in own.output
    ]
    brief = [*small, f"time.duration={2 * every} s", f"output=[{', '.join(streams)}]"]
    folder = tmp_path / "run"
    result = dassim("run", FILES[name], "-o", folder, *with_set(brief))
    assert (result.code, result.err) == (0, "")
    for stream in own.output:
        data = library.open(folder, stream.name)
        for variable in stream.variables:
            assert np.isfinite(data[variable]).all(), variable
        result = dassim("plot", folder, "--stream", stream.name)
        assert (result.code, result.err) == (0, "")
        drawn = {path.stem for path in (folder / "plots" / stream.name).glob("*.png")}
        assert {"series", *MAPS.intersection(stream.variables)} <= drawn
        assert "T" not in stream.variables or "section_T" in drawn


@pytest.mark.parametrize("name", [name for name in FILES if name not in LONG])
def test_its_adjoint_is_verified(dassim, tmp_path, name):
    verify(dassim, FILES[name], *with_set(terrain.smaller(name, tmp_path)))


def verify(dassim, path, *options):
    """What the command prints, of which all tests pass."""
    result = dassim("verify-adjoint", path, "--steps", 1, "--spin-up", 2, *options)
    assert (result.code, result.err) == (0, ""), result.out
    assert result.out.endswith("\nall tests passed\n")
    return result.out


TWINS = {
    "galewsky": ("galewsky", 10, "{u: 1 m s-1, v: 1 m s-1, h: 20 m}"),
    "jablonowski_williamson": (
        "jablonowski_williamson_wave",
        30,
        "{u: 1 m s-1, v: 1 m s-1, T: 1 K}",
    ),
}


def short(name):
    """Options of a recovery from two states, with a forecast of one step."""
    size, step, errors = TWINS[name]
    return with_set(
        [
            *SMALLER[size],
            f"time={{duration: {4 * step} min, step: {step} min}}",
            f"assimilation.window={{start: {step} min, length: {2 * step} min}}",
            f"assimilation.data=[{{every: {step} min, errors: {errors}}}]",
            "assimilation.minimiser.iterations=4",
            f"twin.forecast={step} min",
        ]
    )


def table(file):
    with file.open(newline="") as lines:
        return list(csv.DictReader(lines))


@pytest.mark.parametrize("name", TWINS)
@pytest.mark.timeout(600)
def test_it_is_recovered_from_the_states_of_nature(dassim, tmp_path, name):
    """A twin, and a recovery from its nature that begins with the state of the section initial."""
    path, twin, other = ASSIMILATION / f"{name}.yaml", tmp_path / "twin", tmp_path / "other"
    result = dassim("twin", path, "-o", twin, *short(name))
    assert (result.code, result.err) == (0, "")
    result = dassim("assimilate", path, "-o", other, "--nature", twin / "nature", *short(name))
    assert (result.code, result.err) == (0, "")
    for folder in (twin, other):
        costs = [float(row["J"]) for row in table(folder / "iterations.csv")]
        assert costs[-1] < 0.5 * costs[0], costs
    rmse = {
        run: {
            (row["variable"], row["step"]): float(row["rmse"])
            for row in table(twin / "scores.csv")
            if row["run"] == run
        }
        for run in ("first guess", "analysis")
    }
    sought = load(path, Namelist).namelist.assimilation.control.state.by_leaf()
    assert {variable for variable, _ in rmse["analysis"]} == {*sought}
    for at, error in rmse["analysis"].items():
        assert error < rmse["first guess"][at], at
    result = dassim("plot", twin, "--stream", "errors")
    assert (result.code, result.err) == (0, "")


MOIST = """
base: {base}
name: moist_twin
time: {{duration: 80 min, step: 20 min}}
output: []
assimilation:
  window: {{start: 20 min, length: 40 min}}
  data:
    - {{every: 20 min, errors: {{u: 1 m s-1, v: 1 m s-1, T: 1 K, tracers: {{q: 1e-3}}}}}}
  control: {{state: {{u: 1 m s-1, v: 1 m s-1, T: 1 K, ps: 1 hPa, tracers: {{q: 1e-3}}}}}}
  minimiser: {{iterations: 5}}
twin:
  first_guess: {{type: waves, wavenumbers: 3, size: {{T: 1 K, tracers: {{q: 5e-4}}}}}}
"""


@pytest.mark.timeout(900)
def test_moist_air_is_recovered(dassim, tmp_path):
    path, twin = tmp_path / "moist.yaml", tmp_path / "twin"
    path.write_text(MOIST.format(base=ATMOSPHERE["aquaplanet"]))
    result = dassim("twin", path, "-o", twin, *with_set(SMALLER["aquaplanet"]))
    assert (result.code, result.err) == (0, "")
    start = [row for row in table(twin / "scores.csv") if row["step"] == "1"]
    rmse = {(row["run"], row["variable"]): float(row["rmse"]) for row in start}
    for variable in ("T", "tracers.q"):
        assert rmse["analysis", variable] < 0.1 * rmse["first guess", variable], rmse


@pytest.mark.timeout(900)
def test_weather_depends_on_its_vapour_its_sea_and_its_ground(dassim, tmp_path):
    """Against finite differences."""
    section = (
        "sensitivity={window: {length: 40 min}, points: 1, objective: {type: mean, variable: T, "
        "x: [30, 90], y: [0, 60]}, by: [tracers.q, T, surface_temperature.values, orography, "
        "wetness]}"
    )
    small = with_set([*terrain.smaller("real_terrain", tmp_path), section])
    result = dassim("sensitivity", terrain.NAMELIST, "-o", tmp_path / "s", *small)
    assert (result.code, result.err) == (0, ""), result.out
    found = library.open(tmp_path / "s", "sensitivity")
    for name in ("orography", "surface_temperature_values", "wetness"):
        assert found[f"mean_T_by_{name}"].dims == ("time", "lat", "lon")
        assert float(abs(found[f"mean_T_by_{name}"]).max()) > 0.0
