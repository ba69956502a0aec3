"""What the commands that look at a run's fields print, draw and return."""

from __future__ import annotations

import re
import shutil
from html.parser import HTMLParser

import netCDF4
import numpy as np
import pytest
from matplotlib import image

from dassim.cli import diff
from tests.models.fields import basin, stream, write_days

NAMES = ("T", "S", "u", "v", "eta", "zeta", "mld")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    write_days(folder, stream(variables=NAMES), basin("spherical"), range(3))
    return folder


@pytest.fixture
def changed(run, tmp_path):
    """The run with one temperature changed on the second day."""
    copy = shutil.copytree(run, tmp_path / "copy")
    with netCDF4.Dataset(copy / "fields/daily/2000-01-30/part_00000.nc", "a") as file:
        j, i = np.argwhere(~file["T"][1, 0].mask)[0]
        file["T"][1, 0, j, i] += 0.5
    return copy


# -- diff -----------------------------------------------------------------------------------------


def test_runs_that_agree(dassim, run):
    result = dassim("diff", run, run)
    assert (result.code, result.err) == (0, "")
    lines = result.out.splitlines()
    assert lines[0].split() == ["variable", "time", "largest", "relative", "rms"]
    assert len(lines) == 2 + 3 * len(NAMES)
    assert lines[-1] == "21 fields agree within 0"


def test_runs_that_differ(dassim, run, changed):
    result = dassim("diff", run, changed)
    assert result.code == diff.APART
    assert re.search(r"^T +2000-01-31T12:00:00 +0.5 ", result.out, flags=re.MULTILINE)
    assert result.out.endswith("1 of 21 fields differ by more than 0: T\n")


def test_a_tolerance_lets_small_differences_pass(dassim, run, changed):
    assert dassim("diff", run, changed, "--tolerance", "0.9").code == 0
    assert dassim("diff", run, changed, "--tolerance", "0.01").code == diff.APART


def test_the_worst_time_of_each_variable(dassim, run, changed):
    result = dassim("diff", run, changed, "--worst")
    rows = [line.split() for line in result.out.splitlines()[1:-1]]
    assert [row[0] for row in rows] == list(NAMES)
    assert rows[0][1] == "2000-01-31T12:00:00"


def test_missing_records_are_a_difference(dassim, run, tmp_path):
    shorter = shutil.copytree(run, tmp_path / "copy")
    shutil.rmtree(shorter / "fields/daily/2000-02-01")
    result = dassim("diff", run, shorter)
    assert result.code == diff.APART
    assert "only the first run has the time 2000-02-01T12:00:00\n" in result.out


def test_other_points_are_a_difference(dassim, run, tmp_path):
    moved = shutil.copytree(run, tmp_path / "moved")
    for path in moved.glob("fields/*/*/part_00000.nc"):
        with netCDF4.Dataset(path, "a") as file:
            file["lat"][:] = file["lat"][:] + 0.25
    result = dassim("diff", run, moved)
    assert result.code == diff.APART
    assert "lat: found points up to 0.25 degrees_north apart\n" in result.out


def test_runs_with_nothing_in_common_are_refused(dassim, tmp_path):
    for name in ("T", "S"):
        write_days(tmp_path / name, stream(variables=(name,)), basin("spherical"), range(1))
    result = dassim("diff", tmp_path / "T", tmp_path / "S")
    assert result.code == 2
    assert "only the first run has T\n" in result.out
    assert result.err == "dassim diff: found no variable and time that both runs have\n"


@pytest.mark.parametrize("command", [["diff", "{}", "{}"], ["plot", "{}"], ["collate", "{}"]])
def test_a_folder_without_fields_is_refused(dassim, tmp_path, command):
    result = dassim(*(word.format(tmp_path) for word in command))
    assert result.code == 2
    assert result.err.startswith(f"dassim {command[0]}: found no fields in {tmp_path}; expected")


def test_figures_that_have_no_place_are_refused(dassim, run, tmp_path):
    (tmp_path / "file").write_text("")
    result = dassim("plot", run, "-o", tmp_path / "file" / "plots")
    assert result.code == 2
    assert result.err == (
        f"dassim plot: cannot make {tmp_path}/file/plots (Not a directory); expected a folder for "
        f"the figures; choose another by --output\n"
    )


# -- collate --------------------------------------------------------------------------------------


def test_collate_says_what_it_has_merged(dassim, changed):
    result = dassim("collate", changed, "--workers", 1)
    assert (result.code, result.err) == (0, "")
    lines = result.out.splitlines()
    assert len(lines) == len(NAMES)
    assert re.fullmatch(r".*/collated/daily/T_2000.nc: 3 records, [\d.e-]+ MB, \d+ % .*", lines[0])
    again = dassim("collate", changed, "--workers", 1)
    assert all(line.endswith(": complete already") for line in again.out.splitlines())


def test_merged_files_that_have_no_place_are_refused(dassim, changed):
    shutil.rmtree(changed / "collated", ignore_errors=True)
    (changed / "collated").write_text("")
    result = dassim("collate", changed, "--workers", 1)
    assert result.code == 2
    assert re.match(
        rf"dassim collate: cannot write {changed}/collated/daily/\w+_2000.nc", result.err
    )


def test_processes_merge_side_by_side(dassim, changed):
    result = dassim("collate", changed, "--workers", 2)
    assert (result.code, len(result.out.splitlines())) == (0, len(NAMES))


def test_a_scheduler_that_is_not_there_is_named(dassim, run, monkeypatch):
    import distributed

    def refuse(address, timeout):
        raise OSError("timed out")

    monkeypatch.setattr(distributed, "Client", refuse)
    result = dassim("collate", run, "--scheduler", "tcp://127.0.0.1:9")
    assert result.code == 2
    assert "found no dask scheduler at tcp://127.0.0.1:9 (timed out); expected" in result.err


# -- plot -----------------------------------------------------------------------------------------


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.images, self.open = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        if tag == "img":
            self.images.append(dict(attributes)["src"])


@pytest.fixture(scope="module")
def plots(run, tmp_path_factory):
    """The folder of the figures of the run, drawn once."""
    from pathlib import Path

    import matplotlib as mpl

    mpl.use("Agg")
    import dassim
    from dassim.cli.figures import gallery, page

    folder = Path(tmp_path_factory.mktemp("plots"))
    data = dassim.open(run)
    page.write(folder / "index.html", data, run, list(gallery.draw_all(data, folder)))
    return folder


def test_the_page_shows_every_figure(plots):
    shown = Page((plots / "index.html").read_text(encoding="utf-8")).images
    expected = {f"{name}.png" for name in ("T", "S", "eta", "speed", "zeta", "mld", "barotropic")}
    expected |= {"section_T.png", "section_S.png", "overturning.png", "series.png"}
    assert set(shown) == expected == {path.name for path in plots.glob("*.png")}


def test_land_is_grey_and_water_is_not(plots):
    pixels = image.imread(plots / "T.png")[..., :3]
    land = np.array([0xD5, 0xD0, 0xC8]) / 255
    share = (abs(pixels - land) < 0.01).all(axis=-1).mean()
    assert 0.03 < share < 0.5
    assert len(np.unique(pixels.reshape(-1, 3).round(2), axis=0)) > 50


def test_plot_prints_where_the_page_is(dassim, tmp_path):
    write_days(tmp_path, stream(variables=("eta",)), basin(), range(1))
    result = dassim("plot", tmp_path)
    page = tmp_path / "plots/daily/index.html"
    assert (result.code, result.out) == (0, f"1 figures: {page}\n")
    assert page.exists()


def test_a_record_that_is_not_there_is_refused(dassim, run, tmp_path):
    result = dassim("plot", run, "--record", 3, "-o", tmp_path / "none")
    assert result.code == 2
    assert result.err == (
        "dassim plot: found no record 3; expected one of 0 to 2; correct --record\n"
    )
    assert not (tmp_path / "none").exists()
