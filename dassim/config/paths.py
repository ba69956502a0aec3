"""Files that a namelist names."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

from dassim.config.errors import near_files
from dassim.config.explain import refuse
from dassim.config.yaml import Text


def _existing(value: Any) -> Path:
    """A relative path starts from the directory of the namelist that it is written in.

    Only what comes from a namelist must exist: objects made in Python, and the stored description
    of an earlier run, may name files that are elsewhere by now.
    """
    if not isinstance(value, str | Path) or not str(value):
        raise refuse("the path of a file", "write for example data/bathymetry.nc")
    if not isinstance(value, Text):
        return Path(value)
    path = (value.directory / value).absolute()
    if not path.is_file():
        found = "the directory" if path.is_dir() else "no file"
        raise refuse("the path of a file", near_files(path), found=f"{found} {path}")
    return path


InputFile = Annotated[
    Path,
    BeforeValidator(_existing),
    WithJsonSchema({"type": "string", "examples": ["${DATA}/bathymetry.nc"]}),
]
"""A file that is read; environment variables stand as ``${NAME}``."""

RunPath = Annotated[
    Path,
    BeforeValidator(lambda text: Path(str(text))),
    WithJsonSchema({"type": "string", "examples": ["runs/nature"]}),
]
"""Folder of a run; a relative one starts from the directory of the command, as --folder does."""
