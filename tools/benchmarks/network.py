"""Steps of two ranks that a slow network joins, against what is predicted for it.

Each rank is in a network namespace of its own, pinned to a core; a virtual cable of a limited rate
joins the two, and MPI sends by TCP alone. At every rate two numbers are measured with bare mpi4py,
the time of a short message and the bytes a second of long ones; ``dassim check --predict`` makes a
step of them, and the ranks take the same step. The domain is divided along x; where it is periodic,
both neighbours of a rank are the other one. A short burst passes at once, and a fast cable is as
fast as the processor: what it carries is measured. Linux, as root, with iproute2 and MPICH.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import statistics
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tools.benchmarks import record, workers
from tools.benchmarks.record import Measurement
from tools.benchmarks.scaling import seconds_of_a_step

NAMELIST = workers.PROJECT / "namelists" / "ocean" / "reentrant_channel_coarse.yaml"
WANTED = "within 30 %"
ALONG_X, NO_OUTPUT = "decomposition.layout=[1, 2]", "output=[]"

SPACE = "dassim"
SPACES = (f"{SPACE}0", f"{SPACE}1")
CABLE = "cable"
BURST = "16kb"  # that passes at once
ENTER = f'exec nsenter --net=/run/netns/{SPACE}${{PMI_RANK:?expected MPICH}} "$@"'
BY_TCP = {
    "MPIR_CVAR_NOLOCAL": "1",
    "MPIR_CVAR_CH4_NETMOD": "ofi",
    "FI_PROVIDER": "tcp",
    "FI_TCP_IFACE": CABLE,
}

SHORT, LONG = 8, 2**20
"""Bytes of a message whose time is the latency, and of one that tells the bandwidth."""
REPETITIONS = {SHORT: 250, LONG: 15}


def main() -> None:
    parser = argparse.ArgumentParser(prog="tools/benchmarks/network", description=__doc__)
    parser.add_argument("namelist", nargs="?", type=Path, default=NAMELIST)
    parser.add_argument("--rates", nargs="+", default=["10gbit", "1gbit", "200mbit"])
    parser.add_argument("--turns", type=int, default=5, help="medians are taken over these")
    parser.add_argument("--seconds", type=float, default=3.0, help="length of a turn")
    parser.add_argument("--set", dest="overrides", action="append", default=[])
    parser.add_argument("--json", type=Path, help="add the measurements to this file")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--predict", nargs=2, type=float, help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.namelist = options.namelist.resolve()
    if options.one:
        measure(options)
        return
    if options.predict:
        predict_step(options)
        return
    if reason := obstacle():
        record.skip(reason)
    print(f"{options.namelist.stem} on two ranks of {record.header()}", flush=True)
    for rate in options.rates:
        found = at(rate, options)
        print(record.table(found), flush=True)
        record.save(options.json, found)


def obstacle() -> str:
    """Why no cable can be laid on this machine; empty where one can."""
    if missing := [name for name in ("ip", "tc", "nsenter") if shutil.which(name) is None]:
        return f"found no {', '.join(missing)}; expected Linux with iproute2 and util-linux"
    if not record.mpi_library().startswith("MPICH"):
        return f"found {record.mpi_library()}; expected MPICH, which tells a rank its number"
    try:
        with cable("1gbit"):
            return ""
    except SystemExit as error:
        return f"found no way to lay a cable ({error}); expected root, on Linux with veth and tbf"


def at(rate: str, options: Any) -> list[Measurement]:
    """What is measured and predicted where the cable carries ``rate``, such as "1gbit"."""
    given = [options.namelist, "--turns", options.turns, "--seconds", options.seconds]
    given += [word for override in options.overrides for word in ("--set", override)]
    launcher, ranks, *program = workers.command("network", *given, "--one", ranks=2)
    words = (launcher, ranks, "bash", "-c", ENTER, "enter", *program)
    with cable(rate):
        row = workers.answer(words, workers.ONE_CORE | BY_TCP)
    step, spread = record.median(row["seconds"])
    costs = ("--predict", row["latency"], row["bandwidth"])
    words = workers.command("network", *given, *costs, ranks=2)
    predicted = workers.answer(words, workers.ONE_CORE)
    reference = ("predicted", 1e3 * predicted["step"])
    return [
        Measurement("network", f"{rate}: a short message", 1e6 * row["latency"], "us"),
        Measurement("network", f"{rate}: long messages", 1e-6 * row["bandwidth"], "MB/s"),
        Measurement("network", f"{rate}: step", 1e3 * step, "ms", spread, *reference, WANTED),
        Measurement("network", f"{rate}: messages of it", 1e3 * predicted["messages"], "ms"),
    ]


@contextlib.contextmanager
def cable(rate: str) -> Iterator[None]:
    """Two network namespaces, joined by a cable that carries so much each way."""
    remove()
    try:
        for space in SPACES:
            call("ip", "netns", "add", space)
        here, there = SPACES
        peer = ("type", "veth", "peer", "name", CABLE, "netns", there)
        call("ip", "link", "add", CABLE, "netns", here, *peer)
        for number, space in enumerate(SPACES, 1):
            call("ip", "-n", space, "address", "add", f"10.77.0.{number}/24", "dev", CABLE)
            call("ip", "-n", space, "link", "set", CABLE, "up")
            limit = ("tbf", "rate", rate, "burst", BURST, "latency", "200ms")
            call("tc", "-n", space, "qdisc", "add", "dev", CABLE, "root", *limit)
        wait_until_up()
        yield
    finally:
        remove()


def wait_until_up(seconds: float = 30.0) -> None:
    """MPI starts only on ends that the kernel calls up, a second or so after it was told to."""
    end = time.monotonic() + seconds
    while not all("state UP" in call("ip", "-n", space, "link", "show", CABLE) for space in SPACES):
        if time.monotonic() > end:
            raise SystemExit(f"found a cable still down after {seconds:g} s, expected it up")
        time.sleep(0.1)


def remove() -> None:
    for space in SPACES:
        subprocess.run(("ip", "netns", "delete", space), capture_output=True, check=False)


def call(*words: str) -> str:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)}: {done.stderr.strip()}")
    return done.stdout


def measure(options: Any) -> None:
    """Of both ranks: what messages cost, and seconds of a step; printed by rank 0."""
    from dassim.parallel import MPICommunicator

    comm = MPICommunicator()
    workers.pin(comm.rank)
    costs = {"latency": exchange(comm.mpi, SHORT), "bandwidth": LONG / exchange(comm.mpi, LONG)}
    times = seconds_of_a_step(divided(options), comm, options.turns, options.seconds)
    if comm.is_root:
        print(json.dumps({"seconds": times, **costs}))


def exchange(mpi: Any, size: int) -> float:
    """Median seconds in which two ranks hand each other so many bytes."""
    import numpy as np

    outgoing, incoming, times = np.zeros(size, "u1"), np.zeros(size, "u1"), []
    for _ in range(REPETITIONS[size]):
        mpi.Barrier()
        begin = time.perf_counter()
        mpi.Sendrecv(outgoing, 1 - mpi.rank, 0, incoming, 1 - mpi.rank, 0)
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


def predict_step(options: Any) -> None:
    """Of two ranks that time their blocks beside each other; printed by rank 0."""
    import jax

    jax.config.update("jax_enable_x64", True)
    from dassim.config.predict import predict
    from dassim.config.schema.site import Costs
    from dassim.parallel import MPICommunicator

    comm = MPICommunicator()
    workers.pin(comm.rank)
    latency, bandwidth = options.predict
    found = predict(divided(options), 2, Costs(latency=latency, bandwidth=bandwidth), comm)
    step, messages = found.seconds(found.step), found.messages(found.step)
    if comm.is_root:
        print(json.dumps({"step": step, "messages": messages}))


def divided(options: Any) -> Any:
    """The namelist, along x, without its output."""
    from dassim.config import Namelist, load

    overrides = [ALONG_X, NO_OUTPUT, *options.overrides]
    return load(options.namelist, Namelist, overrides=overrides).namelist


if __name__ == "__main__":
    main()
