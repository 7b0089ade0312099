"""`eucentric restore`: of a session and of files, after an interruption, by a model of others, and of bad input."""

import shutil
from collections.abc import Callable
from pathlib import Path

import mrcfile
import numpy as np
import pytest
from command_line import Run, partials
from command_line import run as run

from eucentric.core import OutputError, Reporter, write_text
from eucentric.io import read_angles, write_angles, write_mrc
from eucentric.report import RestorationShown, write_restoration_report
from eucentric.session import RunStatus, read_history
from eucentric.web.tomogram.series import find_versions
from eucentric.workflow.restoration import outputs, training
from eucentric.workflow.restoration.models import Model, write_model
from phantoms.half_tomograms import SIDE, TILTS_DEG, VOXEL_A, halves, write_pair, write_session

QUICK = ("--steps", "2", "--channels", "4", "--cube", "32", "--device", "cpu")
ENDINGS = (".mrc", "_sigma.mrc", "_even.mrc", "_odd.mrc", ".json", ".html")

pytestmark = pytest.mark.usefixtures("one_thread", "quick_page")


@pytest.fixture
def quick_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write a page without pictures, which take longer to draw than all else here."""

    def written(path: Path, shown: RestorationShown, _: Reporter) -> None:
        write_text(path, f"{shown.pair.name}, learned from {', '.join(shown.learned_from)}")

    monkeypatch.setattr(outputs, "write_restoration_report", written)


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a session of two series that can be restored, and of one that cannot; copy it before changing it."""
    folder = write_session(tmp_path_factory.mktemp("restore") / "session", {"TS_1": 1, "TS_2": 2, "TS_3": 3})
    broken = folder / "series" / "TS_2" / "tomogram_odd.mrc"
    shutil.copy(broken.with_name("tomogram_even.mrc"), broken)
    return folder


@pytest.fixture
def pair(tmp_path: Path) -> tuple[object, ...]:
    """Give the options that name two halves and their tilts."""
    even, odd = write_pair(tmp_path / "in", seed=4)
    write_angles(tmp_path / "in" / "ts.tlt", TILTS_DEG)
    return ("--half1", even, "--half2", odd, "--tilts", tmp_path / "in" / "ts.tlt")


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and "session." not in path.name}


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_the_series_of_a_session_are_restored_by_one_model_and_a_bad_one_stops_no_other(
    run: Run, session: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(session, tmp_path / "session"))
    before = contents(folder)
    ran = run("restore", folder, "--method", "wedge", *QUICK, "--json")
    assert ran.status == 1  # for that one
    assert [one["name"] for one in ran.json["series"]] == ["TS_1", "TS_3"]
    assert "TS_2: both halves are the same volume" in ran.json["failed"]["TS_2"]
    assert before.items() <= contents(folder).items()
    assert (ran.json["method"], ran.json["steps"]) == ("wedge", 2)
    for one in ran.json["series"]:
        place = folder / "series" / one["name"]
        assert one["files"] == [str(place / f"restored_wedge{ending}") for ending in ENDINGS]
        assert f"Report: {one['report']}" in ran.err
        for path in map(Path, one["files"][:4]):
            with mrcfile.open(path) as file:
                assert (file.data.shape, file.voxel_size.x) == ((SIDE,) * 3, pytest.approx(VOXEL_A))
                assert file.data.std() > 0
    assert not partials(folder)
    assert {"model.pt", "checkpoint.pt"} == names(folder / "restoration" / "wedge")
    # The page shows the restored volume beside those that were there, and none of what belongs to it.
    labels = [version.label for version in find_versions(folder, "TS_1")]
    assert labels == ["Restored (wedge)", "Even half", "Odd half"]
    after = contents(folder)
    again = run("restore", folder, "--method", "wedge", *QUICK, "--json")
    assert [one["ran"] for one in again.json["series"]] == [False, False]
    assert contents(folder) == after


def test_after_ctrl_c_the_same_command_goes_on(
    run: Run, session: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(shutil.copytree(session, tmp_path / "session"))
    command = ("restore", folder, "--series", "TS_1", *QUICK, "--json")

    def interrupted(path: Path, model: Model) -> None:
        write_model(path, model)
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "write_model", interrupted)
    ran = run(*command)
    checkpoint = folder / "restoration" / "wedge" / "checkpoint.pt"
    assert (ran.status, ran.json) == (1, None)
    assert f"{checkpoint} has what was learned: the same command goes on from there." in ran.err
    assert names(checkpoint.parent) == {"checkpoint.pt"}
    monkeypatch.setattr(training, "write_model", write_model)
    monkeypatch.setattr(outputs, "write_restoration_report", write_restoration_report)
    ran = run(*command)
    assert ran.status == 0
    assert "training goes on from step 2" in ran.err
    assert all(Path(path).is_file() for path in ran.json["series"][0]["files"])
    page = Path(ran.json["series"][0]["report"]).read_text()
    assert "It learned from TS_1." in page
    assert "<svg" in page


def test_a_result_that_cannot_be_written_is_told_and_leaves_the_stage_to_be_done(
    run: Run, session: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(shutil.copytree(session, tmp_path / "session"))
    command = ("restore", folder, "--method", "noise2noise", "--series", "TS_1", "TS_3", *QUICK, "--json")

    def full(path: Path, *args: object, **more: object) -> None:
        if path.parent.name == "TS_1" and "sigma" in path.name:
            raise OutputError(f"{path}: the disk is full.", "Free some space.")
        write_mrc(path, *args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(outputs, "write_mrc", full)
    ran = run(*command)
    assert (ran.status, [one["name"] for one in ran.json["series"]]) == (1, ["TS_3"])
    assert "disk is full" in ran.json["failed"]["TS_1"]
    assert read_history(folder, "TS_1")[-1].status is RunStatus.FAILED
    monkeypatch.setattr(outputs, "write_mrc", write_mrc)
    ran = run(*command)
    assert (ran.status, [one["ran"] for one in ran.json["series"]]) == (0, [True, False])


def test_files_are_restored_and_their_model_is_applied_to_others(
    run: Run, pair: tuple[object, ...], tmp_path: Path
) -> None:
    before = contents(tmp_path / "in")
    output = tmp_path / "out" / "ts"
    ran = run("restore", *pair, "--method", "noise2noise", "--output", output, *QUICK, "--json")
    assert ran.status == 0
    assert names(output.parent) == {f"ts{ending}" for ending in (*ENDINGS, "_model.pt", "_checkpoint.pt")}
    assert contents(tmp_path / "in") == before
    even, odd = write_pair(tmp_path / "in2", seed=5)
    lost = tmp_path / "lost.mrc"
    three = (*pair, "--half1", even, "--half2", odd, "--half1", lost, "--half2", odd)
    ran = run("restore", *three, "--model", output.with_name("ts_model.pt"), "-o", tmp_path / "b" / "x", "--json")
    assert (ran.status, ran.json["method"], ran.json["steps"]) == (1, "noise2noise", 2)
    assert list(ran.json["failed"]) == [str(lost)]
    assert names(tmp_path / "b") == {f"x{number}{ending}" for number in ("_1", "_2") for ending in ENDINGS}
    with mrcfile.open(output.with_suffix(".mrc")) as here, mrcfile.open(tmp_path / "b" / "x_1.mrc") as there:
        np.testing.assert_array_equal(here.data, there.data)
    # What was made of another tomogram is of that one.
    with mrcfile.open(tmp_path / "b" / "x_2.mrc") as there:
        truth = halves(5)[0]
        assert np.corrcoef(there.data.ravel(), truth.ravel())[0, 1] > 0.4


def spoil(side: int = SIDE) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return halves(4, side)[1]


BAD: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "the same": (lambda p: shutil.copy(p / "even.mrc", p / "odd.mrc"), "the same volume", ""),
    "another size": (lambda p: write_mrc(p / "odd.mrc", spoil()[:30], VOXEL_A, kind="volume"), "30 x 32 x 32", ""),
    "constant": (
        lambda p: write_mrc(p / "odd.mrc", np.ones((SIDE,) * 3, np.float32), VOXEL_A, kind="volume"),
        "is 1 everywhere",
        "",
    ),
    "too small": (lambda p: _write_small(p), "too few", ""),
    "NaN": (lambda p: _write_nan(p / "odd.mrc"), "NaN", ""),
    "other voxels": (lambda p: write_mrc(p / "odd.mrc", spoil(), 13.0, kind="volume"), "13 Å", ""),
    "no angle": (lambda p: (p / "ts.tlt").write_text("\n"), "no angle", "ts.tlt"),
    "two tilts": (lambda p: write_angles(p / "ts.tlt", (0.0, 3.0)), "2 tilt angles", ""),
    "no volume": (lambda p: (p / "odd.mrc").write_text("x" * 4000), "not an MRC file", "odd.mrc"),
    "no file": (lambda p: (p / "odd.mrc").unlink(), "no such file", "odd.mrc"),
}


def _write_small(folder: Path) -> None:
    for path, half in zip((folder / "even.mrc", folder / "odd.mrc"), halves(4), strict=True):
        write_mrc(path, half[:20], VOXEL_A, kind="volume")


def _write_nan(path: Path) -> None:
    with mrcfile.mmap(path, "r+") as file:
        file.data[3, 4, 5] = np.nan


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_told_with_its_file_and_nothing_is_written(
    run: Run, pair: tuple[object, ...], tmp_path: Path, case: str
) -> None:
    make, said, file = BAD[case]
    make(tmp_path / "in")
    ran = run("restore", *pair, "-o", tmp_path / "out" / "ts", *QUICK, "--json")
    assert (ran.status, ran.json) == (1, None)
    assert said.lower() in ran.err.lower()
    assert str(tmp_path / "in" / (file or "even.mrc")) in ran.err or str(tmp_path / "in" / "odd.mrc") in ran.err
    assert not list(tmp_path.glob("out/*"))


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        ([], 2, "Give a session, or pairs"),
        (["s", "--half1", "a", "--half2", "b"], 2, "Give a session, or pairs"),
        (["--half1", "a", "--half2", "b"], 2, "--tilts"),
        (["--half1", "a", "--tilts", "c"], 2, "--half2 0 times"),
        (["--half1", "a", "--half2", "b", "--tilts", "c", "--series", "x"], 2, "--series"),
        (["s", "--output", "o"], 2, "--output"),
        (["s", "--model", "m", "--steps", "3"], 2, "--steps: this is of training"),
        (["s", "--form", "map"], 2, "--method cryogen"),
        (["s", "--method", "weddge"], 2, 'Did you mean "wedge"?'),
        (["s", "--minutes", "0"], 2, "--minutes 0"),
        (["s", "--cube", "33"], 2, "--cube 33"),
        (["s"], 1, "no session"),
        (["s", "--model", "m"], 1, "m: this model cannot be opened"),
    ],
)
def test_wrong_usage_says_what_is_missing(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], status: int, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = run("restore", *arguments, "--json")
    assert (ran.status, ran.json) == (status, None)
    assert said in " ".join(ran.err.split())
    assert not names(tmp_path)


def test_names_and_models_that_do_not_fit_are_refused(
    run: Run, session: Path, pair: tuple[object, ...], tmp_path: Path
) -> None:
    ran = run("restore", session, "--series", "TS_4")
    assert (ran.status, "no series TS_4 in it.\nThere are TS_1, TS_2, TS_3." in ran.err) == (1, True)
    (tmp_path / "m.pt").write_bytes(b"PK\x03\x04 no model")
    ran = run("restore", session, "--model", tmp_path / "m.pt")
    assert (ran.status, "m.pt: this is not a model" in ran.err) == (1, True)
    even = tmp_path / "in" / "even.mrc"
    ran = run("restore", *pair, "-o", even.with_suffix(""), *QUICK)
    assert (ran.status, f"{even}: this is an input" in ran.err) == (1, True)
    assert read_angles(tmp_path / "in" / "ts.tlt") == TILTS_DEG
