"""YAML as people write it, the place of every key, and all that can be wrong with the text."""

import math
import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dassim.config.errors import NamelistError, Place
from dassim.config.yaml import Text, parse


def read(text, environment=None):
    return parse(text, Place("a.yaml", 1), Path("/data"), environment or {})


def messages(text, environment=None):
    return [str(problem) for problem in read(text, environment).problems]


def refusal(text):
    with pytest.raises(NamelistError) as caught:
        read(text)
    return str(caught.value)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("12", 12),
        ("-3", -3),
        ("010", 10),
        ("1e-4", 1e-4),
        ("1E5", 1e5),
        ("-.5", -0.5),
        ("2.", 2.0),
        ("1.5e+3", 1500.0),
        ("true", True),
        ("false", False),
        ("~", None),
        ("", None),
    ],
)
def test_plain_scalars_are_what_they_look_like(written, value):
    (found,) = read(f"a: {written}").value.values()
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    "written", ["yes", "on", "off", "No", "y", "1:30", "2000-01-31", "0x10", "1_000", "4 km", "1e"]
)
def test_everything_else_is_text(written):
    assert read(f"a: {written}").value == {"a": written}


def test_quoted_numbers_are_text():
    assert read("a: '12'").value == {"a": "12"}


def test_infinity_and_not_a_number_are_written_with_a_point():
    values = read("a: [.inf, -.inf, .nan]").value["a"]
    assert values[:2] == [math.inf, -math.inf]
    assert math.isnan(values[2])


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_float_that_python_prints_reads_back(number):
    assert read(f"a: {number!r}").value == {"a": number}


def test_places_are_the_lines_of_keys_and_items():
    document = read("grid:\n  nx: 4\n  dx:\n  - 1\n  - 2\nlist: [\n 1,\n 2]\n")
    lines = {path: place.line for path, place in document.places.items()}
    assert lines == {
        (): 1,
        ("grid",): 1,
        ("grid", "nx"): 2,
        ("grid", "dx"): 3,
        ("grid", "dx", 0): 4,
        ("grid", "dx", 1): 5,
        ("list",): 6,
        ("list", 0): 7,
        ("list", 1): 8,
    }
    assert document.place(("grid", "missing", 3)).line == 1


def test_aliases_repeat_what_their_anchor_names():
    assert read("a: &x {n: 1}\nb: *x\n").value == {"a": {"n": 1}, "b": {"n": 1}}


def test_an_alias_of_itself_is_a_problem():
    (problem,) = messages("a: &x\n  b: *x\n")
    assert problem.startswith("a.yaml:2: a.b: found an alias of what encloses it")


def test_text_knows_the_directory_it_was_written_in_also_after_pickling():
    text = read("a: x.nc").value["a"]
    assert isinstance(text, Text)
    assert pickle.loads(pickle.dumps(text)).directory == Path("/data")


# -- variables ------------------------------------------------------------------------------------


def test_variables_expand_before_the_type_is_decided():
    environment = {"NX": "40", "DATA": "/big", "EMPTY": ""}
    text = "a: ${NX}\nb: ${DATA}/x.nc\nc: ${DT:-20 min}\nd: ${NX:-7}\ne: '${NX}'\nf: x${EMPTY}\n"
    assert read(text, environment).value == {
        "a": 40,
        "b": "/big/x.nc",
        "c": "20 min",
        "d": 40,
        "e": "40",
        "f": "x",
    }


def test_a_quoted_variable_by_itself_may_be_a_number_where_yaml_wants_quotes():
    text = "a: [\"${NX}\", 'n${NX}', '40', {b: \"${NX}\"}]\nc: \"${NX}\"\nd: ['${NY:-7}']"
    assert read(text, {"NX": "40"}).value == {
        "a": [40, "n40", "40", {"b": 40}],
        "c": "40",
        "d": [7],
    }


def test_a_variable_that_is_not_set_names_the_nearest_one_and_the_remedy():
    (problem,) = messages("a: 1\nb: ${DASIM_DATA}/x.nc", {"DASSIM_DATA": "/data"})
    assert problem == (
        "a.yaml:2: b: found '${DASIM_DATA}' with DASIM_DATA not set; expected the environment "
        "variable DASIM_DATA; did you mean DASSIM_DATA? set it (export DASIM_DATA=...), or write "
        "${DASIM_DATA:-default}"
    )


@pytest.mark.parametrize("written", ["${DATA/x", "${}", "${1A}", "${A:-${B}}"])
def test_a_malformed_variable_is_a_problem(written):
    (problem, *_) = messages(f"a: {written}", {"DATA": "x", "A": "x"})
    assert "expected ${NAME} or ${NAME:-default}" in problem


def test_a_dollar_without_a_brace_is_a_dollar():
    assert read("a: 5$ or $HOME").value == {"a": "5$ or $HOME"}


# -- what is wrong --------------------------------------------------------------------------------


def test_duplicate_keys_name_both_lines_and_the_first_counts():
    document = read("grid:\n  nx: 1\n  nx: 2\n  nx: 3\n")
    assert document.value == {"grid": {"nx": 1}}
    assert [str(problem) for problem in document.problems] == [
        f"a.yaml:{line}: grid.nx: found the key a second time (first on line 2); expected every "
        f"key once; remove one of the two"
        for line in (3, 4)
    ]


def test_all_lines_with_tabs_are_reported():
    text = refusal("grid:\n\tnx: 4\n  # a\ttab in a comment\n\tny: 4\n")
    assert [line.split(": ")[0] for line in text.splitlines()] == ["a.yaml:2", "a.yaml:4"]
    assert "found a tab; expected spaces" in text


def test_what_is_not_yaml_shows_the_line():
    assert refusal("a: 1\nb: [1, 2\nc: 3\n").startswith("a.yaml:3: found 'c: 3'; expected YAML")


def test_variables_in_flow_style_need_quotes_and_the_error_says_so():
    assert 'quotes around text with a variable: "${NAME}"' in refusal("a: {b: ${X}}")


@pytest.mark.parametrize("text", ["a: 1\n---\nb: 2\n", "a: @x", "a: b: c", "a: '", "a: \0"])
def test_broken_text_is_refused_with_a_place(text):
    assert refusal(text).startswith("a.yaml:")


@pytest.mark.parametrize("written", ["!!python/object:os.system x", "!mine 3", "!!set {a}"])
def test_tags_are_problems(written):
    (problem,) = messages(f"a: {written}")
    assert "expected a value without a tag; remove it" in problem


def test_a_list_as_a_key_is_a_problem():
    (problem,) = messages("a:\n  ? [1, 2]\n  : 3\n")
    assert problem.startswith("a.yaml:2: a: found a list or section as a key")


@given(st.text(alphabet=st.sampled_from(list("ab1:-[]{}#&*!|>'\"%@,?\n \t$")), max_size=30))
def test_any_text_is_read_or_refused(text):
    try:
        document = read(text)
    except NamelistError as error:
        problems = error.problems
    else:
        problems = document.problems
    assert all(problem.place for problem in problems)
