"""Whether the time of messages says anything."""

import pytest

from dassim.parallel import SerialCommunicator
from dassim.parallel.messages import share_cores


class Hosts(SerialCommunicator):
    """Ranks with the host of each and the cores that it may use."""

    def __init__(self, *ranks):
        self.ranks = ranks

    def allgather(self, value):
        return list(self.ranks)


@pytest.mark.parametrize(
    ("ranks", "shared"),
    [
        ([("a", {0, 1})] * 2, False),
        ([("a", {0, 1})] * 3, True),
        ([("a", {0}), ("a", {1})], False),
        ([("a", {0}), ("a", {0})], True),
        ([("a", {0}), ("b", {0})], False),
        ([("a", {0}), ("b", {0}), ("b", {0})], True),
    ],
)
def test_ranks_share_cores_where_a_host_lends_fewer(ranks, shared):
    assert share_cores(Hosts(*ranks)) is shared


def test_one_rank_has_a_core():
    assert not share_cores(SerialCommunicator())
