"""Settings of clusters, from ``jobs/sites``."""

from __future__ import annotations

import tomllib
from pathlib import Path

from pydantic import ValidationError

from dassim.config.errors import NamelistError, Problem, mismatch, one_of, suggest
from dassim.config.explain import explain
from dassim.config.schema.site import Site


def load_site(name: str, folder: Path) -> Site:
    """The site ``name`` of ``folder``, or that of the file ``name``.

    Raises NamelistError when there is none, or when it cannot be used.
    """
    file = Path(name) if name.endswith(".toml") else folder / f"{name}.toml"
    if not folder.is_dir():
        remedy = "name it by --jobs; an installation without the clone has none of its own"
        message = mismatch(f"no folder {folder}", "a clone's jobs/sites", remedy)
        raise NamelistError([Problem(("jobs",), message)])
    if not file.is_file():
        known = sorted(path.stem for path in folder.glob("*.toml"))
        found, expected = f"no file {file}", f"{one_of(known)}, or a file that ends in .toml"
        raise NamelistError([Problem(("site",), mismatch(found, expected, suggest(name, known)))])
    try:
        return Site.model_validate(tomllib.loads(file.read_text(encoding="utf-8")))
    except tomllib.TOMLDecodeError as error:
        message = mismatch(f"{file}, which is no TOML ({error})", "KEY = VALUE lines", "correct it")
        raise NamelistError([Problem(("site",), message)]) from error
    except ValidationError as error:
        problems = explain(error, Site.model_json_schema())
        raise NamelistError(
            Problem((file.name, *problem.path), problem.message) for problem in problems
        ) from error
