"""Stages: what is done, what is not and why, and what the journal remembers of each run."""

import hashlib
import itertools
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as configure
from hypothesis import strategies as st
from pydantic import ValidationError
from session_cases import finish
from session_cases import plan as plan
from session_cases import session as session

from eucentric.core import InputError, OutputError, Record
from eucentric.session import RunStatus, Session, StagePlan, StageStatus, read_history


class Free(Record):
    """Settings of any shape."""

    values: dict[str, object]
    number: float


numbers = st.floats(allow_nan=True)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | numbers | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text("ab.", max_size=2), inner, max_size=2),
    max_leaves=4,
)
free_settings = st.builds(Free, values=st.dictionaries(st.text("ab.", max_size=2), values, max_size=3), number=numbers)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    with Session.create_or_open(tmp_path_factory.mktemp("laws") / "session") as opened:
        yield opened


series_names = (f"ts{number}" for number in itertools.count())


@configure(max_examples=60, deadline=None)
@given(before=free_settings, after=free_settings)
def test_done_if_and_only_if_the_settings_are_the_same(shared: Session, before: Free, after: Free) -> None:
    plan = StagePlan(series=next(series_names), stage="align", version=1, settings=before)
    with shared.run(plan):
        pass
    assert shared.state(plan).status is StageStatus.DONE
    state = shared.state(plan.replace(settings=after))
    assert state.done == (before.model_dump_json() == after.model_dump_json() or _same(before, after))


def test_the_order_in_which_a_mapping_was_filled_does_not_count(shared: Session) -> None:
    plan = StagePlan(
        series=next(series_names), stage="align", version=1, settings=Free(values={"a": [{"x": 1, "y": 2}]}, number=0)
    )
    with shared.run(plan):
        pass
    assert shared.state(plan.replace(settings=Free(values={"a": [{"y": 2, "x": 1}]}, number=0))).done


def _same(before: Free, after: Free) -> bool:
    # The order in which a mapping was filled does not count, and repr tells NaN, 1 from 1.0 and 0.0 from -0.0.
    def canonical(value: object) -> object:
        if isinstance(value, dict):
            return {key: canonical(value[key]) for key in sorted(value)}
        return [canonical(item) for item in value] if isinstance(value, list) else value

    return repr(canonical(before.model_dump())) == repr(canonical(after.model_dump()))


def test_a_stage_that_never_ran_is_missing(session: Session, plan: StagePlan) -> None:
    state = session.state(plan)
    assert (state.status, state.reason, state.done) == (StageStatus.MISSING, "never ran", False)


def test_an_input_that_is_yet_to_be_made_does_not_stop_the_question(session: Session, plan: StagePlan) -> None:
    later = plan.replace(inputs=(session.folder / "series" / "ts01" / "alignment.json",))
    assert session.state(later).status is StageStatus.MISSING


def test_each_change_is_named(session: Session, plan: StagePlan) -> None:
    finish(session, plan)
    settings = plan.settings

    def reason(changed: StagePlan) -> str:
        state = session.state(changed)
        assert state.status is StageStatus.OUTDATED
        return state.reason

    turned = settings.replace(axis_deg=85.3)
    assert reason(plan.replace(settings=turned)) == "setting axis_deg changed from None to 85.3"
    longer = settings.replace(refine={"rounds": 5})
    assert reason(plan.replace(settings=longer)) == "setting refine.rounds changed from 3 to 5"
    assert reason(plan.replace(version=2)) == "the code of align changed from version 1 to 2"
    both = plan.replace(version=2, settings=turned)
    assert reason(both).split("; ") == [reason(plan.replace(version=2)), reason(plan.replace(settings=turned))]

    class Other(Record):
        axis_deg: float | None = None
        method: str = "patches"

    assert reason(plan.replace(settings=Other())).split("; ") == [
        "setting method is new ('patches')",
        "setting refine is gone (it was {'radius_A': 40.0, 'rounds': 3})",
    ]


def test_each_change_of_inputs_is_named(session: Session, plan: StagePlan, tmp_path: Path) -> None:
    finish(session, plan)
    stack = plan.inputs[0]
    gain = tmp_path / "gain.mrc"
    gain.write_bytes(b"1")

    assert session.state(plan.replace(inputs=(stack, gain))).reason == "input gain.mrc is new"
    assert session.state(plan.replace(inputs=())).reason == "input ts01.mrc is no longer given"
    assert session.state(plan.replace(inputs=(gain,))).reason == "input ts01.mrc is now gain.mrc"
    stack.write_bytes(b"forty-two images")
    assert session.state(plan).reason == "input ts01.mrc changed"
    stack.unlink()
    state = session.state(plan)
    assert (state.status, state.reason) == (StageStatus.OUTDATED, "input ts01.mrc is not there")


def test_the_order_of_inputs_counts(session: Session, plan: StagePlan, tmp_path: Path) -> None:
    even, odd = tmp_path / "even.mrc", tmp_path / "odd.mrc"
    even.write_bytes(b"0")
    odd.write_bytes(b"1")
    finish(session, plan.replace(inputs=(even, odd)))
    assert session.state(plan.replace(inputs=(odd, even))).status is StageStatus.OUTDATED


def test_data_may_be_moved(session: Session, plan: StagePlan, tmp_path: Path) -> None:
    finish(session, plan)
    moved = tmp_path / "archive" / "ts01.mrc"
    moved.parent.mkdir()
    plan.inputs[0].rename(moved)
    assert session.state(plan.replace(inputs=(moved,))).done


def test_the_session_may_be_moved(tmp_path: Path, plan: StagePlan) -> None:
    with Session.create_or_open(tmp_path / "here") as session:
        made = finish(session, plan)
        second = plan.replace(stage="reconstruct", inputs=(made,))
        finish(session, second)
    (tmp_path / "here").rename(tmp_path / "there")
    with Session.create_or_open(tmp_path / "there") as session:
        assert session.state(plan).done
        assert session.state(second.replace(inputs=(session.folder / "series/ts01/align.json",))).done


def test_the_session_may_be_reached_through_a_link(tmp_path: Path, plan: StagePlan) -> None:
    (tmp_path / "far-away").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "far-away")
    with Session.create_or_open(tmp_path / "link") as session, session.run(plan) as run:
        (run.folder / "align.json").write_text("{}")
        run.output(tmp_path / "link" / "series" / "ts01" / "align.json")
    (record,) = read_history(tmp_path / "far-away")
    assert [output.path for output in record.outputs] == ["series/ts01/align.json"]


def test_what_follows_a_changed_stage_is_outdated_by_content(session: Session, plan: StagePlan) -> None:
    made = finish(session, plan)
    second = plan.replace(stage="reconstruct", inputs=(made,))
    finish(session, second)
    with session.run(plan) as again:  # the same result again: nothing to do downstream
        made.write_text("{}")
        again.output(made)
    assert session.state(second).done
    with session.run(plan) as again:
        made.write_text('{"axis_deg": 85.3}')
        again.output(made)
    assert session.state(second).reason == "input align.json changed"


def test_a_damaged_output_is_seen(session: Session, plan: StagePlan) -> None:
    output = finish(session, plan)
    output.write_text("[]")
    state = session.state(plan)
    assert (state.status, state.reason) == (StageStatus.DAMAGED, "series/ts01/align.json was changed since")
    output.unlink()
    state = session.state(plan)
    assert (state.status, state.reason) == (StageStatus.DAMAGED, "series/ts01/align.json is missing")
    finish(session, plan)
    assert session.state(plan).done


def test_one_changed_byte_in_a_chunk_of_a_folder_is_damage(session: Session, plan: StagePlan) -> None:
    with session.run(plan) as run:
        group = run.folder / "tomogram.zarr"
        (group / "0" / "c").mkdir(parents=True)
        (group / "zarr.json").write_text("{}")
        (group / "0" / "c" / "0").write_bytes(bytes(100))
        run.output(group)
    assert session.state(plan).done
    (group / "0" / "c" / "0").write_bytes(bytes(99) + b"\x01")
    assert session.state(plan).status is StageStatus.DAMAGED


def test_a_run_is_remembered_whole(session: Session, plan: StagePlan) -> None:
    output = finish(session, plan)
    record = session.last("ts01", "align")
    assert record is not None
    assert record.status is RunStatus.FINISHED
    assert record.version == 1
    assert record.settings == plan.settings.model_dump()
    assert record.metrics == {"rms_A": 1.2}
    assert record.started_at.tzinfo is UTC or record.started_at.utcoffset() == datetime.now(UTC).utcoffset()
    assert record.seconds is not None
    assert record.seconds > 0
    assert record.provenance.eucentric
    assert record.provenance.python.startswith("3.")
    (made,) = record.outputs
    assert session.folder / made.path == output
    assert (made.size_bytes, made.sha256) == (2, hashlib.sha256(b"{}").hexdigest())
    (read,) = record.inputs
    assert (read.path, read.size_bytes) == (str(plan.inputs[0]), 16)


def test_times_are_those_of_the_clock_in_utc(session: Session, plan: StagePlan) -> None:
    with session.run(plan.replace(inputs=())):
        pass
    record = session.last("ts01", "align")
    assert record is not None
    # The clock was asked when the session opened, when the run began, and when it ended.
    assert record.started_at == datetime(2100, 1, 1, 0, 0, 2, tzinfo=UTC)
    assert record.seconds == 1


def test_a_failure_is_recorded_and_raised_again(session: Session, plan: StagePlan) -> None:
    def align() -> None:
        with session.run(plan) as run:
            run.metric("tilts", 2)
            raise InputError("ts01: too few tilts.", "Give at least three.")

    with pytest.raises(InputError, match="too few tilts"):
        align()
    record = session.last("ts01", "align")
    assert record is not None
    assert (record.status, record.reason) == (RunStatus.FAILED, "ts01: too few tilts. Give at least three.")
    assert (record.metrics, record.outputs) == ({"tilts": 2}, ())
    state = session.state(plan)
    assert state.status is StageStatus.MISSING
    assert state.reason == "last run failed: ts01: too few tilts. Give at least three."


def test_an_interrupt_is_recorded_and_raised_again(session: Session, plan: StagePlan) -> None:
    with pytest.raises(KeyboardInterrupt), session.run(plan):
        raise KeyboardInterrupt
    record = session.last("ts01", "align")
    assert record is not None
    assert (record.status, record.reason) == (RunStatus.INTERRUPTED, "KeyboardInterrupt")


def test_a_failed_attempt_does_not_undo_what_was_done(session: Session, plan: StagePlan) -> None:
    finish(session, plan)
    with pytest.raises(RuntimeError), session.run(plan.replace(version=2)):
        raise RuntimeError("no")
    assert session.state(plan).done
    assert session.state(plan.replace(version=2)).status is StageStatus.OUTDATED
    finished = session.last("ts01", "align", RunStatus.FINISHED)
    assert finished is not None
    assert finished.version == 1
    assert [record.status for record in session.history()] == [RunStatus.FINISHED, RunStatus.FAILED]


def test_an_output_that_was_never_written_fails_the_run(session: Session, plan: StagePlan) -> None:
    with pytest.raises(OutputError, match=r"tomogram\.mrc"), session.run(plan) as run:
        run.output(run.folder / "tomogram.mrc")
    assert session.state(plan).status is StageStatus.MISSING


def test_an_output_outside_the_session_fails_the_run(session: Session, plan: StagePlan) -> None:
    with pytest.raises(ValueError, match="outside the session"), session.run(plan) as run:
        run.output(plan.inputs[0])
    assert session.state(plan).status is StageStatus.MISSING


def test_without_its_input_a_stage_does_not_start(session: Session, plan: StagePlan) -> None:
    plan.inputs[0].unlink()
    with pytest.raises(InputError, match=r"ts01\.mrc.*not there"), session.run(plan):
        pytest.fail("it started")
    assert session.history() == ()


def test_a_metric_that_json_cannot_hold_is_refused_at_once(session: Session, plan: StagePlan) -> None:
    with pytest.raises(TypeError), session.run(plan) as run:
        run.metric("session", session)


def test_history_can_be_narrowed(session: Session, plan: StagePlan) -> None:
    for series, stage in itertools.product(("ts01", "ts02"), ("align", "reconstruct")):
        finish(session, plan.replace(series=series, stage=stage))
    assert [(record.series, record.stage) for record in session.history("ts02")] == [
        ("ts02", "align"),
        ("ts02", "reconstruct"),
    ]
    assert [record.series for record in session.history(stage="align")] == ["ts01", "ts02"]
    assert len(session.history()) == 4
    assert session.last("ts03", "align") is None


def test_history_is_read_beside_the_process_that_holds_it(session: Session, plan: StagePlan) -> None:
    finish(session, plan)
    with session.run(plan):
        assert session.state(plan).done  # the run before still holds
        assert session.state(plan.replace(stage="other")).reason == "never ran"
        with session.run(plan.replace(stage="other")):
            assert session.state(plan.replace(stage="other")).reason == "last run running"
        assert [record.status for record in read_history(session.folder)] == [
            RunStatus.FINISHED,
            RunStatus.RUNNING,
            RunStatus.FINISHED,
        ]
    assert read_history(session.folder) == session.history()


def test_reading_a_closed_session_changes_nothing(tmp_path: Path, plan: StagePlan) -> None:
    folder = tmp_path / "session"
    with Session.create_or_open(folder) as session:
        finish(session, plan)
        history = session.history()
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert read_history(folder) == history
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_reading_what_is_no_session_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a session"):
        read_history(tmp_path)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", ".hidden", "a\x00b"])
def test_a_name_that_is_no_folder_is_refused(plan: StagePlan, name: str) -> None:
    with pytest.raises(ValidationError):
        plan.replace(series=name)


def test_names_of_any_bytes_can_be_inputs(session: Session, plan: StagePlan, tmp_path: Path) -> None:
    odd = tmp_path / "\udcb5m.mrc"  # the byte 0xb5, µ in Latin-1, is not UTF-8
    odd.write_bytes(b"x")
    named = plan.replace(inputs=(odd,))
    finish(session, named)
    assert session.state(named).done
    with pytest.raises(InputError), session.run(named):
        raise InputError(f"{odd}: bad.")
    assert [record.status for record in session.history()] == [RunStatus.FINISHED, RunStatus.FAILED]
