"""The only place where randomness is drawn: the kernel's in service, a seeded one in simulations."""

import builtins
import os
import random


class Entropy:
    """Randomness nobody can predict; fit for keys, one-time codes and frame masks."""

    def __init__(self) -> None:
        self._random: random.Random = random.SystemRandom()

    def bytes(self, n: int) -> builtins.bytes:
        """`n` random bytes."""
        return os.urandom(n)

    def uniform(self, low: float, high: float) -> float:
        """A number drawn evenly from low..high, for jitter."""
        return self._random.uniform(low, high)


class SeededEntropy(Entropy):
    """The same seed gives the same draws for ever. Simulations only: whoever knows the seed knows every draw."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def bytes(self, n: int) -> builtins.bytes:
        return self._random.randbytes(n)
