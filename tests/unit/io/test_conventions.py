"""Files of fields in the eyes of the checker of the CF conventions."""

from __future__ import annotations

import pytest

from dassim.ocean.output import OUTPUTS
from tests.models.fields import basin, stream, write_days

suite = pytest.importorskip(
    "compliance_checker.suite", reason="compliance-checker is not installed"
)


@pytest.fixture(scope="module")
def checks():
    from compliance_checker.runner import CheckSuite

    CheckSuite.load_all_available_checkers()
    return CheckSuite()


@pytest.mark.parametrize("geometry", ["cartesian", "spherical"])
@pytest.mark.parametrize("kind", ["mean", "snapshot"])
def test_files_follow_the_conventions(tmp_path, checks, geometry, kind):
    write_days(tmp_path, stream(kind=kind, variables=tuple(OUTPUTS)), basin(geometry), range(2))
    for path in sorted(tmp_path.glob("fields/*/*.nc")) + sorted(tmp_path.glob("fields/*/*/*.nc")):
        dataset = checks.load_dataset(str(path))
        ((scores, errors),) = checks.run_all(dataset, ["cf:1.11"]).values()
        assert not errors
        found = [f"{score.name}: {text}" for score in scores for text in score.msgs or ()]
        assert found == [], path
