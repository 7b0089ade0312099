"""The phantom series is what a microscope would leave, and the same for the same seed."""

from pathlib import Path

import numpy as np
import pytest

from eucentric.io import load_series, read_alignment
from phantoms.series import WrittenPhantom, write_phantom_series

TILTS_DEG = (-40.0, -20.0, 0.0, 20.0, 40.0)


def write(folder: Path, seed: int) -> WrittenPhantom:
    return write_phantom_series(folder, tilts_deg=TILTS_DEG, size=48, pixel_A=106.0, seed=seed, name="ts")


def test_its_files_are_read_back_as_one_series(tmp_path: Path) -> None:
    written = write(tmp_path, 0)
    loaded = load_series(written.stack, angles=written.angles, tilts=written.table)
    assert loaded.series.tilts_deg == TILTS_DEG
    assert loaded.series.by_order()[0].tilt_deg == 0
    assert [tilt.exposure_e_A2 for tilt in loaded.series.tilts] == pytest.approx([3.0] * 5)
    assert loaded.series.pixel_A == pytest.approx(106.0)
    assert loaded.images.shape == (5, 48, 48)
    assert read_alignment(tmp_path / "truth" / "alignment.json") == written.truth


def test_no_truth_lies_where_processing_looks_for_angles(tmp_path: Path) -> None:
    written = write(tmp_path, 0)
    assert {path.name for path in tmp_path.iterdir() if path.is_file()} == {"ts.mrc", "ts.rawtlt", "ts.csv"}
    assert load_series(written.stack).series.tilt_axis_deg is None


def test_the_seed_says_it_all(tmp_path: Path) -> None:
    first, again, other = (write(tmp_path / name, seed) for name, seed in (("a", 1), ("b", 1), ("c", 2)))
    assert first.stack.read_bytes() == again.stack.read_bytes()
    assert first.truth == again.truth
    assert not np.array_equal(load_series(first.stack).images, load_series(other.stack).images)
