"""`eucentric process my-session`: every series that was acquired there, whole or not, and where results go."""

import shutil
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from command_line import Run
from command_line import run as run

import eucentric.workflow.loading as loading
from eucentric.acquisition.series_files import SeriesFiles, SeriesImage
from eucentric.core import DataWarning, InputError
from eucentric.io import LoadedSeries, load_series
from eucentric.microscope import Readback, StagePosition
from eucentric.session import Session, read_history
from eucentric.workflow.session_series import Acquired, find_acquired
from phantoms.series import WrittenPhantom

QUICK = ("--axis", "84.3", "--depth", "2000", "--rounds", "1", "--json")
BEGAN = datetime(2026, 3, 1, 12, 0, 0)


def acquire(folder: Path, name: str, phantom: WrittenPhantom) -> Path:
    """Put the phantom series into a session as if it had been acquired there, and return its stack."""
    series = load_series(phantom.stack).series
    files = SeriesFiles(
        name=name,
        folder=folder,
        pixel_A=series.pixel_A,
        shape_yx=series.shape_yx,
        voltage_kV=300,
        counts_per_electron=1,
        began=BEGAN,
    )
    images = []
    for tilt in series.tilts:
        readback = Readback(
            purpose="record",
            stage=StagePosition(tilt_deg=tilt.tilt_deg),
            axis_deg=84.3,
            defocus_A=30_000,
            exposure_e_A2=3,
            dose_rate_e_px_s=8,
            began=BEGAN + timedelta(minutes=tilt.section),
            seconds=1,
        )
        images.append(
            SeriesImage(
                movie=f"{name}_{tilt.section}.tif",
                frames=1,
                readback=readback,
                target_defocus_A=30_000,
                pre_exposure_e_A2=3 * tilt.section,
            )
        )
    files.write_mdoc(images)
    shutil.copy(phantom.stack, files.stack)
    return files.stack


@pytest.fixture
def session_folder(tmp_path: Path, phantom: WrittenPhantom) -> Path:
    """A session with two series that have been acquired and not processed."""
    folder = tmp_path / "my-session"
    Session.create_or_open(folder).close()
    for name in ("TS_002", "TS_001"):
        acquire(folder, name, phantom)
    return folder


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Path, str]]:
    """Note each series that would be processed, with its session, in place of processing it."""
    seen: list[tuple[Path, str]] = []

    def note(session: Session, loaded: LoadedSeries, *_: object, **__: object) -> None:
        seen.append((session.folder, loaded.series.name))
        raise InputError("Not in this test.")

    monkeypatch.setattr(loading, "process_series", note)
    return seen


def test_every_series_is_processed_and_a_bad_one_does_not_stop_the_others(run: Run, session_folder: Path) -> None:
    bad = session_folder / "mdoc" / "TS_001.mrc"
    bad.write_bytes(bad.read_bytes()[:-1000])
    ran = run("process", session_folder, *QUICK)
    assert ran.status == 1
    assert [failed["stack"] for failed in ran.json["failed"]] == [str(bad)]
    assert [series["series"] for series in ran.json["series"]] == ["TS_002"]
    assert (session_folder / "series" / "TS_002" / "report.html").is_file()
    assert {record.series for record in read_history(session_folder)} == {"TS_002"}


def test_results_go_to_the_session_or_where_output_says(
    run: Run, session_folder: Path, tmp_path: Path, begun: list[tuple[Path, str]]
) -> None:
    run("process", session_folder)
    run("process", session_folder, "--output", tmp_path / "other")
    assert begun == [(folder, name) for folder in (session_folder, tmp_path / "other") for name in ("TS_001", "TS_002")]


def test_a_session_and_a_stack_can_be_given_together(
    run: Run, session_folder: Path, tmp_path: Path, phantom: WrittenPhantom, begun: list[tuple[Path, str]]
) -> None:
    run("process", session_folder, phantom.stack, "--output", tmp_path / "other")
    assert [name for _, name in begun] == ["TS_001", "TS_002", "ts"]


def test_a_folder_that_is_no_session_can_be_given_with_an_output(
    run: Run, session_folder: Path, tmp_path: Path, begun: list[tuple[Path, str]]
) -> None:
    copied = tmp_path / "copied"
    shutil.copytree(session_folder / "mdoc", copied / "mdoc")
    assert (run("process", copied).status, begun) == (2, [])
    run("process", copied, "--output", tmp_path / "other")
    assert [name for _, name in begun] == ["TS_001", "TS_002"]
    assert [path.name for path in copied.iterdir()] == ["mdoc"]


def test_without_an_output_one_session_alone_is_taken(run: Run, session_folder: Path, tmp_path: Path) -> None:
    stack = session_folder / "mdoc" / "TS_001.mrc"
    (tmp_path / "empty").mkdir()
    for given in ((stack,), (tmp_path / "absent",), (tmp_path / "empty",), (session_folder, stack)):
        ran = run("process", *given)
        assert (ran.status, ran.json) == (2, None)
        assert "--output" in ran.err
    assert not (session_folder / "series").exists()


def test_what_belongs_to_one_stack_is_refused_for_several(
    run: Run, session_folder: Path, begun: list[tuple[Path, str]]
) -> None:
    ran = run("process", session_folder, "--name", "TS_9")
    assert (ran.status, begun) == (2, [])
    assert "--name belong to one stack, and 2 were given" in " ".join(ran.err.split())
    (session_folder / "mdoc" / "TS_001.mrc").unlink()
    (session_folder / "mdoc" / "TS_001.mrc.mdoc").unlink()
    run("process", session_folder, "--name", "TS_9")
    assert begun == [(session_folder, "TS_9")]


def no_folder(mdoc: Path) -> None:
    shutil.rmtree(mdoc)


def nothing_in_it(mdoc: Path) -> None:
    for path in mdoc.iterdir():
        path.unlink()


def no_stacks(mdoc: Path) -> None:
    for path in mdoc.glob("*.mrc"):
        path.unlink()


def no_mdocs(mdoc: Path) -> None:
    for path in mdoc.glob("*.mdoc"):
        path.unlink()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (no_folder, "it has no folder mdoc"),
        (nothing_in_it, "holds no stacks (.mrc)"),
        (no_stacks, "TS_001.mrc.mdoc: there is no stack TS_001.mrc beside it; its acquisition may not have ended"),
        (no_mdocs, "TS_002.mrc: this stack has no .mdoc beside it"),
    ],
)
def test_a_session_without_a_series_is_told_what_is_missing(
    run: Run, session_folder: Path, spoil: Callable[[Path], None], said: str
) -> None:
    spoil(session_folder / "mdoc")
    ran = run("process", session_folder, "--json")
    assert ran.status == 1
    assert ran.err.startswith(f"Error: {session_folder}: there is no series in it")
    assert said in ran.err
    assert "Acquire a series first" in ran.err
    assert ran.json["series"] == []
    assert ran.json["failed"][0]["stack"] == str(session_folder)
    assert not (session_folder / "series").exists()


def test_half_a_series_is_named_and_left_out(
    run: Run, session_folder: Path, phantom: WrittenPhantom, begun: list[tuple[Path, str]]
) -> None:
    acquire(session_folder, "TS_003", phantom).unlink()  # stopped before its stack was written
    (session_folder / "mdoc" / "TS_002.mrc.mdoc").unlink()
    ran = run("process", session_folder)
    assert [name for _, name in begun] == ["TS_001"]
    assert "TS_003.mrc.mdoc: there is no stack TS_003.mrc beside it" in ran.err
    assert "[no-stack]" in ran.err
    assert "TS_002.mrc: this stack has no .mdoc beside it; it was left out. [no-mdoc]" in ran.err


def test_series_are_found_by_name_and_half_written_files_are_none(tmp_path: Path) -> None:
    mdoc = tmp_path / "mdoc"
    mdoc.mkdir()
    for name in (
        "b.mrc",
        "b.mdoc",
        "a.1.mrc",
        "a.1.mrc.mdoc",
        ".partial-1a2b3c4d-c.mrc",
        ".partial-1a2b3c4d-c.mrc.mdoc",
    ):
        (mdoc / name).touch()
    (mdoc / "folder.mrc").mkdir()
    whole = tuple(Acquired(mdoc / name, from_movies=False) for name in ("a.1.mrc", "b.mrc"))
    assert find_acquired(tmp_path, "stack") == whole
    (mdoc / "c.mrc").touch()
    with pytest.warns(DataWarning, match=r"c\.mrc.*\[no-mdoc\]"):
        assert len(find_acquired(tmp_path, "stack")) == 2


def test_the_help_has_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    from eucentric.cli import main

    assert main(["process", "--help"]) == 0
    assert "eucentric process my-session" in " ".join(capsys.readouterr().out.split())
