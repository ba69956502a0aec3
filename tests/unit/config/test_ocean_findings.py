"""What is wrong, or doubtful, about an ocean before its first step."""

from __future__ import annotations

import numpy as np
import pytest

from dassim.config import NamelistError, NamelistWarning
from dassim.config.errors import TimeStepWarning
from dassim.config.experiment import build_experiment, doubts
from dassim.config.ocean import build_ocean
from dassim.ocean.stability import stability_limits
from tests.unit.config.ocean import loaded, ocean, refusals, write_netcdf

NY, NX = 8, 12


def basin_file(tmp_path, depth):
    path = write_netcdf(tmp_path / "depth.nc", depth=(("y", "x"), depth, {"units": "m"}))
    return f"bathymetry={{type: file, file: {path}, variable: depth}}"


# -- the basin ------------------------------------------------------------------------------------


def test_isolated_wet_columns_are_refused_by_name(tmp_path):
    depth = np.full((NY, NX), 200.0)
    depth[1:4, 6:9] = 0.0
    depth[2, 7] = 200.0
    (found,) = refusals(basin_file(tmp_path, depth), by=build_ocean)
    assert found == (
        "bathymetry: found a wet column without wet neighbours at row 2, column 7 (x = 75000 m, "
        "y = -15000 m); expected water that is connected; make it land, or its neighbour wet"
    )


def test_water_in_a_corner_or_around_the_periodic_edge_is_connected(tmp_path):
    depth = np.zeros((NY, NX))
    depth[0, 0] = depth[0, NX - 1] = 200.0
    depth[NY - 1, 3:5] = 200.0
    build_ocean(ocean(basin_file(tmp_path, depth)))


def test_negative_depths_are_refused_by_name(tmp_path):
    depth = np.full((NY, NX), 200.0)
    depth[5, 2] = -7.0
    (found,) = refusals(basin_file(tmp_path, depth), by=build_ocean)
    assert found.startswith("bathymetry: found -7 m at row 5, column 2 (x = 25000 m, y = 15000 m);")


def test_inverted_levels_are_refused(tmp_path):
    path = write_netcdf(tmp_path / "z.nc", edges=(("z",), [0.0, 50.0, 40.0, 90.0], {}))
    (found,) = refusals(f"vertical={{type: file, file: {path}, variable: edges}}", by=build_ocean)
    assert found.startswith("vertical.variable: found edges [")
    assert "expected one positive thickness per level, or the depths of all faces" in found


@pytest.mark.parametrize(
    ("bathymetry", "problem"),
    [
        (
            "{type: wall, x: [300 km, 330 km]}",
            "bathymetry.x: found no cell between x = 300000 and 330000; expected positions within "
            "the grid, 5000 to 115000; correct the positions or their unit",
        ),
        ("{type: wall, x: [30 km, 20 km]}", "bathymetry.x: found ['30 km', '20 km']; expected two"),
        ("{type: wall, gap: [1, 2]}", "bathymetry: found neither; expected x or y; add x or y"),
        (
            "{type: seamount, depth: 100 m, height: 200 m, width: 1, centre: [0, 0]}",
            "bathymetry.height: found 200 m; expected at most the depth, 100 m; lower it",
        ),
        (
            "{type: seamount, depth: 1 km, height: 200 m, width: 9 km, centre: [50 km, 70 km]}",
            "bathymetry.centre[1]: found y = 70000; expected a position within the grid, -35000 to "
            "35000; correct the position or its unit",
        ),
        (
            "{type: seamount, depth: 1 km, height: 200 m, width: 9 km, centre: [9 km, 2 degrees]}",
            "bathymetry.centre[1]: found '2 degrees', an angle; expected a length such as '4 km'; "
            "correct the unit",
        ),
    ],
)
def test_shapes_that_cannot_be(bathymetry, problem):
    (found,) = refusals(f"bathymetry={bathymetry}", by=build_ocean)
    assert found.startswith(problem)


SPHERE = "grid={type: latlon, nx: 12, ny: 8, lon: [0, 12], lat: [40, 48]}"


@pytest.mark.parametrize(
    ("position", "key"),
    [
        ("bathymetry={type: wall, y: [4 km, 5 km]}", "bathymetry.y[0]"),
        ("initial.S={type: step, axis: x, at: 4 km, low: 1, high: 2}", "initial.S.at"),
    ],
)
def test_positions_on_the_sphere_are_angles(position, key):
    found = refusals(SPHERE, position, by=build_ocean)
    expected = "found '4 km', a length; expected an angle such as '30 degrees'; correct the unit"
    assert found[0] == f"{key}: {expected}"


def test_positions_along_z_are_lengths_on_any_grid():
    step = "initial.S={type: step, axis: z, at: -0.02 km, low: 1, high: 2}"
    initial = ocean(SPHERE, step).initial
    assert initial.S.at == -20.0
    (found,) = refusals(SPHERE, step.replace("-0.02 km", "2 degrees"), by=build_ocean)
    assert found.startswith("initial.S.at: found '2 degrees', an angle; expected a length")


def wet(*overrides):
    return np.asarray(build_ocean(ocean(*overrides)).model.grid.owned_mask("c"))


def test_a_wall_has_full_height_but_for_its_gap():
    closed = ~wet("bathymetry={type: wall, x: [30 km, 50 km], gap: [-15 km, 20 km]}")
    expected = np.zeros((4, NY, NX), bool)
    expected[:, [0, 1, 6, 7], 3:5] = True  # cells at -15 km are in the gap
    np.testing.assert_array_equal(closed, expected)
    across = ~wet("bathymetry={type: wall, y: [0 km, 10 km], gap: [0 km, 60 km]}")
    expected = np.zeros((4, NY, NX), bool)
    expected[:, 4, 6:] = True
    np.testing.assert_array_equal(across, expected)


def test_a_seamount_is_a_gaussian():
    from dassim.config.bathymetry import bottom_depth
    from dassim.config.horizontal import cell_centres

    namelist = ocean(
        "bathymetry={type: seamount, depth: 150 m, height: 120 m, width: 20 km, centre: [55 km, "
        "-5 km]}"
    )
    depth = bottom_depth(namelist.bathymetry, cell_centres(namelist.grid))
    assert depth is not None
    assert depth[3, 5] == pytest.approx(30.0)
    assert depth[3, 7] == pytest.approx(150 - 120 * np.exp(-1))
    assert depth[5, 3] == pytest.approx(150 - 120 * np.exp(-2))


# -- the start ------------------------------------------------------------------------------------


def test_unstable_stratification_is_warned_of_by_name():
    with pytest.warns(NamelistWarning) as caught:
        build_ocean(ocean("initial.T={type: levels, values: [20, 10, 11, 4]}"))
    assert [str(warning.message) for warning in caught] == [
        "initial: found water that is denser than the water below at row 0, column 0 (x = 5000 m, "
        "y = -35000 m), level 1, and 96 such points in all; expected stable stratification at the "
        "start; correct the fields, or expect convection"
    ]


@pytest.mark.parametrize("T", ["10", "{type: levels, values: [20, 10, 4, 4]}"])
def test_neutral_and_stable_water_raise_no_doubt(T):
    assert doubts(ocean(f"initial.T={T}", "physics.eos={type: teos10}")) == []


# -- the time step --------------------------------------------------------------------------------

TOO_LONG = {
    "advection": (
        ["expected_speed=10 m/s"],
        "at most 707.1 s, because of advection (Courant number) at row 0, column 0 (x = 5000 m, "
        "y = -35000 m): 1.7 is beyond the limit 1; shorten the step",
    ),
    "a fast start": (
        ["initial.u=10 m/s"],
        "at most 1000 s, because of advection (Courant number) at row 0, column 0",
    ),
    "viscosity": (
        ["physics.friction.viscosity=1e5"],
        "at most 314.1 s, because of viscosity at row 0, column 0 (x = 5000 m, y = -35000 m): "
        "9.6 is beyond the limit 2.51; shorten the step",
    ),
    "biharmonic viscosity": (
        ["physics.friction.biharmonic=1e12"],
        "at most 392.6 s, because of biharmonic viscosity at row",
    ),
    "diffusivity": (
        ["physics.diffusion.diffusivity=1e5"],
        "at most 314.1 s, because of diffusivity at row",
    ),
    "Coriolis": (["grid.f0=1e-2"], "at most 173.2 s, because of Coriolis force at row"),
    "internal waves": (
        ["initial.T={type: levels, values: [30, 20, 10, 0]}", "physics.gravity=1000"],
        "because of internal gravity waves at row 0, column 0",
    ),
    "substeps": (
        ["physics.free_surface={type: split_explicit, substeps: 2}"],
        "because of surface gravity waves in 2 substeps at row",
    ),
}


@pytest.mark.parametrize(("overrides", "problem"), TOO_LONG.values(), ids=TOO_LONG.keys())
def test_a_time_step_beyond_a_limit_is_refused_by_check_and_warned_of_when_built(
    overrides, problem
):
    namelist = ocean(*overrides)
    with pytest.raises(NamelistError) as refused:
        doubts(namelist)
    messages = [line.message for line in refused.value.problems]
    assert {line.key for line in refused.value.problems} == {"time.step"}
    assert any(m.startswith("found 1200 s; expected at most") and problem in m for m in messages)
    with pytest.warns(TimeStepWarning) as warned:
        build_experiment(namelist)
    assert sorted(str(w.message) for w in warned) == sorted(f"time.step: {m}" for m in messages)


def test_land_below_the_water_makes_no_waves(tmp_path):
    """What stands for temperature in rock stratifies nothing: neutral water has no waves."""
    depth = np.full((NY, NX), 30.0)
    settings = (
        "physics.eos={type: linear, beta: 0}",
        "initial.T={type: levels, values: [9, 9, 9, 9]}",
    )
    deep = build_ocean(ocean(*settings))
    shallow = build_ocean(ocean(*settings, basin_file(tmp_path, depth)))
    for one in (deep, shallow):
        limits = stability_limits(one.model, one.parameters, one.state)
        (waves,) = (limit for limit in limits if limit.term == "internal gravity waves")
        assert waves.value < 1e-9  # round-off


def test_a_time_step_within_all_limits_is_accepted():
    assert doubts(ocean("expected_speed=1 m/s", "physics.friction.viscosity=1e3")) == []


def test_the_limit_is_that_of_the_stepper():
    """Adams-Bashforth 2 takes internal waves and friction of shorter steps than Runge-Kutta 3."""
    settings = "physics.friction.viscosity=2e4", "time.step=20 min"
    assert doubts(ocean(*settings)) == []
    with pytest.raises(NamelistError, match="because of viscosity"):
        doubts(ocean(*settings, "physics.stepper={type: adams_bashforth_2}"))


def test_a_refusal_points_to_the_line(tmp_path):
    one = loaded("expected_speed=10 m/s")
    with pytest.raises(NamelistError) as caught, one.located():
        doubts(one.namelist)
    (problem,) = caught.value.problems
    assert str(problem.place).endswith("box.yaml:27")


def test_a_grid_by_itself_does_not_run():
    from dassim.config import Namelist, load
    from tests.unit.config.ocean import OCEAN

    grid = load(OCEAN.parent / "box.yaml", Namelist, environment={}).namelist
    assert doubts(grid) == []
    with pytest.raises(NamelistError, match="model: found a grid by itself; expected a model"):
        build_experiment(grid)
    with pytest.raises(TypeError, match="registered"):
        build_experiment(3)
