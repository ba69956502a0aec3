"""Time halo exchanges inside compiled programs against the same messages by bare mpi4py.

Start it on any number of ranks (tools/benchmarks/halo does). The ranks form a ring; in one
exchange each hands one message to either neighbour and gets theirs. Programs of many exchanges
take turns with as many bare ones, a few times over; a time is the median of the slowest rank's.

Bare messages are timed twice: in memory of ordinary pages, as XLA has it, and in NumPy arrays,
which Linux backs with huge pages from 4 MB on: MPI then copies faster within a node. The limit of
the ratio is on the first, which copies between the same kinds of memory; beyond it the exit code
is 3.

The last lines are the costs of these messages as a file of jobs/sites holds them, for ``dassim
check --predict``: start it with one rank on each of two nodes for those of the network.
"""

from __future__ import annotations

import argparse
import mmap
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import nnls

from dassim.parallel import Domain, MPICommunicator
from dassim.parallel.primitives import Neighbours, neighbour_swap
from dassim.parallel.timing import slowest_seconds
from tools.benchmarks import record, workers
from tools.benchmarks.record import Measurement

Seconds = float
Exchange = Callable[[int], None]
"""Makes so many exchanges, one after the other."""

KILOBYTE = 1024
SIZES = [size * KILOBYTE for size in (8, 32, 128, 512, 1024, 4096, 16384)]
LARGE, LIMIT = 1024 * KILOBYTE, 1.5


def main() -> None:
    parser = argparse.ArgumentParser(prog="tools/benchmarks/halo", description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="bytes of a message")
    parser.add_argument("--repetitions", type=int, default=7, help="medians are taken over these")
    parser.add_argument("--block", type=int, nargs=3, default=[30, 128, 128], help="nz ny nx")
    parser.add_argument("--json", type=Path, help="add the measurements to this file")
    options = parser.parse_args()

    jax.config.update("jax_enable_x64", True)
    comm = MPICommunicator()
    workers.pin(comm.rank)
    say = print if comm.is_root else lambda *_, **__: None
    if comm.is_root:
        print(f"\n{ranks_of(comm)} on {record.header()}\n")
    found = messages(comm, options.sizes, options.repetitions, say)
    found += blocks(comm, tuple(options.block), options.repetitions, say)
    if comm.size > 1 and len(options.sizes) > 1:
        say(f"\n{site_costs(options.sizes, [1e-6 * one.value for one in found])}")
    if comm.is_root:
        record.save(options.json, found)
    sys.exit(record.MISSED if any(one.verdict == "missed" for one in comm.bcast(found)) else 0)


def ranks_of(comm: MPICommunicator) -> str:
    return f"{comm.size} rank{'s' * (comm.size > 1)}"


def messages(
    comm: MPICommunicator, sizes: list[int], repetitions: int, say: Callable
) -> list[Measurement]:
    """The table of the primitive: two messages of each size per exchange and rank."""
    say("one exchange: a message to, and one from, either neighbour; ratio = dassim / bare")
    say(f"{'bytes':>10} {'dassim us':>10} {'GB/s':>6} {'bare us':>9} {'ratio':>6}", end="")
    say(f" {'NumPy us':>9} {'ratio':>6}")
    found: list[Measurement] = []
    largest = {"bare": 0.0, "numpy": 0.0}
    for size in sizes:
        count = size // 8
        ways = {
            "dassim": compiled_swaps(comm, count),
            "bare": bare_swaps(comm, count, ordinary_pages),
            "numpy": bare_swaps(comm, count, np.zeros),
        }
        exchanges = max(50, min(1000, 2**30 // size))
        times = turns(comm, ways, exchanges, repetitions)
        took = {name: record.median(values)[0] for name, values in times.items()}
        ratios = {name: took["dassim"] / took[name] for name in largest}
        if size >= LARGE:
            largest = {name: max(largest[name], ratios[name]) for name in largest}
        say(
            f"{size:>10} {1e6 * took['dassim']:>10.1f} {2e-9 * size / took['dassim']:>6.2f} "
            f"{1e6 * took['bare']:>9.1f} {ratios['bare']:>6.2f} "
            f"{1e6 * took['numpy']:>9.1f} {ratios['numpy']:>6.2f}"
        )
        wanted = f"<= {LIMIT}" if size >= LARGE else ""
        found.append(
            microseconds(
                f"{ranks_of(comm)}, messages of {size} bytes",
                times["dassim"],
                ("bare mpi4py", times["bare"]),
                wanted,
            )
        )
    if largest["bare"]:
        say(
            f"largest ratios from 1 MB on: {largest['bare']:.2f} in ordinary pages, wanted at most "
            f"{LIMIT}; {largest['numpy']:.2f} to NumPy arrays"
        )
    return found


def blocks(
    comm: MPICommunicator, block: tuple[int, int, int], repetitions: int, say: Callable
) -> list[Measurement]:
    """The table of Domain.exchange: packing, messages in x and y, unpacking."""
    nz, ny, nx = block
    say(f"\nDomain.exchange of fields (nz, ny, nx) = {block} per rank, periodic")
    say(
        f"{'fields':>7} {'width':>6} {'bytes sent':>11} {'us':>10} {'messages us':>12} {'share':>6}"
    )
    found: list[Measurement] = []
    for fields, width in ((1, 1), (5, 1), (5, 3)):
        domain = ring_of_blocks(comm, ny, nx)
        sent = [
            fields * nz * width * points
            for points, ranks in zip(
                (ny, nx + 2 * width), domain.decomposition.layout[::-1], strict=True
            )
            if ranks > 1
        ]
        ways = {"dassim": compiled_exchanges(domain, fields, nz, width)}
        for axis, count in enumerate(sent):
            ways[f"bare {axis}"] = bare_swaps(comm, count, ordinary_pages)
        times = turns(comm, ways, 20, repetitions)
        whole = times.pop("dassim")
        messages = [sum(turn) for turn in zip(*times.values(), strict=True)]
        took, bare = (record.median(each)[0] if each else 0.0 for each in (whole, messages))
        say(
            f"{fields:>7} {width:>6} {2 * 8 * sum(sent):>11} {1e6 * took:>10.1f} "
            f"{1e6 * bare:>12.1f} {bare / took:>6.2f}"
        )
        case = f"{ranks_of(comm)}, {fields} x {nz} x {ny} x {nx}, width {width}"
        found.append(microseconds(case, whole, ("its messages by mpi4py", messages)))
    return found


def site_costs(sizes: Sequence[int], seconds: Sequence[Seconds]) -> str:
    """The section of a site: ``seconds = 2 (latency + size / bandwidth)`` of exchanges of ``sizes``
    bytes, fitted by the relative error; ``latency`` is at least 0.

    >>> print(site_costs([1000, 1000000], [4.2e-6, 204e-6]))
    [costs]
    latency = 2e-06
    bandwidth = 1e+10
    """
    size, half = np.asarray(sizes, float), 0.5 * np.asarray(seconds[: len(sizes)])
    terms = np.stack([1.0 / half, size / half], axis=1)
    latency, per_byte = nnls(terms, np.ones(len(size)))[0]
    bandwidth = 1.0 / per_byte if per_byte else np.inf
    return f"[costs]\nlatency = {latency:.2g}\nbandwidth = {bandwidth:.2g}"


def microseconds(
    case: str, times: Sequence[Seconds], reference: tuple[str, Sequence[float]], wanted: str = ""
) -> Measurement:
    """Of an exchange, against the bare messages where it sends any."""
    took, spread = record.median(times)
    alone = Measurement("halo", case, 1e6 * took, "us", spread, wanted=wanted)
    name, bare = reference
    if not bare:
        return alone
    seconds, noise = record.median(bare)
    return replace(alone, reference=name, reference_value=1e6 * seconds, reference_spread=noise)


def ring_of_blocks(comm: MPICommunicator, ny: int, nx: int) -> Domain:
    """Blocks of ``(ny, nx)`` in the layout that dassim chooses, periodic in both directions."""
    layout = Domain.create((ny * comm.size, nx * comm.size), comm=comm).decomposition.layout
    shape = ny * layout[0], nx * layout[1]
    return Domain.create(shape, layout=layout, periodic=(True, True), comm=comm)


def turns(
    comm: MPICommunicator, ways: dict[str, Exchange], exchanges: int, repetitions: int
) -> dict[str, list[Seconds]]:
    """Seconds per exchange, of all ways in turns; the first turn of each is not counted."""
    times: dict[str, list[Seconds]] = {name: [] for name in ways}
    for turn in range(repetitions + 1):
        for name, way in ways.items():
            elapsed = slowest_seconds(partial(way, exchanges), comm)
            if turn > 0:
                times[name].append(elapsed / exchanges)
    return times


def ring(comm: MPICommunicator) -> tuple[int, int]:
    """The ranks on the low and on the high side."""
    return (comm.rank - 1) % comm.size, (comm.rank + 1) % comm.size


def compiled_swaps(comm: MPICommunicator, count: int) -> Exchange:
    neighbours = Neighbours(comm, *ring(comm))

    @partial(jax.jit, static_argnums=2)
    def loop(to_low, to_high, exchanges):
        def swap(total, _):
            from_low, from_high = neighbour_swap(to_low, to_high, neighbours)
            return total + from_low[0] + from_high[-1], None

        return jax.lax.scan(swap, jnp.zeros(()), None, length=exchanges)[0]

    strip = jnp.arange(float(count))
    return lambda exchanges: loop(strip, strip + 1, exchanges).block_until_ready()


def bare_swaps(
    comm: MPICommunicator, count: int, allocate: Callable[[int], np.ndarray]
) -> Exchange:
    mpi, (low, high) = comm.mpi, ring(comm)
    to_low, to_high, from_low, from_high = (allocate(count) for _ in range(4))
    to_low[:] = to_high[:] = np.arange(float(count))

    def loop(exchanges):
        for _ in range(exchanges):
            mpi.Sendrecv(to_high, high, 1, from_low, low, 1)
            mpi.Sendrecv(to_low, low, 2, from_high, high, 2)

    return loop


def ordinary_pages(count: int) -> np.ndarray:
    """Zeros in private memory for which nobody asked for huge pages."""
    memory = mmap.mmap(-1, 8 * count, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    return np.frombuffer(memory, float)


def compiled_exchanges(domain: Domain, fields: int, nz: int, width: int) -> Exchange:
    owned = [jnp.ones((nz, *domain.shape)) * k for k in range(fields)]

    @partial(jax.jit, static_argnums=1)
    def loop(owned, exchanges):
        def exchange(total, _):
            # The barriers keep packing inside the loop, and the extended fields whole.
            fields, total = jax.lax.optimization_barrier((owned, total))
            extended = jax.lax.optimization_barrier(domain.exchange(fields, width))
            return total + sum(field[0, 0, 0] for field in extended), None

        return jax.lax.scan(exchange, jnp.zeros(()), None, length=exchanges)[0]

    return lambda exchanges: loop(owned, exchanges).block_until_ready()


if __name__ == "__main__":
    main()
