"""How long a run would take on many ranks: a block's work timed here, its messages priced."""

from __future__ import annotations

import math
import statistics
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import jax

from dassim.config.build import build_decomposition
from dassim.config.errors import NamelistError, NamelistWarning, Problem, mismatch
from dassim.config.estimate import estimates, files
from dassim.config.experiment import build_experiment
from dassim.config.plan import plan
from dassim.config.schema.namelist import AbstractNamelist
from dassim.config.schema.site import Costs
from dassim.parallel import Block, Decomposition, DecompositionError, StandInCommunicator
from dassim.parallel.traffic import Traffic, traffic
from dassim.simulation.advance import Program
from dassim.simulation.model import Model

MOST_CELLS = 500_000
"""Of a block that is timed; of a larger one a part is, and counts in proportion."""

TURNS, STEPS = 5, 4
"""So many times so many steps are timed; the median counts."""


@dataclass(frozen=True)
class Prediction:
    """What a rank with the largest block does in a step: the cells of its ``block``, of which
    ``timed`` were timed; seconds that it computes; what it sends.

    ``step_in_model``: seconds of the model's time. ``memory``: bytes, beside what a gradient keeps.
    ``written``: bytes that all ranks write in the run of ``duration`` seconds of the model's time.
    """

    ranks: int
    block: int
    timed: int
    compute: float
    sent: Traffic
    costs: Costs
    step_in_model: float
    duration: float
    memory: int
    written: int

    @property
    def messages(self) -> float:
        """Seconds of a step for messages: both neighbours of a swap, and sums as trees."""
        latency, bandwidth = self.costs.latency, self.costs.bandwidth
        swaps = 2 * latency * sum(self.sent.swaps) + sum(self.sent.bytes) / bandwidth
        return swaps + latency * math.ceil(math.log2(self.ranks)) * self.sent.sums

    @property
    def step(self) -> float:
        return self.compute + self.messages

    @property
    def gradient(self) -> float:
        """Seconds for each step of the run that is differentiated."""
        return self.costs.gradient * self.step

    def during(self, model_time: float) -> float:
        """Seconds that ``model_time`` seconds of the model take."""
        return self.step * model_time / self.step_in_model

    @property
    def output_bandwidth(self) -> float:
        """Bytes a second that all ranks write together, so as not to wait."""
        return self.written / self.during(self.duration)


def predict(namelist: AbstractNamelist, ranks: int, costs: Costs) -> Prediction:
    """Build a block of ``ranks`` alone, and take some steps of it.

    Its neighbours are images of it (:class:`dassim.parallel.StandInCommunicator`): the program is
    that of a rank, the numbers are not. Of the first, the middle and the last rank it is the one
    that sends most: where meridians converge, the fast waves take more substeps, and on real ranks
    all take as many. A block of at most ``MOST_CELLS`` cells, or of the fewest rows that a rank can
    have, stands for a larger one, whose time grows with the cells and whose messages grow with the
    edges; beside a pole, where all of its rows are filtered, for too long a time. The namelist has
    a model and a time.
    """
    run = namelist.time
    if run is None:
        raise NamelistError([Problem(("time",), mismatch("none", "a time step", "add it"))])
    levels = plan(namelist, ranks).levels.count
    planned = build_decomposition(namelist, ranks)
    probed = _probed(planned, levels, namelist.narrowest_block)
    block = planned.block(0).shape  # the first one is the largest

    def sent(rank: _Candidate) -> Traffic:
        return _of_block(rank.sent, planned, block, rank.shape)

    busiest = max(_candidates(namelist, probed), key=lambda rank: sum(sent(rank).bytes))
    cells, timed = levels * math.prod(block), levels * math.prod(busiest.shape)
    seconds = _seconds(busiest)
    memory = estimates(namelist, planned, levels)
    return Prediction(
        ranks=ranks,
        block=cells,
        timed=timed,
        compute=seconds * cells / timed / costs.speed,
        sent=sent(busiest),
        costs=costs,
        step_in_model=run.step,
        duration=run.duration,
        memory=sum(row.largest_rank for row in memory if row.what.startswith("memory")),
        written=sum(row.all for row in files(namelist, (levels, *planned.shape))),
    )


def _probed(planned: Decomposition, levels: int, narrowest: int) -> Decomposition:
    """``planned``, divided further until a block can be timed, or no further."""
    probed = planned
    while levels * math.prod(_middle(probed).shape) > MOST_CELLS:
        try:
            finer = _finer(probed)
            finer.require_width(narrowest)
        except DecompositionError:
            break
        probed = finer
    return probed


def _finer(decomposition: Decomposition) -> Decomposition:
    """Twice the ranks, along the longer edge of a block and no axis that is whole but y."""
    (ny, nx), (py, px) = _middle(decomposition).shape, decomposition.layout
    along_x = px > 1 and nx > ny
    return replace(decomposition, layout=(py, 2 * px) if along_x else (2 * py, px))


def _middle(decomposition: Decomposition) -> Block:
    return decomposition.block(_middle_rank(decomposition))


def _middle_rank(decomposition: Decomposition) -> int:
    py, px = decomposition.layout
    return py // 2 * px + px // 2


@dataclass(frozen=True)
class _Candidate:
    """A rank alone, with what it sends in a step and the ``shape`` of its block."""

    model: Model
    parameters: Any
    state: Any
    sent: Traffic
    shape: tuple[int, int]


def _candidates(namelist: AbstractNamelist, decomposition: Decomposition) -> Iterator[_Candidate]:
    """The middle rank, the first and the last."""
    layout = {"layout": decomposition.layout}
    divided = namelist.model_copy(
        update={"decomposition": namelist.decomposition.model_copy(update=layout)}
    )
    size = decomposition.size
    for rank in dict.fromkeys((_middle_rank(decomposition), 0, size - 1)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NamelistWarning)
            experiment = build_experiment(divided, StandInCommunicator(rank, size))
        model, parameters = experiment.model, experiment.parameters
        state = model.start(experiment.state)
        sent = traffic(model.domain, model.step, parameters, state)
        yield _Candidate(model, parameters, state, sent, decomposition.block(rank).shape)


def _seconds(rank: _Candidate) -> float:
    """Of a step, the median."""
    program = Program(rank.model)  # as runs do: one by one, each step would ask for its memory anew
    carry = program.start(rank.parameters, rank.state)
    program.compile(rank.parameters, carry)
    seconds = []
    for _ in range(TURNS):
        begin = time.perf_counter()
        jax.block_until_ready(program(rank.parameters, carry, STEPS))
        seconds.append((time.perf_counter() - begin) / STEPS)
    return statistics.median(seconds)


def _of_block(
    sent: Traffic, planned: Decomposition, block: tuple[int, int], part: tuple[int, int]
) -> Traffic:
    """What a ``block`` of ``planned`` sends, from what a ``part`` of it does: its edges along the
    axes that are divided."""
    divided = [count > 1 for count in planned.layout]
    longer = block[1] / part[1], block[0] / part[0]
    swaps = tuple(n * there for n, there in zip(sent.swaps, divided, strict=True))
    size = tuple(
        n * there * times for n, there, times in zip(sent.bytes, divided, longer, strict=True)
    )
    return sent._replace(swaps=swaps, bytes=size)
