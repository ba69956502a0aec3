"""dinosaur's Held-Suarez run as a worker: for every number read from stdin, takes so many steps and
prints the seconds that they took. Runs in dinosaur's own environment.

Arguments: truncation (T42), levels, seconds per step, precision, and ``eulerian`` or
``semi_lagrangian``.
"""

import sys
import time

import jax


def model(truncation: str, levels: int, step: float, scheme: str):
    """The function that takes a step, and the state it starts from."""
    from dinosaur import (
        coordinate_systems,
        held_suarez,
        primitive_equations,
        primitive_equations_states,
        scales,
        sigma_coordinates,
        spherical_harmonic,
        time_integration,
        xarray_utils,
    )

    grid = getattr(spherical_harmonic.Grid, truncation)()
    vertical = sigma_coordinates.SigmaCoordinates.equidistant(levels)
    coords = coordinate_systems.CoordinateSystem(grid, vertical)
    specs = primitive_equations.PrimitiveEquationsSpecs.from_si()
    start, features = primitive_equations_states.isothermal_rest_atmosphere(
        coords, specs, p1=5e3 * scales.units.pascal
    )
    reference = features[xarray_utils.REF_TEMP_KEY]
    ground = primitive_equations.truncated_modal_orography(features[xarray_utils.OROGRAPHY], coords)
    dt = specs.nondimensionalize(step * scales.units.second)
    forcing = held_suarez.HeldSuarezForcingSigma(coords, specs, reference)
    kinds = {
        "eulerian": (
            primitive_equations.PrimitiveEquationsSigma,
            time_integration.imex_rk_sil3,
        ),
        "semi_lagrangian": (
            primitive_equations.SemiLagrangianPrimitiveEquations,
            time_integration.semi_lagrangian_crank_nicolson_rk2,
        ),
    }
    dynamics, stepper = kinds[scheme]
    equations = [dynamics(reference, ground, coords, specs), forcing]
    advance = stepper(time_integration.compose_equations(equations), dt)
    damping = time_integration.exponential_step_filter(
        grid, dt, tau=0.0087504, order=1.5, cutoff=0.8
    )
    return time_integration.step_with_filters(advance, [damping]), start(jax.random.PRNGKey(0))


def main() -> None:
    truncation, levels, step, precision, scheme = sys.argv[1:]
    jax.config.update("jax_enable_x64", precision == "float64")
    advance, state = model(truncation, int(levels), float(step), scheme)
    state = jax.tree.map(jax.numpy.asarray, state)
    if str(state.vorticity.dtype) != precision:
        raise SystemExit(f"found a state in {state.vorticity.dtype}, expected {precision}")

    @jax.jit
    def run(state, steps):
        return jax.lax.fori_loop(0, steps, lambda _, x: advance(x), state)

    for line in sys.stdin:
        start = time.perf_counter()
        state = jax.block_until_ready(run(state, int(line)))
        seconds = time.perf_counter() - start
        if not jax.numpy.isfinite(state.vorticity).all():
            raise SystemExit(f"found numbers that are not finite; shorten the step of {step} s")
        print(seconds, flush=True)


if __name__ == "__main__":
    main()
