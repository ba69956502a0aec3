"""The commands on namelists of the atmosphere."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

import dassim as library
from dassim.config import Namelist, load
from dassim.config.errors import Place
from dassim.config.experiment import doubts
from dassim.config.yaml import parse
from dassim.parallel import SerialCommunicator
from tests.models import terrain
from tests.models.namelists import ATMOSPHERE, PROJECT, SMALLER, with_set

JET = ATMOSPHERE["galewsky"]
WAVE = PROJECT / "namelists" / "assimilation" / "baroclinic_sensitivity.yaml"


@pytest.mark.parametrize("name", ATMOSPHERE)
def test_files_are_named_as_their_experiments(name):
    assert load(ATMOSPHERE[name], Namelist).namelist.name == name


@pytest.mark.parametrize("name", ATMOSPHERE)
def test_the_time_step_of_each_is_within_all_limits(name):
    assert doubts(load(ATMOSPHERE[name], Namelist).namelist, SerialCommunicator()) == []


@pytest.mark.parametrize("path", ATMOSPHERE.values(), ids=ATMOSPHERE)
def test_the_schema_accepts_the_namelists_of_the_project(dassim, path):
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads(dassim("schema").out)
    if "base" not in path.read_text():
        jsonschema.validate(
            parse(path.read_text(), Place(str(path)), path.parent, {}).value, schema
        )


def test_check_prints_sizes_and_refuses_the_poles_without_a_filter(dassim):
    small = with_set(["grid.nx=64", "grid.ny=32"])
    result = dassim("check", JET, *small)
    assert (result.code, result.err) == (0, "")
    assert "# one layer" in result.out
    result = dassim("check", JET, *small, "--set", "physics.polar_filter=null")
    assert result.code == 2
    assert "time.step: found 150 s; expected at most" in result.err
    assert "because of gravity waves at row 0, column" in result.err
    assert "set physics.polar_filter, such as {latitude: 60}, or shorten the step" in result.err


BOUNDS = {
    "waves at the poles": (["physics.polar_filter=null"], "gravity waves at row 0"),
    "damping of divergence": (
        [*SMALLER["held_suarez"], "physics.divergence_damping.viscosity=1e9 m2/s"],
        "divergence damping at row 0",
    ),
}


@pytest.mark.parametrize(("overrides", "words"), BOUNDS.values(), ids=BOUNDS)
def test_check_knows_what_bounds_the_time_step_of_a_climate(dassim, overrides, words):
    result = dassim("check", ATMOSPHERE["held_suarez"], *with_set(overrides))
    assert result.code == 2
    assert "time.step: found 1800 s; expected at most" in result.err
    assert f"because of {words}" in result.err


WRONG = {
    "a plane": (
        ["grid={type: cartesian, nx: 8, ny: 8, lx: 1 km, ly: 1 km}"],
        "found a polar filter on a cartesian grid; expected circles of latitude",
    ),
    "walls": (["grid.periodic=[]"], "on a latlon grid that is closed along x"),
    "ground": (
        ["orography={type: bell, height: 20 km, centre: [0, 0], radius: 20}"],
        "expected fluid everywhere; raise initial.height",
    ),
    "a number": (
        ["sensitivity={window: {length: 1 h}, objective: {type: mean, variable: T}, by: [h]}"],
        "found 'T'; expected one of u, v, h",
    ),
}


@pytest.mark.parametrize(("overrides", "words"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_is_refused(dassim, tmp_path, overrides, words):
    command = ["sensitivity"] if "sensitivity" in overrides[0] else ["check"]
    folder = ["-o", tmp_path / "s"] if command == ["sensitivity"] else []
    result = dassim(*command, JET, *folder, *with_set([*SMALLER["galewsky"], *overrides]))
    assert result.code == 2
    assert words in result.err


MOIST = {
    "no surface": (["surface=null"], "grey_radiation and no section surface; expected a surface"),
    "no vapour": (
        ["initial.relative_humidity=null"],
        "no relative_humidity in the section initial",
    ),
    "a surface that is not there": (
        ["surface={type: given, temperature: {type: file, file: none.nc, variable: sst}}"],
        "surface.temperature.file: found no file",
    ),
}


@pytest.mark.parametrize(("overrides", "words"), MOIST.values(), ids=MOIST)
def test_moist_physics_is_refused_without_what_it_acts_on(dassim, overrides, words):
    small = with_set([*SMALLER["aquaplanet"], *overrides])
    result = dassim("check", ATMOSPHERE["aquaplanet"], *small)
    assert result.code == 2
    assert words in result.err


FAST = {
    "held_suarez": ("held_suarez", "surface_time: 20 min", 1800),
    "betts_miller": ("aquaplanet", "timescale: 10 min", 1200),
}


@pytest.mark.parametrize("process", FAST)
def test_relaxation_within_less_than_a_step_is_refused(dassim, process):
    name, time, step = FAST[process]
    overrides = [*SMALLER[name], f"physics.columns=[{{type: {process}, {time}}}]"]
    result = dassim("check", ATMOSPHERE[name], *with_set(overrides))
    assert result.code == 2
    key = time.partition(":")[0]
    assert f"columns[0].{key}: found a {key} of" in result.err, result.err
    assert f"expected at least the time step, {step} s" in result.err


LEVELS = {
    "levels out of order": (
        ["vertical={type: hybrid, a: [0.01, 0.5, 0.3, 0], b: [0, 0, 0.1, 1]}"],
        "vertical: found face 2 at 30000 Pa + 0.1 ps, not above the 50000 Pa + 0 ps of the face",
    ),
    "a top pressure below the ground": (
        ["vertical={type: smooth_hybrid, nz: 5, top: 1200 hPa}"],
        "vertical.top: found a top at 120000 Pa; expected less than the 100000 Pa at the ground",
    ),
    "sigma out of order": (
        ["vertical={type: sigma, faces: [0, 0.5, 0.4, 1]}"],
        "vertical.faces: found face 2 at 0.4, not above 0.5",
    ),
    "sigma twice": (
        ["vertical={type: sigma, faces: [0, 0.5, 0.5, 1]}"],
        "vertical.faces: found face 2 at 0.5, not above 0.5",
    ),
    "levels that end in the ground": (
        [
            "vertical={type: smooth_hybrid, nz: 5, top: 10 hPa, exponent: 4}",
            "orography={type: bell, height: 6 km, centre: [0, 0], radius: 20}",
        ],
        "vertical: found levels that cross where the ground carries less than 66463.4 Pa, as at ",
    ),
}


@pytest.mark.parametrize(("overrides", "words"), LEVELS.values(), ids=LEVELS)
def test_levels_that_cannot_be_are_refused(dassim, overrides, words):
    sizes = ["grid.nx=32", "grid.ny=16"]
    result = dassim("check", ATMOSPHERE["held_suarez"], *with_set([*sizes, *overrides]))
    assert result.code == 2
    assert words in result.err


def test_files_with_a_single_hole_are_refused(dassim, tmp_path):
    """Where a field at the cells could take its value from the points around, too."""
    overrides = terrain.made_up(tmp_path)
    lon, lat = terrain.LON, terrain.LAT
    height, warmth = terrain.hills(lon[:, None], lat), np.full((len(terrain.LEVELS), 64, 32), 290.0)
    height[11, 20] = warmth[3, 5, 7] = np.nan
    orog = {"orog": (("lon", "lat"), height, {"units": "m"})}
    rough = terrain.write(tmp_path / "rough.nc", {"lon": lon, "lat": lat}, **orog)
    air = terrain.analysis(tmp_path / "holes.nc", temperature=warmth)
    for override, words in (
        (f"orography.file={rough}", "orography.variable: found no value of orog at lon=11, lat=20"),
        (
            f"initial.file={air}",
            "initial.T: found no value of temperature at level=3, longitude=5, latitude=7",
        ),
    ):
        result = dassim("check", terrain.NAMELIST, *with_set([*overrides, override]))
        assert result.code == 2
        assert words in result.err


def test_a_hole_in_ground_at_the_cells_themselves_is_refused(dassim, tmp_path):
    height = np.full((16, 32), 100.0)
    height[3, 5] = np.nan
    lon, lat = (np.arange(32) + 0.5) * 360 / 32, (np.arange(16) + 0.5) * 180 / 16 - 90
    orog = {"orog": (("lat", "lon"), height, {"units": "m"})}
    file = terrain.write(tmp_path / "ground.nc", {"lon": lon, "lat": lat}, **orog)
    ground = f"orography={{type: file, file: {file}, variable: orog}}"
    small = with_set(["grid.nx=32", "grid.ny=16", ground])
    result = dassim("check", ATMOSPHERE["held_suarez"], *small)
    assert result.code == 2
    assert "orography: found no number at" in result.err
    assert f" of orog in {file}; expected a height at every cell" in result.err


def test_hybrid_levels_are_run_written_and_drawn(dassim, tmp_path):
    small = with_set(
        [
            "grid.nx=32",
            "grid.ny=16",
            "vertical={type: hybrid, a: [10 , 200, 300, 100, 0], b: [0, 0, 0.2, 0.75, 1], "
            "reference_pressure: 1 hPa}",
            "time={duration: 10 min, step: 5 min}",
            "output=[{name: fields, every: 5 min, kind: snapshot, variables: [u, T, p, ps]}]",
        ]
    )
    folder = tmp_path / "hybrid"
    assert "hybrid from 1000 Pa" in dassim("check", ATMOSPHERE["held_suarez"], *small).out
    result = dassim("run", ATMOSPHERE["held_suarez"], "-o", folder, *small)
    assert (result.code, result.err) == (0, "")
    data = library.open(folder)
    assert data["T"].dims == ("time", "hybrid", "lat", "lon")
    np.testing.assert_allclose(data["hybrid"], [0.105, 0.35, 0.675, 0.925])
    pressure = data["hybrid_a"] + data["hybrid_b"] * data["ps"].astype(float)
    np.testing.assert_allclose(pressure.transpose(*data["p"].dims), data["p"], rtol=1e-6)
    assert dassim("plot", folder).code == 0
    assert (folder / "plots" / "fields" / "section_T.png").exists()


def test_a_slab_ocean_changes_its_temperature_and_is_written(dassim, tmp_path):
    small = with_set(
        [
            *SMALLER["aquaplanet"],
            "time={duration: 10 min, step: 5 min}",
            "surface={type: slab, depth: 2.4 m, temperature: 290 K}",
            "output=[{name: fields, every: 10 min, kind: snapshot, variables: [T, q, Ts]}, "
            "{name: mean, every: 10 min, variables: [pr, evspsbl, rlut]}]",
        ]
    )
    result = dassim("run", ATMOSPHERE["aquaplanet"], "-o", tmp_path / "slab", *small)
    assert (result.code, result.err) == (0, "")
    data = library.open(tmp_path / "slab", "fields")
    assert data["Ts"].attrs["standard_name"] == "surface_temperature"
    change = float(abs(data["Ts"][-1].astype(float) - 290.0).max())
    assert 1e-3 < change < 1.0
    means = library.open(tmp_path / "slab", "mean")
    assert means["pr"].attrs["standard_name"] == "precipitation_flux"
    assert means["pr"].dims == ("time", "lat", "lon")
    assert float(means["evspsbl"].mean()) > 1e-6
    assert 100.0 < float(means["rlut"].mean()) < 400.0


def test_fluxes_are_outputs_where_processes_tell_them(dassim):
    small = with_set(SMALLER["aquaplanet"])
    assert dassim("check", ATMOSPHERE["aquaplanet"], *small).code == 0
    result = dassim("check", ATMOSPHERE["aquaplanet"], *small, "--set", "physics.columns=[]")
    assert result.code == 2
    assert "found 'pr'; expected one of" in result.err


def test_the_temperature_of_the_surface_is_an_output_where_there_is_one(dassim):
    written = "output=[{name: day, every: 1 d, kind: snapshot, variables: [T, Ts]}]"
    moist = with_set([*SMALLER["aquaplanet"], written])
    assert dassim("check", ATMOSPHERE["aquaplanet"], *moist).code == 0
    result = dassim(
        "check", ATMOSPHERE["held_suarez"], *with_set([*SMALLER["held_suarez"], written])
    )
    assert result.code == 2
    assert "output[0].variables[1]: found 'Ts'; expected one of u, v, T, ps" in result.err


@pytest.mark.parametrize("kind", ["slab", "given"])
def test_moist_air_runs_in_single_precision_over_any_surface(dassim, tmp_path, kind):
    overrides = (
        "precision=float32",
        "time={duration: 10 min, step: 5 min}",
        f"surface={{type: {kind}, temperature: 290 K}}",
        "output=[{name: fields, every: 10 min, kind: snapshot, variables: [T, q, Ts]}]",
    )
    small = with_set([*SMALLER["aquaplanet"], *overrides])
    result = dassim("run", ATMOSPHERE["aquaplanet"], "-o", tmp_path / kind, *small)
    assert (result.code, result.err) == (0, "")
    assert float(abs(library.open(tmp_path / kind)["Ts"] - 290.0).max()) < 1.0


@pytest.mark.parametrize("name", ["galewsky", "held_suarez"])
def test_tracers_are_carried_written_and_kept_in_restarts(dassim, tmp_path, name):
    """A uniform one stays as it is; a run that goes on ends where one without a stop does."""

    def options(steps):
        tracers = "initial.tracers={dye: 2.0, east: {type: linear, axis: x, low: 0, high: 1}}"
        written = "variables: [u, dye, east]"
        step = load(ATMOSPHERE[name], Namelist).namelist.time.step
        return with_set(
            [
                *SMALLER[name],
                tracers,
                f"time.duration={steps * step} s",
                f"output=[{{name: fields, every: {step} s, kind: snapshot, {written}}}]",
            ]
        )

    assert dassim("check", ATMOSPHERE[name], *options(4)).code == 0
    for folder, steps, goes_on in (
        ("whole", 4, []),
        ("parts", 2, []),
        ("parts", 4, ["--resume"]),
    ):
        run = ["run", ATMOSPHERE[name], "-o", tmp_path / folder, *goes_on, *options(steps)]
        result = dassim(*run)
        assert (result.code, result.err) == (0, "")
    whole, parts = (library.open(tmp_path / folder) for folder in ("whole", "parts"))
    np.testing.assert_allclose(whole["dye"], 2.0, rtol=1e-6)
    assert float(abs(whole["east"] - whole["east"][0]).max()) > 1e-7
    for variable in ("u", "dye", "east"):
        np.testing.assert_array_equal(whole[variable][-1], parts[variable][-1])
    wrong = dassim("check", ATMOSPHERE[name], *with_set(["initial.tracers={u: 1.0}"]))
    assert wrong.code == 2
    assert "initial: found a tracer named 'u'; expected a word other than" in wrong.err


@pytest.mark.parametrize(
    ("name", "tracer"),
    [("galewsky", "pv"), ("held_suarez", "theta"), ("aquaplanet", "prw"), ("aquaplanet", "hfls")],
)
def test_no_tracer_takes_the_name_of_an_output(dassim, name, tracer):
    result = dassim("check", ATMOSPHERE[name], *with_set([f"initial.tracers={{{tracer}: 1.0}}"]))
    assert result.code == 2
    assert f"initial: found a tracer named '{tracer}'; expected a word other than" in result.err


@pytest.mark.parametrize(
    ("name", "override", "words"),
    [
        (
            "galewsky",
            "initial={type: barotropic_jet, south: 60, north: 20}",
            "initial.north: found a jet from 60 to 20 degrees; expected a northern edge north of",
        ),
        ("aquaplanet", "physics.columns=[{type: grey_radiation, contrast: 5}]", "contrast: found"),
        ("aquaplanet", "physics.columns=[{type: grey_radiation, solar: -1}]", "solar: found"),
    ],
)
def test_flows_and_sunlight_that_cannot_be_are_refused(dassim, name, override, words):
    result = dassim("check", ATMOSPHERE[name], "--set", override)
    assert result.code == 2
    assert words in result.err


def test_a_run_writes_fields_and_figures(dassim, tmp_path):
    small = with_set(
        [
            *SMALLER["galewsky"],
            "time.duration=10 min",
            "output=[{name: fields, "
            "every: 5 min, kind: snapshot, variables: [u, v, h, zeta, pv, speed]}]",
        ]
    )
    result = dassim("run", JET, "-o", tmp_path / "jet", *small)
    assert (result.code, result.err) == (0, "")
    data = library.open(tmp_path / "jet")
    assert data["h"].dims == ("time", "lat", "lon")
    assert data["zeta"].dims == ("time", "lat_v", "lon_u")
    area = data["cell_area"].values
    volume = (data["h"].astype(float) * area).sum(("lat", "lon")).values
    np.testing.assert_allclose(volume, area.sum() * 10e3, rtol=2e-4)
    assert dassim("plot", tmp_path / "jet").code == 0
    figures = {path.name for path in (tmp_path / "jet" / "plots" / "fields").iterdir()}
    assert {"index.html", "h.png", "zeta.png", "speed.png", "series.png"} <= figures
    page = (tmp_path / "jet" / "plots" / "fields" / "index.html").read_text()
    assert "topmost level" not in page
    assert "Relative vorticity, at corners of cells." in page


def agrees_everywhere(printed):
    found = re.search(r"difference: (\S+); at most 1.00e-05 at (\d+) of (\d+) points", printed)
    return found and float(found[1]) < 1e-5 and found[2] == found[3] != "0"


def test_the_gradient_of_a_mean_agrees_with_finite_differences(dassim, tmp_path):
    section = (
        "sensitivity={window: {length: 10 min}, points: 2, by: [h, u, orography, gravity], "
        "objective: {type: mean, variable: h, x: [0, 90], y: [30, 60]}}"
    )
    small = with_set([*SMALLER["galewsky"], section])
    result = dassim("sensitivity", JET, "-o", tmp_path / "s", *small)
    assert (result.code, result.err) == (0, "")
    assert agrees_everywhere(result.out)


NUMBERS = {
    "mean_ps": ([], "Pa"),
    "kinetic_energy": (["sensitivity.objective={type: kinetic_energy}"], "Pa m4 s-2"),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_gradients_of_a_baroclinic_wave_agree_with_finite_differences(dassim, tmp_path, name):
    overrides, units = NUMBERS[name]
    short = ["sensitivity.window.length=1 h", "sensitivity.adjoint.segment=1 h"]
    small = with_set([*SMALLER["jablonowski_williamson_wave"], *short, *overrides])
    result = dassim("sensitivity", WAVE, "-o", tmp_path / "s", *small)
    assert (result.code, result.err) == (0, "")
    assert agrees_everywhere(result.out)
    data = library.open(tmp_path / "s")
    assert data[f"{name}_by_T"].attrs["units"] == f"{units} (K)-1"
    assert float(abs(data[f"{name}_by_ps"]).max()) > 0.0
