"""The examples of the README."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

README = Path(__file__).resolve().parents[2] / "README.md"


def yaml_example(word: str) -> str:
    """The one namelist with ``word`` in it."""
    sources = re.findall(r"```yaml\n(.*?)```", README.read_text(), flags=re.DOTALL)
    (source,) = (source for source in sources if word in source)
    return source


def run_example(word: str) -> dict[str, Any]:
    """The names that the one example with ``word`` in it defines."""
    sources = re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.DOTALL)
    (source,) = (source for source in sources if word in source)
    names: dict[str, Any] = {}
    exec(compile(source, "README.md", "exec"), names)  # noqa: S102 - the README is ours
    return names
