"""What workers do: a function of a request, which joins the session, runs stages there, and says what came of it."""

import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from eucentric.core import EucentricError, EucentricWarning, OutputError
from eucentric.core.devices import resolve_device
from eucentric.io import read_plan
from eucentric.io.movie_series import load_movie_series
from eucentric.session import BusyError, JournalAddress, Session
from eucentric.workflow.live.look import run_look
from eucentric.workflow.live.preview import PreviewRequest, run_preview
from eucentric.workflow.live.records import LookRequest, SeriesRequest, TaskOutcome
from eucentric.workflow.movies import process_movies
from eucentric.workflow.session_series import plan_beside

_BUSY_S = 1.0  # between looks at whether another worker has ended


def take_look(request: LookRequest) -> TaskOutcome:
    """Look at one tilt."""
    with _joined(request.journal) as (session, told):
        told.attempt(lambda: run_look(session, request))
    return told.outcome


def make_preview(request: PreviewRequest) -> TaskOutcome:
    """Make a preview of the tomogram from the tilts that have been looked at."""
    with _joined(request.journal) as (session, told):
        told.attempt(lambda: run_preview(session, request))
    return told.outcome


def process_one(request: SeriesRequest) -> TaskOutcome:
    """Process a series, from its movies to its tomogram and report; finished stages are not run again."""
    with _joined(request.journal) as (session, told):
        told.attempt(lambda: _process(session, request))
    return told.outcome


def _process(session: Session, request: SeriesRequest) -> None:
    source = request.source
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", EucentricWarning)
        movies = load_movie_series(
            source.mdoc,
            frames=source.frames,
            gain=source.gain,
            pixel_A=source.pixel_A,
            exposure_e_A2=source.exposure_e_A2,
            name=request.series,
        )
    noticed = tuple(str(one.message) for one in caught if issubclass(one.category, EucentricWarning))
    plan = plan_beside(source.mdoc)
    process_movies(
        session,
        movies,
        request.settings,
        plan=read_plan(plan) if plan else None,
        device=resolve_device(request.device),
        noticed=noticed,
    )


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
