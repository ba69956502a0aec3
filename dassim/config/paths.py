"""Files that a namelist names."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

from dassim.config.errors import near_files
from dassim.config.explain import refuse
from dassim.config.yaml import Text

PACKAGE = "package:"


def _existing(value: Any) -> Path:
    """A relative path starts from the directory of the namelist that it is written in.

    Only what comes from a namelist must exist: objects made in Python, and the stored description
    of an earlier run, may name files that are elsewhere by now.
    """
    if not isinstance(value, str | Path) or not str(value):
        raise refuse("the path of a file", "write for example data/bathymetry.nc")
    if str(value).startswith(PACKAGE):
        return _in_package(str(value).removeprefix(PACKAGE))
    if not isinstance(value, Text):
        return Path(value)
    return _file((value.directory / value).absolute())


def _in_package(text: str) -> Path:
    """``name/path`` of a file in the folder of an installed package, which is not imported."""
    name, _, place = text.partition("/")
    spec = importlib.util.find_spec(name) if name.isidentifier() else None
    folders = list(spec.submodule_search_locations or ()) if spec else []
    if not folders:
        raise refuse(
            "an installed package",
            f"install it, such as by uv pip install --no-deps {name}",
            found=f"no package '{name}'",
        )
    return _file(Path(folders[0]) / place)


def _file(path: Path) -> Path:
    if not path.is_file():
        found = "the directory" if path.is_dir() else "no file"
        raise refuse("the path of a file", near_files(path), found=f"{found} {path}")
    return path


InputFile = Annotated[
    Path,
    BeforeValidator(_existing),
    WithJsonSchema(
        {
            "type": "string",
            "examples": ["${DATA}/bathymetry.nc", "package:jcm/a.nc"],
        }
    ),
]
"""A file that is read; environment variables stand as ``${NAME}``, and ``package:NAME/path`` for a
file that an installed Python package has brought."""

RunPath = Annotated[
    Path,
    BeforeValidator(lambda text: Path(str(text))),
    WithJsonSchema({"type": "string", "examples": ["runs/nature"]}),
]
"""Folder of a run; a relative one starts from the directory of the command, as --folder does."""
