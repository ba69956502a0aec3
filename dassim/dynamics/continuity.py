"""Volume transports through the faces of cells, and the vertical transport that closes them."""

from __future__ import annotations

from dassim.grid import Field, Grid, Staggered
from dassim.grid.locality import compiled_apart
from dassim.grid.operators import (
    avg_x_c2f,
    avg_y_c2f,
    cumsum_z_up,
    diff_x_f2c,
    diff_y_f2c,
    masked,
    sum_z,
)


def stretching(grid: Grid, eta: Field) -> Staggered:
    """``s = 1 + eta / H``: a column's thickness over its thickness at rest (z* levels).

    At faces and corners the mean of the cells around; 1 on land.
    """
    wet = grid.depth.c > 0.0
    at_c = 1.0 + eta / (grid.depth.c + 1.0 * ~wet)
    at_u, at_v = avg_x_c2f(at_c), avg_y_c2f(at_c)
    return Staggered(c=at_c, u=at_u, v=at_v, q=avg_x_c2f(at_v))


def volume_transports(grid: Grid, u: Field, v: Field, thickness: Staggered) -> tuple[Field, Field]:
    """``(u h dy, v h dx)``, m3/s through the x- and y-faces of each cell; 0 through coasts."""

    def through_faces(u: Field, v: Field, along_u: Field, along_v: Field) -> tuple[Field, Field]:
        return (
            masked(grid.mask.u, u * along_u * grid.dy.u),
            masked(grid.mask.v, v * along_v * grid.dx.v),
        )

    return compiled_apart(through_faces, u, v, thickness.u, thickness.v)


def vertical_transport(
    grid: Grid, transport_u: Field, transport_v: Field, thickening: Field
) -> Field:
    """Upward volume transport relative to the levels (m3/s), z faces 0..nz; 0 at the bottom.

    What flows in sideways and is not taken up by the cell's ``thickening`` (dh/dt, m/s) leaves
    through its upper face. At the top remains minus the surface flux into the column; on fixed
    levels, the motion of the surface.
    """
    return -cumsum_z_up(
        horizontal_outflow(transport_u, transport_v) + masked(grid.mask.c, thickening * grid.area.c)
    )


def horizontal_outflow(transport_u: Field, transport_v: Field) -> Field:
    """Net outflow (m3/s) through the four sides of each cell."""
    return diff_x_f2c(transport_u) + diff_y_f2c(transport_v)


def depth_mean(grid: Grid, u: Field, v: Field) -> tuple[Field, Field]:
    """Depth-mean velocities (m/s) over the wet levels of each column; 0 on land.

    Levels thicken in proportion, so the weights are the thicknesses at rest.
    """

    def mean(velocity, mask, depth):
        return sum_z(masked(mask, velocity * grid.levels.dz.c)) / (depth + 1.0 * ~(depth > 0.0))

    return mean(u, grid.mask.u, grid.depth.u), mean(v, grid.mask.v, grid.depth.v)
