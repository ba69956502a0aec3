"""Point observations that a namelist names."""

from __future__ import annotations

import warnings
from dataclasses import replace

import netCDF4
import numpy as np
import pytest

from dassim.assimilation.cost import Huber, Quadratic
from dassim.assimilation.window import Window
from dassim.config import NamelistError
from dassim.config.assimilation import require_data
from dassim.config.experiment import build_experiment
from dassim.config.observations import build_observations
from dassim.config.schema.observations import ArgoSource, IodaSource, TableSource
from dassim.io.observations import joined, write_table
from dassim.io.stream import Clock
from dassim.observations.rejections import Reason
from tests.models.observed import table
from tests.unit.config.ocean import ocean, refusals

START, STEP = "2000-02-29", 1200.0
CLOCK = Clock(START)
WINDOW = Window.of(0, 144, 36)
"""Two days in halves."""


@pytest.fixture(scope="module")
def experiment():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return build_experiment(ocean())


@pytest.fixture
def path(tmp_path):
    """T at three times, once after the window and once far out, and a sea level without error."""
    T = table(x=50e3, y=0.0, depth=15.0, time=np.array([0.1, 0.4, 1.9, 3.0]) * 86400.0)
    far = table(x=50e3, y=90e3, depth=15.0, time=100.0)
    eta = table(kind="eta", x=50e3, y=5e3, time=43200.0, error=np.nan)
    write_table(tmp_path / "a.nc", joined([T, far, eta]), CLOCK)
    return tmp_path / "a.nc"


def source(kind=TableSource, **keys):
    names = {TableSource: "table", ArgoSource: "argo", IodaSource: "ioda"}
    return kind(**{"name": "ships", "type": names[kind], **keys})


def built(experiment, *sources):
    return build_observations(sources, experiment, WINDOW)


def problem(experiment, *sources):
    (found,) = refusals(by=lambda namelist: built(experiment, *sources))
    return found


def test_each_variable_of_a_source_is_a_term_of_the_cost(experiment, path):
    points = built(experiment, source(files=(path,), errors={"eta": 0.05}, huber=3.0))
    assert [term.name for term in points.terms] == ["Jo.ships.T", "Jo.ships.eta"]
    assert all(isinstance(term.loss, Huber) for term in points.terms)
    assert points.count() == {"Jo.ships.T": 3, "Jo.ships.eta": 1}
    counts = points.rejections.counts["Jo.ships.T"]
    assert {reason: n for reason, n in counts.items() if n} == {
        Reason.WINDOW: 1,
        Reason.OUTSIDE: 1,
    }
    there = [int((points.at(step)["Jo.ships.T"].weights > 0).sum()) for step in WINDOW.ends]
    assert there == [1 + 1, 0, 0, 1]
    assert points.at(36)["Jo.ships.eta"].weights.tolist() == [20.0]


def test_observations_need_an_error(experiment, path):
    points = built(experiment, source(files=(path,)))
    assert points.count() == {"Jo.ships.T": 3, "Jo.ships.eta": 0}
    assert points.rejections.counts["Jo.ships.eta"][Reason.NO_ERROR] == 1


def test_a_choice_of_variables_and_options(experiment, path):
    points = built(
        experiment,
        source(files=(path,), variables=("T",), thin=86400.0, check=4.0,
               background_errors={"T": 1.0}),
    )  # fmt: skip
    assert points.count() == {"Jo.ships.T": 2} and points.has_check
    part = points.parts["Jo.ships.T"]
    assert isinstance(part.loss, Quadratic)
    assert (part.tolerance, part.background) == (4.0, 1.0)


def test_a_window_later_in_the_run(experiment, path):
    points = build_observations([source(files=(path,))], experiment, Window.of(72, 72, 36))
    assert points.count()["Jo.ships.T"] == 1
    assert points.rejections.counts["Jo.ships.T"][Reason.WINDOW] == 4


def test_one_file_for_each_day(experiment, path, tmp_path):
    daily = tmp_path / "%Y-%m-%d.nc"
    path.rename(tmp_path / "2000-02-29.nc")
    found = problem(experiment, source(daily=daily))
    assert found.startswith("assimilation.observations[0].daily: found no 2000-03-01.nc in ")
    assert "expected one file for each of 2 days" in found
    write_table(tmp_path / "2000-03-01.nc", table(x=5e4, y=0.0, depth=5.0, time=9e4), CLOCK)
    assert built(experiment, source(daily=daily)).count()["Jo.ships.T"] == 4


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"variables": ("Q",)}, "variables: found 'Q'; expected one of "),
        ({"errors": {"temp": 1.0}}, "errors: found 'temp'; expected one of "),
        ({"variables": ("S",)}, "variables: found no S among T, eta in the files"),
    ],
)
def test_variables_that_there_are_not(experiment, path, keys, expected):
    found = problem(experiment, source(files=(path,), **keys))
    assert found.startswith(f"assimilation.observations[0].{expected}")


def test_what_the_model_does_not_have_is_counted(experiment, tmp_path):
    dye = replace(table(x=5e4, y=0.0, depth=5.0, time=9e4), names=("dye",))
    write_table(tmp_path / "a.nc", dye, CLOCK)
    points = built(experiment, source(files=(tmp_path / "a.nc",)))
    assert points.parts == {}
    assert points.rejections.counts == {"Jo.ships.dye": {Reason.UNKNOWN: 1}}


def test_observations_of_which_none_can_be_used_are_refused_with_their_fates(experiment, path):
    domain, late = experiment.model.domain, Window.of(288, 144, 36)
    points = build_observations([source(files=(path,), variables=("T",))], experiment, late)
    with pytest.raises(NamelistError) as caught:
        require_data([points], points, domain)
    assert str(caught.value.problems[0]) == (
        "assimilation.observations: found no observation that can be used (Jo.ships.T: read 5, "
        "used 0, out of window 5); expected data; add the states of a run, or observations in the "
        "window"
    )
    used = built(experiment, source(files=(path,)))
    assert require_data([used], used, domain) == {"Jo.ships.T": 3, "Jo.ships.eta": 0}


def test_files_for_another_grid_and_calendar(experiment, tmp_path):
    write_table(tmp_path / "a.nc", table("spherical", x=1.0, y=2.0), CLOCK)
    found = problem(experiment, source(files=(tmp_path / "a.nc",)))
    assert "found observations at longitude and latitude, expected x and y in metres" in found
    write_table(tmp_path / "b.nc", table(), Clock(START, "360_day"))
    found = problem(experiment, source(files=(tmp_path / "b.nc",)))
    assert "and calendar 360_day (the run's is standard)" in found


def test_units_of_files_become_those_of_the_model(experiment, tmp_path):
    heights = table(kind="eta", x=50e3, y=5e3, time=43200.0, value=30.0, error=2.0)
    dye = replace(table(x=5e4, y=0.0, depth=5.0, time=9e4), names=("dye",))
    for name, some in (("eta", heights), ("dye", dye)):
        write_table(tmp_path / f"{name}.nc", some, CLOCK)
        with netCDF4.Dataset(tmp_path / f"{name}.nc", "a") as dataset:
            dataset["value"].units = "cm"
    points = built(experiment, source(files=(tmp_path / "eta.nc", tmp_path / "dye.nc")))
    found = points.parts["Jo.ships.eta"].placed.table
    assert (found.value.tolist(), found.error.tolist()) == ([0.3], [0.02])
    with netCDF4.Dataset(tmp_path / "eta.nc", "a") as dataset:
        dataset["value"].units = "s"
    found = problem(experiment, source(files=(tmp_path / "eta.nc",)))
    assert found.startswith("assimilation.observations[0].files: found value in units 's', a time")


def test_two_sources_of_one_name(experiment, path):
    found = problem(experiment, source(files=(path,)), source(files=(path,)))
    assert found.startswith("assimilation.observations[1].name: found two sources named 'ships'")


def test_a_file_of_another_layout(experiment, path):
    found = problem(experiment, source(IodaSource, files=(path,)))
    assert "found no group MetaData" in found
    assert "found no LATITUDE" in problem(experiment, source(ArgoSource, files=(path,)))


SECTION = (
    "assimilation={{window: {{length: 1 d}}, control: {{state: {{T: 1 K}}}}, observations: [{}]}}"
)


def test_a_source_needs_files(tmp_path):
    (found,) = refusals(SECTION.format("{name: a, type: table}"))
    assert "found neither; expected files or daily" in found
    (found,) = refusals(SECTION.format("{name: a, type: table, daily: a.nc}"))
    assert "expected a path with %Y, %m and %d" in found
    (found,) = refusals(SECTION.format("{name: a, type: table, files: [none.nc]}"))
    assert "found no file" in found
