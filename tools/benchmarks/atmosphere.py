"""Time the hydrostatic atmosphere's step on one core against dinosaur's, for Held & Suarez's test.

Both models run as processes of their own that wait, compiled, and take steps in turns, with the
same numbers of columns and of equidistant sigma levels, and the same forcing. dinosaur (Kochkov et
al. 2024, Nature 632, 1060) is a spectral model: "eulerian" takes the implicit-explicit steps and
the filter of its own example of this test, 10 minutes at T42; "semi_lagrangian" is that of its
examples with the longest steps, 60 minutes. dassim takes 30 minutes, as its namelist does; at T21
it takes 40 and "eulerian" 20. dinosaur usually runs in float32, dassim in float64; both are timed
in both.

What differs. dassim has finite differences on a C-grid, substeps for the fastest gravity waves,
WENO advection of temperature, biharmonic friction and a polar filter; dinosaur transforms between
the grid and spherical harmonics, with implicit gravity waves. On the same columns they do not
resolve the same: T42 keeps two thirds of the 64 waves that 128 columns hold, so that products
are free of aliasing, and differentiates what it keeps exactly; differences keep all 64, but the
shorter half travel slowly or are damped. The cases T21 and T42 therefore are the price of a step on
so many columns, and of a day with them. "alike" has the columns on which dassim's baroclinic wave
(Jablonowski & Williamson 2006) falls as deep as a spectral model's at T42 by days 7, 8 and 9: 2
degrees. It is the price of a day of the same skill.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.benchmarks import record
from tools.benchmarks.record import Measurement
from tools.benchmarks.turns import Worker, in_turns, keep_to_one_core, serve
from tools.benchmarks.workers import PROJECT, version

NAMELIST = PROJECT / "namelists" / "atmosphere" / "held_suarez.yaml"
DINOSAUR = PROJECT / ".venv-dinosaur" / "bin" / "python"
DAY = 86400.0
FRICTION = "physics.friction.scale_length=313 km"
"""That of the namelist at T42's columns, and less where cells are smaller."""


COLUMNS = {"T21": 64 * 32, "T42": 128 * 64}
"""Of dinosaur's grids."""


@dataclass(frozen=True)
class Case:
    """Columns and step (s) of dassim; a truncation of dinosaur's and its steps by scheme."""

    name: str
    nx: int
    ny: int
    step: float
    truncation: str
    steps: dict[str, float]
    levels: int = 20

    @property
    def columns(self) -> int:
        return self.nx * self.ny


T42_STEPS = {"eulerian": 600.0, "semi_lagrangian": 3600.0}
CASES = (
    Case("T21", 64, 32, 2400.0, "T21", {"eulerian": 1200.0, "semi_lagrangian": 3600.0}),
    Case("T42", 128, 64, 1800.0, "T42", T42_STEPS),
    Case("alike", 180, 90, 1200.0, "T42", T42_STEPS),
)


@dataclass(frozen=True)
class Speed:
    """A model that takes steps of ``step`` (s), one in ``seconds``."""

    step: float
    seconds: float
    spread: float = 0.0

    @property
    def days_per_hour(self) -> float:
        """Simulated days per hour.

        >>> Speed(step=600.0, seconds=0.1).days_per_hour
        250.0
        """
        return self.step / self.seconds * 3600.0 / DAY


@dataclass(frozen=True)
class Comparison:
    case: Case
    precision: str
    scheme: str
    mine: Speed
    theirs: Speed

    @property
    def ratio(self) -> float:
        """Of simulated days per hour, dassim's over dinosaur's."""
        return self.mine.days_per_hour / self.theirs.days_per_hour


@dataclass(frozen=True)
class Turns:
    """So many turns of about so many ``seconds``; ``dinosaur``: the Python of its environment;
    ``clock`` as of :class:`Worker`."""

    dinosaur: str
    count: int
    seconds: float
    clock: str


def experiment(nx: int, ny: int, levels: int, step: float, precision: str) -> Any:
    """dassim's run of the test."""
    import jax

    jax.config.update("jax_enable_x64", precision == "float64")
    from dassim.config import Namelist, load
    from dassim.config.experiment import build_experiment

    overrides = [
        f"grid.nx={nx}",
        f"grid.ny={ny}",
        f"vertical.nz={levels}",
        f"time.step={step}",
        f"precision={precision}",
        FRICTION,
    ]
    return build_experiment(load(NAMELIST, Namelist, overrides=overrides).namelist)


def serve_dassim(nx: str, ny: str, levels: str, step: str, precision: str) -> None:
    """dassim as a worker: answers every number of steps by the seconds that they took."""
    import jax

    from dassim.simulation.advance import Program

    one = experiment(int(nx), int(ny), int(levels), float(step), precision)

    program = Program(one.model)

    def ready(carry: Any, steps: int) -> Any:
        end = jax.block_until_ready(program(one.parameters, carry, steps))
        if not jax.numpy.isfinite(end.state.ps).all():
            raise SystemExit(f"found pressures that are not finite; shorten the step of {step} s")
        return end

    serve(ready, program.start(one.parameters, one.state))


def compare(case: Case, precision: str, schemes: list[str], how: Turns) -> Iterator[Comparison]:
    """dassim and dinosaur's schemes, one after the other in every turn."""
    levels = str(case.levels)
    grid = (str(case.nx), str(case.ny), levels)
    this = (sys.executable, "-m", "tools.benchmarks.atmosphere", "--serve")
    workers = {"dassim": Worker(*this, *grid, str(case.step), precision, clock=how.clock)}
    worker = str(PROJECT / "tools" / "benchmarks" / "dinosaur_worker.py")
    for scheme in schemes:
        of = (case.truncation, levels, str(case.steps[scheme]), precision, scheme)
        workers[scheme] = Worker(how.dinosaur, worker, *of, clock=how.clock)
    took = in_turns(workers, how.count, how.seconds)
    for one in workers.values():
        one.close()
    mine = Speed(case.step, *took["dassim"])
    for scheme in schemes:
        theirs = Speed(case.steps[scheme], *took[scheme])
        yield Comparison(case, precision, scheme, mine, theirs)


# -- what is printed and written ------------------------------------------------------------------

HEAD = (
    f"{'case':5}{'columns':>9}{'levels':>7} {'precision':10}{'model':17}"
    f"{'step s':>7}{'ms/step':>9}{'Mcells/s':>9}{'days/h':>8}{'spread':>7}{'ratio':>7}"
)


def lines(compared: list[Comparison]) -> Iterator[str]:
    """dassim, and under it dinosaur's schemes with the ratios of dassim to them."""

    def line(one: Comparison, name: str, columns: int, speed: Speed, ratio: str) -> str:
        case = one.case
        return (
            f"{case.name:5}{columns:>9}{case.levels:>7} {one.precision:10}{name:17}"
            f"{speed.step:>7.0f}{1e3 * speed.seconds:>9.1f}"
            f"{columns * case.levels / speed.seconds / 1e6:>9.2f}{speed.days_per_hour:>8.0f}"
            f"{speed.spread:>7.0%}{ratio:>7}"
        )

    if compared:
        yield line(compared[0], "dassim", compared[0].case.columns, compared[0].mine, "")
    for one in compared:
        columns = COLUMNS[one.case.truncation]
        yield line(one, one.scheme, columns, one.theirs, f"{one.ratio:.2f}")


def measured(one: Comparison, dinosaur: str) -> Measurement:
    """Simulated days per hour, against dinosaur's in the same run."""
    case = one.case
    return Measurement(
        "atmosphere",
        f"{case.nx} x {case.ny} x {case.levels} {one.precision}, {one.scheme}",
        one.mine.days_per_hour,
        "simulated days/h",
        one.mine.spread,
        f"{dinosaur} {case.truncation} {one.scheme}",
        one.theirs.days_per_hour,
        reference_spread=one.theirs.spread,
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="tools/benchmarks/atmosphere", description=__doc__)
    parser.add_argument("--dinosaur", help="the Python of its environment; .venv-dinosaur")
    parser.add_argument("--serve", nargs=5, help=argparse.SUPPRESS)
    parser.add_argument("--turns", type=int, default=5, help="medians are taken over these")
    parser.add_argument("--seconds", type=float, default=5.0, help="length of a turn")
    parser.add_argument(
        "--clock",
        default="wall",
        choices=["wall", "processor"],
        help="processor: the seconds that the core worked for the model, on a busy machine",
    )
    parser.add_argument(
        "--cases",
        nargs="+",
        default=[case.name for case in CASES],
        choices=[case.name for case in CASES],
    )
    parser.add_argument(
        "--precision",
        nargs="+",
        default=["float64", "float32"],
        choices=["float64", "float32"],
    )
    parser.add_argument(
        "--schemes",
        nargs="+",
        default=["eulerian", "semi_lagrangian"],
        choices=["eulerian", "semi_lagrangian"],
        help="of dinosaur",
    )
    parser.add_argument(
        "--parts", action="store_true", help="where dassim's step at T42 goes, instead"
    )
    parser.add_argument("--json", type=Path, help="add the measurements to this file")
    options = parser.parse_args()
    if options.serve:
        serve_dassim(*options.serve)
        return

    print(f"one core of {record.header()}")
    if options.parts:
        keep_to_one_core()
        from tools.benchmarks import atmosphere_parts

        case = next(case for case in CASES if case.name == "T42")
        for precision in options.precision[:1]:
            one = experiment(case.nx, case.ny, case.levels, case.step, precision)
            of = f"{case.nx} x {case.ny} x {case.levels} {precision}"
            found = atmosphere_parts.report(one, of, options.turns, options.clock)
            record.save(options.json, found, precision)
    else:
        python = options.dinosaur or str(DINOSAUR)
        if not Path(python).exists():
            record.skip(f"found no {python}; run tools/benchmarks/atmosphere, which installs it")
        how = Turns(python, options.turns, options.seconds, options.clock)
        dinosaur = f"dinosaur {version(python, 'dinosaur')}"
        print(f"{dinosaur}; {how.clock} clock; ratio: dassim's days per hour over its\n{HEAD}")
        for case in (one for one in CASES if one.name in options.cases):
            for precision in options.precision:
                compared = list(compare(case, precision, options.schemes, how))
                print("\n".join(lines(compared)), flush=True)
                record.save(options.json, [measured(one, dinosaur) for one in compared])


if __name__ == "__main__":
    main()
