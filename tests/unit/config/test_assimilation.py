"""What the section assimilation accepts, where its data lie, and what it seeks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import yaml

from dassim.assimilation.corrections import Corrections
from dassim.assimilation.cost import FourDVar, ObservationCost, Observations, ObservationTerm
from dassim.assimilation.data import at_ends
from dassim.assimilation.incremental import Incremental
from dassim.assimilation.lbfgs import LBFGS
from dassim.assimilation.minimise import Criteria, QuasiNewton, minimise
from dassim.assimilation.transform import ControlTransform, Diagonal
from dassim.assimilation.window import Window
from dassim.config import Namelist, NamelistError, NamelistWarning, load
from dassim.config.assimilation import (
    build_gravity_waves,
    build_minimiser,
    build_sweep,
    recovery_identity,
    sweep_store,
    swept,
)
from dassim.config.data import at_time, sampling
from dassim.config.schema import assimilation as schema
from dassim.config.schema.assimilation import Adjoint, Sought, StatesAsData, Waves, segment_length
from dassim.config.twin import error, nature_namelist
from dassim.config.unknowns import build_unknowns
from dassim.parallel import SerialCommunicator
from dassim.simulation.adjoint import Run
from dassim.simulation.checkpoints import states_within
from dassim.simulation.segments import (
    Rematerialisation,
    Segment,
    SegmentData,
    interior_of_a_step,
)
from dassim.simulation.trees import named_leaves
from tests.models.namelists import PROJECT, SMALLER, build
from tests.models.plate import Plate

TWINS = sorted((PROJECT / "namelists" / "assimilation").glob("*.yaml"))
OCEAN = PROJECT / "tests" / "unit" / "config" / "data" / "ocean.yaml"

SECTION = {
    "window": {"start": "1 h", "length": "4 h"},
    "data": [{"every": "2 h", "errors": {"T": "0.1 K"}}],
    "control": {"state": {"T": "1 K"}},
}


@pytest.fixture
def plate():
    return Plate.create(comm=SerialCommunicator())


def namelist(tmp_path, section=SECTION, **changes):
    path = tmp_path / "box.yaml"
    content = {"base": str(OCEAN), "name": "box", "assimilation": section, **changes}
    path.write_text(yaml.safe_dump(content))
    return load(path, Namelist).namelist


def refusals(tmp_path, **changes):
    with pytest.raises(NamelistError) as caught:
        namelist(tmp_path, SECTION | changes)
    return [f"{problem.key}: {problem.message}" for problem in caught.value.problems]


@pytest.mark.parametrize("path", TWINS, ids=lambda path: path.stem)
def test_the_twins_of_the_project_are_valid(path):
    environment = {"DASSIM_DATA": str(PROJECT.parent / "shared" / "data")}
    loaded = load(path, Namelist, environment=environment).namelist
    assert loaded.twin or loaded.sensitivity or loaded.assimilation.data


def test_the_segment_is_the_shortest_time_between_data(tmp_path):
    assert segment_length(namelist(tmp_path).assimilation) == 7200.0
    both = [*SECTION["data"], {"every": "1 h", "errors": {"T": "0.1 K"}}]
    assert segment_length(namelist(tmp_path, SECTION | {"data": both}).assimilation) == 3600.0


def test_synthetic_observations_come_at_the_ends_of_segments(tmp_path):
    def source(every):
        errors = {"T": 0.1}
        return {"name": "floats", "type": "synthetic", "errors": errors, "columns": 5,
                "every": every}  # fmt: skip

    often = SECTION | {"observations": [source("20 min")]}
    assert segment_length(namelist(tmp_path, often).assimilation) == 1200.0
    found = refusals(tmp_path, observations=[source("3 h")])
    assert "found observations[0].every of 10800 s; expected a multiple of 7200 s" in found[0]


def test_data_that_come_after_the_window_alone_are_refused(tmp_path):
    data = [*SECTION["data"], {"every": "6 h", "errors": {"T": "0.1 K"}}]
    assert refusals(tmp_path, data=data) == [
        "assimilation: found data[1].every of 21600 s, which leaves no data; expected at most the "
        "window of 14400 s; lengthen the window, or shorten the time between data"
    ]


def test_times_that_do_not_divide_are_refused(tmp_path):
    assert refusals(tmp_path, window={"length": "3 h"}) == [
        "assimilation: found window.length of 10800 s; expected a multiple of 7200 s; write "
        "7200 s or 14400 s"
    ]
    assert "window.start of 90 s" in refusals(tmp_path, window={"start": 90, "length": "4 h"})[0]
    assert "expected a multiple of 1200 s" in refusals(tmp_path, adjoint={"segment": "50 min"})[0]


@pytest.mark.parametrize(
    ("at", "nearest"), [("5 min", "0 s or 1200 s"), ("250 min", "14400 s or 15600 s")]
)
def test_a_first_guess_between_two_steps_is_refused(tmp_path, at, nearest):
    with pytest.raises(NamelistError) as caught:
        namelist(tmp_path, twin={"first_guess": {"type": "other_time", "at": at}})
    (problem,) = caught.value.problems
    assert problem.key == "twin"
    assert problem.message.startswith("found first_guess.at of ")
    assert problem.message.endswith(f"; expected a multiple of 1200 s; write {nearest}")


def test_a_control_of_nothing_is_refused(tmp_path):
    found = refusals(tmp_path, control={})
    assert (
        "nothing that is sought; expected variables of the state, parameters, or a model error"
        in found[0]
    )


def test_a_model_error_alone_is_sought_over_two_segments_or_more(tmp_path):
    control = {"model_error": {"T": "0.1 K"}}
    found = namelist(tmp_path, SECTION | {"control": control}).assimilation.control
    assert found.model_error.by_leaf() == {"T": 0.1} and not found.state.by_leaf()
    data = [{"every": "4 h", "errors": {"T": "0.1 K"}}]
    assert refusals(tmp_path, control=control, data=data) == [
        "assimilation: found control.model_error alone, and one segment of 14400 s; expected two "
        "segments or more, since the model's error is corrected at the start of each but the "
        "first; shorten adjoint.segment or the time between data, or lengthen the window"
    ]
    assert namelist(tmp_path, SECTION | {"data": data, "control": control | {"state": {"T": 1.0}}})


def test_the_minimiser_is_lbfgs_unless_its_type_says_otherwise(tmp_path):
    def built(**section):
        return build_minimiser(namelist(tmp_path, SECTION | section).assimilation.minimiser)

    assert built() == QuasiNewton(Criteria(iterations=100), pairs=10)
    assert built(minimiser={"iterations": 7, "pairs": 3}) == QuasiNewton(Criteria(iterations=7), 3)
    section = {"type": "incremental", "outer": 2, "inner": 9, "tolerance": 0.1}
    assert built(minimiser=section) == Incremental(2, 9, 0.1, 1e-6)


def test_a_key_of_the_other_minimiser_is_refused(tmp_path):
    found = refusals(tmp_path, minimiser={"type": "incremental", "pairs": 3})
    assert "assimilation.minimiser.pairs: found an unknown key; expected" in found[0]
    assert "outer" in found[0]
    found = refusals(tmp_path, minimiser={"outer": 3})
    assert "assimilation.minimiser.outer: found an unknown key; expected" in found[0]
    found = refusals(tmp_path, minimiser={"type": "incremental", "tolerance": 1.0})
    assert "assimilation.minimiser.tolerance: found 1.0; expected" in found[0]
    found = refusals(tmp_path, minimiser={"type": "newton"})
    assert "assimilation.minimiser.type: found 'newton'; expected incremental or lbfgs" in found[0]


def test_the_tangent_linear_run_takes_twice_the_memory(plate):
    section = schema.Incremental(type="incremental")
    found = swept(section, plate, plate.parameters(), plate.state())
    model, parameters, state = found
    domain, size = plate.domain, 1e6
    assert 2 * states_within(domain, size, state) == states_within(domain, size, plate.state())
    assert interior_of_a_step(model, parameters, state) >= 1


def test_a_recovery_goes_on_with_more_iterations_but_not_with_other_data(tmp_path):
    def identity(**changes):
        section = yaml.safe_load(yaml.safe_dump(SECTION | changes))
        return recovery_identity({"name": "box", "assimilation": section})

    assert identity(minimiser={"iterations": 3}) == identity(adjoint={"memory": 2.0})
    assert identity(minimiser={"pairs": 3}) != identity()
    assert identity(minimiser={"type": "lbfgs"}) == identity()
    incremental = {"type": "incremental", "inner": 5}
    assert identity(minimiser=incremental) != identity()
    assert identity(minimiser=incremental) == identity(minimiser=incremental | {"outer": 7})
    assert identity(minimiser=incremental) != identity(minimiser=incremental | {"inner": 7})
    assert identity(data=[]) != identity()
    assert identity(adjoint={"segment": 3600.0, "disk": True}) != identity(adjoint={"disk": True})


def test_nature_lasts_to_the_end_of_the_forecast_or_to_the_state_that_is_guessed(tmp_path):
    guess = {"type": "noise", "size": {"T": "1 K"}}
    twin = {"first_guess": guess, "forecast": "2 h"}
    nature = nature_namelist(namelist(tmp_path, twin=twin))
    assert nature.time.duration == 7 * 3600.0
    assert nature.twin is None and nature.assimilation is None
    later = {"first_guess": {"type": "other_time", "at": "10 h"}}
    assert nature_namelist(namelist(tmp_path, twin=later)).time.duration == 10 * 3600.0


# -- where there are data -------------------------------------------------------------------------


def sampled(plate, **keys):
    data = StatesAsData(errors={"T": 1.0}, **keys)
    return np.asarray(sampling(data, "T", plate, plate.state().T, ()))


def test_levels_strides_and_columns(plate):
    assert sampled(plate).sum() == 2 * 6 * 8
    assert sampled(plate, levels=(1,)).sum(axis=(1, 2)).tolist() == [0, 48]
    every = sampled(plate, stride=3)[0]
    assert np.argwhere(every).tolist() == [[j, i] for j in (0, 3) for i in (0, 3, 6)]
    columns = sampled(plate, columns=7)
    assert columns[0].sum() == 7
    np.testing.assert_array_equal(columns[0], columns[1])
    assert (columns != sampled(plate, columns=7, seed=1)).any()
    with pytest.raises(NamelistError, match="level 2; expected levels 0 to 1"):
        sampled(plate, levels=(0, 2))


class Source:
    def at(self, step):
        return {f"at {step}": step}


def test_data_are_those_of_the_ends_of_segments():
    data = at_ends(Window.of(100, 30, 10), [Source()])
    assert [data(k).end for k in range(3)] == [{"at 110": 110}, {"at 120": 120}, {"at 130": 130}]


# -- what is sought -------------------------------------------------------------------------------


def test_unknowns_of_state_parameters_windows_and_model_error(plate):
    section = Sought(
        state={"T": 1.0},
        parameters={"growth": 0.1},
        windows={"growth": 0.2},
        model_error={"tracers": {"dye": 0.5}},
    )
    unknowns = build_unknowns(section, plate, plate.parameters(), plate.state(), 2)
    assert unknowns.names == (
        (
            "state.T",
            "parameters.growth",
            "segments.0.parameters.growth",
            "segments.1.parameters.growth",
            "segments.1.state.tracers.dye",
        ),
        (),
    )
    assert float(unknowns.deviations.distributed["segments.1.state.tracers.dye"].max()) == 0.5
    assert set(named_leaves(unknowns.inputs.segments[0])) == {
        "parameters.growth",
        "state.tracers.dye",
    }


def test_an_unknown_that_there_is_not_is_refused_with_what_there_is(plate):
    section = Sought(state={"eta": 1.0})
    with pytest.raises(NamelistError, match=r"control.state.eta: found 'eta'; expected .*'?T"):
        build_unknowns(section, plate, plate.parameters(), plate.state(), 2)


def test_a_model_error_alone_lets_the_cost_fall(plate):
    """Heat that comes between two segments, with the true start."""
    parameters, start = plate.parameters(), plate.state()
    section = Sought(model_error={"T": 1.0})
    unknowns = build_unknowns(section, plate, parameters, start, 2)
    assert unknowns.names == (("segments.1.state.T",), ())
    segment = Segment(
        plate, ObservationCost((ObservationTerm("Jo.T", lambda state, _: state.T),)), Corrections()
    )
    cold, warm = unknowns.inputs.segments
    source = {**warm, "state": {"T": jnp.zeros_like(start.T).at[:, 3, 4].set(2.0)}}
    true, targets = start, []
    for inputs in (cold, source):
        true = segment.advance(2, parameters, inputs, true)
        targets.append(Observations(true.T, jnp.ones_like(true.T)))
    run = Run(segment, (2, 2), lambda k: SegmentData(end={"Jo.T": targets[k]}))
    transform = ControlTransform(unknowns.inputs, Diagonal(unknowns.deviations), *unknowns.names)
    objective = FourDVar(run, transform, ())
    found = minimise(objective, transform.zero(), LBFGS(objective.space), Criteria(iterations=9))
    first, *_, last = found.state.history
    assert first.value > 1.0 and last.value < 1e-6 * first.value
    correction = transform.physical(found.state.point).segments[1]["state"]["T"]
    np.testing.assert_allclose(correction, source["state"]["T"], atol=0.01)


def test_the_temperature_of_a_slab_ocean_can_be_sought():
    slab = "surface={type: slab, depth: 2.4 m, temperature: 290 K}"
    experiment = build("aquaplanet", (*SMALLER["aquaplanet"], slab))
    model, state = experiment.model, experiment.state
    section = Sought(state={"Ts": "0.5 K"}, model_error={"Ts": "0.1 K"})
    unknowns = build_unknowns(section, model, experiment.parameters, state, 2)
    assert unknowns.names == (("state.Ts", "segments.1.state.Ts"), ())
    transform = ControlTransform(unknowns.inputs, Diagonal(unknowns.deviations), *unknowns.names)
    one = jax.tree.map(jnp.ones_like, transform.zero())
    np.testing.assert_allclose(transform.physical(one).state.Ts - state.Ts, 0.5, rtol=1e-12)


def test_corrections_are_added_to_parameters_and_state(plate):
    change = {"parameters": {"growth": jnp.ones((6, 8))}, "state": {"T": jnp.full((2, 6, 8), 2.0)}}
    parameters, state = Corrections()(plate.parameters(), change, plate.state())
    np.testing.assert_array_equal(parameters["growth"], 1.0)
    np.testing.assert_array_equal(state.T, plate.state().T + 2.0)
    np.testing.assert_array_equal(state.tracers["dye"], plate.state().tracers["dye"])


def test_what_a_time_stepper_remembers_is_corrected_too():
    state = {"T": jnp.ones(3), "u": jnp.ones(3), "previous": {"T": jnp.zeros(3), "u": jnp.zeros(3)}}
    change = {"parameters": {}, "state": {"T": jnp.full(3, 2.0)}}
    _, corrected = Corrections()({}, change, state)
    assert [leaf.tolist()[0] for leaf in named_leaves(corrected).values()] == [3.0, 2.0, 0.0, 1.0]
    assert list(named_leaves(corrected)) == ["T", "previous.T", "previous.u", "u"]


def test_a_state_is_moved_in_time(plate):
    assert float(at_time(plate.state(), 600.0).time) == 600.0


def test_waves_have_the_size_that_is_asked_for_and_whole_wavenumbers(plate):
    wide = Plate.create((64, 64), comm=SerialCommunicator())
    section = Waves(type="waves", size={"T": 1.0}, wavenumbers=3)
    waves = np.asarray(error(section, "T", wide.state().T, wide.domain))
    assert waves.std() == pytest.approx(1.0, rel=0.3)
    power = np.abs(np.fft.fft2(waves[0]))
    power[:4, :4] = power[:4, -3:] = power[-3:, :4] = power[-3:, -3:] = 0.0
    assert power.max() < 1e-9
    np.testing.assert_array_equal(waves[0], waves[1])


def test_waves_vanish_at_walls(plate):
    wide = Plate.create((64, 64), comm=SerialCommunicator())
    assert wide.domain.periodic == (False, True)
    section = Waves(type="waves", size={"T": 1.0}, wavenumbers=1)
    waves = np.abs(error(section, "T", wide.state().T, wide.domain)[0])
    np.testing.assert_allclose(waves[[0, -1]] / waves.max(axis=0), np.sin(np.pi / 64), rtol=0.01)
    assert waves[:, 0].max() > 0.2 * waves.max()


# -- the way back ---------------------------------------------------------------------------------


def test_less_is_computed_again_the_more_memory_there_is(plate):
    window, state = Window.of(0, 400, 100), plate.state()
    size = sum(np.asarray(leaf).nbytes for leaf in named_leaves(state).values())

    def sweep(states, **keys):
        section = Adjoint(memory=1e-9 * size * (states + 0.5), **keys)
        schedule, rematerialisation = build_sweep(section, window, plate, plate.parameters(), state)
        return schedule.memory, schedule.uses_disk, rematerialisation

    interior = interior_of_a_step(plate, plate.parameters(), state)
    assert interior > 1
    kept = Rematerialisation(blocks=False, steps=False, interior=interior)
    assert sweep(100 * interior + 4) == (None, False, kept)
    assert sweep(100 * interior + 3) == (None, False, Rematerialisation(blocks=False))
    assert sweep(104) == (None, False, Rematerialisation(blocks=False))
    assert sweep(103) == (None, False, Rematerialisation())
    assert sweep(103, disk=True) == (2, True, Rematerialisation(blocks=False))
    assert sweep(101, disk=True) == (None, False, Rematerialisation())
    assert sweep(23) == (2, False, Rematerialisation())
    assert sweep(23, disk=True) == (2, True, Rematerialisation())


def test_less_memory_than_a_sweep_takes_is_warned_of(plate):
    window, state = Window.of(0, 400, 100), plate.state()
    size = sum(np.asarray(leaf).nbytes for leaf in named_leaves(state).values())
    least = Rematerialisation().states(100) + 2

    def sweep(states):
        section = Adjoint(memory=1e-9 * size * states)
        return build_sweep(section, window, plate, plate.parameters(), state)

    schedule, _ = sweep(least + 0.5)
    assert schedule.memory == 1
    with pytest.warns(NamelistWarning, match=r"adjoint.memory: found a memory of .* at least") as w:
        assert sweep(least - 0.5) == (schedule, Rematerialisation())
    assert f"at least {1e-9 * size * least:.3g} GB" in str(w[0].message)


def test_a_sweep_that_may_use_the_disk_goes_on_from_there(plate, tmp_path):
    store = sweep_store(Adjoint(disk=True), tmp_path, plate.domain)
    assert store is not None and store.own == tmp_path / "adjoint" / "rank_00000"
    assert sweep_store(Adjoint(), tmp_path, plate.domain) is None


# -- gravity waves --------------------------------------------------------------------------------


def test_a_filter_spans_its_period_unless_it_is_told_otherwise(plate):
    def built(**keys):
        section = schema.GravityWaves(size={"T": 0.5}, **keys)
        return build_gravity_waves(section, plate, plate.state())

    assert build_gravity_waves(None, plate, plate.state()) is None
    found = built(period=3600.0)
    assert (found.half, found.steps_in_period) == (30, 60.0)
    np.testing.assert_array_equal(found.inverse_sizes["T"], 2.0)
    assert built(period=3600.0, span=1800.0).half == 15
    with pytest.raises(NamelistError, match=r"gravity_waves.size.eta: found 'eta'"):
        build_gravity_waves(schema.GravityWaves(size={"eta": 1.0}), plate, plate.state())
    with pytest.raises(NamelistError, match=r"gravity_waves.size: found no variable"):
        build_gravity_waves(schema.GravityWaves(size={}), plate, plate.state())


def test_a_filter_longer_than_a_segment_is_refused(tmp_path):
    waves = {"size": {"T": "0.1 K"}, "period": "3 h"}
    assert refusals(tmp_path, gravity_waves=waves) == [
        "assimilation: found gravity_waves with a filter over 10800 s; expected between two time "
        "steps (2400 s) and a segment (7200 s); write gravity_waves.span, or a longer "
        "adjoint.segment"
    ]
    fits = SECTION | {"gravity_waves": waves | {"span": "2 h"}}
    assert namelist(tmp_path, fits).assimilation.gravity_waves.span == 7200.0
