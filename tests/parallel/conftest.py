"""What tests on several ranks share."""

import pytest

from dassim.parallel import world


@pytest.fixture
def folder(tmp_path):
    """One folder for all ranks."""
    return world().bcast(tmp_path)
