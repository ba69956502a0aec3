"""pytest plug-in: one test run by all ranks of an MPI program together.

``--ranks N`` says that this process is one of N ranks. Ranks collect the same tests, take them in
the same order, and share the outcome of every phase: a test fails everywhere when it fails
anywhere, and rank 0 alone reports, with the messages of all ranks. A test that does not end (most
often because a rank failed before a collective call that others wait in) is left to the launcher:
at the test's time limit (pytest-timeout's marker, option or ini) every rank writes its stacks to
the report folder, which works inside a blocked C call too.

Tests in tests/parallel take 1, 2 and 3 ranks, others 1, unless ``@pytest.mark.ranks(...)`` says.
"""

from __future__ import annotations

import faulthandler
import json
import os
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

PARALLEL_TESTS = Path(__file__).resolve().parents[1] / "parallel"
SECONDS_TO_END = 60.0
"""Time that the ranks have between their last test and their exit."""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("ranks", "tests on several MPI ranks")
    group.addoption("--ranks", type=int, default=1, help="number of ranks that run these tests")
    group.addoption("--report-folder", type=Path, help="where outcomes, plans and stacks go")
    group.addoption("--plan", type=Path, help="take only the files that this plan lists")


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "ranks(*sizes): run this test with these numbers of ranks")
    size = int(config.getoption("--ranks") or 1)
    folder: Path | None = config.getoption("--report-folder")
    if size > 1:
        if folder is None:
            raise pytest.UsageError("--ranks needs --report-folder; start it with tools/test")
        together = Together(size, folder, time_limit(config))
        config.pluginmanager.register(together)
        if together.comm.rank > 0:
            config.pluginmanager.unregister(name="terminalreporter")
            return
    if folder is not None and worker(config) is None:
        config.pluginmanager.register(Record(config, folder))


def worker(config: pytest.Config) -> str | None:
    """The name of this process among those that pytest-xdist hands tests to, if it is one."""
    return getattr(config, "workerinput", {}).get("workerid")


def time_limit(config: pytest.Config) -> float:
    """Seconds that a test may take unless its marker says otherwise."""
    return float(config.getoption("timeout") or config.getini("timeout") or 120.0)


def sizes(item: pytest.Item) -> tuple[int, ...]:
    """The numbers of ranks that ``item`` is to run with."""
    mark = item.get_closest_marker("ranks")
    if mark is not None:
        return mark.args
    return (1, 2, 3) if item.path.is_relative_to(PARALLEL_TESTS) else (1,)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    plan: Path | None = config.getoption("--plan")
    if plan is None or collection_path.is_dir():
        return None
    return str(collection_path) not in json.loads(plan.read_text()) or None


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    size, folder = config.getoption("--ranks"), config.getoption("--report-folder")
    if size == 1 and folder is not None and worker(config) in (None, "gw0"):
        write_plans(folder, items)
    left_out = [item for item in items if size not in sizes(item)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if size in sizes(item)]


def write_plans(folder: Path, items: list[pytest.Item]) -> None:
    """One file ``plan-N`` for every N > 1 that an item asks for: the test files to collect."""
    for size in {size for item in items for size in sizes(item)} - {1}:
        files = sorted({str(item.path) for item in items if size in sizes(item)})
        (folder / f"plan-{size}").write_text(json.dumps(files))


class Record:
    """Appends the category of every test's outcome to the file ``outcomes``."""

    def __init__(self, config: pytest.Config, folder: Path):
        self.config = config
        self.file = (folder / "outcomes").open("a", buffering=1)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.file.write("error\n")

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        status = self.config.hook.pytest_report_teststatus(report=report, config=self.config)
        if status[0]:
            self.file.write(f"{status[0]}\n")


class Together:
    """Keeps this rank in step with the others."""

    def __init__(self, size: int, folder: Path, limit: float):
        from mpi4py import MPI

        self.comm = MPI.COMM_WORLD
        self.folder = folder
        self.problems: list[str] = []
        self.write("pid", str(os.getpid()))
        self.stacks = self.file("stacks").open("w")
        self.watch(limit)
        self.comm = self.comm.Dup()  # may wait for ever, too
        if self.comm.size != size:
            pytest.exit(f"found {self.comm.size} ranks, expected {size}", returncode=3)

    def file(self, name: str) -> Path:
        return self.folder / f"{name}-{self.comm.rank}"

    def write(self, name: str, text: str) -> None:
        self.file(name).write_text(text)

    def watch(self, seconds: float) -> None:
        """Write the stacks unless called again within ``seconds``."""
        faulthandler.dump_traceback_later(seconds, file=self.stacks)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.problems.append(f"{report.nodeid}: {report.longreprtext}")

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Stop all ranks unless they are about to run the same tests."""
        tests = [item.nodeid for item in session.items]
        collected = self.comm.allgather((tests, self.problems))
        for rank, (found, problems) in enumerate(collected):
            if problems:
                pytest.exit("\n".join([f"rank {rank} cannot collect", *problems]), returncode=3)
            if found != collected[0][0]:
                unlike = sorted(set(found) ^ set(collected[0][0])) or "the order"
                pytest.exit(f"the tests of ranks 0 and {rank} differ in {unlike}", returncode=3)

    def pytest_timeout_set_timer(self, item: pytest.Item, settings: Any) -> bool:
        self.write("test", item.nodeid)
        self.watch(settings.timeout)
        return True

    def pytest_timeout_cancel_timer(self, item: pytest.Item) -> bool:
        """Not at a failure, where pytest-timeout would: this rank still waits for the others."""
        return True

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, Any, Any]:
        result = yield
        faulthandler.cancel_dump_traceback_later()
        return result

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        message = "\n".join([report.longreprtext, *(text for _, text in report.sections)])
        if report.failed:
            self.write("failure", message)  # seen when another rank never gets here
        phase = f"{report.nodeid} ({report.when})"
        outcomes = self.comm.allgather((phase, report.outcome, message))
        self.file("failure").unlink(missing_ok=True)
        if report.failed or len({(phase, outcome) for phase, outcome, _ in outcomes}) > 1:
            report.outcome = "failed"
            report.longrepr = "\n\n".join(
                f"rank {rank}: {outcome} {phase}\n{message if outcome != 'passed' else ''}"
                for rank, (phase, outcome, message) in enumerate(outcomes)
            )
            report.sections = []
        return report

    def pytest_sessionfinish(self) -> None:
        self.watch(SECONDS_TO_END)
