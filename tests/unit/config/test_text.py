"""The resolved namelist reads back to an equal one, and agrees with the JSON schema."""

from pathlib import Path

import pytest
import yaml

from dassim.config import Namelist, load
from dassim.config.jsonschema import json_schema
from dassim.config.text import as_yaml

DATA = Path(__file__).parent / "data"
NAMELISTS = sorted(DATA.glob("*.yaml"))


@pytest.fixture(scope="module")
def validator():
    jsonschema = pytest.importorskip("jsonschema")
    schema = json_schema(Namelist)
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize("path", NAMELISTS, ids=lambda path: path.stem)
def test_resolved_namelists_read_back(path, tmp_path):
    namelist = load(path, Namelist, environment={}).namelist
    copy = tmp_path / "copy.yaml"
    copy.write_text(as_yaml(namelist))
    assert load(copy, Namelist, environment={}).namelist == namelist


def test_small_numbers_and_dates_survive(tmp_path):
    text = as_yaml(load(DATA / "box.yaml", Namelist, environment={}).namelist)
    assert "beta: 2.0e-11" in text
    assert "start: '2000-02-29'" in text


@pytest.mark.parametrize("path", NAMELISTS, ids=lambda path: path.stem)
def test_shipped_namelists_follow_the_json_schema(path, validator):
    # Dates and numbers as an editor's YAML 1.2 reads them.
    validator.validate(yaml.load(path.read_text(), Loader=CoreLoader))


@pytest.mark.parametrize(
    "change",
    [
        {"grid": {"type": "cartesian", "nx": 1.5, "ny": 2, "lx": 1, "ly": 1}},
        {"grid": {"type": "cartesian", "nxx": 1}},
        {"grid": {"type": "hexagonal"}},
        {"precision": "float16"},
        {"unknown": 1},
        {"name": None},
    ],
)
def test_the_json_schema_refuses_what_the_loader_refuses(change, validator):
    namelist = yaml.load((DATA / "box.yaml").read_text(), Loader=CoreLoader)
    assert validator.is_valid(namelist)
    assert not validator.is_valid(namelist | change)


def test_only_a_namelist_with_a_base_may_leave_keys_out(validator):
    assert not validator.is_valid({"name": "x"})
    assert validator.is_valid({"name": "x", "base": "y.yaml", "grid": {"nx": 3}})
    assert not validator.is_valid({"base": "y.yaml", "grid": {"nxx": 3}})


def test_descriptions_say_the_unit():
    cartesian = json_schema(Namelist)["$defs"]["CartesianGrid"]["properties"]
    assert cartesian["lx"]["description"] == "Extent along x. Give this or dx. [m]"
    assert cartesian["beta"]["description"].endswith("[m-1 s-1]")


class CoreLoader(yaml.SafeLoader):
    """Dates stay text, 1e-4 is a number."""


CoreLoader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in resolvers if not tag.endswith(":timestamp")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
