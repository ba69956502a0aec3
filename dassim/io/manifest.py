"""What a folder of pieces must contain, in a file that is written last and seals itself."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dassim.io.durable import sha256_of, write_text
from dassim.io.pieces import SCHEMA, Leaf, Piece

FILE = "manifest.json"


class DamageError(ValueError):
    """A file that is missing, or not what was written. The message names it."""


@dataclass(frozen=True)
class Manifest:
    """A state on disk: when it is of (``step``, ``seconds`` since the start, ``date``), the global
    ``(ny, nx)`` grid, the layout ``(py, px)`` of ranks that wrote it, its leaves and pieces.

    ``notes``: the namelist's hash, commit, versions and whatever else tells where it comes from.
    """

    step: int
    seconds: float
    date: str
    grid: tuple[int, int]
    layout: tuple[int, int]
    leaves: Mapping[str, Leaf]
    pieces: tuple[Piece, ...]
    notes: Mapping[str, Any] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        content = {
            "schema": SCHEMA,
            "step": self.step,
            "seconds": self.seconds,
            "date": self.date,
            "grid": list(self.grid),
            "layout": list(self.layout),
            "ranks": len(self.pieces),
            "leaves": {name: leaf.to_json() for name, leaf in self.leaves.items()},
            "pieces": [piece.to_json() for piece in self.pieces],
            "notes": dict(self.notes),
        }
        sealed = {"sha256": _digest(content), "content": content}
        write_text(folder / FILE, json.dumps(sealed, indent=1) + "\n")

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Raises DamageError unless the manifest is the one that was written."""
        path = folder / FILE
        try:
            sealed = json.loads(path.read_bytes())
            content, digest = sealed["content"], sealed["sha256"]
        except FileNotFoundError:
            raise DamageError(f"{path}: missing") from None
        except (ValueError, KeyError, TypeError):
            raise DamageError(f"{path}: found no manifest in it") from None
        if digest != _digest(content):
            raise DamageError(f"{path}: found other contents than were written (sha256)")
        if content["schema"] != SCHEMA:
            raise DamageError(
                f"{path}: found the layout '{content['schema']}', expected '{SCHEMA}'; read it "
                f"with the version of dassim that wrote it"
            )
        return cls(
            content["step"],
            content["seconds"],
            content["date"],
            tuple(content["grid"]),
            tuple(content["layout"]),
            {name: Leaf.from_json(leaf) for name, leaf in content["leaves"].items()},
            tuple(Piece.from_json(piece) for piece in content["pieces"]),
            content["notes"],
        )


def damage(folder: Path, piece: Piece) -> str | None:
    """What is wrong with a piece, if anything; reads all of it."""
    path = folder / piece.file
    try:
        found = path.stat().st_size
        if found != piece.seal.bytes:
            return f"{path}: found {found} bytes, expected {piece.seal.bytes}"
        if sha256_of(path) != piece.seal.sha256:
            return f"{path}: found other contents than were written (sha256)"
    except FileNotFoundError:
        return f"{path}: missing"
    except OSError as error:
        return f"{path}: {error.strerror or error}"
    return None


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
