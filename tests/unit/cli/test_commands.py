"""What the commands print."""

import json
import os
import re
import subprocess
import sys
from importlib.metadata import version

import pytest

from dassim.cli import COMMANDS, info
from dassim.config import Namelist, NamelistError, Problem, load
from dassim.parallel import SerialCommunicator
from dassim.parallel.diagnosis import mpi_facts
from dassim.provenance import commit, versions
from tests.models.namelists import PROJECT


def raises(error):
    def function(*arguments):
        raise error

    return function


def test_help_lists_the_commands(dassim):
    result = dassim("--help")
    assert result.code == 0
    assert all(f" {command} " in result.out for command in COMMANDS)


@pytest.mark.parametrize("module", ["dassim", "dassim.cli"])
def test_importing_the_command_line_loads_nothing_heavy(module):
    code = (
        f"import sys, {module}; main = getattr(sys.modules['{module}'], 'application', int)();"
        "print([m for m in ('jax', 'pydantic', 'numpy', 'yaml', 'pint', 'mpi4py', 'netCDF4')"
        " if m in sys.modules])"
    )
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert child.stdout == "[]\n"


def test_a_run_loads_no_minimiser():
    code = (
        "import sys, dassim.ocean, dassim.config.recovered, dassim.simulation.run;"
        "print([m for m in sys.modules if m.startswith(('scipy', 'dassim.assimilation'))])"
    )
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert child.stdout == "[]\n"


def test_the_program_is_installed(box):
    child = subprocess.run(
        [sys.executable, "-m", "dassim", "check", str(box), "--set", "grid.nx=0"],
        capture_output=True,
        text=True,
    )
    assert child.returncode == 2
    assert child.stderr.startswith("--set grid.nx=0: grid.nx: found 0; expected")
    assert "Traceback" not in child.stderr


# -- check ----------------------------------------------------------------------------------------


def test_check_prints_a_namelist_with_si_values_and_defaults(dassim, box, tmp_path):
    result = dassim("check", box, "--set", "grid.nx=24", "--ranks", "4")
    assert (result.code, result.err) == (0, "")
    assert "  lx: 120000.0\n" in result.out
    copy = tmp_path / "copy.yaml"
    copy.write_text(result.out)
    expected = load(box, Namelist, overrides=["grid.nx=24"]).namelist
    assert load(copy, Namelist).namelist == expected


def test_check_reports_levels_steps_blocks_and_bytes(dassim, box):
    out = dassim("check", box, "--ranks", "3", "--set", "decomposition.layout=[3, 1]").out
    report = [line for line in out.splitlines() if line.startswith("#")]
    assert report[:3] == [
        "# 4 levels, 150 m deep",
        "# 72 steps",
        "# 3 ranks as 3 x 1 (y, x), blocks of 2-3 x 12 cells out of 8 x 12",
    ]
    words = [line.split() for line in report]
    assert ["#", "one", "field", "(z,", "y,", "x)", "1.15", "kB", "3.07", "kB"] in words


def test_check_builds_the_grid_of_a_namelist_without_a_model(dassim, box, monkeypatch):
    refusal = NamelistError([Problem(("grid",), "a hole")])
    monkeypatch.setattr("dassim.config.experiment.build_grid", raises(refusal))
    result = dassim("check", box)
    assert (result.code, result.out) == (2, "")
    assert "grid: a hole" in result.err


def test_check_for_other_ranks_than_its_own_builds_nothing(dassim, box, monkeypatch):
    monkeypatch.setattr("dassim.config.experiment.build_grid", raises(AssertionError("built")))
    out = dassim("check", box, "--ranks", "2", "--set", "decomposition.layout=[1, 2]").out
    assert "# grid and start not built: 2 ranks are planned, found 1 here\n" in out


# -- schema ---------------------------------------------------------------------------------------


def test_check_predicts_the_speed_on_many_ranks(dassim, tmp_path):
    site = tmp_path / "far.toml"
    site.write_text('description = "far away"\n[costs]\nlatency = 1.0\nbandwidth = 1e30\n')
    small = ["--set", "grid.nx=24", "--set", "grid.ny=32"]
    gyre = PROJECT / "namelists" / "ocean" / "double_gyre.yaml"
    text = dassim("check", gyre, *small, "--ranks", "4", "--predict", "--site", site).out
    found = re.search(r"a step +(\S+) (s|min), .* computing; (\d+) messages", text)
    assert found and "predicted, from 192 cells of 192 timed here" in text
    seconds = float(found[1]) * {"s": 1, "min": 60}[found[2]]
    assert seconds == pytest.approx(int(found[3]), rel=0.01)  # a second each
    for line in ("a gradient", "this run", "memory of a rank", "a restart of", "the site's"):
        assert line in text


def test_a_rank_is_timed_on_its_own_cores():
    script = (
        "import os, jax\n"
        "from dassim.cli.programs import kept_to_cores\n"
        "from dassim.parallel import SerialCommunicator\n"
        "os.environ['NPROC'] = '4'\n"
        "every, earlier = os.sched_getaffinity(0), os.listdir('/proc/self/task')\n"
        "with kept_to_cores(SerialCommunicator(), 1):\n"
        "    assert os.environ['NPROC'] == '1'\n"
        "    jax.numpy.ones(3).sum().block_until_ready()\n"
        "    threads = set(os.listdir('/proc/self/task')) - set(earlier) | {str(os.getpid())}\n"
        "    kept = [os.sched_getaffinity(int(thread)) for thread in threads]\n"
        "assert os.sched_getaffinity(0) == every and len(kept) > 1\n"
        "assert os.environ['NPROC'] == '4' and 'OMP_NUM_THREADS' not in os.environ\n"
        "print(max(map(len, kept)))\n"
    )
    known = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    words = [sys.executable, "-c", script]
    done = subprocess.run(words, capture_output=True, text=True, env=known)
    assert done.stdout == "1\n", done.stderr


def test_a_wrong_site_is_refused(dassim, box):
    result = dassim("check", box, "--predict", "--site", "nowhere")
    assert result.code == 2 and "found no file" in result.err


def test_schema_prints_or_writes_json(dassim, tmp_path):
    path = tmp_path / "schema.json"
    assert dassim("schema", "-o", path).code == 0
    assert json.loads(path.read_text()) == json.loads(dassim("schema").out)


def test_a_schema_that_cannot_be_written_is_told_and_leaves_nothing(dassim, tmp_path):
    (tmp_path / "folder").mkdir()
    result = dassim("schema", "-o", tmp_path / "gone" / "schema.json")
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("dassim schema: found [Errno 2] No such file or directory")
    assert dassim("schema", "-o", tmp_path / "folder").code == 2
    assert [entry.name for entry in tmp_path.iterdir()] == ["folder"]


def test_the_printed_schema_accepts_what_check_prints(dassim, box):
    import yaml

    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads(dassim("schema").out)
    jsonschema.validate(yaml.safe_load(dassim("check", box).out), schema)


# -- info -----------------------------------------------------------------------------------------


def test_info_says_versions_machine_ranks_devices_and_decomposition(dassim, box):
    result = dassim("info", box)
    assert result.code == 0
    lines = [line.split() for line in result.out.splitlines()]
    assert ["jax", version("jax")] in lines
    assert ["ranks", "1"] in lines
    assert any(line[:1] == ["devices"] for line in lines)
    assert "1 rank, blocks of 8 x 12 cells out of 8 x 12" in result.out


def test_info_refuses_a_wrong_namelist(dassim, box):
    assert dassim("info", box, "--set", "grid.nx=0").code == 2


def test_info_works_where_mpi_does_not(dassim, monkeypatch, tmp_path):
    (tmp_path / "mpi4py.py").write_text("raise ImportError('libmpi.so is missing')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr("dassim.parallel.world", raises(ImportError("a run needs mpi4py")))
    result = dassim("info")
    assert result.code == 0
    assert "a run needs mpi4py" in result.out
    assert "mpi4py does not load: libmpi.so is missing" in result.out


@pytest.mark.parametrize(
    ("program", "fact"),
    [
        ("import os; os._exit(7)", "ends the process when loaded (code 7)"),
        ("import time; time.sleep(60)", "did not load within 5 s"),
    ],
)
def test_an_mpi_that_aborts_or_hangs_is_told(monkeypatch, tmp_path, program, fact):
    (tmp_path / "mpi4py.py").write_text(program)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert fact in mpi_facts(timeout=5 if "sleep" in program else 60)["MPI"]


def test_settings_and_launcher_are_shown():
    environment = {"JAX_PLATFORMS": "cpu", "PMI_SIZE": "1", "HOME": "/root"}
    assert info.jax_facts(environment)["JAX_PLATFORMS"] == "cpu"
    assert "HOME" not in info.jax_facts(environment)
    facts = info.rank_facts(SerialCommunicator(), ["a", "b", "a"], environment)
    assert facts == {"ranks": "1", "hosts": "a x 2, b x 1", "launcher": "PMI_SIZE=1"}


def test_versions_name_the_commit_of_a_checkout():
    assert versions()["numpy"] == version("numpy")
    assert versions()["commit"] == (commit() or "unknown")


def test_a_library_that_is_missing_is_told(monkeypatch):
    monkeypatch.setattr("dassim.provenance.LIBRARIES", ("jax", "no-such-library"))
    assert versions()["no-such-library"] == "not installed"
