"""Cases of recoveries check every variable that is observed."""

from contextlib import contextmanager

import pytest

from dassim.assimilation.scores import COLUMNS
from dassim.assimilation.tables import plain_table
from tests.validation import recoveries

VARIABLES = ("T", "S", "u", "v", "eta", "h")
FALLEN = {"start": 0.01, "window": 0.001, "forecast": 0.001}
CASES = {
    "channel": (recoveries.recovery_of_the_channel, ("T", "u", "v", "eta"), tuple(FALLEN)),
    "world": (recoveries.recovery_of_the_world_from_fields, VARIABLES[:5], ("start", "window")),
    "profiles": (
        recoveries.recovery_of_the_world_from_profiles,
        ("T", "S", "eta"),
        ("start", "window"),
    ),
    "gyre": (recoveries.recovery_of_the_double_gyre, ("u", "v"), ("start",)),
    "jet": (recoveries.recovery_of_the_jet, ("u", "v", "h"), ("start",)),
    "wave": (recoveries.recovery_of_the_wave, ("u", "v", "T"), ("start",)),
}

each_case = pytest.mark.parametrize("name", CASES)


@pytest.fixture
def told(monkeypatch, tmp_path):
    """The checks of a case whose command prints these errors of the analysis; 1 was the first
    guess's."""

    def checks(run, errors):
        rows = [["first guess", variable, 1.0, 1.0, 1.0] for variable in errors]
        rows += [["analysis", v, *(e[when] for when in FALLEN)] for v, e in errors.items()]
        printed = f"2 J / p = 1.1 with p = 9 data\n{plain_table(COLUMNS, rows)}\nfigures\n"
        (tmp_path / "iterations.csv").write_text("J\n1.0\n1e-9\n")

        @contextmanager
        def ended(*_):
            yield recoveries.Ended(tmp_path, printed)

        monkeypatch.setattr(recoveries, "ended", ended)
        return list(run())

    return checks


@each_case
def test_errors_that_fall_pass(told, name):
    run, _, _ = CASES[name]
    assert all(check.passed for check in told(run, dict.fromkeys(VARIABLES, FALLEN)))


@each_case
def test_an_observed_variable_without_a_score_fails(told, name):
    run, observed, times = CASES[name]
    for missing in observed:
        scored = {v: FALLEN for v in VARIABLES if v != missing}
        failed = [check.what for check in told(run, scored) if not check.passed]
        places = (recoveries.PLACES[when] for when in times)
        assert failed == [f"error of {missing} {place} falls" for place in places]


@each_case
def test_an_error_that_grows_fails(told, name):
    run, observed, times = CASES[name]
    for variable in observed:
        for when in times:
            errors = dict.fromkeys(VARIABLES, FALLEN) | {variable: FALLEN | {when: 1.1}}
            failed = [check.what for check in told(run, errors) if not check.passed]
            assert failed == [f"error of {variable} {recoveries.PLACES[when]} falls"]
