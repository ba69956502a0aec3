"""Numbers with units."""

import math
from typing import Annotated

import pytest
from pydantic import TypeAdapter, ValidationError

from dassim.config import units
from dassim.config.units import Quantity, UnitError, convert, linear


def value(kind, written):
    return TypeAdapter(kind).validate_python(written)


def refusal(kind, written):
    with pytest.raises(ValidationError) as caught:
        value(kind, written)
    (error,) = caught.value.errors()
    context = error.get("ctx", {})
    return f"found {context['found']}; expected {context['expected']}; {context['remedy']}"


@pytest.mark.parametrize(
    ("kind", "written", "si"),
    [
        (units.Length, 4000, 4000.0),
        (units.Length, "4 km", 4000.0),
        (units.Length, "4km", 4000.0),
        (units.Length, " 4e3 ", 4000.0),
        (units.Duration, "20 min", 1200.0),
        (units.Duration, "1.5 h", 5400.0),
        (units.Duration, "2 days", 172800.0),
        (units.Duration, "1 d", 86400.0),
        (units.Speed, "3.6 km/h", 1.0),
        (units.Speed, "1 m s-1", 1.0),
        (units.Speed, "1 m s**-1", 1.0),
        (units.Frequency, "1e-4 s-1", 1e-4),
        (units.Frequency, "1e-4 1/s", 1e-4),
        (units.FrequencyGradient, "2e-11 m-1 s-1", 2e-11),
        (units.Diffusivity, "5 cm2/s", 5e-4),
        (units.Diffusivity, "5 m²/s", 5.0),
        (units.BiharmonicDiffusivity, "1e11 m^4/s", 1e11),
        (units.Stress, "0.1 N m-2", 0.1),
        (units.Stress, "1 dyn/cm2", 0.1),
        (units.Pressure, "1013.25 hPa", 101325.0),
        (units.Temperature, 10, 10.0),
        (units.Temperature, "10 degC", 10.0),
        (units.Temperature, "283.15 K", 10.0),
        (units.TemperatureDifference, "10 K", 10.0),
        (units.TemperatureDifference, "10 degC", 10.0),
        (units.Latitude, "45 degrees_north", 45.0),
        (units.Longitude, "-20 deg", -20.0),
        (units.Latitude, f"{math.pi / 4} rad", 45.0),
        (Annotated[float, Quantity("m3 s-1")], "2 Sv", 2e6),
        (units.Coordinate, "4 km", 4000.0),  # where nothing is known of the grid
        (units.Coordinate, "2 degrees", 2.0),
    ],
)
def test_units_convert_and_bare_numbers_are_si(kind, written, si):
    assert value(kind, written) == pytest.approx(si, rel=1e-14)


def test_one_or_many():
    assert value(units.Spacing, "1 km") == 1000.0
    assert value(units.Spacing, ["1 km", 2]) == (1000.0, 2.0)


@pytest.mark.parametrize(
    ("kind", "written", "message"),
    [
        (
            units.Length,
            "4 s",
            "found '4 s', a time; expected a length above 0 m such as '4 km'; correct the unit",
        ),
        (
            units.Length,
            "4 lightyars",
            "found '4 lightyars', whose unit 'lightyars' is unknown; expected a length above 0 m "
            "such as '4 km'; correct the unit",
        ),
        (
            units.Length,
            "-4 km",
            "found '-4 km' (-4000 m); expected a length above 0 m such as '4 km'; correct the "
            "value or its unit",
        ),
        (
            units.Duration,
            "2 years",
            "found '2 years', and 'years' has no fixed length; expected a time above 0 s such as "
            "'20 min'; write days, such as '365 d'",
        ),
        (
            units.Duration,
            "1:30",
            "found '1:30'; expected a time above 0 s such as '20 min'; write a number, or a number "
            "with a unit",
        ),
        (
            units.Latitude,
            95,
            "found 95; expected an angle from -90 to 90 degrees such as '30 degrees'; correct the "
            "value or its unit",
        ),
        (
            units.Speed,
            "3 kg m-1",
            "found '3 kg m-1', in kg / m; expected a speed such as '0.1 m s-1'; correct the unit",
        ),
    ],
)
def test_refusals_name_kind_and_remedy(kind, written, message):
    assert refusal(kind, written) == message


@pytest.mark.parametrize(
    "written",
    [True, None, {}, math.nan, math.inf, "", "km", "4 4 km", "4 ()", "4 __a", "1;2"],
)
def test_what_is_no_number_is_refused(written):
    assert "expected a length" in refusal(units.Position, written)


def test_the_wrong_item_of_a_list_is_named():
    with pytest.raises(ValidationError) as caught:
        value(units.Spacing, [1, "2 s"])
    assert caught.value.errors()[0].get("ctx", {})["key"] == 1


def test_a_list_for_a_single_number_is_refused():
    with pytest.raises(ValidationError):
        value(units.Length, [1.0])


def test_conversion_between_kinds_is_refused():
    with pytest.raises(UnitError, match="a length"):
        convert(1.0, "m", "s")


def test_json_schema_takes_numbers_and_text():
    schema = TypeAdapter(units.Spacing).json_schema()
    number, numbers = schema["anyOf"]
    assert number["type"] == numbers["items"]["type"] == ["number", "string"]
    assert number["examples"] == ["4 km"]
    assert schema["unit"] == "m"


@pytest.mark.parametrize(
    ("spellings", "target"),
    [
        (("degC", "C", "deg C", "deg_C", "degree_C", "degree_Celsius", "Celsius"), "degC"),
        (("K", "k", "kelvin", "Kelvin", "degree_Kelvin"), "K"),
        (("degrees", "degree_north", "degrees_east", "degreeN", "degrees_E", "deg"), "degrees"),
        (("1", "1e-3", "0.001", "psu", "PSU", "PSS-78", "g kg-1", "g/kg"), "1e-3"),
        (("ppt", "per mil", "unitless", "dimensionless", "practical salinity unit", "-"), "1e-3"),
    ],
)
def test_units_as_files_spell_them(spellings, target):
    assert {linear(unit, target) for unit in spellings} == {(1.0, 0.0)}


def test_units_of_files_are_converted():
    assert linear("K", "degC") == (1.0, -273.15)
    assert linear("C", "K") == (1.0, 273.15)
    assert linear("kg kg-1", "1e-3") == (1000.0, 0.0)
    assert linear("cm/s", "m s-1") == (0.01, 0.0)
    with pytest.raises(UnitError, match="a mass"):
        linear("kg", "degC")


@pytest.mark.parametrize(
    ("unit", "target"),
    [("degrees", "1e-3"), ("1", "degrees"), ("percent", "1e-3"), ("celsius degree", "degC")],
)
def test_plain_numbers_of_another_kind_are_refused(unit, target):
    with pytest.raises(UnitError):
        linear(unit, target)


def test_angles_and_pressures_of_files_are_converted():
    assert linear("radians", "degrees") == (pytest.approx(57.29577951), 0.0)
    assert linear("mb", "dbar") == (pytest.approx(0.01), 0.0)
