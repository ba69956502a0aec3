"""Veros's set-up acc as a worker: for every number read from stdin, takes so many steps and prints
the seconds that they took. Runs in Veros's own environment.

Arguments: how many times as many columns along x and along y, seconds per step, and ``own`` for
the closures of the set-up or ``matched`` for constant mixing as in acc.yaml.
"""

import os
import sys
import time

os.environ.setdefault("VEROS_BACKEND", "jax")
os.environ.setdefault("VEROS_FLOAT_TYPE", "float64")
os.environ.setdefault("VEROS_LOGLEVEL", "error")
os.environ.setdefault("VEROS_DISKLESS_MODE", "1")

import jax
from veros import veros_routine
from veros.core.operators import at, update
from veros.setups.acc.acc import ACCSetup

CONSTANT_MIXING = {
    "enable_neutral_diffusion": False,
    "enable_skew_diffusion": False,
    "enable_tke": False,
    "enable_eke": False,
    "enable_eke_superbee_advection": False,
    "enable_eke_isopycnal_diffusion": False,
    "enable_conserve_energy": False,
    "enable_hor_diffusion": True,
    "K_h": 1000.0,
    "kappaM_0": 2e-4,
    "kappaH_0": 2e-5,
}


def setup(factor_x: int, factor_y: int, step: float, physics: str) -> ACCSetup:
    class Enlarged(ACCSetup):
        @veros_routine
        def set_grid(self, state):
            super().set_grid(state)
            vs = state.variables
            vs.dxt = update(vs.dxt, at[...], 2.0 / factor_x)
            vs.dyt = update(vs.dyt, at[...], 2.0 / factor_y)

        @veros_routine
        def set_diagnostics(self, state):
            state.diagnostics.clear()

    settings = {"nx": 30 * factor_x, "ny": 42 * factor_y, "dt_mom": step, "dt_tracer": step}
    # the viscosity is bounded by the step on the narrower cells
    settings["A_h"] = 2.2e5 / max(factor_x, factor_y)
    simulation = Enlarged(override=settings | (CONSTANT_MIXING if physics == "matched" else {}))
    simulation.setup()
    return simulation


def main() -> None:
    factor_x, factor_y, step, physics = sys.argv[1:]
    simulation = setup(int(factor_x), int(factor_y), float(step), physics)
    for line in sys.stdin:
        start = time.perf_counter()
        for _ in range(int(line)):
            simulation.step(simulation.state)
        jax.block_until_ready(simulation.state.variables.temp)
        print(time.perf_counter() - start, flush=True)


if __name__ == "__main__":
    main()
