"""What is doubtful about an atmosphere before its first step."""

from __future__ import annotations

from dassim.config import Namelist, load
from dassim.config.experiment import doubts
from dassim.parallel import SerialCommunicator
from tests.models.namelists import ATMOSPHERE, SMALLER
from tests.models.terrain import NAMELIST, made_up


def found_of(path, overrides):
    namelist = load(path, Namelist, overrides=overrides).namelist
    return [str(doubt) for doubt in doubts(namelist, SerialCommunicator())]


DRY = ATMOSPHERE["held_suarez"], SMALLER["held_suarez"]
MOIST = "initial.relative_humidity=0.5"


def test_vapour_that_nothing_keeps_from_falling_below_zero_is_doubtful():
    path, small = DRY
    assert found_of(path, [*small, MOIST]) == [
        "physics.columns: found vapour and no positive_humidity among them; expected a process "
        "that fills levels where advection may leave less than no vapour; put {type: "
        "positive_humidity} first, or expect some negative humidity"
    ]


def test_vapour_that_is_kept_from_falling_below_zero_raises_no_doubt():
    path, small = DRY
    assert found_of(path, [*small, MOIST, "physics.columns=[{type: positive_humidity}]"]) == []


def test_the_vapour_of_an_analysis_raises_no_doubt_in_the_namelist_of_the_project(tmp_path):
    assert not [line for line in found_of(NAMELIST, made_up(tmp_path)) if "vapour" in line]
