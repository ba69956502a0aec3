"""Run validation cases and print their checks as one table: case, expected, got, pass."""

from __future__ import annotations

import argparse
import sys
import time

import jax
from rich.console import Console
from rich.table import Table

from tests.validation.cases import CASES


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="tools/validate", description=__doc__)
    parser.add_argument("cases", nargs="*", help="parts of names; default: all cases")
    parser.add_argument("--list", action="store_true", help="name the cases and their sources")
    options = parser.parse_args(arguments)
    chosen = [
        case for case in CASES if not options.cases or any(p in case.name for p in options.cases)
    ]
    console = Console(width=None if sys.stdout.isatty() else 150)
    if options.list:
        for case in chosen:
            console.print(f"{case.name}  ({case.source}; about {case.minutes:g} min)")
        return 0

    jax.config.update("jax_enable_x64", True)
    table = Table("case", "quantity", "expected", "got", "pass")
    failed = 0
    for case in chosen:
        start = time.perf_counter()
        for check in case.run():
            failed += not check.passed
            verdict = "yes" if check.passed else "NO"
            got = f"{check.got:.9g} {check.unit}".rstrip()
            table.add_row(case.name, check.what, check.expectation, got, verdict)
            _progress(f"  {check.what}: {got}, expected {check.expectation}")
        _progress(f"{case.name}: {time.perf_counter() - start:.0f} s")
    console.print(table)
    print(f"{failed} of {table.row_count} checks failed" if failed else "all checks passed")
    return 1 if failed or not chosen else 0


def _progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
