"""Entropy: unpredictable in service, replayable in simulations."""

from canceld.transport.entropy import Entropy, SeededEntropy


def test_bytes_has_the_length_asked_for_and_differs_each_time() -> None:
    entropy = Entropy()
    assert len(entropy.bytes(32)) == 32
    assert entropy.bytes(0) == b""
    assert entropy.bytes(32) != entropy.bytes(32)


def test_uniform_stays_in_its_range() -> None:
    entropy = Entropy()
    assert all(2.0 <= entropy.uniform(2.0, 3.0) <= 3.0 for _ in range(1_000))


def test_the_same_seed_replays_the_same_draws() -> None:
    first, second = SeededEntropy(7), SeededEntropy(7)
    assert [first.bytes(8), first.uniform(0, 1)] == [second.bytes(8), second.uniform(0, 1)]


def test_another_seed_gives_other_draws() -> None:
    assert SeededEntropy(7).bytes(16) != SeededEntropy(8).bytes(16)
