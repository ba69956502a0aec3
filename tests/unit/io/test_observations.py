"""Files of observations in each layout, and what is wrong with others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gsw
import netCDF4
import numpy as np
import pytest

from dassim.config.units import linear
from dassim.io.observations import (
    ObservationError,
    Units,
    joined,
    read_argo,
    read_ioda,
    read_table,
    write_table,
)
from dassim.io.observations.seawater import (
    conservative_temperature,
    depth_from_pressure,
    potential_temperature,
    pressure_from_depth,
)
from dassim.io.observations.table import COLUMNS
from dassim.io.stream import Clock
from tests.models.observed import UNITS, table

CLOCK = Clock("2000-01-01")
DAY = 86400.0

# -- dassim's own ---------------------------------------------------------------------------------


@pytest.mark.parametrize("geometry", ["cartesian", "spherical"])
def test_a_table_reads_back_as_it_was_written(tmp_path, geometry):
    some = table(geometry, value=[1.0, 2.0, np.nan], good=[True, False, True], time=[0.1, 1e6, 7.0])
    other = table(geometry, "eta", error=np.nan, depth=0.0)
    whole = joined([some, other])
    more = {"minus_analysis": (np.arange(4.0), "value minus analysis")}
    write_table(tmp_path / "a.nc", whole, CLOCK, {"title": "a test"}, more)
    found = read_table(tmp_path / "a.nc", CLOCK, UNITS)
    assert (found.names, found.geometry) == (whole.names, geometry)
    for name in set(COLUMNS) - {"row"}:
        np.testing.assert_array_equal(getattr(found, name), getattr(whole, name), err_msg=name)
    assert found.row.tolist() == [0, 1, 2, 3]
    assert [path.name for path in tmp_path.iterdir()] == ["a.nc"]
    with netCDF4.Dataset(tmp_path / "a.nc") as dataset:
        assert dataset.featureType == "point" and dataset.title == "a test"
        assert dataset["minus_analysis"][:].tolist() == [0.0, 1.0, 2.0, 3.0]
        assert dataset["time"].units == "seconds since 2000-01-01 00:00:00"


def write(path: Path, sizes: dict, variables: dict, group: str = "/") -> Path:
    """``variables``: name: (dimensions, values, attributes)."""
    with netCDF4.Dataset(path, "a" if path.exists() else "w") as dataset:
        where = dataset if group == "/" else dataset.createGroup(group)
        for name, size in sizes.items():
            dataset.createDimension(name, size)
        for name, (dims, values, attributes) in variables.items():
            values = np.asarray(values)
            variable = where.createVariable(name, values.dtype, dims, fill_value=attributes.pop(
                "_FillValue", None))  # fmt: skip
            variable.setncatts(attributes)
            variable[...] = values
    return path


def own(path: Path, **changes) -> Path:
    n = ("observation",)
    columns = {
        "time": (n, [0.5, 1.5], {"units": "days since 2000-01-02", "calendar": "standard"}),
        "longitude": (n, [10.0, 20.0], {}),
        "latitude": (n, [-5.0, 5.0], {}),
        "variable": (n, np.array([7, 3], "i2"), {"flag_values": np.array([3, 7], "i2"),
                                                 "flag_meanings": "S T"}),
        "value": (n, [12.0, 35.0], {}),
    }  # fmt: skip
    kept = {name: column for name, column in {**columns, **changes}.items() if column}
    return write(path, {"observation": 2, "other": 3}, kept)


def test_a_table_needs_neither_depth_nor_error_nor_quality(tmp_path):
    found = read_table(own(tmp_path / "a.nc"), CLOCK, UNITS)
    assert [found.names[kind] for kind in found.kind] == ["T", "S"]
    np.testing.assert_allclose(found.time, [1.5 * DAY, 2.5 * DAY])
    assert found.depth.tolist() == [0.0, 0.0] and found.good.all() and np.isnan(found.error).all()


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"value": None}, "found no value in .*; there are time, longitude"),
        ({"latitude": None}, "found no latitude in "),
        (
            {"time": (("observation",), [0.5, 1.5], {"units": "days since 2000-01-02",
                                                     "calendar": "360_day"})},
            r"calendar 360_day \(the run's is standard\)",
        ),
        ({"time": (("observation",), [0.5, 1.5], {"units": "days"})}, "in units 'days' and cal"),
        (
            {"variable": (("observation",), np.array([1, 2], "i2"), {})},
            "found 0 flag_values and 0 flag_meanings",
        ),
        (
            {"variable": (("observation",), np.array([7, 4], "i2"),
                          {"flag_values": np.array([3, 7], "i2"), "flag_meanings": "S T"})},
            "found variable = 4, expected one of its flag_values",
        ),
        ({"value": (("other",), [1.0, 2.0, 3.0], {})}, "found columns of shapes"),
        (
            {"depth": (("observation",), [1.0, 2.0], {"units": "kg"})},
            r"found depth in units 'kg', a mass in .*a\.nc; expected units such as m; correct",
        ),
        (
            {"value": (("observation",), [12.0, 35.0], {"units": "degC"})},
            "found value in units 'degC', a temperature in .*; expected units such as 1e-3",
        ),
        (
            {"value": (("observation",), np.array(["a", "b"], "S1"), {})},
            "found value of type .*; expected numbers",
        ),
    ],
)  # fmt: skip
def test_tables_that_cannot_be_read(tmp_path, changes, problem):
    with pytest.raises(ObservationError, match=problem):
        read_table(own(tmp_path / "a.nc", **changes), CLOCK, UNITS)


def test_the_units_of_a_table_become_those_of_the_model(tmp_path):
    n = ("observation",)
    path = own(
        tmp_path / "a.nc",
        longitude=(n, [np.pi / 2, np.pi], {"units": "radians"}),
        latitude=(n, [-5.0, 5.0], {"units": "degree_north"}),
        variable=(n, np.array([1, 1], "i2"), {"flag_values": np.array([0, 1], "i2"),
                                              "flag_meanings": "T eta"}),
        depth=(n, [0.0, 0.5], {"units": "km"}),
        value=(n, [12.0, -30.0], {"units": "cm"}),
        error=(n, [1.0, 2.0], {}),
    )  # fmt: skip
    found = read_table(path, CLOCK, UNITS)
    np.testing.assert_allclose(found.x, [90.0, 180.0])
    assert found.y.tolist() == [-5.0, 5.0] and found.depth.tolist() == [0.0, 500.0]
    np.testing.assert_allclose(found.value, [0.12, -0.3])
    np.testing.assert_allclose(found.error, [0.01, 0.02])


def test_a_file_that_is_none(tmp_path):
    (tmp_path / "a.nc").write_text("no netCDF")
    with pytest.raises(ObservationError, match=r"a\.nc, which does not open"):
        read_table(tmp_path / "a.nc", CLOCK, UNITS)


# -- Argo -----------------------------------------------------------------------------------------


def argo(path: Path, *, mode: str = "RD", delayed: bool = True, salinity: bool = True) -> Path:
    profiles, levels = ("N_PROF",), ("N_PROF", "N_LEVELS")
    fill = {"_FillValue": 99999.0}

    def flags(text: str) -> np.ndarray:
        return np.array([list(row) for row in text.split()], "S1")

    variables = {
        "JULD": (profiles, [18262.0, 18263.5], {"units": "days since 1950-01-01 00:00:00 UTC"}),
        "JULD_QC": (profiles, np.array(list("11"), "S1"), {}),
        "LATITUDE": (profiles, [30.0, -40.0], {}),
        "LONGITUDE": (profiles, [-20.0, 150.0], {}),
        "POSITION_QC": (profiles, np.array(list("12"), "S1"), {}),
        "DATA_MODE": (profiles, np.array(list(mode), "S1"), {}),
    }
    values = {
        "PRES": [[5.0, 1000.0, 99999.0], [10.0, 2000.0, 2500.0]],
        "TEMP": [[20.0, 8.0, 99999.0], [15.0, 4.0, 3.0]],
    } | ({"PSAL": [[36.0, 35.0, 99999.0], [34.0, 34.7, 34.8]]} if salinity else {})
    qc = {"PRES": "119 111", "TEMP": "149 111", "PSAL": "119 114"}
    for name, numbers in values.items():
        flag = flags(qc[name])
        variables[name] = (levels, np.array(numbers), dict(fill))
        variables[f"{name}_QC"] = (levels, flag, {})
        if delayed:
            variables[f"{name}_ADJUSTED"] = (levels, np.array(numbers) + 0.5 * (name == "TEMP"),
                                             dict(fill))  # fmt: skip
            variables[f"{name}_ADJUSTED_QC"] = (levels, flag, {})
            error = np.full((2, 3), 0.002)
            variables[f"{name}_ADJUSTED_ERROR"] = (levels, error, dict(fill))
    return write(path, {"N_PROF": 2, "N_LEVELS": 3}, variables)


def test_floats_give_potential_temperature_and_salinity_at_depths(tmp_path):
    found = read_argo(argo(tmp_path / "a.nc"), CLOCK, UNITS)
    T, S = found.of("T"), found.of("S")
    assert len(T) == len(S) == 5  # what was never measured is no observation
    np.testing.assert_allclose(T.time, DAY * np.array([0.0, 0.0, 1.5, 1.5, 1.5]))
    np.testing.assert_allclose(T.x, [-20.0, -20.0, 150.0, 150.0, 150.0])
    np.testing.assert_allclose(S.depth[[1, 3]], [-gsw.z_from_p(1000, 30), -gsw.z_from_p(2000, -40)],
                               rtol=1e-4)  # fmt: skip
    assert T.good.tolist() == [True, False, True, True, True]
    assert S.good.tolist() == [True, True, True, True, False]
    theta = gsw.pt0_from_t(gsw.SA_from_SP(34.7, 2000, 150, -40), 4.5, 2000)
    np.testing.assert_allclose(T.value[3], theta, atol=2e-3)  # delayed mode: adjusted by 0.5
    np.testing.assert_allclose(T.value[0], 20.0, atol=2e-3)  # real time: as measured
    assert np.isnan(T.error[:2]).all() and (T.error[2:] == 0.002).all()


def test_floats_for_a_teos10_ocean(tmp_path):
    found = read_argo(argo(tmp_path / "a.nc"), CLOCK, UNITS, teos10=True)
    absolute = gsw.SR_from_SP(34.7)
    np.testing.assert_allclose(found.of("S").value[3], absolute, rtol=1e-12)
    expected = gsw.CT_from_t(absolute, 4.5, 2000)
    np.testing.assert_allclose(found.of("T").value[3], expected, atol=2e-3)


def test_floats_without_salinity_and_adjusted_values(tmp_path):
    found = read_argo(argo(tmp_path / "a.nc", delayed=False, salinity=False), CLOCK, UNITS)
    assert found.names == ("T",) and np.isnan(found.error).all()
    np.testing.assert_allclose(found.value[3], 3.85, atol=0.02)


def test_a_bad_salinity_does_not_spoil_the_temperature(tmp_path):
    path = argo(tmp_path / "a.nc", delayed=False)
    with netCDF4.Dataset(path, "a") as dataset:
        dataset["PSAL"][1, 2] = 0.0  # its flag is a 4
    T = read_argo(path, CLOCK, UNITS, teos10=True).of("T")
    expected = gsw.CT_from_t(gsw.SR_from_SP(35.0), 3.0, 2500)
    assert T.good[4] and T.value[4] == pytest.approx(expected, abs=2e-3)


def test_other_flags_may_be_accepted(tmp_path):
    path = argo(tmp_path / "a.nc")
    assert read_argo(path, CLOCK, UNITS, accept=("1", "2", "4")).of("T").good.all()
    assert not read_argo(path, CLOCK, UNITS, accept=("1",)).good[2:5].any()  # its position is a 2


@pytest.mark.parametrize("flag", ["4", "9", " "])
def test_what_delayed_mode_takes_out_is_a_row_that_is_not_used(tmp_path, flag):
    """Bad levels have no adjusted value, and flag 4."""
    path = argo(tmp_path / "a.nc")
    with netCDF4.Dataset(path, "a") as dataset:
        dataset["TEMP_ADJUSTED"][1, 2] = 99999.0
        dataset["TEMP_ADJUSTED_QC"][1, 2] = flag.encode()
    T = read_argo(path, CLOCK, UNITS).of("T")
    assert len(T) == 4 + (flag == "4")
    assert np.isfinite(T.value).tolist() == [True] * 4 + [False] * (flag == "4")
    assert T.good.tolist() == [True, False, True, True] + [False] * (flag == "4")


def test_the_units_of_floats_become_those_of_argo(tmp_path):
    usual = read_argo(argo(tmp_path / "a.nc"), CLOCK, UNITS)
    path = argo(tmp_path / "b.nc")
    with netCDF4.Dataset(path, "a") as dataset:
        dataset["LATITUDE"].units, dataset["LONGITUDE"].units = "degree_north", "degree_east"
        for name in ("PRES", "PRES_ADJUSTED"):
            dataset[name].units = "Pa"
            dataset[name][:] *= 1e4
        for name in ("TEMP", "TEMP_ADJUSTED"):
            dataset[name].units = "Kelvin"
            dataset[name][:] += 273.15
        dataset["TEMP_ADJUSTED_ERROR"].units = "mK"
        dataset["PSAL"].units = dataset["PSAL_ADJUSTED"].units = "psu"
    found = read_argo(path, CLOCK, UNITS)
    for name in ("depth", "value", "x", "y"):
        np.testing.assert_allclose(getattr(found, name), getattr(usual, name), atol=1e-9)
    np.testing.assert_allclose(found.of("T").error[2:], 2e-6)
    with netCDF4.Dataset(path, "a") as dataset:
        dataset["PRES"].units = "m"
    with pytest.raises(
        ObservationError, match=r"found PRES in units 'm', a length in .*b\.nc; exp"
    ):
        read_argo(path, CLOCK, UNITS)


@pytest.mark.parametrize(
    ("name", "dimensions"),
    [
        ("LATITUDE", ("OTHER",)),
        ("DATA_MODE", ("OTHER",)),
        ("TEMP", ("N_PROF", "OTHER")),
        ("PSAL_QC", ("OTHER", "N_LEVELS")),
        ("PSAL_ADJUSTED_ERROR", ("N_PROF",)),
    ],
)
def test_columns_of_floats_of_unequal_lengths_are_refused(tmp_path, name, dimensions):
    path = argo(tmp_path / "a.nc")
    with netCDF4.Dataset(path, "a") as dataset:
        dataset.createDimension("OTHER", 5)
        dataset.renameVariable(name, "OLD")
        dataset.createVariable(name, dataset["OLD"].dtype, dimensions)
    expected = rf"a\.nc: found {name} of shape \(.*\) beside PRES of shape \(2, 3\); expected"
    with pytest.raises(ObservationError, match=expected):
        read_argo(path, CLOCK, UNITS)


def test_a_float_needs_its_pressure(tmp_path):
    with pytest.raises(ObservationError, match=r"found no PRES in .*a\.nc"):
        path = write(tmp_path / "a.nc", {"N_PROF": 1}, {
            name: (("N_PROF",), [0.0], {"units": "days since 1950-01-01"})
            for name in ("JULD", "LATITUDE", "LONGITUDE")
        })  # fmt: skip
        read_argo(path, CLOCK, UNITS)


# -- IODA -----------------------------------------------------------------------------------------


def ioda(path: Path, other: str = "", **values) -> Path:
    """``other``: the column, such as ObsValue/salinity, that is along another dimension."""
    n = ("Location",)

    def column(place: str, numbers: Any, attributes: dict) -> tuple:
        away = place == other
        return ("Channel",) if away else n, np.resize(numbers, 3 if away else 2), attributes

    write(path, {"Location": 2, "Channel": 3}, {
        "dateTime": (n, np.array([946684800, 946771200], "i8"),
                     {"units": "seconds since 1970-01-01T00:00:00Z"}),
        "latitude": column("MetaData/latitude", [1.0, 2.0], {}),
        "longitude": (n, [3.0, 4.0], {}),
        "depthBelowWaterSurface": (n, [0.0, 50.0], {}),
    }, "MetaData")  # fmt: skip
    values = values or {
        "waterTemperature": ([283.15, 284.15], "K"),
        "salinity": ([35.0, 34.0], "1"),
    }
    for group, factor in (("ObsValue", None), ("ObsError", 0.1)):
        write(path, {}, {
            name: column(f"{group}/{name}", numbers if factor is None else [factor],
                         {"units": units})
            for name, (numbers, units) in values.items()
        }, group)  # fmt: skip
    return write(path, {}, {
        name: column(f"PreQC/{name}", np.array([0, 3], "i4"), {}) for name in values
    }, "PreQC")  # fmt: skip


def test_ioda_files(tmp_path):
    found = read_ioda(ioda(tmp_path / "a.nc"), CLOCK, UNITS)
    T = found.of("T")
    np.testing.assert_allclose(T.value, [10.0, 11.0 - 6e-3], atol=1e-3)  # potential at 50 m
    np.testing.assert_allclose(found.of("S").value, [35.0, 34.0])
    np.testing.assert_allclose(T.time, [0.0, DAY])
    np.testing.assert_allclose(T.depth, [0.0, 50.0])
    assert (T.error == 0.1).all() and T.good.tolist() == [True, False]
    assert (T.x.tolist(), T.y.tolist()) == ([3.0, 4.0], [1.0, 2.0])
    assert read_ioda(tmp_path / "a.nc", CLOCK, UNITS, accept=(0, 3)).good.all()


def test_temperatures_in_situ_become_those_of_the_model(tmp_path):
    path = ioda(
        tmp_path / "a.nc", waterTemperature=([2.0, 3.0], "degC"), salinity=([34.7, 0.0], "1")
    )
    with netCDF4.Dataset(path, "a") as dataset:
        dataset["MetaData/depthBelowWaterSurface"][:] = 4000.0
    pressure = gsw.p_from_z(-4000.0, np.array([1.0, 2.0]))
    practical = np.array([34.7, 35.0])  # the second one is marked bad
    found = read_ioda(path, CLOCK, UNITS).of("T").value
    expected = gsw.pt0_from_t(gsw.SR_from_SP(practical), [2.0, 3.0], pressure)
    np.testing.assert_allclose(found, expected, atol=3e-3)
    table = read_ioda(path, CLOCK, UNITS, teos10=True)
    expected = gsw.CT_from_t(gsw.SR_from_SP(practical), [2.0, 3.0], pressure)
    np.testing.assert_allclose(table.of("T").value, expected, atol=3e-3)
    np.testing.assert_allclose(table.of("S").value[0], gsw.SR_from_SP(34.7), rtol=1e-12)


def test_ioda_files_of_other_names(tmp_path):
    path = ioda(tmp_path / "a.nc", height=([0.1, 0.2], "m"))
    with pytest.raises(ObservationError, match="found height in ObsValue; expected one of waterTe"):
        read_ioda(path, CLOCK, UNITS)
    assert read_ioda(path, CLOCK, UNITS, names={"height": "eta"}).of("eta").value.tolist() == [
        0.1,
        0.2,
    ]


def test_the_units_of_ioda_files_become_those_of_the_model(tmp_path):
    path = ioda(
        tmp_path / "a.nc",
        waterTemperature=([283.15, 284.15], "Kelvin"),
        absoluteDynamicTopography=([12.0, -30.0], "cm"),
    )
    with netCDF4.Dataset(path, "a") as dataset:
        dataset["MetaData/depthBelowWaterSurface"].units = "km"
        dataset["MetaData/longitude"].units = "degrees_east"
        dataset["ObsError/absoluteDynamicTopography"].units = "mm"
    found = read_ioda(path, CLOCK, UNITS)
    assert found.of("T").depth.tolist() == [0.0, 50e3]
    assert found.of("T").value[0] == pytest.approx(10.0, abs=1e-3)
    assert found.of("T").error.tolist() == [0.1, 0.1]
    np.testing.assert_allclose(found.of("eta").value, [0.12, -0.3])
    np.testing.assert_allclose(found.of("eta").error, 1e-4)
    air = read_ioda(
        ioda(tmp_path / "b.nc", airTemperature=([283.15, 284.15], "K")),
        CLOCK,
        Units({"T": "K"}, linear),
        names={"airTemperature": "T"},
    )
    assert air.value.tolist() == [283.15, 284.15]
    ground = read_ioda(path, CLOCK, Units({"Ts": "K"}, linear), names={"waterTemperature": "Ts"})
    assert ground.value.tolist() == [283.15, 284.15]


@pytest.mark.parametrize(
    ("place", "units", "expected"),
    [
        ("ObsValue/salinity", "kelvin", "found salinity in units 'kelvin', a temp.* ObsValue; exp"),
        ("MetaData/depthBelowWaterSurface", "dbar", "units 'dbar', a pressure.* such as m; corr"),
        ("MetaData/latitude", "m", "found latitude in units 'm', a length in .* such as degrees"),
        ("ObsError/salinity", "salt", "found salinity in units 'salt', whose unit .* is u"),
    ],
)
def test_units_that_do_not_convert_are_refused(tmp_path, place, units, expected):
    path = ioda(tmp_path / "a.nc")
    with netCDF4.Dataset(path, "a") as dataset:
        dataset[place].units = units
    with pytest.raises(ObservationError, match=expected):
        read_ioda(path, CLOCK, UNITS)


@pytest.mark.parametrize("place", ["MetaData/latitude", "ObsValue/salinity", "PreQC/salinity"])
def test_columns_of_unequal_lengths_are_refused(tmp_path, place):
    path = ioda(tmp_path / "a.nc", place)
    expected = rf"a\.nc: found columns of shapes .*'{place}': \(3,\).*expected one length"
    with pytest.raises(ObservationError, match=expected):
        read_ioda(path, CLOCK, UNITS)


def test_a_file_without_groups_is_not_of_ioda(tmp_path):
    with pytest.raises(ObservationError, match="found no group MetaData"):
        read_ioda(own(tmp_path / "a.nc"), CLOCK, UNITS)


# -- seawater -------------------------------------------------------------------------------------

PRESSURE = np.array([0.0, 10.0, 500.0, 2000.0, 6000.0])


@pytest.mark.parametrize("latitude", [-60.0, 0.0, 30.0, 75.0])
def test_depths_are_those_of_teos10(latitude):
    found = depth_from_pressure(PRESSURE, np.array(latitude))
    np.testing.assert_allclose(found, -gsw.z_from_p(PRESSURE, latitude), rtol=1e-4)
    np.testing.assert_allclose(pressure_from_depth(found, np.array(latitude)), PRESSURE, rtol=5e-4)


@pytest.mark.parametrize(("t", "s"), [(-1.0, 34.0), (2.0, 34.7), (10.0, 35.0), (25.0, 36.5)])
def test_temperatures_are_those_of_teos10(t, s):
    theta = potential_temperature(np.array(t), np.array(s), PRESSURE)
    np.testing.assert_allclose(theta, gsw.pt0_from_t(gsw.SR_from_SP(s), t, PRESSURE), atol=3e-3)
    np.testing.assert_allclose(
        conservative_temperature(np.array(t), np.array(s)), gsw.CT_from_pt(s, t), atol=1e-12
    )
