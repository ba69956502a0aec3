"""What a namelist chooses becomes what the model computes with."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dassim.config.ocean.physics import coefficients, ocean_model
from dassim.config.schema.ocean import OceanNamelist
from dassim.config.schema.ocean.physics import Physics
from dassim.dynamics.free_surface import (
    LEAST_DAMPING,
    LEAST_DISPERSION,
    ImplicitFreeSurface,
    SplitExplicit,
)
from dassim.dynamics.friction import LateralFriction
from dassim.dynamics.reconstruction import WENO, Centred, FluxLimited, Upwind
from dassim.dynamics.stepping import AdamsBashforth2, RungeKutta3
from dassim.dynamics.tracers import LateralDiffusion
from dassim.ocean import (
    TEOS10,
    BottomDrag,
    CombinedMixing,
    ConstantMixing,
    ConvectiveAdjustment,
    FluxForm,
    LinearEOS,
    OceanModel,
    OceanParameters,
    PacanowskiPhilander,
    VectorInvariant,
)
from tests.unit.config.ocean import basin, ocean, refusals

DT = 1200.0


@pytest.fixture(scope="module")
def grid():
    return basin().grid


def model(grid, *overrides):
    return ocean_model(ocean(*overrides).physics, grid, DT)


def numbers(grid, *overrides):
    return coefficients(ocean(*overrides).physics, grid.levels)


def test_the_defaults_are_those_of_the_model(grid):
    built, plain = model(grid), OceanModel(grid, DT)
    for part in ("momentum_advection", "tracer_advection", "stepper", "moving_levels", "halo"):
        assert getattr(built, part) == getattr(plain, part), part
    assert built.free_surface == plain.free_surface
    assert numbers(grid) == OceanParameters()


@pytest.mark.parametrize(
    ("section", "built"),
    [
        ("eos={type: teos10}", TEOS10()),
        ("eos={type: linear}", LinearEOS()),
        ("mixing=[{type: pacanowski_philander}]", PacanowskiPhilander()),
        ("mixing=[{type: convective}]", ConvectiveAdjustment()),
    ],
)
def test_the_defaults_of_a_choice_are_those_of_its_class(grid, section, built):
    assert getattr(numbers(grid, f"physics.{section}"), section.partition("=")[0]) == built


def test_the_defaults_of_an_implicit_surface_are_those_of_its_class(grid):
    built = model(grid, "physics.free_surface={type: implicit}").free_surface
    assert built == ImplicitFreeSurface()


@pytest.mark.parametrize(
    ("scheme", "built"),
    [
        ("{type: centred}", Centred(2)),
        ("{type: centred, order: 4}", Centred(4)),
        ("{type: upwind, order: 3}", Upwind(3)),
        ("{type: upwind, order: 5}", Upwind(5)),
        ("{type: weno, order: 3}", WENO(3)),
        ("{type: weno}", WENO(5)),
        ("{type: limited, limiter: superbee}", FluxLimited("superbee")),
        ("{type: limited, limiter: minmod}", FluxLimited("minmod")),
        ("{type: limited, limiter: koren}", FluxLimited("koren")),
        ("{type: limited}", FluxLimited("van_leer")),
    ],
)
def test_advection_schemes(grid, scheme, built):
    assert model(grid, f"physics.tracers={scheme}").tracer_advection == built
    flux_form = f"physics.momentum={{type: flux_form, scheme: {scheme}}}"
    assert model(grid, flux_form).momentum_advection == FluxForm(built)


@pytest.mark.parametrize("conserving", ["energy", "enstrophy"])
def test_vector_invariant_momentum(grid, conserving):
    section = f"physics.momentum={{type: vector_invariant, conserving: {conserving}}}"
    assert model(grid, section).momentum_advection == VectorInvariant(conserving)


@pytest.mark.parametrize(
    ("stepper", "built"),
    [
        ("{type: runge_kutta_3}", RungeKutta3()),
        ("{type: adams_bashforth_2}", AdamsBashforth2(0.1)),
        ("{type: adams_bashforth_2, eps: 0.01}", AdamsBashforth2(0.01)),
    ],
)
def test_time_steppers(grid, stepper, built):
    assert model(grid, f"physics.stepper={stepper}").stepper == built


def test_fixed_levels(grid):
    assert model(grid, "physics.moving_levels=false").moving_levels is False


@pytest.mark.parametrize(
    ("section", "built"),
    [
        (
            "{type: split_explicit, substeps: 12, filter: least_damping, linear: true}",
            SplitExplicit(12, gravity=9.8, linear=True, filter_slope=LEAST_DAMPING),
        ),
        (
            "{type: split_explicit, substeps: 12, substeps_per_exchange: 3}",
            SplitExplicit(12, gravity=9.8, filter_slope=LEAST_DISPERSION, substeps_per_exchange=3),
        ),
        (
            "{type: implicit, theta: 0.5, linear: true, tolerance: 1e-9, max_iterations: 7, "
            "degree: 2}",
            ImplicitFreeSurface(
                theta=0.5, gravity=9.8, linear=True, tolerance=1e-9, max_iterations=7, degree=2
            ),
        ),
    ],
)
def test_free_surfaces(grid, section, built):
    options = f"physics.free_surface={section}", "physics.gravity=9.8"
    assert model(grid, *options).free_surface == built


def test_substeps_follow_the_courant_number(grid):
    def substeps(courant):
        section = f"physics.free_surface={{type: split_explicit, courant: {courant}}}"
        return model(grid, section).free_surface.substeps

    assert substeps(0.35) == pytest.approx(2 * substeps(0.7), abs=1)


def test_gravity_is_that_of_the_buoyancy_and_of_the_surface(grid):
    assert numbers(grid, "physics.gravity=9.7").eos.gravity == 9.7
    assert model(grid, "physics.gravity=9.7").free_surface.gravity == 9.7


def test_equations_of_state(grid):
    linear = numbers(
        grid, "physics.eos={type: linear, alpha: 2e-4, beta: 1e-3, rho0: 1000, T0: 4, S0: 30}"
    ).eos
    assert linear == LinearEOS(alpha=2e-4, beta=1e-3, T0=4.0, S0=30.0, reference_density=1000.0)
    assert numbers(grid, "physics.eos={type: teos10, rho0: 1030}").eos == TEOS10(
        reference_density=1030.0
    )


def test_friction_diffusion_and_drag(grid):
    built = numbers(
        grid,
        "physics.friction={viscosity: 500, biharmonic: 1e11, slip: none, scale_length: 10 km}",
        "physics.diffusion={diffusivity: 50, biharmonic: 1e10, scale_length: 20 km}",
        "physics.drag={linear: 1e-3, quadratic: 2e-3, background_speed: 10 cm/s}",
        "physics.heat_capacity=4000",
    )
    assert built.friction == LateralFriction(500.0, 1e11, 2.0, 1e4)
    assert built.diffusion == LateralDiffusion(50.0, 1e10, 2e4)
    assert built.drag == BottomDrag(1e-3, 2e-3, 0.1)
    assert built.heat_capacity == 4000.0
    assert numbers(grid, "physics.friction={slip: free}").friction == LateralFriction(slip=0.0)


def test_mixing_is_the_sum_of_its_closures(grid):
    built = numbers(
        grid,
        "physics.mixing=[{type: constant, viscosity: 1e-3, diffusivity: 2e-5}, "
        "{type: surface_enhanced, diffusivity: 5e-5, cells: 5}, "
        "{type: pacanowski_philander, viscosity: 1e-2, alpha: 4, exponent: 3, "
        "background_viscosity: 0, background_diffusivity: 1e-6}, "
        "{type: convective, diffusivity: 10, viscosity: 2, width: 1e-6}]",
    ).mixing
    assert isinstance(built, CombinedMixing)
    constant, enhanced, shear, convective = built.parts
    assert constant == ConstantMixing(1e-3, 2e-5)
    assert shear == PacanowskiPhilander(1e-2, 4.0, 3.0, 0.0, 1e-6)
    assert convective == ConvectiveAdjustment(10.0, 2.0, 1e-6)
    assert isinstance(enhanced, ConstantMixing)
    profile = np.squeeze(enhanced.diffusivity.data)
    np.testing.assert_allclose(profile, 5e-5 * (1 + np.exp(-np.arange(1, 4) / 5)), rtol=1e-14)


@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_all_numbers_are_arrays_that_can_be_differentiated(precision):
    from dassim.config.ocean import build_ocean

    one = build_ocean(
        ocean(
            f"precision={precision}",
            "physics.drag={linear: 1e-3}",
            "forcing.stress_x={type: sine, amplitude: 0.1}",
            "forcing.heat=10",
        )
    )
    leaves = jax.tree.leaves(one.parameters)
    assert all(eqx.is_inexact_array(leaf) and leaf.dtype == precision for leaf in leaves)
    fields = [field.data for field in one.state.fields().values()]
    assert {field.dtype.name for field in fields} == {precision}
    assert one.state.time.dtype == "float64"

    @eqx.filter_grad
    def sensitivity(parameters):
        end = one.model.step(parameters, one.state)
        return jnp.sum(end.u**2) + jnp.sum((end.T - 10) ** 2)

    gradient = sensitivity(one.parameters)
    for part in (gradient.forcing.stress_x, gradient.forcing.heat, gradient.drag.linear):
        assert np.isfinite(part).all()
        assert abs(part).max() > 0


@pytest.mark.parametrize(
    ("override", "problem"),
    [
        (
            "physics.stepper={type: rk3}",
            "physics.stepper.type: found 'rk3'; expected adams_bashforth_2 or runge_kutta_3",
        ),
        (
            "physics.tracers={type: weno, order: 7}",
            "physics.tracers.order: found 7; expected 3 or 5",
        ),
        (
            "physics.mixing={type: constant}",
            "physics.mixing: found a section with type; expected a list; write for example []",
        ),
        (
            "physics.mixing=[{type: kpp}]",
            "physics.mixing[0].type: found 'kpp'; expected one of constant, convective, pacan",
        ),
        (
            "physics.friction={slip: no}",
            "physics.friction.slip: found 'no'; expected free or none",
        ),
        (
            "physics.friction={viscosity: -5}",
            "physics.friction.viscosity: found -5; expected a diffusivity of at least",
        ),
        ("physics.gravity=0", "physics.gravity: found 0; expected a number above 0"),
        ("physics.free_surface.type=rigid_lid", "physics.free_surface.type: found 'rigid_lid'"),
        ("expected_speed=3 m", "expected_speed: found '3 m', a length; expected a speed"),
        ("time=null", "time: found nothing; expected"),
    ],
)
def test_physics_that_is_refused(override, problem):
    found = refusals(override)
    assert any(line.startswith(problem) for line in found), found


def test_the_narrowest_block_fills_the_halo_of_the_model():
    assert OceanNamelist.narrowest_block == OceanModel.halo


def test_an_empty_section_is_the_default():
    assert ocean("physics={}").physics == Physics()
