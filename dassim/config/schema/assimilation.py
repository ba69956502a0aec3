"""The recovery of states from data, twin experiments, and sensitivities."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from annotated_types import Gt, Lt
from pydantic import BeforeValidator, Field, Strict, model_validator

from dassim.config.explain import refuse
from dassim.config.paths import RunPath
from dassim.config.schema.background import CorrelatedBackground
from dassim.config.schema.observations import ObservationSources, SyntheticSource
from dassim.config.schema.output import Levels
from dassim.config.schema.section import Count, Section
from dassim.config.schema.simulation import Moment
from dassim.config.units import Coordinate, CoordinateQuantity, Duration, Quantity

Seed = Annotated[int, Field(ge=0)]
SpeedDeviation = Annotated[float, Quantity("m s-1", above=0)]
TemperatureDeviation = Annotated[float, Quantity("delta_degC", above=0)]
PressureDeviation = Annotated[float, Quantity("Pa", above=0)]
HeightDeviation = Annotated[float, Quantity("m", above=0)]
Deviation = Annotated[float, Gt(0)]
Ends = Annotated[tuple[float, float], CoordinateQuantity(), Strict(False)]


class Deviations(Section):
    """Standard deviations, or sizes, by variable. What is left out does not take part."""

    u: SpeedDeviation | None = None
    """Of the velocity along x."""
    v: SpeedDeviation | None = None
    """Of the velocity along y."""
    T: TemperatureDeviation | None = None
    """Of the temperature."""
    S: Deviation | None = None
    """Of the salinity."""
    eta: HeightDeviation | None = None
    """Of the sea level."""
    h: HeightDeviation | None = None
    """Of the thickness of a layer of fluid."""
    ps: PressureDeviation | None = None
    """Of the surface pressure."""
    Ts: TemperatureDeviation | None = None
    """Of the temperature of the surface, where it changes: of a slab ocean."""
    tracers: dict[str, Deviation] = Field(default_factory=dict)
    """Of passive tracers, by name."""

    def by_leaf(self) -> dict[str, float]:
        """By the variable's path in a state: ``T``, ``tracers.dye``."""
        return dict(self._given())

    def _given(self) -> Iterator[tuple[str, float]]:
        for name in ("u", "v", "T", "S", "eta", "h", "ps", "Ts"):
            if (value := getattr(self, name)) is not None:
                yield name, value
        yield from ((f"tracers.{name}", value) for name, value in self.tracers.items())


class Window(Section):
    """The time over which data are compared with the run."""

    start: Moment = 0.0
    """Time since the start of the experiment. The nature run of a twin comes through here; else
    first_guess is the state of this time, by default that of the section initial."""
    length: Annotated[Duration, Field(examples=["10 d"])]
    """Length, a whole number of segments."""


class StateOfRun(Section):
    """A state that a run has left among its snapshots or restarts."""

    run: RunPath
    """Folder of the run."""
    at: Moment | None = None
    """Time of the state since the start of that run; that of the window's start when left out.
    Another one's state is taken for the window's start."""


class StatesAsData(Section):
    """States of another run, whole or in parts, that the run is to come close to."""

    run: RunPath | None = None
    """Folder of the run whose snapshots are the data; when left out the nature run of a twin
    experiment or of a chain of jobs."""
    every: Annotated[Duration | None, Field(examples=["1 d"])] = None
    """Time between data, a whole number of segments; one segment when left out."""
    errors: Deviations
    """Standard deviations of the data's errors, by variable: these variables are compared."""
    levels: Levels | None = None
    """Levels that are compared, 0 the topmost: indices, or a range such as 0-9; all when left
    out."""
    stride: Count = 1
    """Every how many points along x and y there are data."""
    columns: Count | None = None
    """Data in so many columns of water, chosen by chance; in all when left out."""
    noise: bool = False
    """Whether normal noise of these standard deviations is added to the data."""
    seed: Seed = 0
    """Another seed chooses other columns and other noise."""


class Sought(Section):
    """What is changed until the run fits the data, and by how much it may be wrong."""

    state: Deviations = Deviations()
    """Variables of the state at the window's start, with the expected sizes of their errors."""
    parameters: dict[str, Deviation] = Field(default_factory=dict)
    """Numbers and fields of the model by their paths, such as forcing.stress_x, with the expected
    sizes of their errors, in SI units."""
    windows: dict[str, Deviation] = Field(default_factory=dict)
    """The same, with a correction of its own for every segment: forcing in time windows."""
    model_error: Deviations = Deviations()
    """Variables to which a correction is added at the start of every segment but the first: weak
    constraint."""

    def at_first(self) -> bool:
        """Whether anything is sought that the first segment knows."""
        return bool(self.state.by_leaf() or self.parameters or self.windows)

    @model_validator(mode="after")
    def _check(self):
        if not (self.at_first() or self.model_error.by_leaf()):
            raise refuse(
                "variables of the state, parameters, or a model error",
                "add for example state: {T: 1 K}",
                found="nothing that is sought",
                key="state",
            )
        return self


class NoBackground(Section):
    """The misfit alone; the sizes of errors scale the problem and cost nothing."""

    type: Literal["none"]


class UncorrelatedBackground(Section):
    """Errors of the sizes given in control, uncorrelated in space: Jb = |x - xb|^2 / (2 size^2)."""

    type: Literal["uncorrelated"]


Background = Annotated[
    NoBackground | UncorrelatedBackground | CorrelatedBackground, Field(discriminator="type")
]


class GravityWaves(Section):
    """A digital filter over the first states of every segment; what of the state in their middle
    is faster than it passes costs Jc = |fast part|^2 / (2 size^2), summed over variables and
    points. Gauthier and Thepaut (2001), Mon. Wea. Rev. 129."""

    size: Deviations
    """Sizes of the fast part that are borne, by variable: these variables are filtered."""
    period: Annotated[Duration, Field(examples=["6 h"])] = 21600.0
    """The shortest period that passes."""
    span: Annotated[Duration | None, Field(examples=["6 h"])] = None
    """Length of the filter, at most a segment; the period when left out."""


class LBFGS(Section):
    """Limited-memory BFGS with a More-Thuente line search, and when it ends."""

    type: Literal["lbfgs"] = "lbfgs"
    iterations: Count = 100
    """Iterations at most."""
    evaluations: Count | None = None
    """Evaluations of cost and gradient at most."""
    pairs: Count = 10
    """How many of the last steps shape the next."""
    gradient_reduction: Annotated[float, Field(ge=0)] = 1e-6
    """Ends where the gradient is this part of what it was at first."""
    relative_decrease: Annotated[float, Field(ge=0)] = 0.0
    """Ends where an iteration lowers the cost by less than this part of it."""


class Incremental(Section):
    """Incremental 4D-Var: the model linearised about the best state so far (outer loops), each time
    a quadratic cost minimised by conjugate gradients in the form of Lanczos (inner iterations).
    Courtier et al. (1994), Q. J. R. Meteorol. Soc. 120. With a background, errors of the analysis
    are estimated."""

    type: Literal["incremental"]
    outer: Count = 3
    """Linearisations at most."""
    inner: Count = 20
    """Inner iterations of each at most."""
    tolerance: Annotated[float, Gt(0), Lt(1)] = 1e-2
    """An inner problem is solved where its gradient is this part of what it was at first."""
    gradient_reduction: Annotated[float, Field(ge=0)] = 1e-6
    """Ends where the gradient is this part of what it was at first."""


def _usual(value: Any) -> Any:
    """A minimiser without a type is L-BFGS."""
    return {"type": "lbfgs", **value} if isinstance(value, dict) and "type" not in value else value


Minimiser = Annotated[LBFGS | Incremental, Field(discriminator="type"), BeforeValidator(_usual)]


class Adjoint(Section):
    """How the sweep back through the window remembers the way."""

    segment: Annotated[Duration | None, Field(examples=["1 d"])] = None
    """Length of a segment, run forward and back as one: a divisor of the window and of the times
    between data; the shortest time between data when left out, with observations at most a day."""
    memory: Annotated[float, Gt(0)] = 1.0
    """GB that a rank may keep of states. Fewer states are kept where they do not all fit, and more
    steps computed again."""
    disk: bool = False
    """Whether states that do not fit into memory go to disk, in the folder of the recovery: fewer
    steps are computed again, and a sweep that was interrupted goes on in its middle."""


class Assimilation(Section):
    """Recovery of a state, and whatever else is sought, from data: 4D-Var."""

    window: Window
    """Time over which data are compared with the run."""
    first_guess: StateOfRun | None = None
    """State to begin with; that of the section initial when left out. It is the background, too."""
    data: Annotated[tuple[StatesAsData, ...], Strict(False)] = ()
    """States of another run as data."""
    observations: ObservationSources = ()
    """Point observations, compared with the run at the nearest end of a segment: at most half a
    segment off, but in the window's first half segment, whose nearest end is that of the first one,
    up to a whole one. A shorter adjoint.segment brings them closer."""
    control: Sought
    """What is sought."""
    background: Background = NoBackground(type="none")
    """How far from the first guess the result may be."""
    gravity_waves: GravityWaves | None = None
    """A penalty on gravity waves."""
    minimiser: Minimiser = LBFGS()
    """The search: lbfgs, or incremental."""
    adjoint: Adjoint = Adjoint()
    """The gradient."""


# -- twins ----------------------------------------------------------------------------------------


class Waves(Section):
    """The truth plus waves along x and y, with whole wavenumbers over the basin.

    The same at all levels. In a closed direction they vanish at the walls: velocities that did not
    would jump there, which is a wave of every length. In a periodic one their phases are random.
    """

    type: Literal["waves"]
    wavenumbers: Count = 5
    """The largest wavenumber along each axis; all from 1 on have the same size."""
    size: Deviations
    """Standard deviation of the waves, by variable."""
    seed: Seed = 0
    """Another seed gives other waves."""


class WhiteNoise(Section):
    """The truth plus normal noise, point by point."""

    type: Literal["noise"]
    size: Deviations
    """Standard deviation, by variable."""
    seed: Seed = 0
    """Another seed gives other noise."""


class OtherTime(Section):
    """The state of the nature run at another time."""

    type: Literal["other_time"]
    at: Moment
    """Time since the start of the nature run."""


FirstGuessError = Annotated[Waves | WhiteNoise | OtherTime, Field(discriminator="type")]


class Twin(Section):
    """A run of the model as nature, and the recovery of its state from a wrong first guess."""

    first_guess: FirstGuessError
    """What is wrong with the first guess."""
    forecast: Moment = 0.0
    """Time beyond the window over which the recovered state is run on, and scored."""


# -- sensitivities --------------------------------------------------------------------------------


class Transport(Section):
    """Volume transport (Sv) to the east through a section along y."""

    type: Literal["transport"]
    x: Coordinate
    """Where the section crosses the x axis."""
    y: Ends | None = None
    """Its ends; from wall to wall when left out."""


class MeanOverBox(Section):
    """Mean of a variable over a box, weighted by volume."""

    type: Literal["mean"]
    variable: str = "T"
    """Which variable of the model's state, or which tracer."""
    x: Ends | None = None
    """Ends of the box along x; the whole basin when left out. Around the sphere from 350 to 10, for
    example."""
    y: Ends | None = None
    """Ends of the box along y."""
    levels: Levels = (0,)
    """Levels; the topmost when left out."""


class KineticEnergy(Section):
    """Kinetic energy of the whole fluid: m5 s-2, without density; of an atmosphere with levels of
    pressure Pa m4 s-2, without gravity."""

    type: Literal["kinetic_energy"]


Objective = Annotated[Transport | MeanOverBox | KineticEnergy, Field(discriminator="type")]


class Sensitivity(Section):
    """The gradient of a number at the end of a window, by what the run depends on."""

    window: Window
    """From the state that is differentiated by to the number."""
    first_guess: StateOfRun | None = None
    """State at the window's start; that of the section initial when left out."""
    objective: Objective
    """The number."""
    by: Annotated[tuple[str, ...], Strict(False), Field(min_length=1, examples=[["T", "stress_x"]])]
    """What it is differentiated by: fields such as T, stress_x or heat, or paths in the state and
    the parameters, such as parameters.drag."""
    points: Annotated[int, Field(ge=0)] = 0
    """At so many points of each, chosen by chance, the gradient is compared with finite
    differences."""
    tolerance: Annotated[float, Gt(0)] = 1e-5
    """The largest relative difference from finite differences with which a derivative counts as
    right, where these know as many digits: round-off of the number bounds their steps from below,
    bends of the model from above. Where they know less, three times their own error is the
    bound; where a derivative is further off, the command ends with an error."""
    seed: Seed = 0
    """Another seed chooses other points."""
    adjoint: Adjoint = Adjoint()
    """How the sweep back remembers the way; a segment is a day, or the window, when left out."""


# -- times ----------------------------------------------------------------------------------------

DAY = 86400.0


def segment_length(assimilation: Assimilation) -> float:
    """Seconds."""
    if assimilation.adjoint.segment is not None:
        return assimilation.adjoint.segment
    given = [every for _, every in _times_between(assimilation) if every is not None]
    if assimilation.observations:
        given.append(DAY)
    return min([*given, assimilation.window.length])


def _times_between(assimilation: Assimilation) -> Iterator[tuple[str, float | None]]:
    """Seconds between data that come at regular times, by their place in the section."""
    for index, data in enumerate(assimilation.data):
        yield f"data[{index}].every", data.every
    for index, source in enumerate(assimilation.observations):
        if isinstance(source, SyntheticSource):
            yield f"observations[{index}].every", source.every


def require_segments(assimilation: Assimilation, twin: Twin | None, step: float) -> None:
    """Refuse times of an assimilation that do not divide into each other."""
    segment = segment_length(assimilation)
    _require_multiple(assimilation.window.start, step, "window.start", "assimilation", least=0)
    _require_multiple(segment, step, "a segment", "assimilation")
    _require_multiple(assimilation.window.length, segment, "window.length", "assimilation")
    if not assimilation.control.at_first() and assimilation.window.length < 1.5 * segment:
        raise refuse(
            "two segments or more, since the model's error is corrected at the start of each but "
            "the first",
            "shorten adjoint.segment or the time between data, or lengthen the window",
            found=f"control.model_error alone, and one segment of {segment:g} s",
            key="assimilation",
        )
    if (waves := assimilation.gravity_waves) is not None:
        _require_filter(waves.span or waves.period, segment, step)
    for place, every in _times_between(assimilation):
        _require_multiple(every or segment, segment, place, "assimilation")
        if (every or segment) > assimilation.window.length * (1 + 1e-9):
            raise refuse(
                f"at most the window of {assimilation.window.length:g} s",
                "lengthen the window, or shorten the time between data",
                found=f"{place} of {every:g} s, which leaves no data",
                key="assimilation",
            )
    if twin is not None:
        _require_multiple(twin.forecast, segment, "forecast", "twin", least=0)
        if isinstance(twin.first_guess, OtherTime):
            _require_multiple(twin.first_guess.at, step, "first_guess.at", "twin", least=0)


def require_window(sensitivity: Sensitivity, step: float) -> None:
    """Refuse times of a sensitivity that do not divide into each other."""
    window, segment = sensitivity.window, sensitivity.adjoint.segment
    _require_multiple(window.start, step, "window.start", "sensitivity", least=0)
    _require_multiple(segment or step, step, "a segment", "sensitivity")
    _require_multiple(window.length, segment or step, "window.length", "sensitivity")


def _require_filter(span: float, segment: float, step: float) -> None:
    """Refuse a filter of fewer than three states, or one longer than a segment."""
    if 2 * step <= span <= segment * (1 + 1e-9):
        return
    raise refuse(
        f"between two time steps ({2 * step:g} s) and a segment ({segment:g} s)",
        "write gravity_waves.span, or a longer adjoint.segment",
        found=f"gravity_waves with a filter over {span:g} s",
        key="assimilation",
    )


def _require_multiple(
    seconds: float, part: float, found: str, section: str, least: int = 1
) -> None:
    """Refuse what is no multiple of ``part``, with the nearest ones from ``least`` on."""
    count = round(seconds / part)
    if abs(seconds / part - count) <= 1e-9 * max(1, count):
        return
    below = math.floor(seconds / part)
    nearest = [f"{number * part:.10g} s" for number in (below, below + 1) if number >= least]
    raise refuse(
        f"a multiple of {part:g} s",
        f"write {' or '.join(nearest)}",
        found=f"{found} of {seconds:.10g} s",
        key=section,
    )
