"""Fields: staggering, alignment, halos, and life as a pytree."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dassim.grid import (
    Field,
    HaloError,
    Span,
    StaggeringError,
    apply,
    exchange,
    maximum,
    minimum,
    taps,
    where,
)
from dassim.grid.field import LOCATIONS, X, Y, Z
from dassim.grid.operators import avg_x_c2f, diff_x_c2f, diff_x_f2c, diff_y_c2f
from dassim.parallel import Domain

NZ, NY, NX = 2, 3, 5
DOMAIN = Domain.serial((NY, NX), periodic=(False, True))


def numbers(nz=NZ, seed=0):
    return np.random.default_rng(seed).normal(size=(nz, NY, NX))


@pytest.mark.parametrize("location", LOCATIONS)
def test_owned_points_come_back(location):
    array = numbers(NZ + (location == "w"))
    field = Field.at(location, array)
    assert field.location == location
    np.testing.assert_array_equal(field.owned((NY, NX)), array)
    np.testing.assert_array_equal(Field.at(location, array[0]).owned((NY, NX)), array[0])


def test_owned_points_are_cut_out_of_halos():
    array = numbers()
    wide = exchange(DOMAIN, Field.at("c", array), (2, 1))
    assert wide.data.shape == (NZ, NY + 4, NX + 2)
    np.testing.assert_array_equal(wide.owned((NY, NX)), array)


def test_constant_axes_fill_the_owned_points():
    assert Field.constant(3.0).owned((NY, NX)).shape == (NY, NX)
    latitude = Field(jnp.arange(3.0).reshape(1, 3, 1), (None, Span("c"), None))
    np.testing.assert_array_equal(latitude.owned((NY, NX)), np.repeat([[0], [1], [2]], NX, axis=1))


def test_operands_are_cut_to_the_points_that_all_cover():
    a = Field(jnp.arange(6.0).reshape(1, 1, 6), (None, None, Span("c", -2)))
    b = Field(10 * jnp.arange(5.0).reshape(1, 1, 5), (None, None, Span("c", 0)))
    total = a + b
    assert total.spans == (None, None, Span("c", 0))
    np.testing.assert_array_equal(total.data.ravel(), [2, 13, 24, 35])


def test_a_field_constant_along_an_axis_fits_centres_and_faces():
    depth = Field.at("c", numbers()[0])
    for at in ("c", "w"):
        array = numbers(NZ + (at == "w"))
        product = Field.at(at, array) * depth
        assert product.spans[Z] == Span(LOCATIONS[at][Z])
        np.testing.assert_array_equal(product.data, array * depth.data)


def test_arithmetic_is_that_of_the_arrays():
    a, b = numbers(seed=1), numbers(seed=2)
    f, g = Field.at("u", a), Field.at("u", b)
    for found, expected in [
        (f + g, a + b),
        (f - g, a - b),
        (f * g, a * b),
        (f / g, a / b),
        (f**2, a**2),
        (-f, -a),
        (abs(f), abs(a)),
        (1 + f, 1 + a),
        (1 - f, 1 - a),
        (2 * f, 2 * a),
        (2 / f, 2 / a),
        (np.float64(2) * f, 2 * a),
        (jnp.asarray(2.0) - f, 2 - a),
        (f > g, a > b),
        (f >= 0, a >= 0),
        (f < g, a < b),
        (f <= 0, a <= 0),
        ((f > 0) & (g > 0), (a > 0) & (b > 0)),
        ((f > 0) | (g > 0), (a > 0) | (b > 0)),
        (~(f > 0), ~(a > 0)),
        (maximum(f, g), np.maximum(a, b)),
        (minimum(f, 0.0), np.minimum(a, 0)),
        (where(f > 0, f, -1.0), np.where(a > 0, a, -1)),
        (apply(jnp.exp, f), np.exp(a)),
    ]:
        assert found.spans == f.spans
        np.testing.assert_allclose(found.data, expected, rtol=1e-15)


def test_unlike_points_do_not_mix():
    u, c = Field.at("u", numbers()), Field.at("c", numbers())
    with pytest.raises(
        StaggeringError, match=r"found x faces combined with x centres; .*avg_x_c2f"
    ):
        u * c
    with pytest.raises(StaggeringError, match=r"found x centres combined with x faces"):
        c + u
    with pytest.raises(
        StaggeringError, match=r"found a field on x faces, expected x centres; .*f2c"
    ):
        diff_x_c2f(u)
    with pytest.raises(
        StaggeringError, match=r"found a field on x centres, expected x faces; .*c2f"
    ):
        diff_x_f2c(c)


def test_bare_arrays_do_not_mix_with_fields():
    c = Field.at("c", numbers())
    for array in (np.ones((NY, NX)), jnp.ones((NZ, NY, NX))):
        for combine in (lambda a, b: a * b, lambda a, b: b * a):
            with pytest.raises(StaggeringError, match=r"found a bare array .*Field\.at\(location"):
                combine(c, array)


def test_a_field_has_no_truth_value():
    with pytest.raises(TypeError, match="use where"):
        if Field.at("c", numbers()) > 0:
            pass


def test_arrays_of_the_wrong_rank_are_refused():
    with pytest.raises(ValueError, match=r"found an array of shape \(5,\); expected \(z, y, x\)"):
        Field.at("c", np.ones(5))


def test_a_halo_too_narrow_says_by_how_much():
    slope = diff_x_c2f(exchange(DOMAIN, Field.at("c", numbers()), (0, 1)))
    assert slope.spans[X] == Span("f", 0)
    curvature = diff_x_f2c(slope)
    np.testing.assert_array_equal(curvature.owned((NY, NX)), curvature.data)
    with pytest.raises(
        HaloError,
        match=r"found points 1\.\.3 along x; the owned ones are 0\.\.4: .*"
        r"wider by 1",
    ):
        diff_x_f2c(diff_x_c2f(Field.at("c", numbers()))).owned((NY, NX))


def test_a_stencil_that_does_not_fit_asks_for_a_halo():
    narrow = Field.at("c", np.ones((1, NY, 1)))
    with pytest.raises(HaloError, match="a stencil of 2 points along x does not fit"):
        diff_x_c2f(narrow)
    left = Field(jnp.ones((1, 1, 2)), (None, None, Span("c", -4)))
    with pytest.raises(HaloError, match="no point along x is covered by all of"):
        left + Field.at("c", numbers())


def test_only_owned_points_are_exchanged():
    wide = exchange(DOMAIN, Field.at("c", numbers()), 1)
    with pytest.raises(HaloError, match=r"expected owned points, from index 0 on"):
        exchange(DOMAIN, Field(wide.data[:, :NY, :NX], wide.spans), 1)


def test_taps_are_the_stencil_of_a_reconstruction():
    """Two cells before and one after each face, all over the same faces."""
    array = numbers()
    points = taps(exchange(DOMAIN, Field.at("c", array), (0, 3)), X, range(-2, 2), to="f")
    whole = np.pad(array, [(0, 0), (0, 0), (3, 3)], mode="wrap")
    for offset, tap in zip(range(-2, 2), points, strict=True):
        assert tap.spans == (Span("c"), Span("c"), Span("f", -1))
        np.testing.assert_array_equal(tap.data, whole[..., 2 + offset : 2 + offset + 8])
    flat = Field.constant(2.0)
    assert taps(flat, Y, range(-1, 1), to="f") == [flat, flat]


def advance(field: Field) -> Field:
    """One step that needs a halo and gives owned points back."""
    wide = exchange(DOMAIN, field, 1)
    slope = avg_x_c2f(wide) * diff_x_c2f(wide)
    return Field.at("c", (field + 0.1 * diff_x_f2c(slope)).owned((NY, NX)))


def reference(array):
    face = np.concatenate([array[..., -1:], array], axis=-1)
    face = np.concatenate([face, array[..., :1]], axis=-1)
    flux = 0.5 * (face[..., 1:] ** 2 - face[..., :-1] ** 2)
    return array + 0.1 * np.diff(flux, axis=-1)


def test_fields_pass_through_jit_scan_vmap_and_grad():
    array = numbers()
    field = Field.at("c", array)
    expected = reference(reference(array))

    def twice(field):
        return jax.lax.scan(lambda f, _: (advance(f), None), field, None, length=2)[0]

    def cost(field):
        return jnp.sum(twice(field).data ** 2)

    np.testing.assert_allclose(jax.jit(twice)(field).data, expected, rtol=1e-13)
    members = jax.tree.map(lambda data: jnp.stack([data, 2 * data]), field)
    many = jax.jit(jax.vmap(twice))(members)
    np.testing.assert_allclose(many.data[0], expected, rtol=1e-13)
    np.testing.assert_allclose(many.data[1], reference(reference(2 * array)), rtol=1e-13)

    slope = jax.jit(jax.grad(cost))(field)
    assert slope.spans == field.spans
    direction = numbers(seed=3)
    ahead, behind = (cost(Field.at("c", array + h * direction)) for h in (1e-5, -1e-5))
    np.testing.assert_allclose((slope.data * direction).sum(), (ahead - behind) / 2e-5, rtol=1e-7)


def test_the_place_of_a_field_is_part_of_its_type():
    """Two fields at unlike points are unlike trees: scan and jit notice."""
    c, u = Field.at("c", numbers()), Field.at("u", numbers())
    assert jax.tree.structure(c) != jax.tree.structure(u)
    with pytest.raises(TypeError, match="carry"):
        jax.lax.scan(lambda f, _: (diff_y_c2f(f), None), c, None, length=1)


def test_the_text_of_a_field_tells_its_points():
    field = Field.at("u", numbers())
    assert repr(field) == "Field(z: centres 0..1, y: centres 0..2, x: faces 0..4)"
    many = jax.vmap(lambda data: Field.at("u", data))(jnp.ones((7, NZ, NY, NX)))
    assert repr(many)[:-1] == repr(field)[:-1] + ", members: (7,)"
    assert repr(jax.eval_shape(lambda: field)) == repr(field)
    assert repr(jax.tree.map(lambda data: data.shape, field)).startswith("Field((2, 3, 5)")
