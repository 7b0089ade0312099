"""The bench's work, its scores, its floor, and what it makes of other programs."""

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import fourier_shift

from eucentric.core import InputError, stream
from eucentric.workflow.bench import floor as floors
from eucentric.workflow.bench.peers import Peers
from eucentric.workflow.bench.programs import ProgramError, run_apart
from eucentric.workflow.bench.records import BenchSettings, Row
from eucentric.workflow.bench.run import run_bench
from eucentric.workflow.bench.scores import score_views, score_volume
from eucentric.workflow.bench.workloads import TILTS_DEG, Work, _add, alignment_work, reconstruction_work

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def reconstruction() -> Work:
    return reconstruction_work(64, 0)


@pytest.fixture(scope="module")
def alignment() -> Work:
    return alignment_work(64, 0)


def executable(folder: Path, name: str, script: str) -> None:
    """Put a command on the path that is a Python script."""
    folder.mkdir(exist_ok=True)
    command = folder / name
    command.write_text(f"#!{sys.executable}\n{script}")
    command.chmod(0o755)


@given(
    st.tuples(st.floats(6, 10), st.floats(5, 27), st.floats(5, 27)),
    st.floats(0.9, 1.6),
    st.floats(0.5, 2),
)
@settings(max_examples=20)
def test_a_blob_seen_along_z_is_its_volume_summed(centre: tuple[float, ...], sigma: float, height: float) -> None:
    volume, image = np.zeros((1, 16, 32, 32), np.float32), np.zeros((1, 1, 32, 32), np.float32)
    place = np.array([[centre]])
    _add(place, np.array([sigma]), np.array([[height]]), volume)
    _add(place, np.array([sigma]), np.array([[height * np.sqrt(2 * np.pi) * sigma]]), image)
    assert volume[0].sum(0) == pytest.approx(image[0, 0], abs=2e-3 * height)  # cut off at 4.5 sigmas
    squared = sum((axis - at) ** 2 for axis, at in zip(np.indices((16, 32, 32)), centre, strict=True))
    direct = height * np.exp(-squared / (2 * sigma**2))
    near = squared < (4 * sigma) ** 2
    assert volume[0][near] == pytest.approx(direct[near], abs=1e-5 * height)


def test_the_work_is_the_same_for_a_seed_and_another_for_another(alignment: Work) -> None:
    assert np.array_equal(alignment_work(64, 0).images, alignment.images)
    assert not np.array_equal(alignment_work(64, 1).images, alignment.images)


def test_views_of_a_series_differ_by_the_shifts_that_are_told() -> None:
    still, moved = reconstruction_work(64, 3), alignment_work(64, 3)
    shifts_px = np.array([tilt.shift_yx_A for tilt in moved.truth.tilts]) / moved.truth.pixel_A
    assert np.abs(shifts_px).max() <= 30 / 8
    assert not np.any([tilt.shift_yx_A for tilt in still.truth.tilts])
    # Dense is dark: a pixel of the untilted view has 105 electrons, and some 8 % fewer where there is more.
    assert moved.images[20].mean() == pytest.approx(105, rel=0.02)
    assert moved.images[0].mean() == pytest.approx(105 * np.exp(-0.6), rel=0.02)


@pytest.mark.parametrize("mirrored", [(1, 1), (-1, 1), (1, -1), (-1, -1)])
def test_a_volume_in_another_frame_is_scored_as_the_truth_itself(
    reconstruction: Work, mirrored: tuple[int, int]
) -> None:
    assert reconstruction.volume is not None
    windows = (np.hanning(n + 2)[1:-1] for n in reconstruction.volume.shape)  # so that nothing comes round the borders
    z, y, x = np.ix_(*windows)
    truth = (reconstruction.volume * z * y * x).astype(np.float32)
    moved = np.fft.ifftn(fourier_shift(np.fft.fftn(truth), (0.4, -1.3, 2.2))).real
    volume = moved[:: mirrored[0], :: mirrored[1]].astype(np.float32)
    assert score_volume(volume, truth, TILTS_DEG, place_known=False)["fsc"] > 0.98
    assert score_volume(volume, truth, TILTS_DEG, place_known=True)["fsc"] < 0.8
    assert score_volume(truth, truth, TILTS_DEG, place_known=True)["fsc"] == pytest.approx(1)


def test_noise_scores_nothing(reconstruction: Work) -> None:
    assert reconstruction.volume is not None
    noise = stream(0, "noise").normal(size=reconstruction.volume.shape).astype(np.float32)
    assert score_volume(noise, reconstruction.volume, TILTS_DEG, place_known=True)["fsc"] == pytest.approx(0, abs=0.1)


@pytest.mark.parametrize("views", [8, 41])
def test_the_floors_kernel_does_every_interpolation(views: int) -> None:
    meter = floors.FloorMeter(np.ones((views, 16, 32), np.float32), 4, 3, 1_000_000, floors.rows_there_and_back)
    meter.measure()
    measured = meter.floor()
    assert measured.interpolations == 3 * views * 4 * 16 * 32
    parts = (measured.interpolations_s, measured.bytes_s, measured.transforms_s)
    assert min(parts) > 0
    assert measured.seconds == pytest.approx(sum(parts))
    assert measured.bytes_s == pytest.approx(1e6 / meter.copy_B_s)
    sums = np.zeros((16, 32), np.float32)
    floors._interpolate(np.ones((16, 40, 41), np.float32), 4, sums)
    assert sums == pytest.approx(np.full((16, 32), 4 * 40))


def test_transforms_of_the_floor_give_the_images_back(alignment: Work) -> None:
    assert floors.images_there_and_back(alignment.images) == pytest.approx(alignment.images, abs=1e-3)


def test_what_a_command_says_last_is_why_it_failed(tmp_path: Path) -> None:
    assert run_apart([sys.executable, "-c", "print('hello')"], tmp_path).printed == "hello\n"
    with pytest.raises(ProgramError, match=r"^ERROR: no such tilt$"):
        run_apart([sys.executable, "-c", "print('begun'); raise SystemExit('ERROR: no such tilt')"], tmp_path)
    with pytest.raises(ProgramError, match="status 3"):
        run_apart([sys.executable, "-c", "raise SystemExit(3)"], tmp_path)
    with pytest.raises(ProgramError, match="No such file"):
        run_apart([tmp_path / "absent"], tmp_path)
    with pytest.raises(ProgramError, match=r"had not ended after 0\.1 s"):
        run_apart([sys.executable, "-c", "import time; time.sleep(60)"], tmp_path, most_s=0.1)


def test_peak_memory_of_a_process_is_its_own(tmp_path: Path) -> None:
    held = "x = bytearray(150_000_000); import time; time.sleep(0.2)"
    peak_MB = run_apart([sys.executable, "-c", held], tmp_path).peak_MB
    if peak_MB is None:
        pytest.skip("this system does not tell the memory of a process")
    assert 143 < peak_MB < 250


def test_imods_volume_and_transforms_are_read_as_it_writes_them(
    reconstruction: Work, alignment: Work, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Stand-ins that know the truth: rows of the images are the sections of the volume, upside down; each transform
    # moves a view onto the one before it.
    assert reconstruction.volume is not None
    np.save(tmp_path / "slices.npy", reconstruction.volume[::-1].transpose(1, 0, 2))
    shifts_px = np.array([tilt.shift_yx_A for tilt in alignment.truth.tilts]) / alignment.truth.pixel_A
    moves = np.hstack([np.tile([1, 0, 0, 1], (41, 1)), -np.diff(shifts_px, axis=0, prepend=0)[:, ::-1]])
    np.savetxt(tmp_path / "moves.txt", moves)
    option = "import sys; option = lambda name: sys.argv[sys.argv.index(name) + 1]\n"
    executable(
        tmp_path / "bin",
        "tilt",
        f"{option}import mrcfile, numpy\nassert option('-THICKNESS') == '16'\n"
        f"assert mrcfile.read(option('-InputProjections')).shape == (41, 64, 64)\n"
        f"mrcfile.write(option('-OutputFile'), numpy.load({str(tmp_path / 'slices.npy')!r}))",
    )
    executable(
        tmp_path / "bin",
        "tiltxcorr",
        f"{option}import shutil\nassert option('-RotationAngle') == '-5'\n"
        f"shutil.copy({str(tmp_path / 'moves.txt')!r}, option('-OutputFile'))",
    )
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    folder = tmp_path / "work"
    folder.mkdir()
    peers = Peers(Path(sys.executable), folder)
    peers.write(reconstruction, 1)
    volume = peers.filtered_back_projection(reconstruction)[0].run().result
    assert isinstance(volume, np.ndarray)
    assert score_volume(volume, reconstruction.volume, TILTS_DEG, place_known=False)["fsc"] > 0.99
    peers.write(alignment, 1)
    found = peers.with_axis(alignment)[0].run().result
    assert not isinstance(found, np.ndarray)
    assert score_views(found, alignment.truth)["shift_rms_px"] == pytest.approx(0, abs=1e-6)


def test_programs_that_fail_are_told_with_their_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    executable(tmp_path / "bin", "tilt", "print('ERROR: TILT - no licence to fail'); raise SystemExit(1)")
    (tmp_path / "astra.py").write_text("raise RuntimeError('no processor for this')")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    measured = run_bench(BenchSettings(what="reconstruct", size=64, repeat=2, iterations=0))
    (case,) = measured.cases
    rows = {row.program: row for row in case.rows}
    assert rows["IMOD tilt"] == Row(
        program="IMOD tilt", state="failed", reason="ERROR: TILT - no licence to fail", runs=0
    )
    assert rows["ASTRA FBP"].reason == "RuntimeError: no processor for this"
    assert rows["eucentric"].runs == 2


def test_what_is_no_interpreter_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not run as a Python interpreter"):
        Peers(tmp_path / "absent", tmp_path)
