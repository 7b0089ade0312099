"""`eucentric process`: bad input, bad places, Ctrl-C; each a clear error, nothing half-written, and it carries on."""

import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import mrcfile
import numpy as np
import pytest
from command_line import Run, partials, stages_run
from command_line import run as run

import eucentric.workflow.process
import eucentric.workflow.volumes
from eucentric.io import load_series, open_mrc, write_angles, write_mrc
from eucentric.session import RunStatus, read_history
from eucentric.workflow.records import ProcessOutcome
from phantoms.series import WrittenPhantom

STAGES = ["align", "reconstruct", "assess", "report"]
QUICK = ("--axis", "84.3", "--depth", "2000", "--rounds", "1", "--json")
AS_PROCESSED = ("--axis", "84.3", "--json")  # the settings of the fixture `processed`


@pytest.fixture
def stack(phantom: WrittenPhantom, tmp_path: Path) -> Path:
    """A copy of the phantom series that may be spoilt."""
    for file in (phantom.stack, phantom.angles, phantom.table):
        shutil.copy(file, tmp_path)
    return tmp_path / phantom.stack.name


@pytest.fixture
def session_folder(processed: ProcessOutcome, tmp_path: Path) -> Path:
    """A copy of a session in which all is done."""
    return shutil.copytree(processed.folder.parents[1], tmp_path / "session")


def patch_header(stack: Path, byte: int, value: int) -> None:
    with stack.open("r+b") as file:
        file.seek(byte)
        file.write(struct.pack("<i", value))


def shorten(stack: Path) -> None:
    with stack.open("r+b") as file:
        file.truncate(stack.stat().st_size - 1000)


def no_angles(stack: Path) -> None:
    stack.with_suffix(".rawtlt").unlink()
    stack.with_suffix(".csv").unlink()


def one_angle_less(stack: Path) -> None:
    angles = stack.with_suffix(".rawtlt")
    angles.write_text("".join(angles.read_text().splitlines(keepends=True)[1:]))


def four_tilts(stack: Path) -> None:
    images = np.array(open_mrc(stack).data[8:12])
    no_angles(stack)
    write_mrc(stack, images, 53.0, kind="stack")
    write_angles(stack.with_suffix(".rawtlt"), (-12, -6, 0, 6))


def constant(stack: Path) -> None:
    with mrcfile.mmap(stack, "r+") as file:
        file.data[:] = 7


def one_angle_for_all(stack: Path) -> None:
    stack.with_suffix(".csv").unlink()
    write_angles(stack.with_suffix(".rawtlt"), [12.0] * 21)


SPOILT = [
    pytest.param(shorten, "promises 21 sections, the file holds 20", "Copy it again", id="truncated"),
    pytest.param(lambda stack: patch_header(stack, 8, 400), "promises 400 sections", "Copy it again", id="header"),
    pytest.param(lambda stack: patch_header(stack, 12, 4), "mode 4", "Convert it to mode", id="transforms"),
    pytest.param(lambda stack: patch_header(stack, 12, 101), "mode 101", "Convert it to mode", id="4-bit"),
    pytest.param(lambda stack: stack.write_bytes(b""), "empty", "Copy it again", id="empty"),
    pytest.param(lambda stack: stack.write_text("no " * 999), "not an MRC file", "Name another", id="text"),
    pytest.param(lambda stack: stack.unlink(), "no such file", "Check the path", id="absent"),
    pytest.param(no_angles, "no tilt angles", "--angles", id="no angles"),
    pytest.param(one_angle_less, "ts.rawtlt has 20", "same series", id="angle count"),
    pytest.param(one_angle_for_all, "all 21 sections are at 12°", "--angles", id="one angle"),
]

UNUSABLE = [
    pytest.param(four_tilts, "fewer than 5", "Check the stack", id="four tilts"),
    pytest.param(constant, "equal", "Check the stack", id="constant"),
]


@pytest.mark.parametrize(("spoil", "said", "fix"), SPOILT)
def test_a_series_that_cannot_be_read_is_named_and_leaves_nothing(
    run: Run, stack: Path, tmp_path: Path, spoil: Callable[[Path], object], said: str, fix: str
) -> None:
    spoil(stack)
    ran = run("process", stack, "--output", tmp_path / "session", *QUICK)
    assert ran.status == 1
    assert ran.err.startswith(f"Error: {stack}")
    assert said in ran.err
    assert fix in ran.err
    assert not (tmp_path / "session").exists()
    assert ran.json["series"] == []
    assert ran.json["failed"][0]["stack"] == str(stack)
    assert said in ran.json["failed"][0]["error"]


@pytest.mark.parametrize(("spoil", "said", "fix"), UNUSABLE)
def test_a_series_that_cannot_be_processed_leaves_no_results(
    run: Run, stack: Path, tmp_path: Path, spoil: Callable[[Path], object], said: str, fix: str
) -> None:
    spoil(stack)
    ran = run("process", stack, "--output", tmp_path / "session", *QUICK)
    assert ran.status == 1
    assert f"Error: {stack}" in ran.err
    assert said in ran.err
    assert fix in ran.err
    assert list((tmp_path / "session" / "series" / "ts").iterdir()) == []


def test_angles_given_twice_are_named_and_the_series_is_done(run: Run, stack: Path, tmp_path: Path) -> None:
    stack.with_suffix(".csv").unlink()
    tilts = list(load_series(stack).series.tilts_deg)
    tilts[5] = tilts[6]
    write_angles(stack.with_suffix(".rawtlt"), tilts)
    ran = run("process", stack, "--output", tmp_path / "session", *QUICK)
    assert ran.status == 0
    assert f"Warning: {stack}: sections 5 and 6 at -24° have the same tilt; both were kept. [same-angle]" in ran.err
    assert any("same-angle" in warning for warning in ran.json["series"][0]["warnings"])


def test_a_bad_series_does_not_stop_the_next(run: Run, stack: Path, tmp_path: Path) -> None:
    bad, worse = tmp_path / "bad.mrc", tmp_path / "worse.mrc"
    for copy in (bad, worse):
        shutil.copy(stack, copy)
        shutil.copy(stack.with_suffix(".rawtlt"), copy.with_suffix(".rawtlt"))
    shorten(bad)  # fails when it is read
    constant(worse)  # fails when it is aligned
    ran = run("process", bad, worse, stack, "--output", tmp_path / "session", *QUICK)
    assert ran.status == 1
    assert [failed["stack"] for failed in ran.json["failed"]] == [str(bad), str(worse)]
    assert [series["series"] for series in ran.json["series"]] == ["ts"]
    assert (tmp_path / "session" / "series" / "ts" / "report.html").is_file()


def test_two_stacks_of_one_name_are_not_written_over_each_other(run: Run, stack: Path, tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    for suffix in (".mrc", ".rawtlt"):
        shutil.copy(stack.with_suffix(suffix), tmp_path / "b")
    ran = run("process", stack, tmp_path / "b" / "ts.mrc", "--output", tmp_path / "session", *QUICK)
    assert ran.status == 1
    assert "both be series ts" in ran.err
    assert "--name" in ran.err
    assert not (tmp_path / "session").exists()


# The same command again


def test_the_second_run_does_nothing_and_says_so(
    run: Run, session_folder: Path, phantom: WrittenPhantom, processed: ProcessOutcome
) -> None:
    ran = run("process", phantom.stack, "--output", session_folder, *AS_PROCESSED)
    assert ran.status == 0
    assert stages_run(ran) == []
    assert "nothing had changed" in ran.err
    assert ran.json["series"][0]["resolution_A"] == processed.resolution_A
    assert ran.json["series"][0]["shape_zyx"] == list(processed.shape_zyx)
    assert ran.json["failed"] == []


def test_a_changed_option_runs_what_depends_on_it_and_says_why(
    run: Run, session_folder: Path, phantom: WrittenPhantom
) -> None:
    ran = run("process", phantom.stack, "--output", session_folder, "--cutoff", "0.5", *AS_PROCESSED)
    assert ran.status == 0
    assert stages_run(ran) == STAGES[1:]
    assert "ts: reconstruct again, for setting cutoff changed from 0.8 to 0.5" in ran.err


def test_ctrl_c_is_told_and_the_same_command_carries_on(
    run: Run, session_folder: Path, phantom: WrittenPhantom, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    command = ("process", phantom.stack, "--output", session_folder, "--bin", "2", *AS_PROCESSED)
    with monkeypatch.context() as patch:
        patch.setattr(eucentric.workflow.volumes, "write_ome_zarr", interrupted)
        ran = run(*command)
    assert (ran.status, ran.json) == (1, None)
    assert "Interrupted. Finished stages are kept" in ran.err
    assert read_history(session_folder)[-1].status is RunStatus.INTERRUPTED
    assert partials(session_folder) == []
    again = run(*command)
    assert again.status == 0
    assert stages_run(again) == STAGES[1:]


def test_a_bug_shows_its_traceback(
    session_folder: Path, phantom: WrittenPhantom, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(eucentric.workflow.process, "reconstruct", wrong)
    with pytest.raises(ZeroDivisionError):
        run("process", phantom.stack, "--output", session_folder, "--bin", "2", *AS_PROCESSED)
    assert read_history(session_folder)[-1].status is RunStatus.FAILED


# Places


def test_raw_data_are_only_read(run: Run, small_disk: Path, phantom: WrittenPhantom, tmp_path: Path) -> None:
    for file in (phantom.stack, phantom.angles, phantom.table):
        shutil.copy(file, small_disk)
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in small_disk.iterdir()}
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)  # not even root can write there now
    ran = run("process", small_disk / "ts.mrc", "--output", tmp_path / "session", *QUICK)
    assert ran.status == 0
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in small_disk.iterdir()} == before


def test_a_place_that_cannot_be_written_to_is_named_before_any_work(
    run: Run, small_disk: Path, phantom: WrittenPhantom, tmp_path: Path
) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    (tmp_path / "file").touch()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").touch()
    for output in (small_disk / "session", tmp_path / "file", tmp_path / "file" / "session", tmp_path / "other"):
        ran = run("process", phantom.stack, "--output", output, *QUICK)
        assert (ran.status, ran.json) == (1, None)
        assert f"Error: {output}" in ran.err
        assert "--output" in ran.err
        assert "ts: align" not in ran.err
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["thesis.tex"]


def test_a_full_disk_keeps_what_was_done_and_the_same_command_carries_on(
    run: Run, small_disk: Path, phantom: WrittenPhantom
) -> None:
    command = ("process", phantom.stack, "--output", small_disk / "session", "--thickness", 4000, *QUICK)
    ran = run(*command)  # one volume alone is larger than the disk
    assert ran.status == 1
    assert "the disk is full" in ran.err
    assert "Free some space" in ran.err
    assert "tomogram" in ran.json["failed"][0]["error"]
    assert partials(small_disk) == []
    assert (small_disk / "session" / "series" / "ts" / "alignment.json").is_file()
    assert not list(small_disk.rglob("tomogram*"))
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    again = run(*command)
    assert again.status == 0
    assert stages_run(again) == STAGES[1:]
