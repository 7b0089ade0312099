"""Content hashes: they agree with sha256sum, and a file that has not changed is read once."""

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from session_cases import finish
from session_cases import plan as plan
from session_cases import session as session

from eucentric.core import Reporter
from eucentric.session import Session, StagePlan


class Watcher(Reporter):
    """Notes what is read, and how many steps it took."""

    def __init__(self) -> None:
        self.steps: dict[str, list[int]] = {}

    @contextmanager
    def task(self, what: str, total: int) -> Iterator[Callable[[], None]]:
        seen = self.steps.setdefault(what.removeprefix("Checking "), [])
        seen.append(0)

        def step() -> None:
            seen[-1] += 1

        yield step
        assert seen[-1] == total


def test_an_unchanged_input_is_read_once_and_a_changed_one_again(tmp_path: Path, plan: StagePlan) -> None:
    watcher = Watcher()
    with Session.create_or_open(
        tmp_path / "session", reporter=watcher, clock=lambda: datetime(2100, 1, 1, tzinfo=UTC)
    ) as session:
        finish(session, plan)
        for _ in range(3):
            assert session.state(plan).done
        assert len(watcher.steps["ts01.mrc"]) == 1
        assert len(watcher.steps["align.json"]) == 1
        stack = plan.inputs[0]
        before = stack.stat()
        stack.write_bytes(b"forty-two images")  # as long as the old one
        os.utime(stack, ns=(before.st_atime_ns, before.st_mtime_ns))  # and with its old time
        assert session.state(plan).reason == "input ts01.mrc changed"
        assert len(watcher.steps["ts01.mrc"]) == 2
    with Session.create_or_open(tmp_path / "session", reporter=watcher) as session:
        assert not session.state(plan).done
        assert len(watcher.steps["ts01.mrc"]) == 2


def test_a_file_that_changed_just_now_is_not_trusted(tmp_path: Path, plan: StagePlan) -> None:
    watcher = Watcher()
    changed = datetime.fromtimestamp(plan.inputs[0].stat().st_ctime, UTC)
    with Session.create_or_open(tmp_path / "session", reporter=watcher, clock=lambda: changed) as session:
        finish(session, plan)
        assert session.state(plan).done
    assert len(watcher.steps["ts01.mrc"]) == 2


def test_a_large_file_reports_its_progress(tmp_path: Path, plan: StagePlan) -> None:
    watcher = Watcher()
    with plan.inputs[0].open("wb") as handle:
        handle.truncate((1 << 24) * 2 + 1)
    with Session.create_or_open(tmp_path / "session", reporter=watcher) as session, session.run(plan):
        pass
    assert watcher.steps["ts01.mrc"] == [3]


def test_a_folder_is_hashed_as_sha256sum_would(session: Session, plan: StagePlan) -> None:
    with session.run(plan) as run:
        group = run.folder / "tomogram.zarr"
        for name in ("zarr.json", "0/c/0/1", "0/c/0/0", "0/zarr.json", "0.txt", "0-", "é"):
            (group / name).parent.mkdir(parents=True, exist_ok=True)
            (group / name).write_text(name)
        run.output(group)
    record = session.last("ts01", "align")
    assert record is not None
    (made,) = record.outputs
    assert made.size_bytes == sum(path.stat().st_size for path in group.rglob("*") if path.is_file())
    if shutil.which("sha256sum") is None:
        pytest.skip("no sha256sum here to compare with")
    listing = "find . -type f -printf '%P\\0' | LC_ALL=C sort -z | xargs -0 sha256sum"
    lines = subprocess.run(["bash", "-c", listing], cwd=group, capture_output=True, check=True).stdout
    assert made.sha256 == hashlib.sha256(lines).hexdigest()


@pytest.mark.parametrize("change", ["added", "renamed", "removed"])
def test_the_names_in_a_folder_count(session: Session, plan: StagePlan, change: str) -> None:
    with session.run(plan) as run:
        group = run.folder / "tomogram.zarr"
        group.mkdir()
        (group / "a").touch()
        (group / "b").touch()
        run.output(group)
    assert session.state(plan).done
    if change == "added":
        (group / "c").touch()
    elif change == "renamed":
        (group / "b").rename(group / "c")
    else:
        (group / "b").unlink()
    assert session.state(plan).reason == "series/ts01/tomogram.zarr was changed since"
