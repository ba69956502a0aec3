"""Fields that a namelist describes by a formula."""

from __future__ import annotations

import numpy as np
import pytest
import yaml
from pydantic import TypeAdapter

from dassim.config import NamelistError
from dassim.config.noise import normal_noise
from dassim.config.profiles import values
from dassim.config.schema.profiles import SurfaceProfile, VolumeProfile
from dassim.config.units import Stress, Temperature
from dassim.parallel import Decomposition, Domain, SerialCommunicator
from tests.unit.config.ocean import basin, refusals

LX, LY, DEPTH = 120e3, 80e3, 150.0
X = 5e3 + 10e3 * np.arange(12)
Y = -35e3 + 10e3 * np.arange(8)[:, None]
Z = -np.array([5.0, 20.0, 50.0, 110.0])[:, None, None]
PI = np.pi

VOLUME = {
    "10 degC": 10.0,
    "{type: uniform, value: 283.15 K}": 10.0,
    "{type: linear, axis: z, low: 4, high: 20}": 20 + 16 * Z / DEPTH,
    "{type: linear, axis: y, low: 0, high: 8}": 8 * (Y + 40e3) / LY,
    "{type: linear, axis: x, low: 0, high: 12}": 12 * X / LX,
    "{type: step, axis: x, at: 60 km, low: 5, high: 30}": np.where(X < 60e3, 5, 30),
    "{type: step, axis: y, at: -20000, low: 5, high: 30}": np.where(Y < -20e3, 5, 30),
    "{type: step, axis: z, at: -30 m, low: 5, high: 30}": np.where(Z < -30, 5, 30),
    "{type: sine, amplitude: 2}": 2 * np.sin(PI * (Y + 40e3) / LY),
    "{type: cosine, amplitude: 2, axis: x, half_waves: 3}": 2 * np.cos(3 * PI * X / LX),
    "{type: levels, values: [4, 3, 2, 1 degC]}": np.array([4, 3, 2, 1])[:, None, None],
    "{type: exponential, surface: 8, scale: 100 m}": 8
    * (np.exp(Z / 100) - np.exp(-1.5))
    / (1 - np.exp(-1.5)),
    "{type: exponential, surface: 15, bottom: 5, scale: 100}": 5
    + 10 * (np.exp(Z / 100) - np.exp(-1.5)) / (1 - np.exp(-1.5)),
    "{type: front, axis: x, centre: 50 km, width: 40 km, surface: [20, 25], bottom: [5, 10]}": 20
    + 15 * Z / DEPTH
    + 5 * np.clip((X - 30e3) / 40e3, 0, 1),
}

SURFACE = {
    "0.1 N m-2": 0.1,
    "{type: sine, amplitude: 0.2}": 0.2 * np.sin(PI * (Y + 40e3) / LY),
    "{type: double_gyre, amplitude: 0.12}": 0.12
    * (np.cos(2 * PI * Y / LY) + 2 * np.sin(PI * Y / LY)),
    "{type: abernathey, amplitude: 10}": np.where(
        Y + 40e3 < 5 / 6 * LY, 10 * np.cos(3 * PI * (Y + 40e3) / LY), 0.0
    ),
    "{type: linear, axis: x, low: 0, high: 1}": X / LX,
}


def field(text, kind, quantity, location="c", surface=False):
    profile = TypeAdapter(kind[quantity]).validate_python(yaml.safe_load(text))
    return values(profile, basin().points(location, surface=surface), ("here",))


@pytest.mark.parametrize(("text", "expected"), VOLUME.items())
def test_fields_over_all_levels(text, expected):
    found = np.broadcast_to(field(text, VolumeProfile, Temperature), (4, 8, 12))
    expected = np.broadcast_to(expected, (4, 8, 12))
    np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize(("text", "expected"), SURFACE.items())
def test_fields_over_the_surface(text, expected):
    found = field(text, SurfaceProfile, Stress, surface=True)
    expected = np.broadcast_to(expected, (1, 8, 12))
    np.testing.assert_allclose(np.broadcast_to(found, (1, 8, 12)), expected, rtol=1e-13, atol=1e-14)


def test_a_field_lies_where_it_is_wanted():
    along_x = field("{type: linear, axis: x, low: 0, high: 120}", VolumeProfile, Temperature, "u")
    np.testing.assert_allclose(np.squeeze(along_x)[0], 10.0 * np.arange(12), atol=1e-12)
    along_y = field("{type: linear, axis: y, low: 0, high: 80}", VolumeProfile, Temperature, "v")
    np.testing.assert_allclose(np.squeeze(along_y)[:, 0], 10.0 * np.arange(8), atol=1e-12)


def test_degrees_on_the_sphere():
    sphere = "grid={type: latlon, nx: 12, ny: 8, lon: [0, 360], lat: [0, 40], periodic: [x]}"
    profile = TypeAdapter(SurfaceProfile[Stress]).validate_python(
        {"type": "step", "axis": "y", "at": "20 degrees", "low": 1.0, "high": 2.0}
    )
    found = values(profile, basin(sphere).points("c", surface=True), ("here",))
    assert np.broadcast_to(found, (1, 8, 12))[0, :, 0].tolist() == [1.0] * 4 + [2.0] * 4


@pytest.mark.parametrize(
    ("text", "kind", "problem"),
    [
        (
            "{type: levels, values: [1, 2, 3]}",
            VolumeProfile,
            "here.values: found 3 values; expected one for each of 4 levels; correct the list or",
        ),
        (
            "{type: linear, axis: z, low: 0, high: 1}",
            SurfaceProfile,
            "here.axis: found z; expected x or y, along the surface; choose another axis",
        ),
        (
            "{type: step, axis: x, at: 130 km, low: 0, high: 1}",
            VolumeProfile,
            "here.at: found x = 130000; expected a position within the grid, 0 to 120000; correct",
        ),
        (
            "{type: front, centre: 60 km, width: 1 km, surface: [1, 2], bottom: [0, 1]}",
            VolumeProfile,
            "here.centre: found y = 60000; expected a position within the grid, -40000 to 40000",
        ),
    ],
)
def test_fields_that_do_not_fit_the_grid(text, kind, problem):
    with pytest.raises(NamelistError) as caught:
        field(text, kind, Temperature, surface=kind is SurfaceProfile)
    assert str(caught.value).startswith(problem)


@pytest.mark.parametrize(
    ("override", "problem"),
    [
        (
            "initial.T=4 m",
            "initial.T.value: found '4 m', a length; expected a temperature of at least -273.15 "
            "degC such as '10 degC'; correct the unit",
        ),
        (
            "initial.T={type: exponentially, surface: 4}",
            "initial.T.type: found 'exponentially'; expected one of cosine, exponential, file, "
            "front, levels, linear, sine, step, uniform; did you mean exponential?",
        ),
        (
            "initial.T={type: linear, low: 4, high: 3}",
            "initial.T.axis: found nothing; expected axis along which the values change; add axis",
        ),
        ("initial.S=-1", "initial.S.value: found -1; expected a number of at least 0"),
        (
            "initial.T={type: step, axis: x, at: 4 s, low: 1, high: 2}",
            "initial.T.at: found '4 s', a time; expected a length such as '4 km'; correct the unit",
        ),
        (
            "forcing.stress_x={type: levels, values: [1]}",
            "forcing.stress_x.type: found 'levels'; expected one of abernathey, cosine, "
            "double_gyre, file, linear, neale_hoskins, sine, step, uniform; ",
        ),
        (
            "initial.tracers={dye: true}",
            "initial.tracers.dye.value: found true; expected a number",
        ),
    ],
)
def test_profiles_that_are_refused(override, problem):
    (found,) = refusals(override)
    assert found.startswith(problem)


def test_noise_is_normal_and_the_same_in_every_block():
    whole = normal_noise(Domain.serial((40, 30)), 5, "T", 7)
    assert abs(whole.mean()) < 0.05
    assert whole.std() == pytest.approx(1.0, abs=0.05)
    decomposition = Decomposition((40, 30), (2, 3))
    for rank in range(6):
        part = normal_noise(Domain(_Rank(rank, 6), decomposition), 5, "T", 7)
        block = decomposition.block(rank)
        np.testing.assert_array_equal(
            part, whole[:, block.y.start : block.y.stop, block.x.start : block.x.stop]
        )


def test_noise_depends_on_the_seed_and_the_variable():
    domain = Domain.serial((4, 3))
    one = normal_noise(domain, 2, "T", 0)
    for other in (normal_noise(domain, 2, "T", 1), normal_noise(domain, 2, "S", 0)):
        assert abs(one - other).min() > 0
    assert abs(one[:, 1:] - one[:, :-1]).min() > 0


class _Rank(SerialCommunicator):
    """One of several ranks that never speak."""

    def __init__(self, rank: int, size: int):
        self.rank, self.size = rank, size
