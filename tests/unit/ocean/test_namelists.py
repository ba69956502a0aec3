"""The namelists of the ocean as files."""

from dassim.config import Namelist, load
from tests.models.namelists import OCEAN, environment


def test_files_are_named_as_their_experiments():
    for stem, path in OCEAN.items():
        assert load(path, Namelist, environment=environment()).namelist.name == stem
