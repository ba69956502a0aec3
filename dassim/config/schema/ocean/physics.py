"""Equations of the ocean: what a namelist chooses of numerics, closures and constants."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, Strict

from dassim.config.schema.friction import Friction
from dassim.config.schema.numerics import AdvectionScheme, RungeKutta3, TimeStepper, Weno
from dassim.config.schema.section import Count, Section
from dassim.config.units import (
    Acceleration,
    BiharmonicDiffusivity,
    Density,
    Diffusivity,
    HeatCapacity,
    Length,
    Speed,
    SquaredFrequency,
    Temperature,
    ThermalExpansion,
)

# -- equation of state ----------------------------------------------------------------------------


class LinearEOS(Section):
    """rho = rho0 (1 - alpha (T - T0) + beta (S - S0))."""

    type: Literal["linear"]
    rho0: Density = 1026.0
    """Reference density."""
    alpha: ThermalExpansion = 1.67e-4
    """Thermal expansion."""
    beta: float = 7.8e-4
    """Haline contraction, for salinity in g/kg."""
    T0: Temperature = 10.0
    """Temperature at which water has the reference density."""
    S0: float = 35.0
    """Salinity at which water has the reference density, in g/kg."""


class TEOS10(Section):
    """Conservative Temperature and Absolute Salinity in the 55-term Boussinesq polynomial of Roquet
    et al. (2015), Ocean Modelling 90, 29."""

    type: Literal["teos10"]
    rho0: Density = 1026.0
    """Reference density of the Boussinesq approximation."""


EquationOfState = Annotated[LinearEOS | TEOS10, Field(discriminator="type")]

# -- momentum -------------------------------------------------------------------------------------


class VectorInvariant(Section):
    """Advection as vorticity flux and gradient of kinetic energy (Sadourny 1975)."""

    type: Literal["vector_invariant"]
    conserving: Literal["energy", "enstrophy"] = "energy"
    """What the discrete vorticity flux conserves."""


class FluxForm(Section):
    """Advection as divergence of fluxes through the faces of the velocities' cells."""

    type: Literal["flux_form"]
    scheme: AdvectionScheme = Weno(type="weno")
    """Reconstruction of velocities at the faces."""


MomentumAdvection = Annotated[VectorInvariant | FluxForm, Field(discriminator="type")]


class Drag(Section):
    """Bottom stress / rho0 = -(linear + quadratic |u|) u."""

    linear: Annotated[Speed, Field(ge=0)] | None = None
    """Coefficient of linear drag; none when left out."""
    quadratic: Annotated[float, Field(ge=0, examples=[1e-3])] | None = None
    """Coefficient of quadratic drag; none when left out."""
    background_speed: Annotated[Speed, Field(ge=0)] = 0.0
    """Speed of unresolved motion, such as tides, in quadratic drag."""


# -- free surface ---------------------------------------------------------------------------------


class SplitExplicit(Section):
    """Substeps within each step, averaged. Shchepetkin & McWilliams (2005), Ocean Modelling 9,
    347."""

    type: Literal["split_explicit"]
    substeps: Count | None = None
    """Substeps per step; as many as the courant number asks for when left out."""
    courant: Annotated[float, Field(gt=0, le=1)] = 0.7
    """Length of a substep over its stability limit, where substeps are not given."""
    filter: Literal["least_dispersion", "least_damping"] = "least_dispersion"
    """Averaging over substeps: most exact phase, or least damping."""
    linear: bool = False
    """Depth at rest instead of the depth at the start of the step."""
    substeps_per_exchange: Count | None = None
    """Substeps between two messages; does not change the answer."""


class Implicit(Section):
    """One implicit step, solved by preconditioned conjugate gradients."""

    type: Literal["implicit"]
    theta: Annotated[float, Field(ge=0.5, le=1)] = 0.6
    """Weight of the end of the step: 0.5 trapezoidal, 1 backward Euler."""
    linear: bool = False
    """Depth at rest instead of the depth at the start of the step."""
    tolerance: Annotated[float, Field(gt=0, lt=1)] = 1e-12
    """Residual over right-hand side at which the solver stops."""
    max_iterations: Count = 1000
    """Iterations after which the solver stops."""
    degree: Annotated[int, Field(ge=0)] = 1
    """Applications of the operator in the preconditioner; 0 is Jacobi."""


FreeSurface = Annotated[SplitExplicit | Implicit, Field(discriminator="type")]

# -- mixing ---------------------------------------------------------------------------------------


class Diffusion(Section):
    """Lateral diffusion of tracers along levels."""

    diffusivity: Diffusivity | None = None
    """Laplacian diffusivity; none when left out."""
    biharmonic: BiharmonicDiffusivity | None = None
    """Biharmonic diffusivity; none when left out."""
    scale_length: Length | None = None
    """With it the coefficients are those of a cell of this size, the Laplacian one growing with the
    cell's size and the biharmonic one with its cube; without, they are constant."""


class ConstantMixing(Section):
    """Vertical mixing that is the same everywhere."""

    type: Literal["constant"]
    viscosity: Diffusivity = 0.0
    """Vertical viscosity."""
    diffusivity: Diffusivity = 0.0
    """Vertical diffusivity."""


class SurfaceEnhancedMixing(Section):
    """diffusivity (1 + exp(-k / cells)), with k the distance from the surface in cells. Moses et
    al. (2026)."""

    type: Literal["surface_enhanced"]
    diffusivity: Diffusivity
    """Vertical diffusivity at depth, half of that at the surface."""
    cells: Annotated[float, Field(gt=0, examples=[5])] = 5.0
    """Cells over which the enhancement falls by a factor e."""


class PacanowskiPhilander(Section):
    """Mixing by shear, weaker the larger the Richardson number. Pacanowski & Philander (1981),
    J. Phys. Oceanogr. 11, 1443."""

    type: Literal["pacanowski_philander"]
    viscosity: Diffusivity = 5e-3
    """Viscosity of neutral water."""
    alpha: Annotated[float, Field(gt=0)] = 5.0
    """Factor on the Richardson number."""
    exponent: Annotated[float, Field(gt=0)] = 2.0
    """Power of 1 + alpha Ri."""
    background_viscosity: Diffusivity = 1e-4
    """Viscosity of strongly stratified water."""
    background_diffusivity: Diffusivity = 1e-5
    """Diffusivity of strongly stratified water."""


class ConvectiveAdjustment(Section):
    """Enhanced mixing where the water is unstably stratified."""

    type: Literal["convective"]
    diffusivity: Diffusivity = 1.0
    """Diffusivity of unstable water."""
    viscosity: Diffusivity = 0.0
    """Viscosity of unstable water."""
    width: Annotated[SquaredFrequency, Field(gt=0)] | None = None
    """Range of -N2 over which mixing rises smoothly; with a jump when left out."""


VerticalMixing = Annotated[
    ConstantMixing | SurfaceEnhancedMixing | PacanowskiPhilander | ConvectiveAdjustment,
    Field(discriminator="type"),
]


class Physics(Section):
    """The ocean's equations."""

    eos: EquationOfState = LinearEOS(type="linear")
    """Equation of state."""
    gravity: Annotated[Acceleration, Field(gt=0)] = 9.81
    """Acceleration by gravity."""
    heat_capacity: HeatCapacity = 3991.86795711963
    """Specific heat capacity of seawater."""
    momentum: MomentumAdvection = VectorInvariant(type="vector_invariant")
    """Advection of momentum."""
    tracers: AdvectionScheme = Weno(type="weno")
    """Advection of temperature, salinity and passive tracers."""
    free_surface: FreeSurface = SplitExplicit(type="split_explicit")
    """External mode."""
    stepper: TimeStepper = RungeKutta3(type="runge_kutta_3")
    """Time stepping."""
    moving_levels: bool = True
    """true: levels follow the surface (z*), and contents are conserved exactly; false: levels are
    fixed, for a small sea level."""
    friction: Friction = Friction()
    """Lateral friction."""
    diffusion: Diffusion = Diffusion()
    """Lateral diffusion of tracers."""
    mixing: Annotated[tuple[VerticalMixing, ...], Strict(False), Field(examples=["[]"])] = ()
    """Closures of vertical mixing, whose coefficients add up."""
    drag: Drag = Drag()
    """Bottom drag."""
