"""Fields in netCDF files: where they lie, where they have no values, when they hold."""

from __future__ import annotations

import warnings
from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import netCDF4
import numpy as np
import pytest

from dassim.config import NamelistWarning
from dassim.config.experiment import build_experiment
from dassim.config.gridded import read_records
from dassim.config.schema.profiles import FromFile
from dassim.config.units import Stress, Temperature
from dassim.dynamics.series import TimeSeries
from dassim.io.netcdf import LIBRARY
from dassim.parallel import SerialCommunicator
from tests.unit.config.ocean import basin, ocean, refusals, write_netcdf

NZ, NY, NX = 4, 8, 12
ZYX, YX, TYX = ("z", "y", "x"), ("y", "x"), ("time", "y", "x")


def rng():
    return np.random.default_rng(0)


def stable(low, high, shape=(NZ, NY, NX)):
    """Random temperatures that fall with depth."""
    return np.sort(rng().uniform(low, high, shape), axis=-3)[..., ::-1, :, :]


def build(*overrides):
    return build_experiment(ocean(*overrides), SerialCommunicator())


def from_file(path, variable, **options):
    keys = {"type": "file", "file": str(path), "variable": variable, **options}
    return "{" + ", ".join(f"{key}: {value}" for key, value in keys.items()) + "}"


@pytest.fixture
def island(tmp_path):
    """A flat basin with an island of 2 x 2 cells, as a namelist's bathymetry."""
    depth = np.full((NY, NX), 200.0)
    depth[3:5, 4:6] = 0.0
    path = write_netcdf(tmp_path / "depth.nc", depth=(YX, depth, {}))
    return f"bathymetry={from_file(path, 'depth')}"


def test_a_file_is_opened_while_no_window_is_read(tmp_path, monkeypatch):
    """Windows of one series are read in the background while the next one is looked at."""
    path = write_netcdf(tmp_path / "a.nc", tau=(TYX, np.zeros((3, NY, NX)), {"units": "N m-2"}))
    opened, alone = netCDF4.Dataset, []

    def noted(*arguments, **options):
        alone.append(LIBRARY._is_owned())
        return opened(*arguments, **options)

    monkeypatch.setattr(netCDF4, "Dataset", noted)
    build(f"forcing.stress_x={from_file(path, 'tau', period='360 d', reload='1 h')}")
    assert alone
    assert all(alone)


# -- where the values lie -------------------------------------------------------------------------


def test_temperature_is_read_converted_and_masked(tmp_path, island):
    kelvin = stable(280, 290)
    path = write_netcdf(tmp_path / "a.nc", t=(ZYX, kelvin, {"units": "K"}))
    state = build(f"initial.T={from_file(path, 't')}", island).state
    expected = kelvin - 273.15
    expected[:, 3:5, 4:6] = 0.0
    np.testing.assert_allclose(state.T, expected, rtol=1e-14)


def test_stress_at_cells_is_averaged_to_faces_between_wet_cells(tmp_path, island):
    cells = np.ma.masked_array(rng().uniform(0.1, 0.2, (NY, NX)), mask=np.zeros((NY, NX)))
    cells[3:5, 4:6] = np.ma.masked
    path = write_netcdf(tmp_path / "a.nc", tau=(YX, cells, {"units": "N m-2"}))
    forcing = build(
        f"forcing.stress_x={from_file(path, 'tau')}",
        f"forcing.stress_y={from_file(path, 'tau')}",
        island,
    ).parameters.forcing
    west = np.ma.stack([np.roll(cells, 1, axis=1), cells]).mean(axis=0)
    west[3:5, 4:7] = 0.0
    np.testing.assert_allclose(forcing.stress_x, west, rtol=1e-14)
    south = np.ma.stack([cells[:-1], cells[1:]]).mean(axis=0)
    south[2:5, 4:6] = 0.0
    np.testing.assert_allclose(forcing.stress_y[1:], south, rtol=1e-14)
    np.testing.assert_array_equal(forcing.stress_y[0], 0.0)  # the southern wall


def test_staggered_values_are_taken_as_they_are(tmp_path):
    faces = rng().uniform(0, 1, (NZ, NY, NX))
    path = write_netcdf(tmp_path / "a.nc", u=(ZYX, faces, {"units": "cm s-1"}))
    state = build(f"initial.u={from_file(path, 'u', staggered='true')}").state
    np.testing.assert_allclose(state.u, 0.01 * faces, rtol=1e-14)
    at_cells = build(f"initial.u={from_file(path, 'u')}").state
    np.testing.assert_allclose(at_cells.u[..., 1], 0.005 * faces[..., :2].sum(-1), rtol=1e-14)


def test_one_record_of_an_initial_field_may_have_a_time(tmp_path):
    values = stable(0, 1, (1, NZ, NY, NX))
    path = write_netcdf(tmp_path / "a.nc", t=(("time", *ZYX), values, {}))
    np.testing.assert_allclose(build(f"initial.T={from_file(path, 't')}").state.T, values[0])


@pytest.mark.parametrize(
    ("dimensions", "shape", "problem"),
    [
        (ZYX, (NZ, NX, NY), "found t of shape (4, 12, 8) in "),
        (YX, (NY, NX), "found t of shape (8, 12) in "),
        (("time", *ZYX), (2, NZ, NY, NX), "found t with 2 records along time in "),
    ],
)
def test_fields_of_the_wrong_shape(tmp_path, dimensions, shape, problem):
    path = write_netcdf(tmp_path / "a.nc", t=(dimensions, np.ones(shape), {}))
    (found,) = refusals(f"initial.T={from_file(path, 't')}", by=build_experiment)
    assert found.startswith(f"initial.T.variable: {problem}")


def test_a_variable_that_is_not_there_or_of_another_kind(tmp_path):
    path = write_netcdf(tmp_path / "a.nc", theta=(ZYX, np.ones((NZ, NY, NX)), {"units": "m"}))
    (found,) = refusals(f"initial.T={from_file(path, 'teta')}", by=build_experiment)
    assert found.startswith("initial.T.variable: found no variable teta in ")
    assert found.endswith("expected theta; did you mean theta?")
    (found,) = refusals(f"initial.T={from_file(path, 'theta')}", by=build_experiment)
    assert "found theta in units 'm', a length, in" in found


# -- points without values ------------------------------------------------------------------------


def holed():
    values = np.ma.masked_array(stable(5, 6), mask=False)
    values[0, 2, 3] = np.ma.masked
    values[1, 0, 0] = np.ma.masked
    values[3] = np.ma.masked
    return values


def test_wet_points_without_values_are_refused_by_name(tmp_path):
    path = write_netcdf(tmp_path / "a.nc", t=(ZYX, holed(), {}))
    (found,) = refusals(f"initial.T={from_file(path, 't')}", by=build_experiment)
    assert found == (
        "initial.T.variable: found no value of t at row 0, column 0 (x = 5000 m, y = -35000 m), "
        f"level 1, and 98 such points in all, in {path}; expected a value at every wet point; "
        "correct the file, or write extrapolate: 5"
    )


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_forcing_that_is_not_finite_on_wet_points_is_refused(tmp_path, value, island):
    stress = np.zeros((NY, NX))
    stress[4, 5] = value  # on the island
    path = write_netcdf(tmp_path / "a.nc", tau=(YX, stress, {}))
    setting = f"forcing.heat={from_file(path, 'tau')}"
    assert np.isfinite(build(setting, island).parameters.forcing.heat).all()
    (found,) = refusals(setting, by=build_experiment)
    assert found.startswith("forcing.heat.variable: found no value of tau at row 4, column 5 (x = ")


def test_values_are_extrapolated_along_the_level_else_from_above(tmp_path):
    values = holed()
    values[0, 0, 0] = 7.0  # over a corner that is filled with other water
    path = write_netcdf(tmp_path / "a.nc", t=(ZYX, values, {}))
    with pytest.warns(NamelistWarning, match=r"initial\.T: 98 wet points without a value of t in "):
        T = np.asarray(build(f"initial.T={from_file(path, 't', extrapolate=2)}").state.T)
    around = values[0, [2, 2, 1, 3], [2, 4, 3, 3]]
    assert T[0, 2, 3] == pytest.approx(around.mean())
    corner = values[1, [0, 0, 1], [11, 1, 0]]  # x is periodic
    assert T[1, 0, 0] == pytest.approx(corner.mean())
    np.testing.assert_array_equal(T[3], T[2])
    known = ~np.ma.getmaskarray(values)
    np.testing.assert_array_equal(T[known], values[known])


def test_extrapolation_reaches_as_far_as_it_is_told(tmp_path):
    values = np.ma.masked_array(np.ones((NZ, NY, NX)), mask=True)
    values[:, :, 0] = 3.0
    path = write_netcdf(tmp_path / "a.nc", t=(ZYX, values, {}))
    (found,) = refusals(f"initial.T={from_file(path, 't', extrapolate=5)}", by=build_experiment)
    assert "row 0, column 6" in found
    assert "and 32 such points in all" in found
    assert found.endswith("write extrapolate: 10")
    with pytest.warns(NamelistWarning):
        build(f"initial.T={from_file(path, 't', extrapolate=6)}")


def test_every_block_reads_the_same_values(tmp_path):
    """Extrapolated values too; no more than the block and what is around it is read."""
    from dassim.config.points import Points
    from dassim.grid import build_grid, cartesian, levels
    from dassim.parallel import Decomposition, Domain

    path = write_netcdf(tmp_path / "a.nc", t=(ZYX, holed(), {}))
    profile = FromFile[Temperature](type="file", file=path, variable="t", extrapolate=2)
    faces = 1e4 * np.arange(NX + 1), 1e4 * np.arange(NY + 1)

    def read(domain):
        grid = build_grid(cartesian(domain, *faces), levels([10.0] * NZ))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return read_records(profile, Points(grid, "u", {}), ("here",)).values

    periodic = (False, True)
    whole = read(Domain.serial((NY, NX), periodic=periodic))
    assert np.isfinite(whole).all()
    decomposition = Decomposition((NY, NX), (2, 2), periodic)
    for rank in range(4):
        block = decomposition.block(rank)
        part = read(Domain(_Rank(rank, 4), decomposition))
        expected = whole[:, block.y.start : block.y.stop, block.x.start : block.x.stop]
        np.testing.assert_array_equal(part, expected)


class _Rank(SerialCommunicator):
    """One of several ranks that never speak."""

    def __init__(self, rank: int, size: int):
        self.rank, self.size = rank, size


# -- records in time ------------------------------------------------------------------------------

MONTHS = np.arange(3)[:, None, None] + np.zeros((NY, NX))


def series(tmp_path, times, attributes, *overrides, **options):
    path = write_netcdf(
        tmp_path / "a.nc", q=(TYX, MONTHS, {"units": "W m-2"}), time=(("time",), times, attributes)
    )
    heat = f"forcing.heat={from_file(path, 'q', **options)}"
    return build(heat, *overrides).parameters.forcing.heat


@pytest.mark.parametrize(
    ("times", "attributes", "start"),
    [
        ([0, 1, 3], {"units": "days since 2000-02-29"}, "2000-02-29"),
        ([24, 48, 96], {"units": "hours since 2000-02-28 00:00:00"}, "2000-02-29"),
        ([0.5, 1.5, 3.5], {"units": "days since 2000-02-29"}, "2000-02-29T12:00:00"),
        ([0, 1, 3], {"units": "days"}, "2000-02-29"),
        ([0, 1, 3], {"units": "days since 2000-02-29", "calendar": "gregorian"}, "2000-02-29"),
    ],
)
def test_times_count_from_the_start_of_the_run(tmp_path, times, attributes, start):
    heat = series(tmp_path, times, attributes, f"time.start={start}")
    assert isinstance(heat, TimeSeries)
    np.testing.assert_allclose(heat.times, [0.0, 86400.0, 3 * 86400.0], atol=1e-6)
    assert heat.values.shape == (3, NY, NX)
    np.testing.assert_allclose(heat.at(2 * 86400.0), 1.5)


def test_sponges_and_body_forces_follow_their_records_in_time(tmp_path):
    warm = np.stack([np.full((NZ, NY, NX), 5.0), np.full((NZ, NY, NX), 7.0)])
    path = write_netcdf(
        tmp_path / "a.nc",
        t=(("time", *ZYX), warm, {"units": "degC"}),
        push=(("time", *ZYX), warm, {"units": "m s-2"}),
        time=(("time",), [0, 1], {"units": "days"}),
    )
    one = build(
        f"forcing.sponges.T=[{{target: {from_file(path, 't')}, timescale: 1 d}}]",
        f"forcing.body_forces.u={from_file(path, 'push')}",
    )
    start = one.model.view(one.parameters, one.state)
    later = one.model.view(one.parameters, replace(one.state, time=one.state.time + 43200.0))
    sponge, force = one.parameters.sources
    step = sponge(later)["T"].data - sponge(start)["T"].data
    np.testing.assert_allclose(step, 1.0 / 86400.0, rtol=1e-10)
    np.testing.assert_allclose(force(later)["u"].data, 6.0, rtol=1e-14)

    def warming(values):
        return jnp.sum(eqx.tree_at(lambda s: s.target.values, sponge, values)(later)["T"].data)

    slope = jax.grad(warming)(sponge.target.values)
    np.testing.assert_allclose(slope, 0.5 / 86400.0, rtol=1e-10)


def test_a_climatology_repeats(tmp_path):
    heat = series(tmp_path, [0, 10, 20], {"units": "days"}, period="30 d")
    np.testing.assert_allclose(heat.at(25 * 86400.0), 1.0)
    np.testing.assert_allclose(heat.at(40 * 86400.0), 1.0)


def test_records_without_times_divide_the_period(tmp_path):
    path = write_netcdf(tmp_path / "a.nc", q=(TYX, MONTHS, {}))
    heat = build(f"forcing.heat={from_file(path, 'q', period='360 d')}").parameters.forcing.heat
    np.testing.assert_allclose(heat.times / 86400.0, [60.0, 180.0, 300.0])
    (found,) = refusals(f"forcing.heat={from_file(path, 'q')}", by=build_experiment)
    assert found.startswith("forcing.heat.variable: found no times of the 3 records along time in ")


@pytest.mark.parametrize(
    ("times", "attributes", "problem"),
    [
        ([0, 2, 1], {"units": "days"}, "found times [0. 2. 1.] along time in "),
        (
            [0, 1, 2],
            {"units": "m"},
            "found times along time in units 'm' and calendar standard (, a",
        ),
        (
            [0, 1, 2],
            {"units": "days since 2000-01-01", "calendar": "360_day"},
            "found times along time in units 'days since 2000-01-01' and calendar 360_day (the ",
        ),
        ([0, 1, 2], {"units": "days since yesterday"}, "found times along time in units 'days sin"),
    ],
)
def test_times_that_cannot_be(tmp_path, times, attributes, problem):
    path = write_netcdf(tmp_path / "a.nc", q=(TYX, MONTHS, {}), time=(("time",), times, attributes))
    (found,) = refusals(f"forcing.heat={from_file(path, 'q')}", by=build_experiment)
    assert found.startswith(f"forcing.heat.variable: {problem}")


def test_records_longer_than_their_period(tmp_path):
    path = write_netcdf(
        tmp_path / "a.nc", q=(TYX, MONTHS, {}), time=(("time",), [0, 10, 20], {"units": "days"})
    )
    (found,) = refusals(f"forcing.heat={from_file(path, 'q', period='20 d')}", by=build_experiment)
    assert "found records over 1.728e+06 s in" in found


def test_a_series_drives_the_model(tmp_path):
    path = write_netcdf(
        tmp_path / "a.nc",
        q=(TYX, 1e4 * MONTHS, {"units": "W m-2"}),
        time=(("time",), [0, 1, 2], {"units": "days"}),
    )
    one = build(
        f"forcing.heat={from_file(path, 'q')}", "forcing.restoring.T={target: 9, timescale: 1 d}"
    )
    fluxes = one.parameters.forcing.at(43200.0)
    assert fluxes.heat is not None
    np.testing.assert_allclose(fluxes.heat.data, 5e3)
    end = jax.jit(one.model.step)(one.parameters, one.state)
    assert np.isfinite(end.T).all()


def test_units_belong_to_the_quantity():
    profile = FromFile[Stress](type="file", file="a.nc", variable="tau")
    assert profile.unit == "Pa"
    assert FromFile[float](type="file", file="a.nc", variable="c").unit is None
    assert basin().points("c").grid.global_shape == (NZ, NY, NX)
