"""The halo exchange against slices of the padded global array."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dassim.grid import Field, Span, exchange
from dassim.grid.field import LOCATIONS
from dassim.parallel import DecompositionError, Domain, world
from tests.parallel.oracle import WALLS_AND_WRAPS, block_of, both, every_domain

pytestmark = pytest.mark.ranks(1, 2, 3, 4)


@pytest.fixture(scope="module")
def comm():
    return world()


def assert_exchange_equals_slices(domain, fields, widths):
    owned = jax.tree.map(lambda whole: jnp.asarray(block_of(whole, domain)), fields)
    found = jax.jit(lambda owned: [domain.exchange(owned, width) for width in widths])(owned)
    for width, extended in zip(widths, found, strict=True):
        for name, whole in fields.items():
            expected = block_of(whole, domain, both(width))
            assert extended[name].dtype == expected.dtype
            np.testing.assert_array_equal(
                extended[name], expected, err_msg=f"{name}, width {width}, {domain}"
            )


@pytest.mark.parametrize("periodic", WALLS_AND_WRAPS)
def test_exchange_equals_slices_of_the_padded_global_array(comm, periodic):
    """Corners included; 3 and 4 ranks have blocks of uneven size."""
    shape = (22, 25)
    rng = np.random.default_rng(1)
    fields = {"eta": rng.normal(size=shape), "theta": rng.normal(size=(2, *shape))}
    for domain in every_domain(comm, shape, periodic):
        assert_exchange_equals_slices(domain, fields, widths=(1, 2, 3, 4, 5))


def test_fields_of_many_kinds_travel_together_with_unlike_widths(comm):
    shape = (11, 13)
    rng = np.random.default_rng(1)
    fields = {
        "double": rng.normal(size=shape),
        "single": rng.normal(size=(2, *shape)).astype(np.float32),
        "ensemble": rng.normal(size=(2, 3, *shape)),
        "levels": rng.integers(1, 9, size=shape).astype(np.int32),
        "mask": rng.random(shape) < 0.5,
    }
    for domain in every_domain(comm, shape, periodic=(False, True), width=2):
        assert_exchange_equals_slices(domain, fields, widths=((0, 2), (2, 1), np.int64(2)))


@pytest.mark.parametrize("shape", [(3, 24), (24, 2)])
def test_a_halo_wider_than_a_periodic_axis_wraps_repeatedly(comm, shape):
    fields = {"eta": np.random.default_rng(1).normal(size=shape)}
    for domain in every_domain(comm, shape, periodic=(True, True)):
        assert_exchange_equals_slices(domain, fields, widths=(5,))


@pytest.mark.parametrize("periodic", WALLS_AND_WRAPS)
def test_every_staggering_gets_its_halo_and_its_span(comm, periodic):
    """Faces and corners are stored like cells: face 0 is the first wall, the far one is a halo."""
    nz, shape, widths = 2, (11, 10), (2, 1)
    rng = np.random.default_rng(2)
    whole = {at: rng.normal(size=(nz + (at == "w"), *shape)) for at in LOCATIONS}
    whole["flat"] = rng.normal(size=shape)
    domain = Domain.create(shape, periodic=periodic, minimum=2, comm=comm)
    fields = {at: Field.at(at, block_of(whole[at], domain)) for at in LOCATIONS}
    fields["flat"] = Field.at("q", block_of(whole["flat"], domain))
    extended = jax.jit(lambda fields: exchange(domain, fields, widths))(fields)
    for name, field in extended.items():
        np.testing.assert_array_equal(
            field.data.reshape(-1, *field.data.shape[1:]),
            np.atleast_3d(block_of(whole[name], domain, widths).T).T,
            err_msg=name,
        )
        z, y, x = LOCATIONS["q" if name == "flat" else name]
        assert field.spans == (None if name == "flat" else Span(z), Span(y, -2), Span(x, -1))
        np.testing.assert_array_equal(field.owned(domain.shape), block_of(whole[name], domain))


@pytest.mark.parametrize("periodic", WALLS_AND_WRAPS)
def test_local_reads_what_exchange_sends(comm, periodic):
    """The host's way to a block with halos: masks and forcing are cut out so."""
    whole = np.random.default_rng(3).normal(size=(2, 13, 17))
    for domain in every_domain(comm, (13, 17), periodic, width=3):
        for width in (0, 1, 3):
            np.testing.assert_array_equal(
                domain.local(whole, width), block_of(whole, domain, (width, width))
            )
        np.testing.assert_array_equal(domain.gather(block_of(whole, domain)), whole)


def test_local_continues_a_field_beyond_walls_with_its_nearest_point(comm):
    domain = Domain.create((9, 8), comm=comm)
    whole = np.random.default_rng(4).normal(size=(9, 8))
    edge = np.pad(whole, 2, mode="edge")
    rows, columns = domain.block.y, domain.block.x
    np.testing.assert_array_equal(
        domain.local(whole, 2, beyond=None),
        edge[rows.start : rows.stop + 4, columns.start : columns.stop + 4],
    )


def test_an_empty_tree_and_a_halo_of_no_points_are_left_alone(comm):
    domain = Domain.create((8, 8), comm=comm)
    owned = jnp.ones(domain.shape)
    assert domain.exchange({}, 2) == {}
    assert domain.exchange(owned, 0).shape == domain.shape


def test_a_halo_wider_than_a_block_is_refused(comm):
    if comm.size == 1:
        pytest.skip("one block is never too narrow")
    domain = Domain.create((2 * comm.size, 40), layout=(comm.size, 1), comm=comm)
    with pytest.raises(DecompositionError, match="narrower than a halo of 3"):
        domain.exchange(jnp.ones(domain.shape), 3)


def test_an_array_that_is_no_owned_block_is_refused(comm):
    domain = Domain.create((8, 8), comm=comm)
    with pytest.raises(ValueError, match=r"expects the owned points \(\.\.\., "):
        domain.exchange(jnp.ones((domain.shape[0] + 2, domain.shape[1])), 1)
