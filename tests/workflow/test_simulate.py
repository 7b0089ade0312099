"""A plan on the twin, as files: what is in them, that the truth is true, and that a stopped run goes on to the same."""

import csv
import hashlib
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from scipy.ndimage import center_of_mass

import eucentric.workflow.simulate as workflow
from eucentric.core import DataWarning, InputError
from eucentric.design import (
    ConstantExposure,
    ConstantIncrement,
    Design,
    DoseSymmetric,
    FrameCount,
    Plan,
    Routine,
    Specimen,
    Stage,
)
from eucentric.io import load_series, open_mrc, read_alignment, read_mdoc, read_plan
from eucentric.io.movies import open_movie, write_movie
from eucentric.session import Session
from eucentric.twin import Effects, TwinSettings
from eucentric.workflow.simulate import SimulateOutcome, SimulateSettings, read_tilts, simulate
from eucentric.workflow.simulated_truth import SimulatedTilt

PLAN = Design(
    scheme=DoseSymmetric(min_deg=-40, max_deg=40, increment=ConstantIncrement(step_deg=20)),
    exposure=ConstantExposure(total_e_A2=50),
    frames=FrameCount(frames=3),
    specimen=Specimen(thickness_A=800),
).plan()
# Twenty minutes before midnight, and a month's end: dates must cross both.
LATE = TwinSettings(began=datetime(2026, 11, 30, 23, 59, 0))
SETTINGS = SimulateSettings(specimen="beads", name="TS_7", size=96, pixel_A=12.0, seed=4, twin=LATE)


def made(
    folder: Path, settings: SimulateSettings = SETTINGS, plan: Plan = PLAN, *, resume: bool = False
) -> SimulateOutcome:
    with Session.create_or_open(folder) as session:
        return simulate(session, plan, settings, resume=resume)


def hashes(folder: Path) -> dict[str, str]:
    """Everything that the simulation wrote, but for the journal, which knows when it was."""
    parts = ("frames", "mdoc", "truth")
    files = [path for part in parts for path in sorted((folder / part).rglob("*")) if path.is_file()]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> SimulateOutcome:
    return made(tmp_path_factory.mktemp("simulated") / "session")


@pytest.fixture(scope="module")
def tilts(outcome: SimulateOutcome) -> tuple[SimulatedTilt, ...]:
    return read_tilts(outcome.truth)


# --- the files of a microscope


def test_movies_are_raw_counts_one_for_each_tilt(outcome: SimulateOutcome, tilts: tuple[SimulatedTilt, ...]) -> None:
    folder = outcome.folder / "frames"
    assert sorted(path.name for path in folder.glob("*.tif")) == sorted(tilt.movie for tilt in tilts)
    first = tifffile.imread(folder / tilts[0].movie)
    assert first.shape == (3, 96, 96)
    # 3.3 e/Å² of 144 Å² a frame are more than a byte holds.
    assert first.dtype == np.uint16
    np.testing.assert_array_equal(first[:, ::-1], open_movie(folder / tilts[0].movie).read())


def test_the_mdoc_tells_the_plan_in_true_order_over_midnight(outcome: SimulateOutcome) -> None:
    series = read_mdoc(outcome.mdoc)
    assert {finding.severity for finding in series.findings} <= {"note"}
    by_order = sorted(series.sections, key=lambda section: section.order)
    assert series.order_known
    assert [section.tilt_deg for section in by_order] == [exposure.tilt_deg for exposure in PLAN]
    before = [section.pre_exposure_e_A2 for section in by_order]
    assert before == pytest.approx([exposure.pre_exposure_e_A2 for exposure in PLAN], abs=1e-5)
    assert before[0] == 0
    assert all(section.movie and (outcome.folder / "frames" / section.movie).exists() for section in by_order)
    days = [section.recorded.date() for section in by_order if section.recorded]
    assert (days[0].day, days[-1].day, days[-1].month) == (30, 1, 12)
    assert all(section.target_defocus_A == pytest.approx(30_000) for section in by_order)


def test_the_stack_is_the_sum_of_the_frames_gain_corrected(
    outcome: SimulateOutcome, tilts: tuple[SimulatedTilt, ...]
) -> None:
    stack, gain = open_mrc(outcome.stack).data, open_mrc(outcome.gain).data[0]
    for section, tilt in enumerate(tilts):
        summed = open_movie(outcome.folder / "frames" / tilt.movie).read().sum(axis=0) * gain
        np.testing.assert_allclose(stack[section], summed * outcome.counts_per_electron, atol=0.51)


def test_the_stack_loads_with_its_mdoc(outcome: SimulateOutcome) -> None:
    series = load_series(outcome.stack).series
    assert series.order_known
    assert series.pixel_A == pytest.approx(12.0)
    assert series.tilts_deg == tuple(exposure.tilt_deg for exposure in PLAN)
    # What the microscope says of the axis is off by what the settings say.
    assert series.tilt_axis_deg == pytest.approx(LATE.axis_deg - LATE.axis_error_deg, abs=0.06)


def test_other_forms_of_the_files(tmp_path: Path) -> None:
    settings = SETTINGS.replace(format="mrc", frame_paths="windows", frames=2)
    done = made(tmp_path / "session", settings)
    section = read_mdoc(done.mdoc).sections[0]
    assert section.n_frames == 2
    assert section.frame_path == f"X:\\eucentric\\frames\\{section.movie}"
    assert open_mrc(done.folder / "frames" / str(section.movie)).data.shape == (2, 96, 96)


def test_a_routine_without_any_pause_still_has_an_order(tmp_path: Path) -> None:
    """Readers go by whole seconds; exposures of a tenth of one, one after another, must not fail them."""
    hasty = Routine(dose_rate_e_A2_per_s=100, tracking_s=0, focus_s=0, overhead_s=0)
    quick = Stage(speed_deg_per_s=1000, settle_s=0, reversal_s=0)
    plan = PLAN.design.replace(routine=hasty, stage=quick).plan()
    series = read_mdoc(made(tmp_path / "session", plan=plan).mdoc)
    assert series.order_known
    assert [section.order for section in series.sections] == list(range(len(plan)))


# --- the truth


def test_the_true_alignment_is_where_the_beads_are_seen(tmp_path: Path) -> None:
    """To .3 px at every tilt, for two directions of the axis: it pins the signs of tilt, axis, shift and hand."""
    for axis_deg in (84.3, 20.0):
        settings = SETTINGS.replace(
            twin=LATE.replace(axis_deg=axis_deg),
            effects=Effects.parse("no-local-motion,no-doming,no-burst,no-drift,no-solvent,no-beam"),
            size=128,
        )
        done = made(tmp_path / f"{axis_deg:g}", settings)
        with (done.truth / "particles.csv").open() as file:
            gold = [row for row in csv.DictReader(file) if row["label"] == "gold"]
        places = np.array([[float(row[name]) for name in ("z_A", "y_A", "x_A")] for row in gold])
        alignment = read_alignment(done.truth / "alignment.json")
        found = 0
        for tilt, view in zip(read_tilts(done.truth), alignment.tilts, strict=True):
            name = f"{Path(tilt.movie).stem}.mrc"
            image = open_mrc(done.truth / "expected" / name).data[0].astype(float)
            seen = view.sample2image()(places)[:, 1:] / 12.0 + 64
            for y, x in seen:
                others = np.sort(np.hypot(*(seen - (y, x)).T))[1:]
                if not (10 < y < 117 and 10 < x < 117) or others.min(initial=99) < 16:
                    continue  # at the border, or too near another
                j, i = round(y), round(x)
                patch = image[j - 6 : j + 7, i - 6 : i + 7]
                dark = np.clip(0.85 * np.median(image) - patch, 0, None)
                row, column = center_of_mass(dark)
                assert np.hypot(row - 6 + j - y, column - 6 + i - x) < 0.3
                found += 1
        assert found > 10


def test_what_was_expected_is_what_was_counted(outcome: SimulateOutcome, tilts: tuple[SimulatedTilt, ...]) -> None:
    for tilt in tilts:
        expected = open_mrc(outcome.truth / "expected" / f"{Path(tilt.movie).stem}.mrc").data[0]
        assert expected.mean() == pytest.approx(tilt.truth.expected_e_px, rel=1e-5)
        counted = open_movie(outcome.folder / "frames" / tilt.movie).read().sum(axis=0, dtype=float)
        # 9216 pixels of some 100 electrons: the mean is good to .1 %; hot pixels add a little.
        assert counted.mean() == pytest.approx(expected.mean() * outcome.detection, rel=0.01)


def test_truth_keeps_its_books(tilts: tuple[SimulatedTilt, ...]) -> None:
    exposures = [exposure.exposure_e_A2 for exposure in PLAN]
    before = np.cumsum([0, *exposures[:-1]]) + LATE.view_exposure_e_A2  # and the view by which the place was found
    assert [tilt.truth.pre_exposure_e_A2 for tilt in tilts] == pytest.approx(before.tolist())
    assert [tilt.truth.view.tilt_deg for tilt in tilts] != [exposure.tilt_deg for exposure in PLAN]
    off = [abs(tilt.truth.view.tilt_deg - exposure.tilt_deg) for tilt, exposure in zip(tilts, PLAN, strict=True)]
    assert max(off) < 0.3
    assert all(len(tilt.truth.frames) == 3 for tilt in tilts)


def test_particles_volume_and_deformation(outcome: SimulateOutcome) -> None:
    with (outcome.truth / "particles.csv").open() as file:
        rows = list(csv.DictReader(file))
    turns = np.array([[float(row[f"r{to}{of}"]) for to in "zyx" for of in "zyx"] for row in rows]).reshape(-1, 3, 3)
    np.testing.assert_allclose(turns @ turns.transpose(0, 2, 1), np.broadcast_to(np.eye(3), turns.shape), atol=1e-5)
    volume = open_mrc(outcome.truth / "volume.mrc")
    assert volume.pixel_A == pytest.approx(12.0)
    assert volume.data.max() > 15  # gold, in V over ice
    assert volume.data.shape[1:] == (96, 96)
    with np.load(outcome.truth / "deformation.npz") as moved:
        assert moved["displacement_zyx_A"].shape == (len(PLAN), *moved["places_yx_A"].shape[:2], 3)
        growing = np.abs(moved["displacement_zyx_A"]).mean(axis=(1, 2, 3))
    assert (np.diff(growing) > 0).all()


# --- the same again


def test_the_same_seed_gives_the_same_bytes_and_another_others(tmp_path: Path, outcome: SimulateOutcome) -> None:
    again = made(tmp_path / "again")
    assert hashes(again.folder) == hashes(outcome.folder)
    other = made(tmp_path / "other", SETTINGS.replace(seed=5))
    assert not set(hashes(other.folder).values()) & set(hashes(outcome.folder).values())


def test_an_effect_switched_off_leaves_the_draws_of_others(tmp_path: Path, tilts: tuple[SimulatedTilt, ...]) -> None:
    done = made(tmp_path / "still", SETTINGS.replace(effects=Effects.parse("no-drift,no-gain,no-solvent")))
    for one, before in zip(read_tilts(done.truth), tilts, strict=True):
        assert one.truth.view.tilt_deg == before.truth.view.tilt_deg
        # The focus routine's error is the same; the image's centre is a drift away, up a slope.
        assert one.truth.defocus_A == pytest.approx(before.truth.defocus_A, abs=5)
    # It was on, though: from the second move on, drift is what tracking has to follow.
    moved = [tilt.nominal.image_shift_yx_A for tilt in read_tilts(done.truth)[1:]]
    assert moved != [tilt.nominal.image_shift_yx_A for tilt in tilts[1:]]


# --- going on


def interrupted(folder: Path, monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """Run until Ctrl-C is pressed while the movie after so many is written."""
    written: list[Path] = []

    def stop(path: Path, *arguments: Any, **more: Any) -> None:
        if len(written) == after:
            raise KeyboardInterrupt
        written.append(path)
        write_movie(path, *arguments, **more)

    with monkeypatch.context() as patch:
        patch.setattr(workflow, "write_movie", stop)
        with pytest.raises(KeyboardInterrupt):
            made(folder)


def test_a_stopped_run_goes_on_to_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, outcome: SimulateOutcome
) -> None:
    folder = tmp_path / "session"
    interrupted(folder, monkeypatch, after=2)
    before = hashes(folder)
    with pytest.raises(InputError, match="is here already and stopped") as error:
        made(folder)
    assert "--resume" in error.value.fix
    assert hashes(folder) == before
    done = made(folder, resume=True)
    assert done.made_now == len(PLAN) - 2
    assert hashes(folder) == hashes(outcome.folder)


def test_a_movie_that_is_gone_or_cut_is_made_again(tmp_path: Path, outcome: SimulateOutcome) -> None:
    folder = tmp_path / "session"
    first, second = (folder / "frames" / tilt.movie for tilt in read_tilts(made(folder).truth)[:2])
    first.unlink()
    second.write_bytes(second.read_bytes()[:-100])
    done = made(folder, resume=True)
    assert done.made_now == 2
    assert hashes(folder) == hashes(outcome.folder)


def test_a_movie_that_is_damaged_is_named_and_made_again(tmp_path: Path, outcome: SimulateOutcome) -> None:
    """A size that has not changed does not tell; the stack does, and the truth is never that of another one."""
    folder = tmp_path / "session"
    movie = folder / "frames" / read_tilts(made(folder).truth)[1].movie
    movie.write_bytes(bytes(movie.stat().st_size))
    with (
        pytest.warns(DataWarning, match=f"{movie.name}.*movie-left-out"),
        pytest.raises(InputError, match="1 of the 5 movies of TS_7 cannot be read") as error,
    ):
        made(folder, resume=True)
    assert "--resume" in error.value.fix
    movie.unlink()
    assert made(folder, resume=True).made_now == 1
    assert hashes(folder) == hashes(outcome.folder)


def test_another_plan_or_other_settings_do_not_go_on(tmp_path: Path) -> None:
    folder = tmp_path / "session"
    with pytest.raises(InputError, match="no simulation of TS_7 to go on with"):
        made(folder, resume=True)
    made(folder)
    before = hashes(folder)
    longer = PLAN.design.replace(exposure=ConstantExposure(total_e_A2=60)).plan()
    wrong: tuple[tuple[str, Callable[[], SimulateOutcome]], ...] = (
        ("other settings \\(seed\\)", lambda: made(folder, SETTINGS.replace(seed=9), resume=True)),
        ("another plan", lambda: made(folder, plan=longer, resume=True)),
        ("another plan", lambda: made(folder, SETTINGS.replace(name="TS_8"), plan=longer)),
        ("is complete", lambda: made(folder)),
    )
    for what, attempt in wrong:
        with pytest.raises(InputError, match=what):
            attempt()
        assert hashes(folder) == before
    assert read_plan(folder / "plan.yaml") == PLAN


def test_a_second_series_goes_beside_the_first(tmp_path: Path) -> None:
    folder = tmp_path / "session"
    one, two = made(folder), made(folder, SETTINGS.replace(name="TS_8", seed=6))
    assert one.stack != two.stack
    assert one.stack.exists()
    assert len(list((folder / "frames").glob("*.tif"))) == 2 * len(PLAN)
