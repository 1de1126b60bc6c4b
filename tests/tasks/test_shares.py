"""One client may hold half of the places, whoever else is there; what it gives back is free for everybody."""

from canceld.tasks.shares import Shares

LIMIT = 100


def _crowd(*clients: str) -> tuple[Shares, list[int]]:
    """Each client in turn takes all that it may have; how many places each then holds."""
    shares, held = Shares(), []
    for client in clients:
        while not shares.has_its_share(client, sum(held) + shares.held(client), LIMIT):
            shares.take(client)
        held.append(shares.held(client))
    return shares, held


def test_each_may_have_half_of_what_the_others_leave() -> None:
    assert _crowd("a")[1] == [50]
    assert _crowd("a", "b", "c")[1] == [50, 25, 13]


def test_what_was_given_back_is_free_again() -> None:
    shares, _ = _crowd("a")
    for _ in range(50):
        shares.give_back("a")
    assert shares.held("a") == 0
    assert not shares.has_its_share("b", 49, LIMIT)
    assert shares.has_its_share("b", LIMIT, LIMIT)
