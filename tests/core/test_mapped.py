"""Sections of mapped stacks."""

import sys
from pathlib import Path

import numpy as np
import pytest

from eucentric.core.mapped import section_of

SHAPE = (16, 512, 512)


@pytest.fixture
def mapped(tmp_path: Path) -> np.memmap:
    stack = np.arange(np.prod(SHAPE), dtype=np.float32).reshape(SHAPE)
    (tmp_path / "stack").write_bytes(b"\0" * 1000 + stack.tobytes())
    return np.memmap(tmp_path / "stack", np.float32, "r", 1000, SHAPE)


def _resident_kB() -> int:
    """Return how much of this process's memory is of mapped files, of those that lie in memory (tmpfs) too."""
    lines = (line.split() for line in Path("/proc/self/status").read_text().splitlines())
    return sum(int(words[1]) for words in lines if words[0] in ("RssFile:", "RssShmem:"))


def test_sections_are_what_they_are_however_often_they_are_read(mapped: np.memmap) -> None:
    held = np.array(mapped)
    for _ in range(2):
        for section in range(len(mapped)):
            assert np.array_equal(section_of(mapped, section), held[section])
    part = mapped[3:7, 5:]
    assert np.array_equal(section_of(part, 2), held[5, 5:])


@pytest.mark.skipif(sys.platform != "linux", reason="what is resident is read from /proc")
def test_pages_are_given_back(mapped: np.memmap) -> None:
    before = _resident_kB()
    for section in range(len(mapped)):
        section_of(mapped, section)
    after_sections = _resident_kB()
    mapped.sum()
    whole_kB = np.prod(SHAPE) * 4 // 1024
    assert after_sections - before < 0.1 * whole_kB
    assert _resident_kB() - before > 0.9 * whole_kB


def test_arrays_in_memory_are_copied() -> None:
    stack = np.full((2, 3, 3), 1e300)
    image = section_of(stack, 1)
    assert image.dtype == np.float32
    assert np.isinf(image).all()
    image[:] = 0
    assert stack[1].min() == 1e300
