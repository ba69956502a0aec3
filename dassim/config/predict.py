"""How long a run would take on many ranks: a block's work timed here, its messages priced."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from dassim.config.build import build_decomposition
from dassim.config.errors import NamelistError, Problem, mismatch
from dassim.config.estimate import RESTARTS, files
from dassim.config.plan import plan
from dassim.config.probe import (
    LoneRank,
    Sweep,
    Work,
    lone_ranks,
    of_a_step,
    of_a_sweep,
    timed_division,
)
from dassim.config.schema.namelist import AbstractNamelist
from dassim.config.schema.site import Costs
from dassim.parallel import AbstractCommunicator, Decomposition, SerialCommunicator
from dassim.parallel.traffic import Traffic


@dataclass(frozen=True)
class Prediction:
    """What a rank with the largest block does: the cells of its ``block``, of which ``timed`` were
    timed; its work for a ``step`` and for a ``sweep`` back.

    ``step_in_model``: seconds of the model's time. ``written``: bytes that all ranks write in the
    run of ``duration`` seconds of the model's time; ``restart``: of them at once.
    """

    ranks: int
    block: int
    timed: int
    step: Work
    sweep: Sweep
    costs: Costs
    step_in_model: float
    duration: float
    written: int
    restart: int

    def computing(self, work: Work) -> float:
        """Seconds of a step, messages aside."""
        return work.seconds / self.costs.speed

    def messages(self, work: Work) -> float:
        """Seconds of a step for messages: both neighbours of a swap, and sums as trees."""
        latency, bandwidth = self.costs.latency, self.costs.bandwidth
        swaps = 2 * latency * sum(work.sent.swaps) + sum(work.sent.bytes) / bandwidth
        return swaps + latency * math.ceil(math.log2(self.ranks)) * work.sent.sums

    def seconds(self, work: Work) -> float:
        """Of a step."""
        return self.computing(work) + self.messages(work)

    @property
    def gradient(self) -> float:
        """Seconds for each step of the run that is differentiated."""
        return self.seconds(self.sweep.back) + self.sweep.forward * self.seconds(self.step)

    @property
    def memory_of_gradient(self) -> int:
        """Bytes, beside what the process has without a model."""
        return self.sweep.back.memory + self.sweep.kept

    def during(self, model_time: float) -> float:
        """Seconds that ``model_time`` seconds of the model take."""
        return self.seconds(self.step) * model_time / self.step_in_model

    @property
    def output_bandwidth(self) -> float:
        """Bytes a second that all ranks write together, so as not to wait."""
        return self.written / self.during(self.duration)


def predict(
    namelist: AbstractNamelist,
    ranks: int,
    costs: Costs,
    beside: AbstractCommunicator | None = None,
) -> Prediction:
    """Build a block of ``ranks`` alone, and take some steps of it, forward and back.

    Its neighbours are images of it (:class:`dassim.parallel.StandInCommunicator`): the program is
    that of a rank, the numbers are not. Of the first, the middle and the last rank it is the one
    that sends most: where meridians converge, the fast waves take more substeps, and on real ranks
    all take as many. A block of at most ``MOST_CELLS`` cells, or of the fewest rows that a rank can
    have, stands for a larger one, whose time and memory grow with the cells and whose messages grow
    with the edges; beside a pole, where all of its rows are filtered, for too long a time.
    ``beside``: ranks that all call this and time a block at once, since cores of a node share its
    memory. The namelist has a model and a time.
    """
    run = namelist.time
    if run is None:
        raise NamelistError([Problem(("time",), mismatch("none", "a time step", "add it"))])
    levels = plan(namelist, ranks).levels.count
    planned = build_decomposition(namelist, ranks)
    divided = timed_division(planned, levels, namelist.narrowest_block)
    block = planned.block(0).shape  # the first one is the largest
    beside = beside or SerialCommunicator()

    def sent(rank: LoneRank) -> Traffic:
        return _of_block(rank.sent, planned, block, rank.shape)

    busiest = max(lone_ranks(namelist, divided), key=lambda rank: sum(sent(rank).bytes))
    cells, timed = levels * math.prod(block), levels * math.prod(busiest.shape)

    def whole(work: Work) -> Work:
        return Work(
            work.seconds * cells / timed,
            _of_block(work.sent, planned, block, busiest.shape),
            work.memory * cells // timed,
        )

    strips = sum(sent(busiest).bytes) / max(1.0, sum(busiest.sent.bytes))
    sweep = of_a_sweep(busiest, namelist, run, timed / cells, strips, beside)
    kinds = files(namelist, (levels, *planned.shape))
    return Prediction(
        ranks=ranks,
        block=cells,
        timed=timed,
        step=whole(of_a_step(busiest, namelist, beside)),
        sweep=replace(sweep, back=whole(sweep.back), kept=sweep.kept * cells // timed),
        costs=costs,
        step_in_model=run.step,
        duration=run.duration,
        written=sum(kind.written * kind.each for kind in kinds),
        restart=max((kind.each for kind in kinds if kind.what == RESTARTS), default=0),
    )


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
