"""The README's namelist is one."""

from __future__ import annotations

from dassim.config import Namelist, load
from tests.models.namelists import PROJECT
from tests.models.readme import yaml_example


def test_the_namelist_of_the_readme_is_valid(tmp_path, monkeypatch, data_directory):
    monkeypatch.setenv("DASSIM_DATA", str(data_directory))
    path = tmp_path / "floats.yaml"
    base = str(PROJECT / "namelists" / "ocean")
    path.write_text(yaml_example("floats").replace("namelists/ocean", base))
    namelist = load(path, Namelist).namelist
    assert namelist.time.calendar == "standard"  # that of real observations
    assert [source.type for source in namelist.assimilation.observations] == [
        "argo",
        "table",
        "ioda",
    ]
