"""What a worker does of itself: it waits for another that is still at a stage, as one that Dask has given up."""

import threading
from pathlib import Path

import pytest

from eucentric.core import Record
from eucentric.session import RunStatus, Session, StagePlan
from eucentric.workflow.live import tasks

PLAN = StagePlan(series="TS_1", stage="motion", version=1, settings=Record(), inputs=())


def test_a_stage_that_another_worker_is_at_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "_BUSY_S", 0.02)
    tries = []
    given_up, may_end = threading.Event(), threading.Event()
    with Session.create_or_open(tmp_path / "s") as session, session.served() as server:

        def be_retired() -> None:
            with Session.join(server.address) as joined, joined.run(PLAN):
                given_up.set()
                may_end.wait(10)

        other = threading.Thread(target=be_retired)
        other.start()
        assert given_up.wait(10)

        with tasks._joined(server.address) as (joined, told):

            def work() -> None:
                tries.append(joined.state(PLAN).done)
                if len(tries) == 3:
                    may_end.set()
                    other.join()
                if not joined.state(PLAN).done:
                    with joined.run(PLAN):
                        pass

            told.attempt(work)
        assert told.outcome.done
        assert len(tries) == 3
        assert [one.status for one in session.history("TS_1")] == [RunStatus.FINISHED]
