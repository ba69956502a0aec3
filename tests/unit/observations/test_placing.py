"""Which observations are used, when, and what becomes of the others."""

from __future__ import annotations

import numpy as np
import pytest

from dassim.io.observations import ObservationError, joined
from dassim.observations.placing import Moments, Placer, Thinning
from dassim.observations.rejections import Reason, Rejections
from tests.models.observed import VARIABLES, sea, table

DAY = 86400.0


@pytest.fixture(scope="module")
def placer():
    return Placer.on(sea(), Moments(0.0, (DAY, 2 * DAY, 3 * DAY)))


def placed(placer, thinning=None, kind="T", **columns):
    found, gone = placer("Jo.T", VARIABLES[kind], table(kind=kind, **columns), thinning)
    return found, gone


@pytest.mark.parametrize(
    ("reason", "columns"),
    [
        (Reason.NOT_A_NUMBER, {"value": np.nan}),
        (Reason.NOT_A_NUMBER, {"x": np.nan}),
        (Reason.NOT_A_NUMBER, {"x": np.inf}),
        (Reason.NOT_A_NUMBER, {"time": np.nan}),
        (Reason.NOT_A_NUMBER, {"depth": np.nan}),
        (Reason.QUALITY, {"good": False}),
        (Reason.NO_ERROR, {"error": np.nan}),
        (Reason.NO_ERROR, {"error": 0.0}),
        (Reason.WINDOW, {"time": -1.0}),
        (Reason.WINDOW, {"time": 3 * DAY + 1.0}),
        (Reason.OUTSIDE, {"y": 80e3 + 1.0}),
        (Reason.OUTSIDE, {"y": -1.0}),
        (Reason.OUTSIDE, {"depth": -1.0}),
        (Reason.LAND, {"x": 60e3, "y": 40e3}),
        (Reason.BOTTOM, {"depth": 401.0}),
        (Reason.BOTTOM, {"y": 5e3, "depth": 201.0}),
    ],
)
def test_what_cannot_be_used_is_counted_once(placer, reason, columns):
    bad, good = table(**columns), table()
    found, gone = placer("Jo.T", VARIABLES["T"], joined([good, bad, good]))
    assert len(found) == 2
    assert gone.read == {"Jo.T": 3} and gone.used == {"Jo.T": 2}
    assert {r: n for r, n in gone.counts["Jo.T"].items() if n} == {reason: 1}


def test_observations_go_to_the_nearest_moment(placer):
    time = DAY * np.array([0.0, 0.9, 1.49, 1.5, 2.4, 2.51, 3.0])
    found, _ = placed(placer, time=time)
    assert found.moment.tolist() == [0, 0, 0, 1, 1, 2, 2]


def test_times_at_the_ends_of_the_window_may_be_rounded(placer):
    """As 20 minutes are that a file has as days since 1950."""
    found, gone = placed(placer, time=[-2.4e-7, 3 * DAY + 2.4e-7, 3 * DAY + 1.0])
    assert found.moment.tolist() == [0, 2]
    assert gone.counts["Jo.T"][Reason.WINDOW] == 1


def test_edges_belong_to_the_grid(placer):
    found, gone = placed(placer, y=[0.0, 80e3], depth=0.0)
    assert len(found) == 2 and gone.used == {"Jo.T": 2}


def test_thinning_keeps_the_one_nearest_to_the_centre_of_each_cell_level_and_time(placer):
    x = [21e3, 24e3, 29e3, 24e3, 24e3, 31e3]
    depth = [110.0, 120.0, 130.0, 210.0, 120.0, 120.0]
    time = DAY * np.array([0.1, 0.2, 0.3, 0.1, 1.1, 0.1])
    found, gone = placed(placer, Thinning(DAY), x=x, y=65e3, depth=depth, time=time)
    assert found.table.row.tolist() == [1, 3, 4, 5]
    assert gone.counts["Jo.T"][Reason.THINNED] == 2
    every, _ = placed(placer, Thinning(10 * DAY), x=x, y=65e3, depth=depth, time=time)
    assert every.table.row.tolist() == [1, 3, 5]


def test_of_equals_the_first_in_the_file_is_kept(placer):
    found, _ = placed(placer, Thinning(DAY), value=[1.0, 2.0, 3.0])
    assert found.table.value.tolist() == [1.0]


def test_a_rejected_observation_does_not_thin_out_a_good_one(placer):
    found, gone = placed(placer, Thinning(DAY), x=[25e3, 21e3], good=[False, True])
    assert found.table.row.tolist() == [1]
    assert gone.counts["Jo.T"][Reason.THINNED] == 0


def test_positions_must_be_those_of_the_grid(placer):
    with pytest.raises(ObservationError, match="found observations at longitude and latitude, exp"):
        placer("Jo.T", VARIABLES["T"], table("spherical", x=10.0, y=10.0))


def test_rejections_are_shown_as_a_table():
    counts = {"Jo.T": {Reason.LAND: 2, Reason.QUALITY: 1}, "Jo.S": {Reason.LAND: 0}}
    assert str(Rejections({"Jo.T": 10, "Jo.S": 4}, counts)).splitlines() == [
        "observations  read  used  marked bad  on land",
        "Jo.T            10     7           1        2",
        "Jo.S             4     4           0        0",
    ]
