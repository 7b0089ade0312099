"""`process_movies`: what it leaves on disk, against the truth; what it runs again; what it does without."""

import json
import shutil
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from eucentric.core import DataWarning, EucentricWarning, InputError
from eucentric.design import ConstantExposure
from eucentric.io import open_mrc, read_alignment, read_mdoc, read_plan, write_mrc
from eucentric.io.movie_series import MovieSeries, load_movie_series
from eucentric.io.movies import open_movie, write_movie
from eucentric.optics import HandVerdict, Lens, SeriesCTF, TiltCTF
from eucentric.processing.alignment import AlignSettings
from eucentric.processing.gain import GainOrientation
from eucentric.processing.motion import SeriesMotion
from eucentric.processing.reconstruction import ReconstructSettings
from eucentric.report import ReportInput, page
from eucentric.report.headline import notices
from eucentric.session import RunStatus, Session, read_history
from eucentric.workflow.movies import process_movies
from eucentric.workflow.records import (
    GainFound,
    GainSettings,
    LensSettings,
    ProcessOutcome,
    ProcessSettings,
    ReconstructStage,
    Sums,
)
from eucentric.workflow.simulate import read_tilts
from eucentric.workflow.spectra import sections_to_show
from eucentric.workflow.summed_movies import SummedMovies
from eucentric.workflow.volumes import reconstruct_sums

SETTINGS = ProcessSettings(align=AlignSettings(axis_deg=84.3, rounds=1))
MDOC = Path("mdoc") / "TS_1.mrc.mdoc"
FROM_MOVIES = ["gain", "motion", "sums", "align"]
STAGES = [*FROM_MOVIES, "ctf", "reconstruct", "assess", "check", "report"]


def pixels(path: Path) -> NDArray[np.float32]:
    return np.array(open_mrc(path).data, dtype=np.float32)


def process(
    folder: Path,
    acquired: Path,
    settings: ProcessSettings = SETTINGS,
    *,
    change: Callable[[MovieSeries], MovieSeries] = lambda movies: movies,
) -> tuple[ProcessOutcome, str]:
    """Process a session's movies, and return what became of them and all that was warned of."""
    with warnings.catch_warnings(record=True) as caught, Session.create_or_open(folder) as session:
        warnings.simplefilter("always", EucentricWarning)
        movies = change(load_movie_series(acquired / MDOC))
        outcome = process_movies(session, movies, settings, plan=read_plan(acquired / "plan.yaml"))
    return outcome, " ".join(str(warning.message) for warning in caught)


def ran(outcome: ProcessOutcome) -> list[str]:
    return [stage.stage for stage in outcome.stages if stage.ran]


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write reports without pictures, which take longer than all the rest."""

    def write(path: Path, data: ReportInput, _: object) -> None:
        path.write_text("\n".join((*notices(data), *(page.foreword(key, data) for key in ("motion", "ctf")))))

    monkeypatch.setattr("eucentric.workflow.process.write_report", write)


@pytest.fixture
def acquired(movie_session: Path, tmp_path: Path) -> Path:
    """A copy of the session with the movies, which may be spoilt."""
    for part in ("frames", "mdoc"):
        shutil.copytree(movie_session / part, tmp_path / "acquired" / part)
    shutil.copy(movie_session / "plan.yaml", tmp_path / "acquired")
    return tmp_path / "acquired"


@pytest.fixture
def done(processed_movies: ProcessOutcome, tmp_path: Path) -> Path:
    """A copy of a session in which all is done."""
    return shutil.copytree(processed_movies.folder.parents[1], tmp_path / "done")


# What is on disk


def test_the_stages_are_run_in_their_order_and_the_journal_names_all_files(processed_movies: ProcessOutcome) -> None:
    assert ran(processed_movies) == STAGES
    records = read_history(processed_movies.folder.parents[1])
    assert [record.stage for record in records] == STAGES
    assert {record.status for record in records} == {RunStatus.FINISHED}
    outputs = {Path(output.path).name for record in records for output in record.outputs}
    assert outputs == {path.name for path in processed_movies.folder.iterdir()}


def test_the_stacks_hold_the_electrons_of_the_movies(processed_movies: ProcessOutcome, movie_session: Path) -> None:
    movies = processed_movies.movies
    assert movies is not None
    assert (movies.tilts, movies.left_out) == (9, {})
    gain = open_mrc(movie_session / "frames" / "gain.mrc").data[0]
    unweighted, weighted = pixels(movies.unweighted), pixels(movies.stack)
    assert open_mrc(movies.stack).pixel_A == pytest.approx(5.0)
    np.testing.assert_allclose(pixels(movies.even) + pixels(movies.odd), weighted, atol=1e-3 * weighted.std())
    for section, tilt in enumerate(read_mdoc(movie_session / MDOC).sections):
        assert tilt.movie is not None
        counted = (open_movie(movie_session / "frames" / tilt.movie).read() * gain).sum(axis=0)
        # Neither moving nor weighting touches the mean; defects, which are replaced, are some 1e-4 of the pixels.
        for stack in (unweighted, weighted):
            assert float(stack[section].mean()) == pytest.approx(float(counted.mean()), rel=2e-3)
        at_rest = np.corrcoef(counted.ravel(), unweighted[section].ravel())[0, 1]
        assert at_rest > 0.5


def test_weighting_takes_fine_detail_from_late_tilts(processed_movies: ProcessOutcome) -> None:
    movies = processed_movies.movies
    assert movies is not None
    sums = Sums.model_validate_json((processed_movies.folder / "sums.json").read_text(encoding="utf-8"))
    by_order = [tilt.section for tilt in sums.series.by_order()]
    fine = [np.abs(np.fft.rfft2(pixels(path)))[:, 32:].mean() for path in (movies.stack, movies.unweighted)]
    assert fine[0] < fine[1]
    kept = []
    for section in (by_order[0], by_order[-1]):
        power = [np.abs(np.fft.rfft2(pixels(path)[section]))[:, 48:64] for path in (movies.stack, movies.unweighted)]
        kept.append(power[0].mean() / power[1].mean())
    assert kept[1] < kept[0]


def test_the_movement_is_that_of_the_simulation(processed_movies: ProcessOutcome, movie_session: Path) -> None:
    motion = SeriesMotion.model_validate_json((processed_movies.folder / "motion.json").read_text(encoding="utf-8"))
    truth = {tilt.movie: tilt.truth for tilt in read_tilts(movie_session / "truth" / "TS_1")}
    off = []
    for tilt, track in zip(read_mdoc(movie_session / MDOC).sections, motion.tracks, strict=True):
        assert track is not None
        assert track.frames == (0, 1, 2, 3)
        true = np.array([frame.shift_yx_A for frame in truth[tilt.movie or ""].frames])
        off.append(np.array(track.shifts_yx_A) - (true - true.mean(axis=0)))
    # Half a pixel: the tracks are tested where they are made, signs and order of frames and tilts here.
    assert float(np.sqrt(np.mean(np.square(off)))) < 2.5
    assert processed_movies.movies is not None
    assert processed_movies.movies.motion_A is not None


def test_halves_are_of_frames_and_make_the_whole(processed_movies: ProcessOutcome) -> None:
    assert processed_movies.halves == "frames"
    full, even, odd = (pixels(processed_movies.folder / f"tomogram{half}.mrc") for half in ("", "_even", "_odd"))
    np.testing.assert_allclose((even + odd) / 2, full, atol=1e-5 * full.std())
    assert 0.1 < np.corrcoef(even.ravel(), odd.ravel())[0, 1] < 0.999


def test_the_gain_is_found_to_lie_as_it_was_written(processed_movies: ProcessOutcome) -> None:
    found = GainFound.model_validate_json((processed_movies.folder / "gain.json").read_text(encoding="utf-8"))
    assert found.lies == GainOrientation(quarter_turns=0, flipped=False)
    assert not found.given
    assert found.movies == 9
    with np.load(processed_movies.folder / "defects.npz") as file:
        assert file["defects"].sum() == found.defects


def test_the_report_shows_movement_and_contrast_transfer(processed_movies: ProcessOutcome) -> None:
    page = processed_movies.report.read_text(encoding="utf-8")
    for name in ("motion-tracks", "motion-order", "spectrum-0", "spectrum-1"):
        assert f'<figure id="{name}"' in page.replace(' class="wide"', "")
    assert "Agreement of the tomograms of even and odd frames" in page
    assert 'id="number-motion"' in page
    assert 'id="number-defocus"' in page


# What is run again, and what is not


def test_nothing_is_run_twice(done: Path, movie_session: Path) -> None:
    outcome, _ = process(done, movie_session)
    assert ran(outcome) == []


@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize(
    ("settings", "first", "not_run"),
    [
        (SETTINGS.replace(dose_weighting=False), "sums", ("gain", "motion")),
        (SETTINGS.replace(dose_weighting=False, halves="counts"), "sums", ("gain", "motion")),
        (SETTINGS.replace(lens=LensSettings(cs_mm=1.2)), "ctf", tuple(FROM_MOVIES)),
        (SETTINGS.replace(halves="tilts"), "reconstruct", (*FROM_MOVIES, "ctf")),
    ],
)
def test_a_changed_setting_outdates_what_depends_on_it(
    done: Path, movie_session: Path, settings: ProcessSettings, first: str, not_run: tuple[str, ...]
) -> None:
    outcome, _ = process(done, movie_session, settings)
    assert ran(outcome)[0] == first
    assert not set(not_run) & set(ran(outcome))
    assert outcome.halves == (settings.halves or "frames")


@pytest.mark.usefixtures("no_pictures")
def test_who_says_what_was_found_has_nothing_corrected_again(done: Path, movie_session: Path) -> None:
    said = SETTINGS.replace(gain=GainSettings(quarter_turns=0, flipped=False))
    outcome, _ = process(done, movie_session, said)
    assert ran(outcome) == ["gain", "report"]
    assert outcome.movies is not None
    assert outcome.movies.gain == "as it is in its file (given)"


# What is missing, broken, or not known


@pytest.mark.usefixtures("no_pictures")
def test_movies_that_are_missing_or_broken_cost_their_own_tilts(acquired: Path, tmp_path: Path) -> None:
    sections = read_mdoc(acquired / MDOC).sections
    missing, cut, junk, black = (acquired / "frames" / (sections[at].movie or "") for at in (2, 4, 5, 7))
    missing.unlink()
    write_movie(black, np.zeros((4, 128, 128), np.uint8), 5.0)
    junk.write_text("no movie")
    cut.write_bytes(cut.read_bytes()[:-2000])
    outcome, said = process(tmp_path / "session", acquired)
    assert outcome.movies is not None
    assert set(outcome.movies.left_out) == {2, 5, 7}
    assert "[movie-left-out]" in said
    assert missing.name in outcome.movies.left_out[2]
    for movie in (missing, cut, junk):
        assert movie.name in said
    assert "section 7" in said
    sums = Sums.model_validate_json((outcome.folder / "sums.json").read_text(encoding="utf-8"))
    assert sums.sections == (0, 1, 3, 4, 6, 8)
    assert sums.frames == (4, 4, 4, 3, 4, 4)
    assert len(open_mrc(outcome.movies.stack).data) == 6
    kept = [sections[at] for at in sums.sections]
    assert sums.series.tilts_deg == pytest.approx([section.tilt_deg for section in kept])
    assert [tilt.pre_exposure_e_A2 for tilt in sums.series.tilts] == [one.pre_exposure_e_A2 for one in kept]
    assert outcome.tilts_used + len(outcome.tilts_left_out) == 6
    # What is mended is taken up, and what was done of the others is not kept by mistake.
    shutil.copy(acquired / "frames" / (sections[1].movie or ""), missing)
    again, _ = process(tmp_path / "session", acquired)
    assert again.movies is not None
    assert set(again.movies.left_out) == {5, 7}
    assert "is new" in next(stage.reason for stage in again.stages if stage.stage == "motion")


def test_a_gain_of_another_camera_is_named(acquired: Path, tmp_path: Path) -> None:
    write_mrc(acquired / "frames" / "gain.mrc", np.ones((1, 128, 96), np.float32), 5.0, kind="stack")
    with pytest.raises(InputError, match=r"gain\.mrc.*not of this camera"):
        process(tmp_path / "session", acquired)
    (record,) = read_history(tmp_path / "session")
    assert (record.stage, record.status) == ("gain", RunStatus.FAILED)


@pytest.mark.usefixtures("no_pictures")
def test_without_gain_voltage_or_second_frames_the_series_is_processed_all_the_same(
    acquired: Path, tmp_path: Path
) -> None:
    (acquired / "frames" / "gain.mrc").unlink()
    for section in read_mdoc(acquired / MDOC).sections:
        movie = acquired / "frames" / (section.movie or "")
        write_movie(movie, open_movie(movie).read().sum(axis=0, dtype=np.uint16)[None], 5.0)
    mdoc = acquired / MDOC
    lines = mdoc.read_text(encoding="utf-8").replace("NumSubFrames = 4", "NumSubFrames = 1").splitlines(keepends=True)
    mdoc.write_text("".join(line for line in lines if not line.startswith("Voltage")), encoding="utf-8")
    with warnings.catch_warnings(), Session.create_or_open(tmp_path / "session") as session:
        warnings.simplefilter("ignore", EucentricWarning)
        movies = load_movie_series(mdoc)
        outcome = process_movies(session, movies, SETTINGS)
        with pytest.raises(InputError, match=r"two frames in every movie.*--halves tilts"):
            process_movies(session, movies, SETTINGS.replace(halves="frames"))
        with pytest.raises(InputError, match=r"weighted by exposure cannot be split.*--no-dose-weighting"):
            process_movies(session, movies, SETTINGS.replace(halves="counts"))
    assert outcome.halves == "tilts"
    assert outcome.movies is not None
    assert outcome.movies.gain is None
    assert outcome.movies.motion_A == 0
    assert "--voltage" in outcome.movies.ctf_reason
    assert "ctf" not in ran(outcome)
    page = outcome.report.read_text(encoding="utf-8")
    assert "The frames had no gain reference." in page
    assert "Every movie has one frame" in page
    assert "No CTF was fitted" in page


@pytest.mark.parametrize(
    ("pixel_A", "lens", "said"),
    [
        (5.0, Lens(), ""),
        (6.5, Lens(), "pixels of 6.5 Å show no detail finer than 13 Å"),
        (5.0, None, "--voltage"),
    ],
)
def test_why_no_ctf_can_be_fitted_is_told(
    processed_movies: ProcessOutcome, pixel_A: float, lens: Lens | None, said: str
) -> None:
    folder = processed_movies.folder
    sums = Sums.model_validate_json((folder / "sums.json").read_text(encoding="utf-8"))
    summed = SummedMovies(
        tilts=9,
        missing=frozenset(),
        sums=sums.replace(series=sums.series.replace(pixel_A=pixel_A)),
        gain=GainFound(defects=0, movies=9),
        motion=SeriesMotion(pixel_A=pixel_A, tracks=(None,) * 9),
        unweighted=folder,
        even=folder,
        odd=folder,
        halves="frames",
        target_defocus_A=(None,) * 9,
        lens=lens,
    )
    assert said in summed.no_ctf()
    assert bool(said) == bool(summed.no_ctf())


def test_a_series_named_as_the_tomogram_is_refused(movie_session: Path, tmp_path: Path) -> None:
    with warnings.catch_warnings(), Session.create_or_open(tmp_path / "session") as session:
        warnings.simplefilter("ignore", EucentricWarning)
        movies = load_movie_series(movie_session / MDOC, name="tomogram")
        with pytest.raises(InputError, match="--name"):
            process_movies(session, movies, SETTINGS)


@pytest.mark.usefixtures("no_pictures")
def test_images_without_rings_are_reconstructed_all_the_same(
    done: Path, movie_session: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise InputError("No rings can be seen.")

    monkeypatch.setattr("eucentric.processing.ctf.series.fit_series", fail)
    outcome, said = process(done, movie_session, SETTINGS.replace(lens=LensSettings(cs_mm=1.3)))
    assert outcome.movies is not None
    assert "No rings can be seen." in outcome.movies.ctf_reason
    assert "[no-ctf]" in said
    assert outcome.movies.defocus_A is None
    last = {record.stage: record for record in read_history(done)}
    assert (last["ctf"].status, last["reconstruct"].status) == (RunStatus.FAILED, RunStatus.FINISHED)
    assert last["reconstruct"].settings["ctf_correction"] == "none"


@pytest.mark.parametrize(("log_odds", "followed"), [(9.0, True), (1.0, False)])
def test_the_ramp_of_defocus_is_followed_only_where_its_hand_is_sure(
    processed_movies: ProcessOutcome, monkeypatch: pytest.MonkeyPatch, log_odds: float, followed: bool
) -> None:
    alignment = read_alignment(processed_movies.folder / "alignment.json")
    ctf = SeriesCTF(
        lens=Lens(),
        pixel_A=5.0,
        axis_deg=84.3,
        tilts=tuple(
            TiltCTF(
                section=view.section,
                tilt_deg=view.tilt_deg,
                defocus_u_A=30_000,
                defocus_v_A=30_000,
                azimuth_deg=0,
                score=0.5,
            )
            for view in alignment.tilts
        ),
        hand=HandVerdict(hand=-1, log_odds=log_odds),
    )
    asked = []

    def note(image: Tensor, _: float, tilt: TiltCTF, *others: object, local: bool, **__: object) -> Tensor:
        asked.append((tilt.tilt_deg, others[1] if local else None))
        return -image

    monkeypatch.setattr("eucentric.processing.ctf.correct.correct_tilt", note)
    movies = processed_movies.movies
    assert movies is not None
    small = ReconstructSettings(binning=4, thickness_A=500)
    volumes = []
    for correction in ("none", "phase-flip"):
        settings = ReconstructStage(reconstruct=small, ctf_correction=correction, halves="frames")
        stacks = (movies.even, movies.odd)
        volumes.append(reconstruct_sums(stacks, alignment, ctf, settings, device=torch.device("cpu")))
    tilts_deg = [view.tilt_deg for view in alignment.used]
    assert [tilt for tilt, _ in asked] == 2 * tilts_deg
    assert {hand for _, hand in asked} == {-1 if followed else None}
    for plain, turned in ((volumes[0].even, volumes[1].even), (volumes[0].odd, volumes[1].odd)):
        torch.testing.assert_close(plain, -turned)


@pytest.mark.parametrize("turn", [(1, False), (2, True)])
def test_a_gain_that_lies_otherwise_is_turned(
    acquired: Path, tmp_path: Path, processed_movies: ProcessOutcome, turn: tuple[int, bool]
) -> None:
    """Only the first stage is looked at: the frames that it corrects are the same as those of the right gain."""
    from eucentric.core import SILENT
    from eucentric.workflow.movie_gain import find_gain
    from eucentric.workflow.process import VERSIONS
    from eucentric.workflow.stages import Stages

    path = acquired / "frames" / "gain.mrc"
    right = open_mrc(path).data[0]
    quarter_turns, flipped = turn
    lies = np.rot90(right, -quarter_turns)
    lies = np.ascontiguousarray(lies[::-1] if flipped else lies)
    write_mrc(path, lies[None], 5.0, kind="stack")
    with warnings.catch_warnings(), Session.create_or_open(tmp_path / "session") as session:
        warnings.simplefilter("ignore", EucentricWarning)
        movies = load_movie_series(acquired / MDOC)
        stages = Stages(session, "TS_1", VERSIONS, SILENT)
        found, corrector = find_gain(stages, movies, SETTINGS.gain)
        flat = corrector()(np.full(right.shape, 2, np.uint8))
        with np.load(stages.folder / "defects.npz") as file:
            good = ~file["defects"]
        again, _ = find_gain(stages, movies, SETTINGS.gain)
        wrong, _ = find_gain(stages, movies, GainSettings(quarter_turns=0, flipped=False))
        half, _ = find_gain(stages, movies, GainSettings(flipped=flipped))
    assert found.lies == GainOrientation(quarter_turns=turn[0], flipped=turn[1])
    assert again == found
    assert [stage.ran for stage in stages.outcomes] == [True, False, True, True]
    # What the user says is done, and that the data say otherwise is told.
    assert wrong.lies == GainOrientation(quarter_turns=0, flipped=False)
    assert f"lies otherwise than was given: {again.words()}".split(" (")[0] in wrong.unsure
    assert (half.lies, half.unsure) == (found.lies, "")
    np.testing.assert_allclose(flat[good], 2 * right[good], rtol=1e-5)


# The plan, and small things


@pytest.mark.usefixtures("no_pictures")
def test_the_plan_is_compared_in_processing(done: Path, movie_session: Path) -> None:
    plan = read_plan(movie_session / "plan.yaml")
    other = plan.design.replace(exposure=ConstantExposure(total_e_A2=180)).plan()
    with warnings.catch_warnings(), Session.create_or_open(done) as session:
        warnings.simplefilter("ignore", EucentricWarning)
        movies = load_movie_series(movie_session / MDOC)
        with pytest.warns(DataWarning, match=r"TS_1\.mrc\.mdoc: the exposures of 9 of 9.*\[exposure-plan\]"):
            outcome = process_movies(session, movies, SETTINGS, plan=other)
    assert any("exposure-plan" in said for said in outcome.warnings)


def test_the_least_and_the_most_tilted_view_have_their_spectra_shown() -> None:
    assert sections_to_show([30.0, -60.0, 2.0, 45.0]) == (2, 1)
    assert sections_to_show([5.0]) == (0,)
    assert sections_to_show([]) == ()


def test_what_a_stage_left_is_refused_when_it_is_something_else(tmp_path: Path) -> None:
    from eucentric.core import FormatError
    from eucentric.workflow.spectra import read_spectra
    from eucentric.workflow.stages import read_record

    (tmp_path / "sums.json").write_text(json.dumps({"sections": 3}))
    with pytest.raises(FormatError, match="run again"):
        read_record(tmp_path / "sums.json", Sums)
    with pytest.raises(FormatError, match="run again"):
        read_spectra(tmp_path / "sums.json", 2.0)


def test_a_pattern_of_the_camera_is_told(processed_movies: ProcessOutcome) -> None:
    from eucentric.processing.motion import SeriesMotion
    from eucentric.workflow.records import GainFound, Sums
    from eucentric.workflow.stages import read_record
    from eucentric.workflow.summed_movies import CTFFound, SummedMovies

    folder, movies = processed_movies.folder, processed_movies.movies
    assert movies is not None
    found = SummedMovies(
        tilts=9,
        missing=frozenset(),
        sums=read_record(folder / "sums.json", Sums),
        gain=read_record(folder / "gain.json", GainFound),
        motion=read_record(folder / "motion.json", SeriesMotion),
        unweighted=movies.unweighted,
        even=movies.even,
        odd=movies.odd,
        halves="frames",
        target_defocus_A=(None,) * 9,
        lens=None,
    )
    patterned = replace(found, motion=found.motion.replace(fixed_pattern=0.05))
    assert not any("[camera-pattern]" in said for said in found.doubts(CTFFound()))
    assert any("5.0 %" in said and "[camera-pattern]" in said for said in patterned.doubts(CTFFound()))
