"""A program that recovers a Lorenz-96 state for a while, to be killed at any moment and resumed.

tools/mpirun 2 python -m tests.models.minimisation [--iterations 30] [--seconds 2] FOLDER

Leaves what ``dassim assimilate`` does: checkpoints, iterations.csv, analysis/.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax

from dassim.assimilation.minimise import Criteria, QuasiNewton
from dassim.assimilation.recovery import ANALYSIS, Recovery, recover, write_analysis
from dassim.assimilation.window import Window
from dassim.parallel import abort_on_error, world
from dassim.simulation.clock import Clock
from dassim.simulation.folder import RunFolder, claimed
from tests.models.twin import LorenzTwin


@dataclass(frozen=True)
class Slow:
    """Says what it is told; makes each iteration last so many ``seconds``."""

    seconds: float

    def message(self, text: str) -> None:
        print(text, flush=True)

    def iteration(self, row: Any) -> None:
        time.sleep(self.seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--iterations", type=int, default=30)
    parser.add_argument("--seconds", type=float, default=2.0)
    options = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    comm = world()
    own = RunFolder(options.folder)
    criteria = Criteria(gradient_reduction=0.0, iterations=options.iterations)
    with abort_on_error(comm), claimed(own, "name: minimisation\n", comm, resume=True):
        recovery = Recovery(
            LorenzTwin(comm).objective(),
            Window.of(0, 8, 4),
            Clock(time_step=0.05),
            minimiser=QuasiNewton(criteria),
        )
        slow = Slow(options.seconds / options.iterations)
        recovered = recover(recovery, own, resume=True, reporter=slow)
        write_analysis(recovery, recovered, RunFolder(own.path / ANALYSIS), {})


if __name__ == "__main__":
    main()
