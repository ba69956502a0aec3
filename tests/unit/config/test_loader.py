"""Reading, inheriting, overriding, validating; what is wrong comes all at once, with its place."""

from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

from dassim.config import Namelist, NamelistError, Problem, load
from dassim.config.schema.section import Count, Section
from dassim.config.units import Duration, Length

DATA = Path(__file__).parent / "data"


class Ring(Section):
    type: Literal["ring"]
    radius: Length
    """Radius of the ring."""
    file: str = ""


class Square(Section):
    type: Literal["square"]
    side: Annotated[Length, Field(examples=["3 m"])]
    """Length of a side; all four are equal."""
    ring: int = 0


class Toy(Section):
    shape: Annotated[Ring | Square, Field(discriminator="type")]
    count: Count = 1
    pace: Duration | None = None
    flags: bool = False
    word: Literal["alpha", "beta"] = "alpha"
    weights: Annotated[tuple[float, ...], Field(min_length=2, strict=False)] = (1.0, 1.0)


class Model1(Toy):
    model: Literal["one"]


class Model2(Section):
    model: Literal["two"]
    extra: int = 0


Several = Annotated[Model1 | Model2, Field(discriminator="model")]


@pytest.fixture
def write(tmp_path):
    def write(text, name="a.yaml"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def refusals(path, schema: Any = Toy, **options):
    with pytest.raises(NamelistError) as caught:
        load(path, schema, environment={}, **options)
    return [str(problem).removeprefix(f"{path.parent}/") for problem in caught.value.problems]


def test_a_good_namelist_becomes_a_frozen_object(write):
    toy = load(write("shape: {type: ring, radius: 2 km}\npace: 1 h\n"), Toy).namelist
    assert toy == Toy(shape=Ring(type="ring", radius=2000.0), pace=3600.0)
    with pytest.raises(Exception, match="frozen"):
        toy.count = 3


def test_all_problems_come_at_once_in_the_order_of_lines(write):
    path = write(
        "count: 2.5\n"
        "shape:\n"
        "  type: ring\n"
        "  radus: 3\n"
        "flags: yes\n"
        "word: alfa\n"
        "pace: 4 m\n"
        "count: 7\n"
        "speed: ${FAST}\n"
    )
    assert refusals(path) == [
        "a.yaml:1: count: found 2.5; expected an integer; correct the value",
        "a.yaml:2: shape.radius: found nothing; expected radius of the ring; add radius: 4 km",
        "a.yaml:4: shape.radus: found an unknown key; expected one of type, radius, file; did you "
        "mean radius?",
        "a.yaml:5: flags: found 'yes'; expected true or false; write it without quotes and units",
        "a.yaml:6: word: found 'alfa'; expected alpha or beta; did you mean alpha?",
        "a.yaml:7: pace: found '4 m', a length; expected a time above 0 s such as '20 min'; "
        "correct the unit",
        "a.yaml:8: count: found the key a second time (first on line 1); expected every key once; "
        "remove one of the two",
        "a.yaml:9: speed: found '${FAST}' with FAST not set; expected the environment variable "
        "FAST; set it (export FAST=...), or write ${FAST:-default}",
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "shape: {type: rng, radius: 1}",
            "a.yaml:1: shape.type: found 'rng'; expected ring or square; did you mean ring?",
        ),
        (
            "shape: {radius: 1}",
            "a.yaml:1: shape.type: found nothing; expected ring or square; add type: ring",
        ),
        (
            "shape: 3",
            "a.yaml:1: shape: found 3; expected a section with type; write its keys on indented "
            "lines",
        ),
        (
            "shape: {type: square}",
            "a.yaml:1: shape.side: found nothing; expected length of a side; add side: 3 m",
        ),
        (
            # The tag "ring" is also the name of a key of the other type.
            "shape: {type: square, side: 1, ring: x}",
            "a.yaml:1: shape.ring: found 'x'; expected an integer; write it without quotes and "
            "units",
        ),
        ("shape: {type: ring, radius: 1}\ncount: 0", "a.yaml:2: count: found 0; expected a number"),
        ("shape: {type: ring, radius: 1}\ncount: '3'", "a.yaml:2: count: found '3'; expected an"),
        ("shape: {type: ring, radius: 1}\ncount: true", "a.yaml:2: count: found true; expected an"),
        ("shape: {type: ring, radius: 1}\ncount:", "a.yaml:2: count: found nothing; expected an"),
        (
            "shape: {type: ring, radius: 1}\nweights: [1]",
            "a.yaml:2: weights: found [1]; expected at least 2 items",
        ),
        (
            "shape: {type: ring, radius: 1}\nweights: [1, x]",  # long enough
            "a.yaml:2: weights[1]: found 'x'; expected a number",
        ),
    ],
)
def test_each_kind_of_problem(write, text, problem):
    (found,) = refusals(write(text))
    assert found.startswith(problem)


def test_one_of_several_models_is_chosen_and_its_name_is_no_part_of_the_keys(write):
    assert load(write("model: two\nextra: 3"), Several).namelist == Model2(model="two", extra=3)
    assert refusals(write("model: one\nshape: {type: ring, radius: -1}"), Several) == [
        "a.yaml:2: shape.radius: found -1; expected a length above 0 m such as '4 km'; correct the "
        "value or its unit"
    ]
    (problem,) = refusals(write("model: tow"), Several)
    assert problem == "a.yaml:1: model: found 'tow'; expected one or two; did you mean two?"


# -- the file as a whole --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "found"),
    [("", "an empty file"), ("# nothing\n", "an empty file"), ("- 1\n", "[1]"), ("a\n", "'a'")],
)
def test_a_file_without_keys_is_refused(write, text, found):
    (problem,) = refusals(write(text))
    assert problem == (
        f"a.yaml:1: found {found}; expected a namelist: lines of key: value; `dassim schema` lists "
        f"the keys"
    )


def test_a_missing_file_suggests_its_neighbour(write):
    path = write("x: 1", "double_gyre.yaml").with_name("doublegyre.yaml")
    (problem,) = refusals(path)
    assert problem == (
        "doublegyre.yaml: found no such file; expected a namelist in YAML; did you mean "
        "double_gyre.yaml?"
    )


def test_a_directory_and_bytes_are_refused(tmp_path):
    (problem,) = refusals(tmp_path / ".")
    assert "is a directory" in problem
    (tmp_path / "latin.yaml").write_bytes(b"name: caf\xe9\n")
    (problem,) = refusals(tmp_path / "latin.yaml")
    assert "found byte 9 that is not UTF-8" in problem


# -- inheritance ----------------------------------------------------------------------------------


def test_a_variant_merges_sections_and_replaces_those_of_another_type():
    coarse = load(DATA / "box_coarse.yaml", Namelist, environment={}).namelist
    fine = load(DATA / "box.yaml", Namelist, environment={}).namelist
    assert (coarse.grid.nx, coarse.grid.ny, coarse.grid.dy) == (6, 4, 20e3)
    assert (coarse.grid.lx, coarse.grid.beta) == (fine.grid.lx, fine.grid.beta)
    assert coarse.vertical.model_dump() == {"type": "uniform", "nz": 2, "depth": 150.0}
    assert coarse.time == fine.time


def test_errors_name_the_file_that_has_the_line(write):
    write("count: 0\nshape:\n  type: ring\n  radius: 1\n", "base.yaml")
    path = write("base: base.yaml\nshape:\n  radius: 4 s\n")
    problems = refusals(path)
    assert problems[0].startswith("a.yaml:3: shape.radius: found '4 s', a time")
    assert problems[1].startswith("base.yaml:1: count: found 0")


def test_a_section_of_another_type_has_nothing_to_do_with_the_base_s(write):
    write("count: 1\nshape:\n  type: ring\n  side: ${GONE}\n", "base.yaml")
    path = write("base: base.yaml\npace: 1 h\nshape:\n  type: square\n")
    (found,) = refusals(path)
    assert found.startswith("a.yaml:3: shape.side: found nothing; expected length of a side")


def test_an_override_is_not_blamed_for_the_rest_of_its_section(write):
    path = write("pace: 1 h\nshape:\n  type: ring\n  file: ${GONE}\n")
    options = ["shape.file=x", "flags=true"]
    (found,) = refusals(path, overrides=options)
    assert found.startswith("a.yaml:2: shape.radius: found nothing")


def test_null_takes_back_an_optional_key(write):
    write("shape: {type: ring, radius: 1}\npace: 1 h\n", "base.yaml")
    assert load(write("base: base.yaml\npace: null\n"), Toy).namelist.pace is None


def test_a_base_of_a_base(write, tmp_path):
    (tmp_path / "deep").mkdir()
    write("shape: {type: ring, radius: 1}\ncount: 3\n", "deep/first.yaml")
    write("base: first.yaml\npace: 1 h\n", "deep/second.yaml")
    toy = load(write("base: deep/second.yaml\ncount: 4\n"), Toy).namelist
    assert (toy.count, toy.pace, toy.shape.radius) == (4, 3600.0, 1.0)


def test_relative_paths_start_from_the_namelist_that_names_them(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "depth.nc").write_bytes(b"")
    text = (DATA / "box.yaml").read_text()
    text = text.replace("type: flat", "{type: file, file: depth.nc, variable: h}")
    (tmp_path / "deep" / "first.yaml").write_text(text.replace("bathymetry:\n ", "bathymetry:"))
    (tmp_path / "second.yaml").write_text("base: deep/first.yaml\n")
    namelist = load(tmp_path / "second.yaml", Namelist, environment={}).namelist
    assert namelist.bathymetry.file == tmp_path / "deep" / "depth.nc"


@pytest.mark.parametrize(
    ("base", "problem"),
    [
        ("a.yaml", "a.yaml:1: base: found 'a.yaml'; expected a namelist that has not this one"),
        ("b.yaml", "b.yaml:1: base: found 'a.yaml'; expected a namelist that has not this one"),
        ("c.yaml", "a.yaml:1: base: found no file"),
        ("3", "a.yaml:1: base: found 3; expected the path of a namelist"),
    ],
)
def test_a_base_that_cannot_be(write, base, problem):
    write("base: a.yaml\n", "b.yaml")
    (found,) = refusals(write(f"base: {base}\n"))
    assert found.startswith(problem)


# -- overrides ------------------------------------------------------------------------------------

RING = "shape: {type: ring, radius: 1}\n"


def test_overrides_win_and_are_yaml_themselves(write):
    options = ["count=4", "shape.radius=2 km", "pace=${PACE}"]
    toy = load(write(RING), Toy, overrides=options, environment={"PACE": "1 h"}).namelist
    assert (toy.count, toy.shape.radius, toy.pace) == (4, 2000.0, 3600.0)


def test_an_override_of_the_type_drops_the_other_type_s_keys(write):
    options = ["shape.type=square", "shape.side=3"]
    toy = load(write(RING), Toy, overrides=options).namelist
    assert toy.shape == Square(type="square", side=3.0)


@pytest.mark.parametrize(
    ("option", "problem"),
    [
        ("coutn=3", "--set coutn=3: coutn: found an unknown key; expected one of shape, count"),
        ("shape.radius=4 s", "--set shape.radius=4 s: shape.radius: found '4 s', a time"),
        ("count=", "--set count=: count: found nothing; expected an integer"),
        ("count", "--set count: found 'count'; expected key=value such as grid.nx=40"),
        (".count=3", "--set .count=3: found '.count=3'; expected key=value"),
        ("count=[1", "--set count=[1: found"),
        ("count=${N}", "--set count=${N}: count: found '${N}' with N not set"),
    ],
)
def test_a_wrong_override_is_named(write, option, problem):
    (found, *_) = refusals(write(RING), overrides=[option])
    assert found.startswith(problem)


# -- problems found later -------------------------------------------------------------------------


def test_problems_found_while_building_get_their_place(write):
    loaded = load(write("count: 1\nshape:\n  type: ring\n  radius: 1\n"), Toy)
    with pytest.raises(NamelistError) as caught, loaded.located():
        raise NamelistError([Problem(("shape", "radius"), "too round")])
    assert str(caught.value).endswith("a.yaml:4: shape.radius: too round")
