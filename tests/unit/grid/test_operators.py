"""Differences, averages, sums and vector calculus, point by point."""

from __future__ import annotations

from types import SimpleNamespace

import jax
import numpy as np
import pytest

from dassim.grid import Field, Span, StaggeringError, exchange, operators
from dassim.grid.field import LOCATIONS, X, Y, Z
from dassim.parallel import Domain

NZ, NY, NX = 3, 4, 5
DOMAIN = Domain.serial((NY, NX), periodic=(True, True))
AXES = {"z": Z, "y": Y, "x": X}


def numbers(nz=NZ, seed=0):
    return np.random.default_rng(seed).normal(size=(nz, NY, NX))


@pytest.mark.parametrize("axis", "zyx")
@pytest.mark.parametrize("source", "cf")
def test_differences_and_averages_of_neighbours(axis, source):
    """Face i lies on the low side of cell i; each result is one point shorter."""
    i = AXES[axis]
    array = numbers()
    spans = [Span("c"), Span("c"), Span("c")]
    spans[i] = Span(source, -1)
    field = Field(jax.numpy.asarray(array), tuple(spans))
    low, high = (
        np.take(array, range(array.shape[i] - 1), i),
        np.take(array, range(1, array.shape[i]), i),
    )
    other = {"c": "f", "f": "c"}[source]
    for name, expected in {"diff": high - low, "avg": (low + high) / 2}.items():
        found = getattr(operators, f"{name}_{axis}_{source}2{other}")(field)
        np.testing.assert_array_equal(found.data, expected)
        assert found.spans[i] == Span(other, 0 if source == "c" else -1)
        with pytest.raises(StaggeringError, match=f"ends in {source}2{other}"):
            getattr(operators, f"{name}_{axis}_{other}2{source}")(field)


def test_a_field_constant_along_an_axis_has_no_slope_there():
    height = Field.at("c", numbers()[0])
    assert not operators.diff_z_c2f(height).data.any()
    np.testing.assert_array_equal(operators.avg_z_c2f(height).data, height.data)


@pytest.mark.parametrize("to", LOCATIONS)
@pytest.mark.parametrize("source", LOCATIONS)
def test_interpolation_between_any_points_averages_along_unlike_axes(source, to):
    array = numbers(NZ + (source == "w"))
    found = operators.interpolate(exchange(DOMAIN, Field.at(source, array), 1), to)
    expected = array
    for axis, (a, b) in enumerate(zip(LOCATIONS[source], LOCATIONS[to], strict=True)):
        if a == b:
            continue
        if axis == Z:
            expected = 0.5 * (expected[1:] + expected[:-1])
        else:
            expected = 0.5 * (expected + np.roll(expected, 1 if b == "f" else -1, axis))
    assert found.location == to
    np.testing.assert_allclose(found.owned((NY, NX)), expected, rtol=1e-14, atol=1e-15)


def test_interpolation_to_where_a_field_is_changes_nothing():
    u = Field.at("u", numbers())
    assert operators.interpolate(u, "u") is u
    assert operators.interpolate(Field.constant(3.0), "q").spans == (None, None, None)


def test_sums_along_the_vertical():
    array = numbers()
    cells = Field.at("c", array)
    zero = np.zeros((1, NY, NX))
    np.testing.assert_allclose(operators.sum_z(cells).data[0], array.sum(axis=0), rtol=1e-14)
    down, up = operators.cumsum_z_down(cells), operators.cumsum_z_up(cells)
    assert down.spans == up.spans == Field.at("w", numbers()).spans
    np.testing.assert_allclose(
        down.data, np.concatenate([zero, np.cumsum(array, axis=0)]), atol=1e-14
    )
    np.testing.assert_allclose(
        up.data, np.concatenate([np.cumsum(array[::-1], axis=0)[::-1], zero]), atol=1e-14
    )
    np.testing.assert_array_equal(operators.diff_z_f2c(down).data.shape, array.shape)
    np.testing.assert_allclose(operators.diff_z_f2c(down).data, array, atol=1e-14)


def test_one_level_of_many():
    array = numbers()
    top, bottom = (
        operators.level(Field.at("u", array), 0),
        operators.level(Field.at("u", array), -1),
    )
    assert top.spans == (None, Span("c"), Span("f"))
    np.testing.assert_array_equal(top.owned((NY, NX)), array[0])
    np.testing.assert_array_equal(bottom.owned((NY, NX)), array[-1])


def test_ends_complete_the_interior_faces():
    array = numbers()
    interior = operators.diff_z_c2f(Field.at("c", array))
    drag = Field.at("c", array[0])
    faces = operators.with_ends_z(interior, top=2.0, bottom=drag)
    assert faces.spans[Z] == Span("f", 0)
    np.testing.assert_array_equal(faces.data[0], np.full((NY, NX), 2.0))
    np.testing.assert_array_equal(faces.data[1:-1], np.diff(array, axis=0))
    np.testing.assert_array_equal(faces.data[-1], array[0])
    np.testing.assert_array_equal(operators.interior_z(faces).data, interior.data)
    assert operators.interior_z(faces).spans == interior.spans
    for refused, function in ((faces, operators.with_ends_z), (interior, operators.interior_z)):
        with pytest.raises(StaggeringError, match="expected the"):
            function(refused)


def test_a_single_level_has_no_interior_faces():
    """Then operators along z give fields without points, which with_ends_z completes."""
    one = Field.at("c", numbers(1))
    slope = operators.diff_z_c2f(one) + operators.avg_z_c2f(one)
    assert slope.data.shape == (0, NY, NX)


def test_masked_fields_vanish_where_dry_even_if_they_are_not_finite():
    array = numbers()
    mask = Field.at("c", array > 0)
    poisoned = Field.at("c", np.where(array > 0, array, np.nan))
    np.testing.assert_array_equal(
        operators.masked(mask, poisoned).data, np.where(array > 0, array, 0)
    )
    np.testing.assert_array_equal(operators.masked(1.0, mask * 1.0).data, array > 0)


def irregular_metric():
    """Lengths and areas that vary from point to point, so that no factor can be mistaken."""
    rng = np.random.default_rng(9)

    def staggered():
        fields = {at: Field.at(at, rng.uniform(1, 2, (NY, NX))) for at in "cuvq"}
        return SimpleNamespace(**exchange(DOMAIN, fields, 2))

    return SimpleNamespace(dx=staggered(), dy=staggered(), area=staggered())


def raw(staggered, at):
    return np.asarray(getattr(staggered, at).owned((NY, NX)))


def west(a):
    return np.roll(a, 1, -1)


def east(a):
    return np.roll(a, -1, -1)


def south(a):
    return np.roll(a, 1, -2)


def north(a):
    return np.roll(a, -1, -2)


def test_vector_calculus_with_every_length_in_its_place():
    """Finite-volume forms written with periodic arrays: edges times fluxes, over areas."""
    metric = irregular_metric()
    dx, dy, area = metric.dx, metric.dy, metric.area
    phi, psi, u, v = (numbers(seed=k) for k in range(4))
    fields = exchange(
        DOMAIN,
        [Field.at(at, a) for at, a in (("c", phi), ("q", psi), ("u", u), ("v", v))],
        2,
    )
    edge_u, edge_v = u * raw(dy, "u"), v * raw(dx, "v")
    along_u, along_v = u * raw(dx, "u"), v * raw(dy, "v")
    slope_x, slope_y = (phi - west(phi)) / raw(dx, "u"), (phi - south(phi)) / raw(dy, "v")
    flux_x, flux_y = slope_x * raw(dy, "u"), slope_y * raw(dx, "v")
    expected = {
        "gradient": (slope_x, slope_y),
        "divergence": (east(edge_u) - edge_u + north(edge_v) - edge_v) / raw(area, "c"),
        "curl": (along_v - west(along_v) - along_u + south(along_u)) / raw(area, "q"),
        "perpendicular gradient": (
            -(north(psi) - psi) / raw(dy, "u"),
            (east(psi) - psi) / raw(dx, "v"),
        ),
        "laplacian": (east(flux_x) - flux_x + north(flux_y) - flux_y) / raw(area, "c"),
    }
    found = {
        "gradient": operators.gradient(metric, fields[0]),
        "divergence": operators.divergence(metric, fields[2], fields[3]),
        "curl": operators.curl(metric, fields[2], fields[3]),
        "perpendicular gradient": operators.perpendicular_gradient(metric, fields[1]),
        "laplacian": operators.laplacian(metric, fields[0]),
    }
    where = {"gradient": "uv", "perpendicular gradient": "uv", "curl": "q"}
    for name, value in found.items():
        parts = value if isinstance(value, tuple) else (value,)
        wanted = expected[name] if isinstance(value, tuple) else (expected[name],)
        for part, array, at in zip(parts, wanted, where.get(name, "c"), strict=True):
            assert part.location == at
            np.testing.assert_allclose(part.owned((NY, NX)), array, rtol=1e-12, err_msg=name)


def test_closed_faces_let_no_flux_through():
    metric = irregular_metric()
    phi = exchange(DOMAIN, Field.at("c", numbers()), 2)
    closed = operators.laplacian(metric, phi, open_u=0.0, open_v=0.0)
    assert not closed.data.any()
