"""One rank's part of a state in one HDF5 file, and any rectangle of the global state back from it.

A leaf ends in the horizontal ``(..., ny, nx)`` axes, of which a rank holds its own block, or it is
replicated: a scalar or a vector that is the same on every rank.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from dassim.grid.variables import Variable
from dassim.io.durable import Seal, plain_errors, sealed
from dassim.io.onepass import new_hdf5, write_file
from dassim.parallel import Block, Domain

SCHEMA = "dassim state 1"
"""Version of the layout of these files and of their manifest."""


@dataclass(frozen=True)
class Leaf:
    """A leaf of the state as a whole: the shape of its global array, its type, where it lies."""

    shape: tuple[int, ...]
    dtype: str
    replicated: bool
    location: str = ""
    units: str = ""
    long_name: str = ""
    standard_name: str = ""

    def to_json(self) -> dict[str, Any]:
        return {key: value for key, value in asdict(self).items() if value != ""}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Leaf:
        leaf = cls(**plain)
        return replace(leaf, shape=tuple(leaf.shape))

    def __str__(self) -> str:
        return f"{self.dtype} {self.shape}"


@dataclass(frozen=True)
class Piece:
    """One rank's file: its name, its seal, and the rows and columns that it holds."""

    file: str
    block: Block
    seal: Seal

    def to_json(self) -> dict[str, Any]:
        rows, columns = self.block.y, self.block.x
        return {
            "file": self.file,
            **self.seal._asdict(),
            "y": [rows.start, rows.stop],
            "x": [columns.start, columns.stop],
        }

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Piece:
        block = Block(range(*plain["y"]), range(*plain["x"]))
        return cls(plain["file"], block, Seal(plain["bytes"], plain["sha256"]))


def describe(
    arrays: Mapping[str, Any], domain: Domain, variables: Mapping[str, Variable]
) -> dict[str, Leaf]:
    """What this rank's ``arrays`` are as a whole; ``variables`` by the last part of a leaf's path,
    cells where they do not say."""
    return {name: _leaf(name, array, domain, variables) for name, array in arrays.items()}


def _leaf(name: str, array: Any, domain: Domain, variables: Mapping[str, Variable]) -> Leaf:
    shape, dtype = np.shape(array), np.dtype(array.dtype)
    if dtype.kind not in "biuf" or dtype.name == "bfloat16":
        raise TypeError(f"{name}: found numbers of type {dtype}, expected bool, int or float")
    if len(shape) < 2:
        return Leaf(shape, dtype.name, replicated=True)
    if shape[-2:] != domain.shape:
        raise ValueError(
            f"{name}: found an array of shape {shape}, expected a scalar, or the owned points "
            f"(..., {domain.shape[0]}, {domain.shape[1]}) of this rank"
        )
    whole = (*shape[:-2], *domain.global_shape)
    variable = variables.get(name) or variables.get(name.rpartition(".")[2])
    if variable is None:
        return Leaf(whole, dtype.name, replicated=False, location="c")
    return Leaf(
        whole,
        dtype.name,
        False,
        variable.location,
        variable.units,
        variable.long_name,
        variable.standard_name or "",
    )


def write_piece(
    path: Path,
    arrays: Mapping[str, Any],
    leaves: Mapping[str, Leaf],
    block: Block,
    notes: Mapping[str, Any],
) -> Piece:
    """Write this rank's ``arrays`` and wait until they are on disk."""
    with plain_errors(path):
        attributes = {name: _attributes(leaves[name], block) for name in arrays}
        seal = write_file(path, arrays, attributes, {"schema": SCHEMA, **notes})
        return Piece(path.name, block, seal)


def read_pieces(
    folder: Path, pieces: list[Piece], leaves: Mapping[str, Leaf], wanted: Block
) -> dict[str, np.ndarray]:
    """The ``leaves`` on the ``wanted`` block, from those pieces that overlap it.

    Only the rows and columns needed are read.
    """
    overlapping = [piece for piece in pieces if _common(piece.block, wanted) is not None]
    arrays: dict[str, np.ndarray] = {
        name: np.empty((*leaf.shape[:-2], *wanted.shape), leaf.dtype)
        for name, leaf in leaves.items()
        if not leaf.replicated
    }
    filled = 0
    for piece in overlapping:
        common = _common(piece.block, wanted)
        assert common is not None
        filled += common.shape[0] * common.shape[1]
        with h5py.File(folder / piece.file, "r") as file:
            for name, leaf in leaves.items():
                dataset = _checked(file, name, leaf, piece, folder)
                if leaf.replicated:
                    arrays.setdefault(name, np.asarray(dataset[()]))
                else:
                    source = (..., *_within(piece.block, common))
                    target = (..., *_within(wanted, common))
                    dataset.read_direct(arrays[name], source, target)
    if filled != wanted.shape[0] * wanted.shape[1]:
        raise OSError(f"{folder}: its pieces hold {filled} points of the block {wanted}")
    return {name: arrays[name] for name in leaves}


def write_index(
    path: Path,
    pieces: list[Piece],
    leaves: Mapping[str, Leaf],
    replicated: Mapping[str, Any],
    notes: Mapping[str, Any],
) -> Seal:
    """A file whose datasets are the global arrays, assembled from the pieces when they are read.

    For people and scripts: a piece that is missing reads as not-a-number there.
    """
    with new_hdf5(path, libver="latest") as file:
        file.attrs.update({"schema": SCHEMA, **notes})
        whole = Block(range(0), range(0))
        for name, leaf in leaves.items():
            if leaf.replicated:
                file.create_dataset(name, data=np.asarray(replicated[name]))
                continue
            layout = h5py.VirtualLayout(leaf.shape, leaf.dtype)
            for piece in pieces:
                shape = (*leaf.shape[:-2], *piece.block.shape)
                rows, columns = (slice(r.start, r.stop) for r in (piece.block.y, piece.block.x))
                source = h5py.VirtualSource(piece.file, name, shape, leaf.dtype)
                layout[..., rows, columns] = source
            fill = np.nan if np.dtype(leaf.dtype).kind == "f" else None
            dataset = file.create_virtual_dataset(name, layout, fillvalue=fill)
            dataset.attrs.update(_attributes(leaf, whole))
    return sealed(path)


def _attributes(leaf: Leaf, block: Block) -> dict[str, Any]:
    texts = {k: getattr(leaf, k) for k in ("location", "units", "long_name", "standard_name")}
    start = [] if leaf.replicated else [0] * (len(leaf.shape) - 2) + [block.y.start, block.x.start]
    return {
        "start": np.array(start, "i8"),
        "global_shape": np.array(leaf.shape, "i8"),
        **{key: text for key, text in texts.items() if text},
    }


def _checked(file: h5py.File, name: str, leaf: Leaf, piece: Piece, folder: Path) -> h5py.Dataset:
    dataset = file.get(name)
    shape = leaf.shape if leaf.replicated else (*leaf.shape[:-2], *piece.block.shape)
    if not isinstance(dataset, h5py.Dataset):
        raise OSError(f"{folder / piece.file}: found no {name}")
    if dataset.shape != shape or dataset.dtype != leaf.dtype:
        raise OSError(
            f"{folder / piece.file}: found {name} of {dataset.dtype} {dataset.shape}, expected "
            f"{leaf.dtype} {shape}"
        )
    return dataset


def _common(one: Block, other: Block) -> Block | None:
    rows = range(max(one.y.start, other.y.start), min(one.y.stop, other.y.stop))
    columns = range(max(one.x.start, other.x.start), min(one.x.stop, other.x.stop))
    return Block(rows, columns) if rows and columns else None


def _within(outer: Block, inner: Block) -> tuple[slice, slice]:
    """Where ``inner`` lies in an array of ``outer``."""
    return (
        slice(inner.y.start - outer.y.start, inner.y.stop - outer.y.start),
        slice(inner.x.start - outer.x.start, inner.x.stop - outer.x.start),
    )
