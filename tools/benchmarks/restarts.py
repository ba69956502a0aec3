"""Time whole restarts (written, checked, read) against bare h5py writes of the same arrays.

Both write one file per rank; the bare write is timed with and without waiting for the disk. They
take turns; a time is the median of the slowest rank's.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from dassim.io.restarts import Moment, StateArchive
from dassim.parallel import Domain, world
from tools.benchmarks import record
from tools.benchmarks.disk import BARE, ON_DISK, bare_writes, common_folder, in_turns
from tools.benchmarks.record import Measurement

LEVELS, LIMIT = 30, 2.0


def main() -> None:
    parser = argparse.ArgumentParser(prog="tools/benchmarks/restarts", description=__doc__)
    parser.add_argument("--within", type=Path, default=Path(), help="a folder on the disk to time")
    parser.add_argument("--gigabytes", type=float, default=1.0, help="of all ranks together")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--json", type=Path, help="add the measurements to this file")
    options = parser.parse_args()
    comm = world()
    say = print if comm.is_root else lambda *_, **__: None

    n = int((options.gigabytes * 1e9 / (4 * LEVELS * 8)) ** 0.5)
    domain = Domain.create((n, n))
    rng = np.random.default_rng(comm.rank)
    state = {name: rng.normal(size=(LEVELS, *domain.shape)) for name in ("u", "v", "T", "S")}
    size = sum(comm.allgather(sum(array.nbytes for array in state.values())))
    with common_folder(comm, options.within) as folder:
        say(f"{comm.size} ranks on {record.header()}\n{size / 1e9:.2f} GB in {folder}")
        archive, bare = StateArchive(folder / "restarts", domain), folder / "bare"
        date = "0001-01-01T00-01-00"
        actions = bare_writes(bare, comm.rank, state) | {
            "restart": lambda: archive.write(Moment(1, 60.0, "date", date), state),
            "restart: check": lambda: archive.examine(date),
            "restart: read": lambda: archive.read(archive.entries()[0], state),
        }
        goes = {BARE: bare, ON_DISK: bare, "restart: read": archive.folder}
        medians = in_turns(actions, goes, comm, options.repetitions)
    for name, (median, _) in medians.items():
        say(f"  {name:<20} {median:6.2f} s {size / median / 1e6:8.0f} MB/s")
    for name in (BARE, ON_DISK):
        ratio = medians["restart"][0] / medians[name][0]
        verdict = "within" if ratio <= LIMIT else "beyond"
        say(f"  a restart takes {ratio:.2f} times as long as {name} ({verdict} {LIMIT:g})")
    if comm.is_root:
        of = f"{comm.size} ranks, {size / 1e9:.2g} GB"
        record.save(options.json, measurements(of, medians))


def measurements(of: str, medians: dict[str, tuple[float, float]]) -> list[Measurement]:
    """From the seconds and spreads of what was done."""

    def one(case: str, name: str, reference: str, wanted: str = "") -> Measurement:
        seconds, spread = medians[name]
        return Measurement(
            "restarts",
            f"{of}, {case}",
            seconds,
            "s",
            spread,
            reference,
            medians[reference][0],
            wanted,
            medians[reference][1],
        )

    return [
        one("written", "restart", BARE, f"<= {LIMIT:g}"),
        one("written to disk", "restart", ON_DISK, f"<= {LIMIT:g}"),
        one("checked", "restart: check", "restart"),
        one("read", "restart: read", "restart"),
    ]


if __name__ == "__main__":
    main()
