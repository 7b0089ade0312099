"""What workers do: a function of a request, which joins the session, runs stages there, and says what came of it."""

import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from eucentric.core import EucentricError, EucentricWarning, InputError, OutputError
from eucentric.core.devices import resolve_device
from eucentric.session import BusyError, JournalAddress, Session
from eucentric.workflow.live.look import run_look
from eucentric.workflow.live.preview import PreviewRequest, run_preview
from eucentric.workflow.live.records import LookRequest, SectionRequest, SeriesRequest, Source, TaskOutcome
from eucentric.workflow.live.section_look import run_section_look
from eucentric.workflow.loading import Loaded, load_acquired, process_loaded
from eucentric.workflow.session_series import Acquired

_BUSY_S = 1.0  # between looks at whether another worker has ended


def take_look(request: LookRequest | SectionRequest) -> TaskOutcome:
    """Look at one tilt: at its movie, or at its section of a stack."""
    with _joined(request.journal) as (session, told):
        if isinstance(request, SectionRequest):
            told.attempt(lambda: run_section_look(session, request))
        else:
            told.attempt(lambda: run_look(session, request))
    return told.outcome


def make_preview(request: PreviewRequest) -> TaskOutcome:
    """Make a preview of the tomogram from the tilts that have been looked at."""
    with _joined(request.journal) as (session, told):
        told.attempt(lambda: run_preview(session, request))
    return told.outcome


def process_one(request: SeriesRequest) -> TaskOutcome:
    """Process a series, from its movies or its stack to its tomogram and report; finished stages are not run again."""
    with _joined(request.journal) as (session, told):
        told.attempt(lambda: _process(session, request))
    return told.outcome


def _process(session: Session, request: SeriesRequest) -> None:
    source = request.source
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", EucentricWarning)
        loaded = _loaded(source, request.series)
    noticed = [str(one.message) for one in caught if issubclass(one.category, EucentricWarning)]
    if source.stack and any(tilt.movie for tilt in loaded.of.series.tilts):
        noticed.append(f"{source.mdoc}: none of the movies that it names was found; the stack was used. [no-movies]")
    process_loaded(
        session, loaded, request.settings, device=resolve_device(request.device), noticed=tuple(dict.fromkeys(noticed))
    )


def _loaded(source: Source, name: str) -> Loaded:
    if source.stack is None:
        return load_acquired(
            Acquired(source.mdoc, from_movies=True),
            frames=source.frames,
            gain=source.gain,
            pixel_A=source.pixel_A,
            exposure_e_A2=source.exposure_e_A2,
            name=name,
        )
    if not source.stack.is_file():
        raise InputError(
            f"{source.mdoc}: it names no movies, and there is no stack {source.stack.name} beside it.",
            "Copy the stack there; the series is then tried again.",
        )
    stack = Acquired(source.stack, from_movies=False)
    return load_acquired(stack, mdoc=source.mdoc, pixel_A=source.pixel_A, name=name)


class _Attempt:
    """One try of a task, and what is to be said of it."""

    def __init__(self) -> None:
        self.outcome = TaskOutcome()

    def attempt(self, work: Callable[[], None]) -> None:
        try:
            while not _free(work):
                time.sleep(_BUSY_S)
        except EucentricError as error:
            # What cannot be done with these files will not be done the next time; a disk may be free again.
            self.outcome = TaskOutcome(reason=str(error), again=isinstance(error, OutputError))
        except MemoryError:
            self.outcome = TaskOutcome(reason="there was not enough memory.", again=True)
        except Exception as error:  # noqa: BLE001 - of our own making: the other series go on, and this is told
            what = f"{type(error).__name__}: {error}"
            self.outcome = TaskOutcome(reason=f"an error of Eucentric itself ({what}). Please report it.")


def _free(work: Callable[[], None]) -> bool:
    """Do it, unless another worker is at a stage of it, as one that Dask has given up, and that has not yet ended."""
    try:
        work()
    except BusyError:
        return False
    return True


@contextmanager
def _joined(journal: JournalAddress) -> Iterator[tuple[Session, _Attempt]]:
    told = _Attempt()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EucentricWarning)  # what matters of them is in the report
        with Session.join(journal) as session:
            yield session, told
