"""The stack of a series as far as it has come: which of its sections are whole while a microscope adds to it."""

from collections.abc import Container
from pathlib import Path

from eucentric.core import EucentricError
from eucentric.io.growing_stack import GrowingStack, look_at_stack

Stamp = tuple[int, int]
"""Size (bytes) and modification time (ns) of a file."""

_SUFFIXES = (".mrc", ".st")


def stack_of(mdoc: Path, beside: Container[str]) -> Path:
    """Return the stack of an .mdoc: of all names that it may have, one that is `beside` it, else the likeliest."""
    if mdoc.with_suffix("").suffix in _SUFFIXES:
        return mdoc.with_suffix("")
    names = [mdoc.with_suffix(suffix) for suffix in _SUFFIXES]
    return next((path for path in names if path.name in beside), names[0])


class SeenStack:
    """What has been seen of a stack. A section is whole when the file has been long enough for it for a while.

    Attributes
    ----------
    path
        The file, there or not.
    stamp
        As it was last seen; None while it is not there.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.stamp: Stamp | None = None
        self._now: GrowingStack | None = None
        self._since_s: list[float] = []  # when the file was first long enough, by section
        self._longest = self._begun_ns = 0

    @property
    def counted(self) -> int:
        """How many sections the header counts."""
        return self._now.counted if self._now else 0

    def look(self, stamp: Stamp | None, now_s: float) -> None:
        """See how far it is by now; it is opened only where it has changed."""
        if stamp == self.stamp:
            return
        self.stamp = stamp
        try:
            self._now = None if stamp is None else look_at_stack(self.path)
        except EucentricError:  # not yet a stack, perhaps; if it never is, processing will say why
            self._now = None
        if stamp is not None:
            if stamp[0] < self._longest or not self._begun_ns:  # begun, or begun anew with other images
                self._begun_ns, self._since_s = stamp[1], []
            self._longest = stamp[0]
        there = self._now.whole if self._now else 0
        self._since_s = self._since_s[:there] + [now_s] * (there - len(self._since_s))

    def whole(self, now_s: float, settle_s: float) -> int:
        """Return how many sections are whole, from the first on."""
        return sum(since_s + settle_s <= now_s for since_s in self._since_s)

    @property
    def section_stamp(self) -> Stamp:
        """Return what stands for the stamp of a section's own file: it stays while the stack only grows."""
        return (self._now.section_bytes if self._now else 0, self._begun_ns)
