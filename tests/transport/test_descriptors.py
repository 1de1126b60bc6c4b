"""The gauge of open descriptors counts what the kernel counts, and costs next to nothing."""

import errno
import os
import resource
from types import SimpleNamespace

import pytest

from canceld.transport import descriptors
from canceld.transport.descriptors import PLENTY, count_descriptors, raise_descriptor_limit

LIMIT = resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def test_each_open_file_counts_one() -> None:
    before = count_descriptors()
    opened = [os.open("/dev/null", os.O_RDONLY) for _ in range(20)]
    try:
        assert count_descriptors().in_use == before.in_use + 20
    finally:
        for one in opened:
            os.close(one)
    assert count_descriptors() == before


class Kernel:
    """What `os` is to the count. size: of the directory, where the kernel tells it; None fails every look."""

    def __init__(self, size: int | None, *, has_proc: bool = True) -> None:
        self._size = size
        self.path = SimpleNamespace(isdir=lambda _: has_proc)

    def stat(self, path: str) -> SimpleNamespace:
        if self._size is None:
            raise OSError(errno.EMFILE, "Too many open files")
        return SimpleNamespace(st_size=self._size)

    def listdir(self, path: str) -> list[str]:
        return ["0", "1", "2"]


@pytest.mark.parametrize(
    ("kernel", "in_use"),
    [
        (Kernel(17), 17),
        pytest.param(Kernel(0), 3, id="an older kernel has them counted one by one"),
        pytest.param(Kernel(None), LIMIT, id="none left for the count: all are in use"),
        pytest.param(Kernel(None, has_proc=False), 0, id="nothing is known: nobody is turned away"),
    ],
)
def test_what_the_kernel_tells(monkeypatch: pytest.MonkeyPatch, kernel: Kernel, in_use: int) -> None:
    monkeypatch.setattr(descriptors, "os", kernel)
    assert count_descriptors() == (in_use, LIMIT)


def test_the_limit_is_the_soft_one_and_may_be_raised_to_the_hard_one() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft - 1, hard))
    try:
        assert count_descriptors().limit == soft - 1
        raise_descriptor_limit()
        assert count_descriptors().limit == hard
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_world_without_descriptors_has_plenty() -> None:
    assert PLENTY.in_use == 0 < PLENTY.limit
