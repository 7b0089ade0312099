"""`process_series`: what it leaves on disk, read back by others' readers, and what it runs again."""

import json
import shutil
import warnings
from pathlib import Path

import mrcfile
import numpy as np
import pytest
import zarr
from numpy.typing import NDArray
from ome_zarr_models.v05.image import Image

from eucentric.assessment import score_alignment
from eucentric.core import Alignment, DataWarning, InputError, TiltSeries
from eucentric.io import load_series, open_mrc, read_alignment, read_imod_alignment, write_angles, write_mrc
from eucentric.processing.alignment import AlignSettings
from eucentric.processing.reconstruction import ReconstructSettings
from eucentric.session import RunStatus, Session, read_history
from eucentric.workflow.process import process_series
from eucentric.workflow.records import ProcessOutcome, ProcessSettings
from phantoms.series import WrittenPhantom, write_phantom_series

SETTINGS = ProcessSettings(align=AlignSettings(axis_deg=84.3))
QUICK = ProcessSettings(align=AlignSettings(axis_deg=84.3, specimen_depth_A=2000, rounds=1))
STAGES = ["align", "reconstruct", "assess", "report"]


def volume(path: Path) -> NDArray[np.float32]:
    with mrcfile.open(path) as file:
        return np.array(file.data)


def process(folder: Path, stack: Path, settings: ProcessSettings = SETTINGS) -> ProcessOutcome:
    with warnings.catch_warnings(), Session.create_or_open(folder) as session:
        warnings.simplefilter("ignore", DataWarning)
        return process_series(session, load_series(stack), settings)


def ran(outcome: ProcessOutcome) -> list[str]:
    assert [stage.stage for stage in outcome.stages] == STAGES
    return [stage.stage for stage in outcome.stages if stage.ran]


@pytest.fixture
def session_folder(processed: ProcessOutcome, tmp_path: Path) -> Path:
    """A copy of a session in which all is done."""
    return shutil.copytree(processed.folder.parents[1], tmp_path / "session")


# What is on disk


def test_the_alignment_is_true_to_a_fifth_of_a_pixel(processed: ProcessOutcome, phantom: WrittenPhantom) -> None:
    # The axis is given; a fifth of a pixel is what counts of 21 views of 96 pixels allow.
    score = score_alignment(read_alignment(processed.folder / "alignment.json"), phantom.truth)
    assert score.shift_rms_px < 0.2
    assert processed.tilts_used == 21
    assert processed.tilts_left_out == {}


def test_imods_files_hold_the_same_alignment(processed: ProcessOutcome) -> None:
    ours = read_alignment(processed.folder / "alignment.json")
    theirs = read_imod_alignment(processed.folder / "ts.xf", processed.folder / "ts.tlt", ours.pixel_A, ours.shape_yx)
    for a, b in zip(ours.tilts, theirs.tilts, strict=True):
        assert b.axis_deg == pytest.approx(a.axis_deg, abs=1e-4)
        assert b.tilt_deg == pytest.approx(a.tilt_deg, abs=0.005)
        assert b.shift_yx_A == pytest.approx(a.shift_yx_A, abs=0.01 * ours.pixel_A)  # 3 decimals of a pixel, turned


def test_tomograms_are_valid_and_halves_make_the_whole(processed: ProcessOutcome) -> None:
    full, even, odd = (processed.folder / f"tomogram{half}.mrc" for half in ("", "_even", "_odd"))
    for path in (full, even, odd):
        assert mrcfile.validate(path)
        assert open_mrc(path).pixel_A == pytest.approx(processed.voxel_A)
    assert volume(full).shape == processed.shape_zyx
    np.testing.assert_allclose((volume(even) + volume(odd)) / 2, volume(full), atol=1e-6 * volume(full).std())
    assert np.corrcoef(volume(even).ravel(), volume(odd).ravel())[0, 1] < 0.999  # two volumes, not one twice


def test_the_zarr_is_valid_and_holds_the_tomogram(processed: ProcessOutcome) -> None:
    group = zarr.open_group(str(processed.folder / "tomogram.zarr"), mode="r")
    Image.from_zarr(group)
    finest = group["0"]
    assert isinstance(finest, zarr.Array)
    np.testing.assert_array_equal(np.asarray(finest[:]), volume(processed.tomogram))


def test_the_report_shows_the_numbers_of_the_outcome(processed: ProcessOutcome) -> None:
    page = processed.report.read_text(encoding="utf-8")
    assert "21 of 21" in page
    assert f"{processed.tilt_axis_deg:.2f}°" in page
    assert f"{processed.median_residual_A:.1f} Å" in page
    assert processed.resolution_A is not None
    assert f"{processed.resolution_A:.0f} Å" in page
    assert "mended-pixels" in page


def test_the_journal_tells_the_stages_and_what_came_out(processed: ProcessOutcome) -> None:
    records = read_history(processed.folder.parents[1])
    assert [record.stage for record in records] == STAGES
    assert {record.status for record in records} == {RunStatus.FINISHED}
    outputs = {Path(output.path).name for record in records for output in record.outputs}
    assert outputs == {path.name for path in processed.folder.iterdir()}


def test_the_depth_found_is_the_thickness_of_the_tomogram(processed: ProcessOutcome) -> None:
    depth_A = json.loads((processed.folder / "evidence.json").read_text())["result"]["specimen_depth_A"]
    assert 0 <= processed.shape_zyx[0] * processed.voxel_A - depth_A < 8 * processed.voxel_A + 1


# What is run again, and what is not


def test_nothing_is_run_twice(session_folder: Path, phantom: WrittenPhantom) -> None:
    before = {path: path.stat().st_mtime_ns for path in (session_folder / "series").rglob("*") if path.is_file()}
    outcome = process(session_folder, phantom.stack)
    assert ran(outcome) == []
    assert {path: path.stat().st_mtime_ns for path in before} == before


@pytest.mark.parametrize(
    ("settings", "again"),
    [
        (SETTINGS.replace(reconstruct=ReconstructSettings(cutoff=0.6)), STAGES[1:]),
        (SETTINGS.replace(mean_free_path_A=2500.0), STAGES[2:]),
    ],
)
def test_a_changed_setting_outdates_what_depends_on_it(
    session_folder: Path, phantom: WrittenPhantom, settings: ProcessSettings, again: list[str]
) -> None:
    outcome = process(session_folder, phantom.stack, settings)
    assert ran(outcome) == again
    first = next(stage for stage in outcome.stages if stage.ran)
    assert "cutoff changed from 0.8 to 0.6" in first.reason or "mean_free_path_A changed" in first.reason


@pytest.mark.parametrize(
    ("lost", "again"),
    [("tomogram.mrc", ["reconstruct"]), ("tomogram.zarr", ["reconstruct"]), ("report.html", ["report"])],
)
def test_a_result_that_was_removed_is_made_again_as_it_was(
    session_folder: Path, phantom: WrittenPhantom, processed: ProcessOutcome, lost: str, again: list[str]
) -> None:
    path = session_folder / "series" / "ts" / lost
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    outcome = process(session_folder, phantom.stack)
    assert ran(outcome) == again
    assert path.exists()
    assert volume(outcome.tomogram).tobytes() == volume(processed.tomogram).tobytes()


def test_a_changed_stack_outdates_all(session_folder: Path, phantom: WrittenPhantom, tmp_path: Path) -> None:
    images = np.array(open_mrc(phantom.stack).data)
    images[:, 40, 40] += 1
    write_mrc(tmp_path / "ts.mrc", images, 53.0, kind="stack")
    for file in (phantom.angles, phantom.table):
        shutil.copy(file, tmp_path)
    outcome = process(session_folder, tmp_path / "ts.mrc")
    assert ran(outcome) == STAGES
    assert outcome.stages[0].reason == "input ts.mrc changed"


def test_a_stack_may_be_moved(session_folder: Path, phantom: WrittenPhantom, tmp_path: Path) -> None:
    for file in (phantom.stack, phantom.angles, phantom.table):
        shutil.copy(file, tmp_path)
    assert ran(process(session_folder, tmp_path / "ts.mrc")) == []


# Bad pixels and bad views


def write_series(folder: Path, images: NDArray[np.float32], like: TiltSeries) -> Path:
    """Write a stack as careless programs do: whatever the pixels are."""
    with warnings.catch_warnings(), mrcfile.new(folder / "bad.mrc") as file:
        warnings.simplefilter("ignore", RuntimeWarning)  # NaN has no mean
        file.set_data(images)
        file.voxel_size = like.pixel_A
        file.set_image_stack()
    write_angles(folder / "bad.rawtlt", like.tilts_deg)
    return folder / "bad.mrc"


def test_pixels_that_are_no_numbers_are_mended_and_named(tmp_path: Path, phantom: WrittenPhantom) -> None:
    loaded = load_series(phantom.stack)
    images = loaded.images.astype(np.float32)
    images[3, 10:20, 10:20] = np.nan
    images[7, 50, 50], images[7, 60, 60] = np.inf, -np.inf
    images[12] = np.nan
    images[15] = 40
    stack = write_series(tmp_path, images, loaded.series)
    with (
        Session.create_or_open(tmp_path / "session") as session,
        pytest.warns(DataWarning, match=r"bad\.mrc: \d+ defective pixels, .*\[mended-pixels\]"),
    ):
        outcome = process_series(session, load_series(stack), QUICK)
    assert set(outcome.tilts_left_out) == {12, 15}
    assert "not numbers" in outcome.tilts_left_out[12]
    assert "equal" in outcome.tilts_left_out[15]
    assert np.isfinite(volume(outcome.tomogram)).all()
    assert "bad.mrc" in "".join(outcome.warnings)


def test_an_error_of_a_stage_names_the_stack_and_is_in_the_journal(tmp_path: Path, phantom: WrittenPhantom) -> None:
    loaded = load_series(phantom.stack)
    stack = write_series(tmp_path, np.full(loaded.images.shape, 7, np.float32), loaded.series)
    with Session.create_or_open(tmp_path / "session") as session, pytest.raises(InputError, match=r"bad\.mrc.*equal"):
        process_series(session, load_series(stack), SETTINGS)
    (record,) = read_history(tmp_path / "session")
    assert (record.stage, record.status) == ("align", RunStatus.FAILED)
    assert "bad.mrc" in record.reason
    assert list((tmp_path / "session" / "series" / "bad").iterdir()) == []


def test_a_volume_that_memory_cannot_hold_is_refused(session_folder: Path, phantom: WrittenPhantom) -> None:
    settings = SETTINGS.replace(reconstruct=ReconstructSettings(thickness_A=1e15))
    with pytest.raises(InputError, match=r"ts\.mrc.*memory.*--thickness"):
        process(session_folder, phantom.stack, settings)
    assert ran(process(session_folder, phantom.stack)) == []  # the earlier results still stand


def test_a_name_may_be_long_and_in_any_alphabet(phantom: WrittenPhantom, tmp_path: Path) -> None:
    name = "Ångström ß 試料 " + "x" * 90
    with warnings.catch_warnings(), Session.create_or_open(tmp_path) as session:
        warnings.simplefilter("ignore", DataWarning)
        outcome = process_series(session, load_series(phantom.stack, name=name), QUICK)
    assert outcome.folder.name == name
    assert mrcfile.validate(outcome.tomogram)
    assert isinstance(read_alignment(outcome.folder / "alignment.json"), Alignment)


def test_an_order_that_is_mended_reaches_the_report(
    session_folder: Path, phantom: WrittenPhantom, tmp_path: Path
) -> None:
    """The order changes neither alignment nor volume, but the page shows the tilts in it."""
    for file in (phantom.stack, phantom.angles, phantom.table):
        shutil.copy(file, tmp_path)
    table = tmp_path / phantom.table.name
    header, *rows = table.read_text(encoding="utf-8").splitlines()
    cells = [row.split(",") for row in rows]
    for row in cells:
        row[1] = str(len(cells) - 1 - int(row[1]))
    table.write_text("\n".join([header, *(",".join(row) for row in cells)]) + "\n", encoding="utf-8")
    outcome = process(session_folder, tmp_path / phantom.stack.name)
    assert ran(outcome) == ["align", "report"]


# Halves of counts


def test_halves_of_counts_make_the_whole_and_share_the_views(tmp_path: Path) -> None:
    tilts_deg = [float(tilt) for tilt in range(-60, 61, 6)]
    # Pixels of 16 Å show noise alone at the finest detail, those of the other phantom, of 53 Å, ribosomes.
    stack = write_phantom_series(tmp_path, tilts_deg=tilts_deg, size=128, pixel_A=16.0, name="ts").stack
    whole, halves = {}, {}
    for kind, again in (("tilts", STAGES), ("counts", STAGES[1:])):
        outcome = process(tmp_path / "session", stack, QUICK.replace(halves=kind))
        assert ran(outcome) == again
        assert outcome.halves == kind
        whole[kind], even, odd = (volume(outcome.folder / f"tomogram{half}.mrc") for half in ("", "_even", "_odd"))
        np.testing.assert_allclose((even + odd) / 2, whole[kind], atol=1e-5 * whole[kind].std())
        halves[kind] = (even - whole[kind]).std(), np.corrcoef(even.ravel(), odd.ravel())[0, 1]
    np.testing.assert_allclose(whole["counts"], whole["tilts"], atol=1e-5 * whole["tilts"].std())
    assert halves["counts"][0] == pytest.approx(halves["tilts"][0], rel=0.2)  # noise of half the exposure in either way
    assert halves["counts"][1] > halves["tilts"][1]  # but the same planes of the specimen
    page = outcome.report.read_text(encoding="utf-8")
    assert "the tomograms of halves of the counts" in page
    assert "split at random" in page
    with mrcfile.open(outcome.folder / "tomogram_even.mrc", header_only=True) as file:
        assert b"even half of counts" in bytes(file.header.label[0])
    assert ran(process(tmp_path / "session", stack, QUICK.replace(halves="counts"))) == []


def test_counts_of_a_stack_that_shows_no_plain_noise_are_not_split(
    session_folder: Path, phantom: WrittenPhantom
) -> None:
    before = volume(session_folder / "series" / "ts" / "tomogram.mrc")
    with pytest.raises(InputError, match=r"ts\.mrc: The noise of its views .* too coarse") as raised:
        process(session_folder, phantom.stack, SETTINGS.replace(halves="counts"))
    assert "halves of tilts" in str(raised.value.fix)
    np.testing.assert_array_equal(volume(session_folder / "series" / "ts" / "tomogram.mrc"), before)
