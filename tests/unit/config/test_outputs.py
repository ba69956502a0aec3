"""What a namelist may ask to be written, and the writers that it makes."""

from __future__ import annotations

import netCDF4
import numpy as np
import pytest

from dassim.config import NamelistError
from dassim.config.estimate import footprint
from dassim.config.experiment import build_experiment
from dassim.config.outputs import global_attributes, open_writers, streams
from dassim.parallel import SerialCommunicator
from dassim.simulation.outputs import output, output_variables
from tests.unit.config.ocean import loaded, ocean, refusals

SERIAL = SerialCommunicator()


def stream(**keys):
    keys = {"name": "daily", "every": "1 d", "variables": "[T, eta]"} | keys
    return "{" + ", ".join(f"{key}: {value}" for key, value in keys.items()) + "}"


def output_of(*sections):
    return f"output=[{', '.join(sections)}]"


@pytest.fixture(scope="module")
def experiment():
    return build_experiment(ocean("time.start=2001-03-01"), SERIAL)


def test_nothing_is_written_unless_asked_for(tmp_path, experiment):
    assert ocean().output == ()
    assert open_writers(tmp_path, ocean(), experiment) == {}
    assert list(tmp_path.iterdir()) == []


def test_streams_are_read_with_their_defaults():
    (one,) = streams(ocean(output_of(stream())))
    assert (one.name, one.variables, one.kind) == ("daily", ("T", "eta"), "mean")
    assert (one.levels, one.precision, one.writers, one.file_per) == (
        None,
        "float32",
        None,
        "month",
    )


def test_levels_are_a_list_or_a_range():
    namelist = ocean(output_of(stream(levels="0-2"), stream(name="deep", levels="[1, 3]")))
    assert [one.levels for one in streams(namelist)] == [(0, 1, 2), (1, 3)]


def test_collected_files_have_one_writer_unless_more_are_named():
    namelist = ocean(
        output_of(stream(files="collected"), stream(name="other", files="collected", writers=3))
    )
    assert [one.writers for one in streams(namelist)] == [1, 3]


@pytest.mark.parametrize(
    ("sections", "problem"),
    [
        (
            [stream(every="7 s")],
            "output: found output[0].every of 7 s; expected a whole number of steps of 1200 s; "
            "write for example 1200 s",
        ),
        (
            [stream(), stream()],
            "output: found two streams named 'daily'; expected names of their own; rename one",
        ),
        (
            [stream(variables="[T, T]")],
            "output[0].variables: found 'T' twice; expected each name once; remove one",
        ),
        (
            [stream(writers=2)],
            "output[0].writers: found 2; expected no writers with files: per_rank; write files: "
            "collected, or remove writers",
        ),
        (
            [stream(levels="[3, 1]")],
            "output[0].levels: found [3, 1]; expected indices that grow; sort them, each once",
        ),
        (
            [stream(levels="top")],
            "output[0].levels: found 'top'; expected indices from 0 such as [0, 4], or a range "
            "such as 0-9; correct them",
        ),
        (
            [stream(kind="max")],
            "output[0].kind: found 'max'; expected mean or snapshot; did you mean mean?",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(sections, problem):
    assert refusals(output_of(*sections)) == [problem]


def test_unknown_variables_and_levels_are_refused_at_their_keys(tmp_path, experiment):
    def build(namelist):
        open_writers(tmp_path, namelist, experiment)

    found = refusals(output_of(stream(variables="[T, temp]", levels="[0, 9]")), by=build)
    assert found[0] == "output[0].levels: found level 9; expected levels 0 to 3; correct the list"
    assert found[1].startswith("output[0].variables[1]: found 'temp'; expected one of u, v, T, S,")


def test_the_outputs_of_a_namelist_are_those_of_its_model():
    namelist = ocean("initial.tracers={dye: 1}")
    one = build_experiment(namelist, SERIAL)
    of_model = output_variables(one.model, one.parameters, one.state)
    planned = footprint(namelist).outputs
    assert {name: planned[name].levels for name in planned} == {
        name: variable.levels for name, variable in of_model.items()
    }


def test_a_refusal_names_the_line(tmp_path, experiment):
    one = loaded(output_of(stream(variables="[none]")))
    with pytest.raises(NamelistError, match=r"--set output=.*: output\[0\]"), one.located():
        open_writers(tmp_path, one.namelist, experiment)


def test_writers_write_what_the_model_diagnoses(tmp_path, experiment):
    namelist = ocean(output_of(stream(variables="[T, mld, w]", levels="0-1")))
    writers = open_writers(tmp_path, namelist, experiment)
    with writers["daily"] as writer:
        names = writer.stream.variables
        fields = output(experiment.model, experiment.parameters, experiment.state, names)
        writer.put(0.0, 86400.0, fields)
    with netCDF4.Dataset(tmp_path / "fields/daily/2001-03-01/part_00000.nc") as file:
        np.testing.assert_allclose(file["T"][0], experiment.state.T[:2], rtol=1e-6)
        assert file["w"].dimensions == ("time", "depth_w", "y", "x")
        assert file.title == namelist.name
        assert "name: " in file.namelist
        assert file.references == namelist.source
    assert (tmp_path / "fields/grid/part_00000.nc").exists()


def test_files_name_the_code_that_made_them():
    attributes = global_attributes(ocean(), SERIAL)
    assert attributes["source"].startswith("dassim ")
    assert ", jax 0." in attributes["versions"]
    assert {"title", "history", "commit", "namelist"} <= attributes.keys()
