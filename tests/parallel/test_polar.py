"""Rows that ranks divide among them: gathered, and filtered like whole ones."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dassim.dynamics.polar import PolarFilter
from dassim.grid import Field, build_grid, latlon, one_layer
from dassim.parallel import Domain, SerialCommunicator, world

NY, NX, NZ = 8, 17, 2
LAYOUTS = [(1, 2), (1, 3), (1, 4), (2, 2)]

pytestmark = pytest.mark.ranks(2, 3, 4)


@pytest.fixture(params=LAYOUTS, ids=str)
def domain(request):
    layout = request.param
    if layout[0] * layout[1] != world().size:
        pytest.skip(f"a layout of {layout} needs another number of ranks")
    return Domain.create((NY, NX), periodic=(False, True), layout=layout)


def polar_filter(domain):
    lon, lat = np.linspace(0, 360, NX + 1), np.linspace(-90, 90, NY + 1)
    return PolarFilter.on(build_grid(latlon(domain, lon, lat), one_layer()), 60.0)


def noise(seed):
    return np.random.default_rng(seed).standard_normal((NZ, NY, NX))


def test_all_ranks_of_a_row_get_all_of_it(domain):
    rows = domain.block.y
    found = jax.jit(domain.whole_rows)(jnp.asarray(domain.local(noise(0))))
    np.testing.assert_array_equal(found, noise(0)[:, rows.start : rows.stop])


@pytest.mark.parametrize("location", ["u", "v"])
def test_the_filter_is_that_of_one_rank_and_its_own_transpose(domain, location):
    def applied(polar):
        return lambda values: polar(Field.at(location, values)).data

    alone = Domain.create((NY, NX), periodic=(False, True), comm=SerialCommunicator())
    whole = applied(polar_filter(alone))(jnp.asarray(noise(0)))
    x, y = (jnp.asarray(domain.local(noise(seed))) for seed in (0, 1))
    here = applied(polar_filter(domain))
    filtered, transpose = jax.vjp(jax.jit(here), x)
    np.testing.assert_allclose(filtered, domain.local(np.asarray(whole)), rtol=0, atol=1e-14)
    np.testing.assert_allclose(transpose(y)[0], here(y), rtol=0, atol=1e-14)
    _, tangent = jax.jvp(here, (x,), (y,))
    np.testing.assert_allclose(tangent, here(y), rtol=0, atol=1e-14)


def test_walls_along_x_are_refused():
    domain = Domain.create((NY, NX), layout=(1, world().size))
    with pytest.raises(ValueError, match="found walls along x"):
        domain.whole_rows(jnp.zeros(domain.shape))
