"""Makes mutants without end from a few seeds: one number drawn, one to several cuts, and now and then some noise."""

import random
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from .grammar import NOISE, Language

BLOCK: Final = 512
ADOPTED: Final = 64
"""Mutants that serve as seeds beside the first ones; the oldest gives its place to the next."""

ADOPTED_BYTES: Final = 8192
"""A longer mutant is not adopted: everything made from it would be as slow."""

DRESSED: Final = 7 / 8
"""Where mutants are finished (sealed, say), this share is; the others have their damage outside of it."""


def plain(mutant: bytes) -> bytes:
    return mutant


class Mutants:
    """The mutants of these seeds. The same seeds and number give the same mutants, on every machine.

    dress: finishes a mutant, as a checksum over it does.
    """

    def __init__(
        self, language: Language, seeds: Sequence[bytes], number: int, dress: Callable[[bytes], bytes] = plain
    ) -> None:
        self._language = language
        self._dice = random.Random(number)
        self._dress = dress
        self._corpus = [(seed, language.cuts(seed)) for seed in seeds]
        self._own = len(self._corpus)
        self._adopted = 0
        self._block: list[bytes] = []

    def blocks(self, count: int) -> Iterator[list[bytes]]:
        """`count` mutants, BLOCK at a time."""
        while count > 0:
            block = self._block = self._bare(min(count, BLOCK))
            count -= len(block)
            yield block if self._dress is plain else self._dressed(block)

    def adopt(self, place: int) -> None:
        """Let a mutant of the last block have mutants of its own: changes pile up over the generations."""
        mutant = self._block[place]
        if len(mutant) > ADOPTED_BYTES:
            return
        entry = mutant, self._language.cuts(mutant)
        if self._adopted < ADOPTED:
            self._corpus.append(entry)
        else:
            self._corpus[self._own + self._adopted % ADOPTED] = entry
        self._adopted += 1

    def _bare(self, count: int) -> list[bytes]:
        corpus, noise = self._corpus, NOISE
        many, noises = len(corpus), len(noise)
        block = []
        for word in memoryview(self._dice.randbytes(8 * count)).cast("Q"):
            word, at = divmod(word, many)
            document, cuts = corpus[at]
            word, at = divmod(word, len(cuts))
            start, end, choices = cuts[at]
            word, choice = divmod(word, len(choices))
            mutant = document[:start] + choices[choice] + document[end:]
            # A quarter is changed again, in what lies before the first change and is as it was.
            while at and not word & 3:
                at = (word >> 2) % at
                before, end, choices = cuts[at]
                if end > start:
                    break
                word >>= 7
                start = before
                mutant = mutant[:start] + choices[word % len(choices)] + mutant[end:]
            if word & 31 == 31:
                place = (word >> 5) % (len(mutant) + 1)
                mutant = mutant[:place] + noise[(word >> 11) % noises] + mutant[place + (word & 32 == 32) :]
            block.append(mutant)
        return block

    def _dressed(self, block: list[bytes]) -> list[bytes]:
        dress, chance = self._dress, self._dice.random
        finished = []
        for mutant in block:
            if chance() < DRESSED:
                finished.append(dress(mutant))
            else:
                whole = dress(mutant)
                place = int(chance() * (len(whole) + 1))
                finished.append(whole[:place] + NOISE[int(chance() * len(NOISE))] + whole[place + 1 :])
        return finished
