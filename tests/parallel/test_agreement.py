"""Actions that fail on one rank fail on all, with one message."""

import pytest

from dassim.parallel import world
from dassim.parallel.agreement import RankError, on_every_rank, on_root


def test_results_come_in_rank_order():
    comm = world()
    assert on_every_rank(comm, lambda: comm.rank) == list(range(comm.size))
    assert on_root(comm, lambda: comm.rank) == 0


def test_an_error_of_the_last_rank_is_raised_on_all():
    comm = world()

    def fail():
        if comm.rank == comm.size - 1:
            raise OSError("no room")

    with pytest.raises(RankError) as raised:
        on_every_rank(comm, fail)
    assert comm.allgather(str(raised.value)) == [f"rank {comm.size - 1}: no room"] * comm.size


@pytest.mark.ranks(4)
def test_few_of_many_messages_are_shown():
    def fail():
        raise OSError(f"message {world().rank}")

    with pytest.raises(RankError) as raised:
        on_every_rank(world(), fail)
    assert str(raised.value) == (
        "rank 0: message 0; rank 1: message 1; rank 2: message 2; and 1 more ranks"
    )


def test_an_error_without_words_has_its_name():
    def fail():
        raise FileNotFoundError

    with pytest.raises(RankError, match=r"^FileNotFoundError$"):
        on_root(world(), fail)


def test_defects_are_not_dressed_up():
    def fail():
        raise ZeroDivisionError

    if world().is_root:
        with pytest.raises(ZeroDivisionError):
            on_root(world(), fail)
