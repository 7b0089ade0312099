"""`Collecting`: series read one after the other, of which one that cannot be read costs only itself."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, TypeVar

from pydantic import ValidationError

from eucentric.core import EucentricError
from eucentric.io.exchange.records import Imported, ProcessedSeries
from eucentric.io.exchange.remembering import grouped

_MAX_SERIES = 10_000
T = TypeVar("T")


class SeriesReader(Protocol):
    """Reads one series: `name` and `source` say which, `dropped` has then what was not read."""

    @property
    def name(self) -> str:
        """Name of the series, as far as it is known."""

    @property
    def source(self) -> Path:
        """The file that is read."""

    @property
    def dropped(self) -> Sequence[str]:
        """Sentences about what was not read."""


class Collecting:
    """What was read of a project so far: add to `series` and `dropped`; `failures` fill themselves."""

    def __init__(self) -> None:
        self.series: list[ProcessedSeries] = []
        self.dropped: list[str] = []
        self.failures: dict[str, str] = {}

    def at_most(self, found: Sequence[T], where: Path, what: str) -> Sequence[T]:
        """Return as many as a project may have, and tell where that is not all; `what` is the plural of one."""
        if len(found) > _MAX_SERIES:
            self.dropped.append(f"{where}: only the first {_MAX_SERIES} of {len(found)} {what} were read.")
        return found[:_MAX_SERIES]

    @contextmanager
    def reading(self, reader: SeriesReader, fix: str) -> Iterator[None]:
        """Take what `reader` dropped if the body ends well; else keep why not, with what to do, and go on."""
        try:
            yield
        except (EucentricError, ValidationError) as error:
            self.failures[reader.name] = why(error, reader.source, fix)
        else:
            self.dropped += reader.dropped

    def imported(self) -> Imported:
        """Return all that was read."""
        return Imported(series=tuple(self.series), dropped=tuple(grouped(self.dropped)), failures=self.failures)


def why(error: EucentricError | ValidationError, source: Path, fix: str) -> str:
    """Return why a series could not be read, in words for whoever reads the file."""
    if isinstance(error, EucentricError):
        return str(error)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"]) or "the series"
    return f"{source}: not a series ({where}: {first['msg']}). {fix}"
