"""Names of what a fluid carries."""

from __future__ import annotations

from collections.abc import Iterable

from dassim.config.errors import one_of
from dassim.config.explain import refuse


def require_names(tracers: Iterable[str], reserved: tuple[str, ...]) -> None:
    """Refuse ``tracers`` of the section initial whose names are no words, or ``reserved``."""
    for name in tracers:
        if name in reserved or not name.isidentifier():
            raise refuse(
                f"a word other than {one_of(reserved)}",
                "rename the tracer",
                found=f"a tracer named '{name}'",
                key="initial",
            )
