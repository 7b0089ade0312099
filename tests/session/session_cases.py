"""A clock, settings and a plan that the tests of sessions share."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from eucentric.core import Record
from eucentric.session import Session, StagePlan


class Refinement(Record):
    rounds: int = 3
    radius_A: float = 40.0


class AlignSettings(Record):
    axis_deg: float | None = None
    refine: Refinement = Refinement()


class Clock:
    """Advances by one second whenever it is asked. It starts far ahead, so that every file counts as settled."""

    def __init__(self, start: datetime = datetime(2100, 1, 1, tzinfo=UTC)) -> None:
        self.now = start

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    with Session.create_or_open(tmp_path / "my-session", clock=Clock()) as opened:
        yield opened


@pytest.fixture
def plan(tmp_path: Path) -> StagePlan:
    """A plan with one input, a stack beside the session."""
    stack = tmp_path / "ts01.mrc"
    stack.write_bytes(b"forty-one images")
    return StagePlan(series="ts01", stage="align", version=1, settings=AlignSettings(), inputs=(stack,))


def finish(session: Session, plan: StagePlan) -> Path:
    """Run a plan to its end and return the one output that it wrote."""
    with session.run(plan) as run:
        output = run.folder / f"{plan.stage}.json"
        output.write_text("{}")
        run.output(output)
        run.metric("rms_A", 1.2)
    return output
