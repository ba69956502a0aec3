"""The time loop of a toy model: stopped, resumed, failing; the same bits whatever happens."""

import csv
import json
from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

from dassim.parallel import Domain
from dassim.simulation.clock import Clock
from dassim.simulation.errors import RunError, UnstableError
from dassim.simulation.events import NEVER, At, Every, months
from dassim.simulation.plan import Outlet, Plan
from dassim.simulation.snapshots import StateSeries
from tests.models.lorenz import Lorenz96
from tests.models.plate import Plate, PlateState
from tests.models.runs import (
    PLAN,
    STEPS,
    Listener,
    MemoryWriter,
    broken,
    case,
    end_state,
    outlets,
    run,
    stepped,
)
from tests.models.states import same_bits


def assert_same(one, other):
    assert one.keys() == other.keys()
    assert all(same_bits(one[name], other[name]) for name in one)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def record(folder):
    return json.loads((folder / "run.json").read_text())


def log(folder):
    with (folder / "log.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Folder, end state and records of a run that nothing disturbs."""
    folder = tmp_path_factory.mktemp("undisturbed")
    means, fast = MemoryWriter(), MemoryWriter()
    run(folder, case(), outlets=outlets(means, fast))
    return folder, end_state(folder, case()), means.records, fast.records


# -- the loop -------------------------------------------------------------------------------------


def test_a_run_steps_the_model(undisturbed):
    _, state, _, _ = undisturbed
    expected = stepped(case())
    assert float(state["time"]) == STEPS * 60.0
    assert all(np.allclose(state[name], expected[name], rtol=1e-14) for name in expected)


@pytest.mark.parametrize("patience", [0.0, 1e9])
@pytest.mark.parametrize("every", [1, 7, STEPS])
def test_bits_do_not_depend_on_where_segments_end(tmp_path, undisturbed, patience, every):
    run(tmp_path, case(), Plan(log=Every(every), patience=patience))
    assert_same(end_state(tmp_path, case()), undisturbed[1])


def test_the_step_is_compiled_once(tmp_path):
    traced = []

    class Counted(Plate):
        def step(self, parameters, state):
            traced.append(1)
            return super().step(parameters, state)

    counted = Counted(Domain.serial((6, 8), periodic=(False, True)))
    run(tmp_path, case(counted), replace(PLAN, log=Every(7)))
    assert len(traced) == 1


def test_a_model_without_measures_or_outputs_runs(tmp_path):
    model = Lorenz96.create(8)
    start = case(model, state=model.state(np.arange(8.0)))
    run(tmp_path, start)
    assert np.allclose(end_state(tmp_path, start)["x"], stepped(start)["x"], rtol=1e-12)


def test_python_numbers_in_the_state_become_arrays(tmp_path):
    plain = case()
    state = PlateState(np.asarray(plain.state.T), plain.state.tracers, 0.0)
    run(tmp_path, replace(plain, state=state))
    assert_same(end_state(tmp_path, plain), end_state(tmp_path, plain))


# -- output ---------------------------------------------------------------------------------------


def test_means_of_months_begin_and_end_with_them(tmp_path):
    """Also over a stop in the middle of one."""
    days = replace(case(), clock=Clock("1999-01-15", "noleap", 86400.0), steps=60)
    schedule, means = months(1, days.clock, days.steps), MemoryWriter()
    outlet = Outlet("monthly", "mean", ("T",), schedule, means)
    for options in ({"stop_at": 30}, {"resume": True}):
        run(tmp_path, days, Plan(patience=0.0), [outlet], **options)
    bounds = [(start / 86400, end / 86400) for start, end, _ in means.records]
    assert bounds == [(0, 17), (17, 45)]
    february = [stepped(days, step)["T"] for step in range(18, 46)]
    np.testing.assert_allclose(means.records[1][2]["T"], np.mean(february, axis=0), rtol=1e-14)


def test_means_are_of_all_steps_since_the_record_before(undisturbed):
    _, _, records, _ = undisturbed
    assert [(start, end) for start, end, _ in records] == [
        (360.0 * n, 360.0 * (n + 1)) for n in range(5)
    ]
    for number, (_, _, arrays) in enumerate(records):
        states = [stepped(case(), step) for step in range(6 * number + 1, 6 * number + 7)]
        assert np.allclose(arrays["T"], np.mean([s["T"] for s in states], axis=0), rtol=1e-14)
        expected = np.mean([s["tracers.dye"] for s in states], axis=0)
        assert np.allclose(arrays["dye"], expected, rtol=1e-14)


def test_snapshots_are_of_their_instant(undisturbed):
    _, _, _, records = undisturbed
    assert [(start, end) for start, end, _ in records] == [(240.0 * n,) * 2 for n in range(1, 8)]
    assert np.allclose(records[1][2]["dye"], stepped(case(), 8)["tracers.dye"], rtol=1e-14)


@pytest.mark.parametrize("stop_at", [1, 8, 12, 29])
def test_a_resumed_run_writes_each_record_once(tmp_path, undisturbed, stop_at):
    """A stop anywhere: in the middle of a mean, at a record, next to the end."""
    means, fast = MemoryWriter(), MemoryWriter()
    streams = outlets(means, fast)
    stopped = run(tmp_path, case(), outlets=streams, stop_at=stop_at)
    assert (stopped.step, stopped.finished, stopped.reason) == (stop_at, False, "SIGTERM")
    assert means.closed
    finished = run(tmp_path, case(), outlets=streams, resume=True)
    assert (finished.step, finished.finished) == (STEPS, True)
    _, state, expected_means, expected_fast = undisturbed
    assert_same(end_state(tmp_path, case()), state)
    for records, expected in ((means.records, expected_means), (fast.records, expected_fast)):
        assert [record[:2] for record in records] == [record[:2] for record in expected]
        for (_, _, one), (_, _, other) in zip(records, expected, strict=True):
            assert_same(one, other)


def test_a_stream_that_is_new_begins_at_the_restart(tmp_path):
    run(tmp_path, case(), stop_at=8)
    means = MemoryWriter()
    run(tmp_path, case(), outlets=outlets(means, MemoryWriter()), resume=True)
    assert [record[:2] for record in means.records][:2] == [(480.0, 720.0), (720.0, 1080.0)]
    states = [stepped(case(), step)["T"] for step in range(9, 13)]
    assert np.allclose(means.records[0][2]["T"], np.mean(states, axis=0), rtol=1e-14)


# -- restarts -------------------------------------------------------------------------------------


def test_a_killed_run_goes_on_from_the_last_restart(tmp_path, undisturbed):
    """Killed is: records that were not flushed, and all after the restart at step 15, are lost."""

    class Killed(BaseException):
        pass

    class Killing(Listener):
        def tick(self, step, steps):
            if step == 19:
                raise Killed

    means, fast = MemoryWriter(), MemoryWriter()
    with pytest.raises(Killed):
        run(tmp_path, case(), outlets=outlets(means, fast), listener=Killing())
    assert (len(means.records), means.durable) == (3, 2)
    listener = Listener()
    run(tmp_path, case(), outlets=outlets(means, fast), resume=True, listener=listener)
    assert listener.lines[0] == f"going on from {tmp_path}/restarts/2000-01-01T00-15-00"
    assert_same(end_state(tmp_path, case()), undisturbed[1])
    assert [record[1] for record in means.records] == [record[1] for record in undisturbed[2]]
    assert [line["step"] for line in log(tmp_path)] == ["0", "10", "20", "30"]


def test_the_newest_and_the_milestones_are_kept(tmp_path):
    run(tmp_path, case(), Plan(restarts=Every(3), keep_last=2, milestones=Every(12)))
    assert names(tmp_path / "restarts") == [
        f"2000-01-01T00-{minutes}-00" for minutes in (12, 24, 27, 30)
    ]


def test_without_a_schedule_there_is_one_restart_at_the_end(tmp_path):
    run(tmp_path, case(), Plan())
    assert names(tmp_path / "restarts") == ["2000-01-01T00-30-00"]


def test_a_damaged_restart_is_named_and_the_one_before_is_used(tmp_path, undisturbed):
    run(tmp_path, case(), stop_at=18)
    newest = tmp_path / "restarts" / "2000-01-01T00-18-00" / "rank_00000.h5"
    newest.write_bytes(newest.read_bytes()[:-1] + b"x")
    listener = Listener()
    run(tmp_path, case(), resume=True, listener=listener)
    assert listener.lines[:2] == [
        f"left out a damaged restart: {newest}: found other contents than were written (sha256)",
        f"going on from {tmp_path}/restarts/2000-01-01T00-15-00",
    ]
    assert_same(end_state(tmp_path, case()), undisturbed[1])


def test_a_damaged_restart_does_not_push_out_whole_ones(tmp_path, undisturbed):
    run(tmp_path, case(), stop_at=18)
    (tmp_path / "restarts" / "2000-01-01T00-18-00" / "rank_00000.h5").write_bytes(b"")
    run(tmp_path, case(), replace(PLAN, keep_last=1), resume=True, stop_at=17)
    assert names(tmp_path / "restarts") == ["2000-01-01T00-17-00", "2000-01-01T00-18-00"]
    run(tmp_path, case(), resume=True)
    assert_same(end_state(tmp_path, case()), undisturbed[1])


def test_a_mean_under_way_is_told_to_the_writer(tmp_path):
    told = []

    class Told(MemoryWriter):
        def truncate_after(self, seconds, begun=None):
            told.append((seconds, begun))

    outlet = Outlet("means", "mean", ("T",), Every(6), Told())
    for options in ({"stop_at": 15}, {"resume": True}):
        run(tmp_path, case(), PLAN, [outlet], **options)
    assert told == [(900.0, 720.0)]


def test_where_no_restart_is_whole_the_run_does_not_begin(tmp_path):
    run(tmp_path, case(), Plan())
    piece = tmp_path / "restarts" / "2000-01-01T00-30-00" / "rank_00000.h5"
    piece.unlink()
    with pytest.raises(RunError) as refused:
        run(tmp_path, case(), resume=True)
    assert str(refused.value) == (
        f"{tmp_path}/restarts: found 1 restarts, none of them whole; remove them to begin at the "
        f"start"
    )
    assert record(tmp_path)["status"] == "failed"


def test_where_there_is_no_restart_the_run_begins(tmp_path, undisturbed):
    listener = Listener()
    run(tmp_path, case(), resume=True, listener=listener)
    assert listener.lines[0] == "found no restart; begin at the start"
    assert_same(end_state(tmp_path, case()), undisturbed[1])


def test_a_finished_run_can_be_lengthened(tmp_path, undisturbed):
    run(tmp_path, case(steps=20))
    assert run(tmp_path, case(steps=20), resume=True).finished
    run(tmp_path, case(), resume=True)
    assert_same(end_state(tmp_path, case()), undisturbed[1])
    assert len(record(tmp_path)["sessions"]) == 2


def test_a_restart_after_the_end_is_refused(tmp_path):
    run(tmp_path, case())
    with pytest.raises(RunError, match=r"found a restart at step 30, after the end of this run at"):
        run(tmp_path, case(steps=20), resume=True)


def test_a_leaf_that_the_model_does_not_have_is_refused(tmp_path):
    run(tmp_path, case(), stop_at=8)
    model = Lorenz96.create(8)
    with pytest.raises(RunError, match=r"found T, which this model does not have; continue with"):
        run(tmp_path, case(model, state=model.state(np.arange(8.0))), resume=True)


# -- time limit -----------------------------------------------------------------------------------


def test_a_run_stops_before_its_wall_clock_time_is_over(tmp_path, undisturbed):
    """No time at all: one look, one restart a session."""
    plan = replace(PLAN, wall_clock=0.0, patience=1.0)
    sessions = 0
    outcome = run(tmp_path, case(), plan)
    while not outcome.finished:
        assert outcome.reason == "the wall-clock limit of 0 s"
        outcome = run(tmp_path, case(), plan, resume=True)
        sessions += 1
    assert sessions == STEPS - 1
    assert_same(end_state(tmp_path, case()), undisturbed[1])


def test_time_enough_is_no_reason_to_stop(tmp_path):
    assert run(tmp_path, case(), replace(PLAN, wall_clock=1e6)).finished


# -- states for the recovery ----------------------------------------------------------------------


@pytest.mark.parametrize("schedule", [At((4, 9)), Every(5, first=3, last=9)])
def test_snapshots_for_the_recovery_are_read_back_bitwise(tmp_path, schedule):
    run(tmp_path, case(), replace(PLAN, snapshots=schedule))
    series = StateSeries.open(tmp_path / "snapshots", case().model.domain)
    assert series.steps == ((4, 9) if isinstance(schedule, At) else (5,))
    for step in series.steps:
        assert series.seconds(step) == 60.0 * step
        run(tmp_path / str(step), case(steps=step), Plan())
        state = series.read(step, case().state)
        expected = end_state(tmp_path / str(step), case(steps=step))
        assert same_bits(state.T, expected["T"])
        assert same_bits(state.tracers["dye"], expected["tracers.dye"])


def test_part_of_a_snapshot_is_read(tmp_path):
    run(tmp_path, case(), replace(PLAN, snapshots=At((4,))))
    series = StateSeries.open(tmp_path / "snapshots", case().model.domain)
    part = series.read(4, {"T": case().state.T})
    assert same_bits(part["T"], series.read(4, case().state).T)


def test_a_snapshot_that_is_not_there_or_damaged_is_refused(tmp_path):
    run(tmp_path, case(), replace(PLAN, snapshots=At((4,))))
    series = StateSeries.open(tmp_path / "snapshots", case().model.domain)
    with pytest.raises(RuntimeError, match=r"no state of step 5; there are those of steps 4$"):
        series.read(5, case().state)
    piece = next((tmp_path / "snapshots").glob("*/rank_00000.h5"))
    piece.write_bytes(piece.read_bytes()[:-1])
    with pytest.raises(RuntimeError, match=r"is damaged: .*rank_00000.h5: found \d+ bytes"):
        series.read(4, case().state)


# -- stability ------------------------------------------------------------------------------------


def hot(steps=STEPS):
    """The point at row 2, column 5 passes 100 degrees at the first step."""
    return case(steps=steps, parameters=Plate.create().parameters(hot=(2, 5)))


def test_a_state_beyond_a_limit_ends_the_run(tmp_path):
    with pytest.raises(UnstableError) as ended:
        run(tmp_path, hot(), Plan(log=Every(10)))
    message = str(ended.value)
    assert message.startswith(
        "the run became unstable at step 1, 2000-01-01 00:01:00: highest_temperature of "
    )
    assert "degC is beyond the limit 100 at level 0, row 2, column 5; the states of" in message
    series = StateSeries.open(tmp_path / "diagnosis", case().model.domain)
    assert series.steps == (0, 1)
    assert same_bits(series.read(0, case().state).T, case().state.T)
    assert float(series.read(1, case().state).T[0, 2, 5]) > 100
    assert (record(tmp_path)["status"], record(tmp_path)["step"]) == ("unstable", 1)
    assert not (tmp_path / "restarts").exists()


def test_the_reason_is_told_where_its_states_cannot_be_written(tmp_path):
    (tmp_path / "diagnosis").write_text("in the way")
    told = r"highest_temperature of .* its states could not be written \(.*diagnosis"
    with pytest.raises(UnstableError, match=told):
        run(tmp_path, hot(), Plan(log=Every(10)))


def test_the_first_wrong_step_is_found_inside_a_segment(tmp_path):
    warm = case(parameters={"growth": jnp.zeros((6, 8)).at[3, 3].set(0.2)})
    with pytest.raises(UnstableError, match=r"at step (1[0-9]), .* at level [01], row 3, column 3"):
        run(tmp_path, warm, Plan(log=Every(30), patience=1e9))
    before, after = StateSeries.open(tmp_path / "diagnosis", case().model.domain).steps
    assert after == before + 1
    run(tmp_path / "shorter", replace(warm, steps=before), Plan())


def test_limits_can_be_moved_and_lifted(tmp_path):
    short = hot(steps=3)
    with pytest.raises(UnstableError, match="beyond the limit 5000 at"):
        run(tmp_path / "moved", short, Plan(limits={"highest_temperature": 5000.0}))
    assert run(tmp_path / "lifted", short, Plan(limits={"highest_temperature": None})).finished


def test_a_lower_limit(tmp_path):
    with pytest.raises(UnstableError, match=r"lowest_dye of .* is beyond the limit 0.9 at row"):
        run(tmp_path, case(), Plan(log=Every(1), limits={"lowest_dye": 0.9}))


def test_limits_of_nothing_are_refused(tmp_path):
    with pytest.raises(RunError) as refused:
        run(tmp_path, case(), Plan(limits={"speed": 1.0}))
    assert str(refused.value) == (
        "run.limits: found speed; this model has limits of highest_temperature, lowest_dye; "
        "correct or remove it"
    )


def test_what_is_not_a_number_ends_the_run_before_a_restart(tmp_path):
    model = Plate.create()
    lost = case(model, parameters={"growth": model.parameters()["growth"].at[1, 7].set(np.nan)})
    with pytest.raises(UnstableError) as ended:
        run(tmp_path, lost, Plan(restarts=Every(1)))
    assert "T is not finite at level 0, row 1, column 7, one of 2 such points" in str(ended.value)
    assert "tracers.dye is not finite at row 1, column 7, one of 1 such" in str(ended.value)
    assert not (tmp_path / "restarts").exists()


def test_a_start_that_is_not_a_number_is_refused(tmp_path):
    state = case().state
    with pytest.raises(UnstableError, match="the state at step 0 cannot be run: T is not finite"):
        run(tmp_path, case(state=replace(state, T=state.T.at[0, 0, 0].set(np.inf))))


# -- reports --------------------------------------------------------------------------------------


def test_the_log_has_the_models_numbers(undisturbed):
    folder, state, _, _ = undisturbed
    lines = log(folder)
    assert [line["step"] for line in lines] == ["0", "10", "20", "30"]
    assert lines[-1]["date"] == "2000-01-01 00:30:00"
    assert float(lines[-1]["mean_temperature (degC)"]) == pytest.approx(state["T"].mean())
    assert float(lines[-1]["highest_temperature (degC)"]) == state["T"].max()
    assert float(lines[-1]["lowest_dye (1)"]) == state["tracers.dye"].min()


def test_lines_for_people(tmp_path):
    listener = Listener()
    run(tmp_path, case(), listener=listener)
    first, second = listener.lines[:2]
    assert first.startswith("2000-01-01 00:00:00  step 0/30  T 15")
    assert second.startswith("2000-01-01 00:10:00  step 10/30  T 14")
    assert "degC  up to 1" in second
    assert second.endswith(" left")
    assert "years/day" in second
    assert "Mcells/s" in second


def test_the_record_has_the_figures_of_merit(undisturbed):
    folder, _, means, _ = undisturbed
    found = record(folder)
    assert (found["status"], found["step"], found["steps"]) == ("finished", 30, 30)
    assert (found["ranks"], found["grid"], found["cells"]) == (1, [6, 8], 96)
    merit, seconds = found["figure_of_merit"], found["wall_seconds"]
    in_loop = sum(seconds[part] for part in ("steps", "monitor", "output", "restarts"))
    assert merit["steps_per_second"] == pytest.approx(30 / in_loop)
    assert merit["cell_steps_per_second"] == pytest.approx(96 * 30 / in_loop)
    years = merit["steps_per_second"] * 60.0 / (365 * 86400.0) * 86400.0
    assert merit["simulated_years_per_day"] == pytest.approx(years)
    assert sum(seconds.values()) == pytest.approx(2 * seconds["total"], rel=1e-6)
    assert (found["of_steps"]["halo"], found["of_steps"]["compute"]) == (0.0, seconds["steps"])
    assert found["files"]["restarts"]["count"] == 6
    written = sum(array.nbytes for _, _, arrays in means for array in arrays.values())
    assert found["files"]["fields/means"]["bytes"] == written
    assert found["notes"] == {"name": "plate"}


def test_a_stopped_run_says_why(tmp_path):
    run(tmp_path, case(), stop_at=8)
    assert record(tmp_path)["status"] == "stopped"
    assert record(tmp_path)["reason"] == "SIGTERM"
    run(tmp_path, case(), resume=True)
    found = record(tmp_path)
    assert (found["status"], [session["status"] for session in found["sessions"]]) == (
        "finished",
        ["stopped"],
    )


def test_a_log_that_cannot_be_written_ends_the_run(tmp_path, monkeypatch):
    with (
        broken(monkeypatch, "dassim.simulation.folder.Log.add", OSError(28, "")),
        pytest.raises(RunError) as ended,
    ):
        run(tmp_path, case())
    assert str(ended.value) == (
        f"{tmp_path}: No space left on device; restarts in {tmp_path}/restarts are as they were; "
        f"make room or choose a folder that can be written, and resume"
    )


def test_dates_of_other_calendars():
    clock = Clock("1999-12-30T18:00:00", "360_day", 0.5)
    assert clock.text(2 * 86400 - 1) == "2000-01-01 17:59:59.500000"
    assert clock.years(2 * 86400 * 360) == 1.0
    assert Clock("2000-02-28", "noleap", 86400.0).text(1) == "2000-03-01 00:00:00"


def test_nothing_is_never_due():
    assert NEVER.next_after(0) is None
