"""Time a month of daily means on its way to disk against bare h5py writes of the same bytes.

u, v, T and S of the re-entrant channel, in float32, through the writer of a run: netCDF files with
masks and coordinates, one for each rank, synchronised after each record so that a killed run leaves
what it wrote. Bare h5py writes plain arrays into one file for each rank, without waiting for the
disk, and waiting once at the end. They take turns; a time is that of the slowest rank.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from tools.benchmarks import record, workers
from tools.benchmarks.disk import BARE, ON_DISK, bare_writes, common_folder, in_turns
from tools.benchmarks.record import Measurement

NAMELIST = "namelists/ocean/reentrant_channel.yaml"
NAMES = ("u", "v", "T", "S")
STREAM = "daily"
WANTED = ">= 0.5"
DAY = 86400.0


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="tools/mpirun 2 .venv/bin/python -m tools.benchmarks.output", description=__doc__
    )
    parser.add_argument("--within", type=Path, default=Path(), help="a folder on the disk to time")
    parser.add_argument("--days", type=int, default=30, help="records of a file, at most 31")
    parser.add_argument("--columns", type=int, nargs=2, default=[160, 320], help="nx ny")
    parser.add_argument("--repetitions", type=int, default=5, help="medians are taken over these")
    parser.add_argument("--json", type=Path, help="add the measurements to this file")
    options = parser.parse_args()
    if not 1 <= options.days <= 31:
        parser.error(f"found {options.days} days; expected 1 to 31, a file's")

    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    from dassim.config import Namelist, load
    from dassim.config.outputs import open_writers
    from dassim.parallel import world

    comm = world()
    namelist = load(workers.PROJECT / NAMELIST, Namelist, overrides=overrides(*options.columns))
    experiment = workers.built(namelist.namelist, comm)
    rng = np.random.default_rng(comm.rank)
    shape = experiment.state.T.shape
    fields = {name: jnp.asarray(rng.normal(size=shape)) for name in NAMES}
    arrays = {name: np.asarray(field, "float32") for name, field in fields.items()}
    bytes_of_a_day = sum(comm.allgather(sum(array.nbytes for array in arrays.values())))
    size = options.days * bytes_of_a_day

    with common_folder(comm, options.within) as folder:
        bare, run = folder / "bare", folder / "run"

        def write() -> None:
            with open_writers(run, namelist.namelist, experiment)[STREAM] as writer:
                for day in range(options.days):
                    writer.put(day * DAY, (day + 1) * DAY, fields)

        actions = bare_writes(bare, comm.rank, arrays, options.days) | {STREAM: write}
        goes = {BARE: bare, ON_DISK: bare, STREAM: run}
        took = in_turns(actions, goes, comm, options.repetitions)
    if comm.is_root:
        of = f"{comm.size} ranks, {options.days} days of {1e-6 * bytes_of_a_day:.3g} MB"
        found = measurements(of, size, took)
        print(f"{record.header()}\n{record.table(found)}")
        record.save(options.json, found)


def overrides(nx: int, ny: int) -> list[str]:
    stream = f"{{name: {STREAM}, variables: [{', '.join(NAMES)}], kind: mean, every: 1 d}}"
    return [f"grid.nx={nx}", f"grid.ny={ny}", f"output=[{stream}]"]


def measurements(of: str, size: int, took: dict[str, tuple[float, float]]) -> list[Measurement]:
    """MB a second of so many bytes, from the seconds and spreads of what was done."""
    rates = {name: 1e-6 * size / seconds for name, (seconds, _) in took.items()}
    _, spread = took[STREAM]
    return [
        Measurement(
            "output",
            f"{of}, {case}",
            rates[STREAM],
            "MB/s",
            spread,
            bare,
            rates[bare],
            WANTED,
            took[bare][1],
        )
        for case, bare in (("written", BARE), ("written to disk", ON_DISK))
    ]


if __name__ == "__main__":
    main()
