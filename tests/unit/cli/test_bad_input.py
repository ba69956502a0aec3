"""Every kind of bad input: a clear message on standard error, and exit code 2."""

import netCDF4
import pytest


@pytest.fixture
def refused(dassim, tmp_path, box):
    """Standard error of ``dassim check`` on ``text`` instead of, or ``changes`` to, a good file."""

    def refused(*options, text=None, replace=("", "")):
        path = tmp_path / "a.yaml"
        path.write_text(box.read_text().replace(*replace) if text is None else text)
        result = dassim("check", path, *options)
        assert result.code == 2
        assert result.out == ""
        return result.err.replace(f"{tmp_path}/", "")

    return refused


def test_more_ranks_than_rows(refused):
    assert refused("--ranks", 97) == (
        "a.yaml:23: decomposition.layout: 8 rows of 12 points cannot be divided over 97 ranks with "
        "at least 1 points a block and axis; use fewer ranks (at most 96) or a finer grid\n"
    )
    assert refused("--ranks", 9, replace=("layout: auto", "layout: [9, 1]")) == (
        "a.yaml:23: decomposition.layout: 8 points along y cannot be divided over 9 ranks; use at "
        "most 8 ranks along y, or a finer grid\n"
    )


def test_a_layout_that_does_not_match_the_ranks(refused):
    assert refused("--ranks", 3, replace=("layout: auto", "layout: [2, 2]")) == (
        "a.yaml:23: decomposition.layout: layout 2 x 2 (y, x) needs 4 ranks, found 3; start as "
        "many ranks, or use layout: auto\n"
    )


def test_an_empty_namelist(refused):
    assert refused(text="") == (
        "a.yaml:1: found an empty file; expected a namelist: lines of key: value; `dassim schema` "
        "lists the keys\n"
    )


def test_a_namelist_that_is_not_yaml(refused):
    assert refused(text="name: box\ngrid: {nx: 4\n") == (
        "a.yaml:3: found 'the end of the file'; expected YAML (while parsing a flow mapping: "
        "expected ',' or '}', but got '<stream end>'); correct the line or the one before it\n"
    )


def test_a_tab(refused):
    assert refused(replace=("  ny: 8", "\tny: 8")) == (
        "a.yaml:8: found a tab; expected spaces: YAML does not allow tabs; replace each tab by "
        "spaces\n"
    )


def test_a_duplicate_key(refused):
    assert refused(replace=("  ny: 8", "  ny: 8\n  ny: 9")) == (
        "a.yaml:9: grid.ny: found the key a second time (first on line 8); expected every key "
        "once; remove one of the two\n"
    )


def test_an_unknown_key(refused):
    assert refused(replace=("precision:", "precison:")) == (
        "a.yaml:28: precison: found an unknown key; expected one of name, source, model, grid, "
        "time, decomposition, precision, output, restarts, snapshots, run, assimilation, twin, "
        "sensitivity, vertical, bathymetry; did you mean precision?\n"
    )


def test_a_missing_bathymetry_file(refused, tmp_path):
    flat = ("type: flat", "{type: file, file: sea/depth.nc, variable: h}")
    assert refused(replace=("bathymetry:\n  type: flat", f"bathymetry: {flat[1]}")) == (
        "a.yaml:20: bathymetry.file: found no file sea/depth.nc; expected the path of a file; "
        "correct the path\n"
    )


def test_a_bathymetry_of_the_wrong_shape(refused, tmp_path):
    with netCDF4.Dataset(tmp_path / "depth.nc", "w") as dataset:
        dataset.createDimension("y", 12)
        dataset.createDimension("x", 8)
        dataset.createVariable("h", "f8", ("y", "x"))[:] = 100.0
    section = "bathymetry: {type: file, file: depth.nc, variable: h}"
    assert refused(replace=("bathymetry:\n  type: flat", section)) == (
        "a.yaml:20: bathymetry.variable: found h of shape (12, 8) in depth.nc; expected shape "
        "(8, 12), the (ny, nx) of the grid; correct grid.nx and grid.ny, or choose another "
        "variable\n"
    )


def test_a_missing_namelist(dassim, tmp_path):
    result = dassim("check", tmp_path / "gone.yaml")
    assert result.code == 2
    assert "found no such file; expected a namelist in YAML; correct the path" in result.err


def test_a_wrong_override(refused):
    assert refused("--set", "grid.nx=many", "--set", "grid.nz=3") == (
        "--set grid.nx=many: grid.nx: found 'many'; expected an integer; write it without quotes "
        "and units\n"
        "--set grid.nz=3: grid.nz: found an unknown key; expected one of type, nx, ny, lx, ly, dx, "
        "dy, origin, periodic, f0, beta; did you mean ny or nx?\n"
    )


@pytest.mark.parametrize("arguments", [["chekc"], ["check"], ["check", "a", "--ranks", "0"]])
def test_a_wrong_command_line(dassim, arguments):
    result = dassim(*arguments)
    assert result.code == 2
    assert "Usage" in result.err
