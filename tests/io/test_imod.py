from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from eucentric.core import Alignment, FormatError, FormatWarning, InputError, TiltAlignment
from eucentric.io import format_excluded, read_imod_alignment, read_xf, write_tlt, write_xf

sides = st.integers(32, 5000)
views = st.builds(
    TiltAlignment,
    section=st.just(0),
    tilt_deg=st.floats(-80, 80),
    axis_deg=st.floats(-179, 179),
    shift_yx_A=st.tuples(st.floats(-900, 900), st.floats(-900, 900)),
    magnification=st.floats(0.9, 1.1),
)


def exported(folder: Path, alignment: Alignment) -> tuple[Path, Path]:
    write_xf(folder / "a.xf", alignment)
    write_tlt(folder / "a.tlt", alignment)
    return folder / "a.xf", folder / "a.tlt"


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(views, min_size=1, max_size=5), sides, sides, st.floats(0.5, 30))
def test_round_trip_to_the_digits_written(
    tmp_path_factory: pytest.TempPathFactory, tilts: list[TiltAlignment], ny: int, nx: int, pixel_A: float
) -> None:
    folder = tmp_path_factory.getbasetemp()
    numbered = tuple(tilt.replace(section=i) for i, tilt in enumerate(tilts))
    alignment = Alignment(pixel_A=pixel_A, shape_yx=(ny, nx), tilts=numbered)
    xf, tlt = exported(folder, alignment)
    back = read_imod_alignment(xf, tlt, pixel_A, (ny, nx))
    for ours, theirs in zip(alignment.tilts, back.tilts, strict=True):
        assert theirs.tilt_deg == pytest.approx(ours.tilt_deg, abs=0.0051)
        assert theirs.axis_deg == pytest.approx(ours.axis_deg, abs=2e-5)
        assert theirs.magnification == pytest.approx(ours.magnification, abs=2e-7)
        # Half of the last digit of d (0.001 px), and of A times a shift of up to 900 Å.
        assert theirs.shift_yx_A == pytest.approx(ours.shift_yx_A, abs=0.0015 * pixel_A + 2e-4)
    write_xf(folder / "b.xf", back)
    np.testing.assert_allclose(np.loadtxt(folder / "b.xf"), np.loadtxt(xf), rtol=0, atol=0.00101)


@pytest.mark.parametrize("shape_yx", [(64, 96), (65, 96), (64, 97), (81, 65)])
def test_a_point_lands_where_the_aligned_frame_says(tmp_path: Path, shape_yx: tuple[int, int]) -> None:
    """Apply the .xf as IMOD's newstack documents it, independently, to the image of a blob in the specimen."""
    pixel_A, point_zyx_A = 4.0, (30.0, -36.0, 44.0)
    view = TiltAlignment(section=0, tilt_deg=35.0, axis_deg=-72.0, shift_yx_A=(14.0, -22.0), magnification=1.05)
    _, y, x = view.sample2image()(point_zyx_A) / pixel_A
    rows, columns = np.indices(shape_yx)
    row, column = y + shape_yx[0] // 2, x + shape_yx[1] // 2
    image = np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / (2 * 2.0**2))

    alignment = Alignment(pixel_A=pixel_A, shape_yx=shape_yx, tilts=(view,))
    (a11, a12, dx), (a21, a22, dy) = read_xf(exported(tmp_path, alignment)[0])[0]
    middle = (np.array(shape_yx) - 1) / 2
    # In yx: aligned = A (p - middle) + d + middle; ndimage wants p as a function of aligned.
    inverse = np.linalg.inv([[a22, a21], [a12, a11]])
    offset = middle - inverse @ (middle + np.array([dy, dx]))
    aligned = ndimage.affine_transform(image, inverse, offset, order=3)

    # With the axis on y and the magnification gone, y stays and x' = x cos a + z sin a, about the middle.
    tilt = np.deg2rad(35.0)
    expected = middle + np.array([-36.0, 44.0 * np.cos(tilt) + 30.0 * np.sin(tilt)]) / pixel_A
    np.testing.assert_allclose(ndimage.center_of_mass(aligned), expected, atol=0.01)


def test_views_left_out_keep_their_lines_and_are_listed(tmp_path: Path) -> None:
    tilts = tuple(TiltAlignment(section=i, tilt_deg=i, axis_deg=0, used=i not in (0, 1, 2, 5)) for i in range(7))
    alignment = Alignment(pixel_A=1, shape_yx=(8, 8), tilts=tilts)
    assert format_excluded(alignment) == "1-3,6"
    assert format_excluded(alignment.replace(tilts=tilts[3:5])) == ""
    assert len(read_xf(exported(tmp_path, alignment)[0])) == 7


def test_the_tutorial_series_projects_its_beads_where_imod_saw_them(real_data: Path) -> None:
    """The signs of tilt, axis and shift and the half pixels, held to tiltalign's own solution.

    BBa.resid has the beads' positions on the pre-aligned stack, to which BBa.tltxf belongs; IMOD's mean residual is
    0.31 px. Our views leave out its skew (0.3 %, about half a pixel at the image's edge).
    """
    folder = real_data / "alignments" / "imod-BBa"
    alignment = read_imod_alignment(folder / "BBa.tltxf", folder / "BBa.tlt", 1.0, (512, 512))
    seen = np.loadtxt(folder / "BBa.resid", skiprows=1)
    beads_xyz = np.array([line.split()[1:4] for line in (folder / "BBafid.xyz").read_text().splitlines()], float)
    bead = np.cumsum(np.diff(seen[:, 2], prepend=0) < 0)  # a new bead starts where the view falls back

    def mean_miss(sign: int) -> float:
        misses = []
        for which, (x, y, view) in zip(bead, seen[:, :3], strict=True):
            tilt = alignment.tilts[int(view)]
            z, by, bx = beads_xyz[which][::-1] - (0, 256, 256)
            at = tilt.replace(tilt_deg=sign * tilt.tilt_deg).sample2image()((z, by, bx))
            misses.append(np.hypot(at[1] + 256 - (y - 0.5), at[2] + 256 - (x - 0.5)))
        return float(np.mean(misses))

    assert mean_miss(1) < 0.6
    assert mean_miss(-1) > 30


def test_real_transforms(real_data: Path) -> None:
    folder = real_data / "alignments"
    bba = read_imod_alignment(folder / "imod-BBa" / "BBa.xf", folder / "imod-BBa" / "BBa.tlt", 20.2, (512, 512))
    axes = [tilt.axis_deg for tilt in bba.tilts]
    assert np.median(axes) == pytest.approx(-12.5, abs=2)  # the microscopist's word, in xcorra.com
    aretomo = folder / "aretomo"
    theirs = read_imod_alignment(aretomo / "global_no_local.xf", aretomo / "global_no_local.tlt", 1.0, (4096, 4096))
    assert theirs.tilts[0].axis_deg == pytest.approx(95.404, abs=1e-3)  # minus AreTomo's ROT
    assert theirs.tilts[0].magnification == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("1 0 0 1 0", "line 2: six numbers"),
        ("1 0 0 1 0 nan", "line 2: six numbers"),
        ("a b c d e f", "line 2: six numbers"),
        ("-1 0 0 1 0 0", "line 2: this transform mirrors"),
        ("0 0 0 0 0 0", "line 2: this transform mirrors"),
    ],
)
def test_a_bad_transform_is_named(tmp_path: Path, line: str, says: str) -> None:
    (tmp_path / "a.xf").write_text(f"1 0 0 1 0 0\n{line}\n")
    with pytest.raises(FormatError, match=says):
        read_xf(tmp_path / "a.xf")


def test_stretch_is_warned_of_and_counts_must_agree(tmp_path: Path) -> None:
    (tmp_path / "a.xf").write_text("1.1 0 0 1 0 0\n")
    (tmp_path / "a.tlt").write_text("0\n")
    with pytest.warns(FormatWarning, match="stretch"):
        read_imod_alignment(tmp_path / "a.xf", tmp_path / "a.tlt", 1.0, (64, 64))
    (tmp_path / "a.tlt").write_text("0\n3\n")
    with pytest.raises(InputError, match=r"1 transforms.*2 angles"):
        read_imod_alignment(tmp_path / "a.xf", tmp_path / "a.tlt", 1.0, (64, 64))
