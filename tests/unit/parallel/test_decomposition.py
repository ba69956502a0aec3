"""Blocks tile the grid, know their neighbours, and refuse what cannot be divided."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dassim.parallel import Decomposition, DecompositionError, Domain, SerialCommunicator

lengths = st.integers(1, 40)
sizes = st.integers(1, 24)


@st.composite
def decompositions(draw):
    shape = draw(st.tuples(lengths, lengths))
    layout = tuple(draw(st.integers(1, min(n, 6))) for n in shape)
    return Decomposition(shape, layout, draw(st.tuples(st.booleans(), st.booleans())))


@given(decompositions())
def test_blocks_tile_the_grid(decomposition):
    owners = np.zeros(decomposition.shape, int)
    for rank in range(decomposition.size):
        block = decomposition.block(rank)
        owners[np.ix_(block.y, block.x)] += 1
        assert block.shape == (len(block.y), len(block.x))
    assert (owners == 1).all()


@given(decompositions())
def test_blocks_differ_by_at_most_one_point_the_larger_first(decomposition):
    for axis in (0, 1):
        step = decomposition.layout[1] if axis == 0 else 1
        ranks = range(0, decomposition.layout[axis] * step, step)
        blocks = [decomposition.block(rank).shape[axis] for rank in ranks]
        assert blocks == sorted(blocks, reverse=True)
        assert blocks[0] - blocks[-1] <= 1


@given(decompositions())
def test_neighbours_are_mutual_and_adjacent(decomposition):
    for rank in range(decomposition.size):
        for axis, name in enumerate("yx"):
            mine = getattr(decomposition.block(rank), name)
            high = decomposition.neighbour(rank, axis, 1)
            if high is None:
                assert not decomposition.periodic[axis]
                assert mine.stop == decomposition.shape[axis]
                continue
            theirs = getattr(decomposition.block(high), name)
            assert decomposition.neighbour(high, axis, -1) == rank
            assert theirs.start == mine.stop % decomposition.shape[axis]
            other = "x" if name == "y" else "y"
            assert getattr(decomposition.block(high), other) == getattr(
                decomposition.block(rank), other
            )


@given(decompositions())
def test_a_periodic_axis_of_one_rank_is_its_own_neighbour(decomposition):
    for axis in (0, 1):
        if decomposition.layout[axis] == 1:
            expected = 0 if decomposition.periodic[axis] else None
            assert decomposition.neighbour(0, axis, 1) == expected
            assert decomposition.neighbour(0, axis, -1) == expected


@given(st.tuples(lengths, lengths), sizes, st.integers(1, 6))
def test_the_chosen_layout_has_the_shortest_block_edge(shape, size, minimum):
    """Against trying all layouts; the edge is what a block shares with its neighbours."""

    def edge(py, px):
        return (shape[1] / px if py > 1 else 0) + (shape[0] / py if px > 1 else 0)

    possible = [
        (py, size // py)
        for py in range(1, size + 1)
        if size % py == 0
        and (py == 1 or shape[0] // py >= minimum)
        and (size // py == 1 or shape[1] // (size // py) >= minimum)
    ]
    if possible:
        chosen = Decomposition.choose(shape, size, minimum=minimum)
        assert chosen.layout in possible
        assert edge(*chosen.layout) == min(edge(*layout) for layout in possible)
        chosen.require_width(minimum)
    else:
        with pytest.raises(DecompositionError, match=r"\(at most \d+\) or a finer grid") as error:
            Decomposition.choose(shape, size, minimum=minimum)
        advised = int(str(error.value).split("(at most ")[1].split(")")[0])
        assert Decomposition.choose(shape, advised, minimum=minimum).size == advised < size


def test_of_two_equal_layouts_the_one_with_longer_rows_wins():
    assert Decomposition.choose((16, 16), 2).layout == (2, 1)
    assert Decomposition.choose((16, 16), 8).layout == (4, 2)


@pytest.mark.parametrize(("size", "layout"), [(4, (4, 1)), (6, (3, 2)), (7, (1, 7))])
def test_bands_are_taken_while_they_are_wide_enough(size, layout):
    chosen = Decomposition.choose((10, 100), size, minimum=2, bands=True)
    assert chosen.layout == layout


def test_far_too_many_ranks_are_refused_at_once():
    with pytest.raises(DecompositionError, match=r"at most 96\) or a finer grid"):
        Decomposition.choose((8, 12), 10**9)


def test_lists_serve_as_tuples():
    shape = np.array([8, 12])
    found = Decomposition.choose(shape, 2, layout=[1, 2], periodic=[0, 1])  # type: ignore[arg-type]
    assert found == Decomposition((8, 12), (1, 2), (False, True))
    assert hash(found) == hash(Decomposition((8, 12), (1, 2), (False, True)))


def test_a_given_layout_is_kept():
    chosen = Decomposition.choose((16, 16), 6, layout=(1, 6), periodic=(True, False))
    assert chosen == Decomposition((16, 16), (1, 6), (True, False))
    assert hash(chosen) == hash(Decomposition((16, 16), (1, 6), (True, False)))


@pytest.mark.parametrize(
    ("build", "text"),
    [
        (
            lambda: Decomposition.choose((8, 8), 6, layout=(2, 2)),
            "layout 2 x 2 (y, x) needs 4 ranks, found 6; start as many ranks, or use layout: auto",
        ),
        (
            lambda: Decomposition.choose((4, 100), 5, layout=(5, 1)),
            "4 points along y cannot be divided over 5 ranks; use at most 4 ranks along y, or a "
            "finer grid",
        ),
        (
            lambda: Decomposition.choose((3, 3), 11),
            "3 rows of 3 points cannot be divided over 11 ranks with at least 1 points a block and "
            "axis; use fewer ranks (at most 9) or a finer grid",
        ),
        (lambda: Decomposition.choose((3, 3), 0), "found 0 ranks; expected at least 1"),
        (
            lambda: Decomposition.choose((6, 4), 4, minimum=3),
            "6 rows of 4 points cannot be divided over 4 ranks with at least 3 points a block and "
            "axis; use fewer ranks (at most 2) or a finer grid",
        ),
        (
            lambda: Decomposition.choose((8, 9), 3, layout=(1, 3), minimum=4),
            "9 points along x over 3 ranks give blocks of 3 points, narrower than a halo of 4; "
            "use at most 2 ranks along x",
        ),
        (
            lambda: Decomposition((0, 4)),
            "found 0 points over 1 ranks along y; both must be at least 1",
        ),
        (
            lambda: Domain(SerialCommunicator(), Decomposition((8, 8), (1, 2))),
            "a layout of (1, 2) (y, x) needs 2 ranks, found 1",
        ),
    ],
)
def test_what_cannot_be_divided_is_refused_with_a_remedy(build, text):
    with pytest.raises(DecompositionError) as error:
        build()
    assert str(error.value) == text
