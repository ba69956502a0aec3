"""The page that shows a run's figures: one HTML file beside them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from dassim.cli.figures.gallery import Shown
from dassim.io.durable import write_text

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 1180px; margin: 2em auto;
       padding: 0 1em; }
h1 { font-size: 1.5em; margin: 0 0 .2em; } p.source { color: #555; margin: 0 0 1.5em; }
table { border-collapse: collapse; font-size: .9em; margin-bottom: 2em; }
td { padding: .15em 1.2em .15em 0; vertical-align: top; } td:first-child { color: #555; }
main { display: grid; grid-template-columns: repeat(auto-fit, minmax(480px, 1fr)); gap: 1.6em; }
figure { margin: 0; } img { width: 100%; height: auto; }
figcaption { font-size: .88em; color: #444; }
pre { font-size: .82em; background: #f6f5f3; padding: 1em; overflow-x: auto; }
"""


def write(path: Path, data: Any, run: Path, shown: Sequence[Shown]) -> None:
    """The page of the run in the folder ``run``, whose fields are ``data``."""
    attributes = data.attrs
    title = escape(str(attributes.get("title", run.name)))
    rows = "\n".join(
        f"<tr><td>{escape(name)}</td><td>{escape(value)}</td></tr>"
        for name, value in facts(data, run).items()
    )
    figures = "\n".join(
        f'<figure><img src="{escape(each.file)}" alt="{escape(each.caption)}">'
        f"<figcaption>{escape(each.caption)}</figcaption></figure>"
        for each in shown
    )
    namelist = escape(str(attributes.get("namelist", "")))
    write_text(
        path,
        f"""<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title><style>{STYLE}</style></head>
<body>
<h1>{title}</h1>
<p class="source">{escape(str(attributes.get("references", "")))}</p>
<table>
{rows}
</table>
<main>
{figures}
</main>
<details><summary>Namelist</summary><pre>{namelist}</pre></details>
</body>
</html>
""",
    )


def facts(data: Any, run: Path) -> dict[str, str]:
    """What the table on top of the page says."""
    times = [str(time).replace("T", " ")[:16] for time in data["time"].values[[0, -1]]]
    found = {
        "records": f"{data.sizes['time']}, {times[0]} to {times[1]}",
        "stream": str(data.attrs.get("stream", "")),
        "code": f"{data.attrs.get('source', '')}, commit {data.attrs.get('commit', 'unknown')}",
    }
    report = run / "run.json"
    if report.exists():
        found |= _performance(json.loads(report.read_text(encoding="utf-8")))
    return {name: value for name, value in found.items() if value}


def _performance(report: Mapping[str, Any]) -> dict[str, str]:
    lines = {"status": str(report.get("status", "")), "ranks": str(report.get("ranks", ""))}
    for name, value in (report.get("figure_of_merit") or {}).items():
        text = f"{value:.4g}" if isinstance(value, float) else str(value)
        lines[name.replace("_", " ")] = text
    return lines
