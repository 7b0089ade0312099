"""`Stages`: the stages of one series in their order, each run only where it is not done as planned."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from eucentric.core import FormatError, Record, Reporter
from eucentric.session import Session, StagePlan, StageRecord, StageRun
from eucentric.workflow.records import StageOutcome

R = TypeVar("R", bound=BaseModel)


class Stages:
    """The stages of a series on their way through the journal.

    `versions` has the number of each stage's code, raised whenever it gives other results; `folder` is where results
    go, `outcomes` what became of the stages so far.
    """

    def __init__(self, session: Session, series: str, versions: Mapping[str, int], reporter: Reporter) -> None:
        self._session, self._series, self._versions, self._reporter = session, series, versions, reporter
        self.folder = session.series_folder(series)
        self.outcomes: list[StageOutcome] = []

    def run(self, name: str, settings: Record, inputs: tuple[Path, ...], work: Callable[[StageRun], None]) -> None:
        """Do a stage, unless it was done with these settings and inputs and its results still stand."""
        plan = StagePlan(
            series=self._series, stage=name, version=self._versions[name], settings=settings, inputs=inputs
        )
        state = self._session.state(plan)
        if not state.done:
            again = self.last(name) is not None
            self._reporter.say(f"{self._series}: {name}" + (f" again, for {state.reason}" if again else ""))
            with self._session.run(plan) as run:
                work(run)
        last = self.last(name)
        seconds = last.seconds if last is not None and last.seconds is not None else 0.0
        self.outcomes.append(StageOutcome(stage=name, ran=not state.done, reason=state.reason, seconds=seconds))

    def last(self, name: str) -> StageRecord | None:
        """Return the latest run of a stage."""
        return self._session.last(self._series, name)


def read_record(path: Path, record: type[R]) -> R:
    """Return what an earlier stage left.

    Raises
    ------
    FormatError
        If it is not what that stage writes.
    """
    try:
        return record.model_validate_json(path.read_text(encoding="utf-8"))
    except (ValidationError, UnicodeDecodeError) as error:
        raise FormatError(f"{path}: this is not what the stage writes.", "Remove the file and run again.") from error
