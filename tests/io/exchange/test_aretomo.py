"""AreTomo's files: read back by others' readers, projected with their geometry, and taken back into the record."""

import contextlib
import itertools
import math
import warnings
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from cryoet_alignment.io.aretomo3 import AreTomo3ALN
from cryoet_alignment.io.aretomo3.ctf import AreTomo3CTF
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from eucentric.core import EucentricError, InputError
from eucentric.io.exchange import ProcessedSeries, SeriesFiles
from eucentric.io.exchange.aretomo import read_aretomo, write_aretomo
from eucentric.io.imod import write_xf
from eucentric.io.mrc import open_mrc
from eucentric.io.mrc_writer import write_mrc
from phantoms.processed import points, processed_series, seen_xy_px

CASES = list(itertools.product((84.7, -95.3), (1, -1), (1, -1)))


def exported(folder: Path, **changes: object) -> tuple[ProcessedSeries, tuple[str, ...]]:
    """Write the phantom's files, and return it with its sections sorted by tilt, as they are written."""
    one = processed_series(**changes)  # type: ignore[arg-type]
    rows, columns = one.series.shape_yx
    stack = folder / "stack.mrc"
    write_mrc(stack, np.zeros((len(one.series.tilts), rows, columns), np.int8), one.series.pixel_A, kind="stack")
    dropped = write_aretomo(folder / "out", [one.replace(files=SeriesFiles(stack=stack))]).dropped
    return _reversed(one) if changes.get("tilt_sign") == -1 else one, dropped


def places_px(
    rot_deg: float, tilt_deg: float, t_xy: tuple[float, float], xyz_px: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Project as AreTomo: GBackProj's x cos + z sin, then GCorrPatchShift's turn by ROT and shift, from the middle."""
    t, r = math.radians(tilt_deg), math.radians(rot_deg)
    x = xyz_px[:, 0] * math.cos(t) + xyz_px[:, 2] * math.sin(t)
    y = xyz_px[:, 1]
    return np.stack([x * math.cos(r) - y * math.sin(r), x * math.sin(r) + y * math.cos(r)], axis=1) + t_xy


@pytest.mark.parametrize(("axis_deg", "tilt_sign", "hand"), CASES)
def test_others_see_places_where_we_do(
    tmp_path: Path, axis_deg: float, tilt_sign: Literal[1, -1], hand: Literal[1, -1]
) -> None:
    one, _ = exported(tmp_path, axis_deg=axis_deg, tilt_sign=tilt_sign, hand=hand)
    aln = AreTomo3ALN.from_file(tmp_path / "out/TS_001.aln")
    ctf = AreTomo3CTF.from_file(tmp_path / "out/TS_001_CTF.txt")
    rows, columns = one.series.shape_yx
    assert one.alignment is not None
    assert aln.RawSize == (columns, rows, 11)
    assert [(dark.section_idx, dark.val2) for dark in aln.DarkFrames] == [
        (view.section, view.section + 1) for view in one.alignment.tilts if not view.used
    ]
    xyz = points()[:, ::-1] / 2.7
    seen = seen_xy_px(one, points())
    assert [view.sec - 1 for view in aln.GlobalAlignments] == list(one.used_sections)
    for view in aln.GlobalAlignments:
        where = places_px(view.rot, view.tilt, (view.tx, view.ty), xyz)
        where += ((columns - 1) / 2, (rows - 1) / 2)
        assert np.abs(where - seen[view.sec - 1]).max() < 0.01
    assert one.ctf is not None
    for row, tilt in zip(ctf.rows, one.ctf.tilts, strict=True):
        assert row.df_max_a == pytest.approx(tilt.defocus_u_A, abs=0.01)
        assert row.df_min_a == pytest.approx(tilt.defocus_v_A, abs=0.01)
        assert row.azimuth_deg == pytest.approx(tilt.azimuth_deg, abs=0.01)
        assert row.df_hand == hand


@pytest.mark.parametrize(("axis_deg", "tilt_sign"), [case[:2] for case in CASES[::2]])
def test_torch_tilt_series_projects_the_same(tmp_path: Path, axis_deg: float, tilt_sign: Literal[1, -1]) -> None:
    one, _ = exported(tmp_path, axis_deg=axis_deg, tilt_sign=tilt_sign)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import torch
        from torch_tilt_series.io import from_aretomo_output

        series = from_aretomo_output(tmp_path / "out/TS_001.aln", pixel_spacing=2.7)
        yx_A = series.project_points(torch.from_numpy(points())).numpy()
    rows, columns = one.series.shape_yx
    assert series.image_indices is not None
    indices = [int(i) for i in series.image_indices]
    assert indices == list(one.used_sections)
    where = yx_A[..., ::-1].transpose(1, 0, 2) / 2.7 + ((columns - 1) / 2, (rows - 1) / 2)
    assert np.abs(where - seen_xy_px(one, points())[indices]).max() < 0.05  # of single precision, with the decimals


def test_the_xf_that_others_make_of_it_is_ours(tmp_path: Path) -> None:
    one, _ = exported(tmp_path)
    assert one.alignment is not None
    import alnfile

    theirs = alnfile.df_to_xf(alnfile.read(tmp_path / "out/TS_001.aln"))
    write_xf(tmp_path / "ours.xf", one.alignment)
    ours = np.loadtxt(tmp_path / "ours.xf")[list(one.used_sections)]
    assert np.abs(theirs[:, :, :2].reshape(-1, 4) - ours[:, :4]).max() < 1e-5
    assert np.abs(theirs[:, :, 2] - ours[:, 4:]).max() < 0.002


def test_real_alignment_gives_the_xf_that_others_make_of_it(real_data: Path, tmp_path: Path) -> None:
    # The .xf that lies beside it is of no use here: its turn is by +ROT, where AreTomo3 (`CSaveXF`) and alnfile as it
    # is today have -ROT, and it has more decimals than AreTomo writes.
    import alnfile

    folder = real_data / "alignments/aretomo"
    found = read_aretomo(folder / "global_no_local.aln", pixel_A=1.5)
    one = found.series[0]
    assert one.alignment is not None
    assert not found.failures
    write_xf(tmp_path / "ours.xf", one.alignment)
    ours = np.loadtxt(tmp_path / "ours.xf")
    theirs = alnfile.df_to_xf(alnfile.read(folder / "global_no_local.aln"))
    assert np.abs(ours[:, :4] - theirs[:, :, :2].reshape(-1, 4)).max() < 1e-5
    assert np.abs(ours[:, 4:] - theirs[:, :, 2]).max() < 0.002
    tlt = np.loadtxt(folder / "global_no_local.tlt")
    assert [view.tilt_deg for view in one.alignment.tilts] == pytest.approx(list(tlt))
    assert one.series.tilts[0].tilt_deg == pytest.approx(-56.2)  # AlphaOffset of -7 taken out
    assert any("Thickness 2050" in line for line in found.dropped)


def test_files_that_are_not_whole_are_refused(real_data: Path) -> None:
    found = read_aretomo(real_data / "alignments/aretomo", pixel_A=1.5)
    assert [one.series.name for one in found.series] == ["global_no_local"]
    for name in ("test", "test_thickness"):
        assert "4 views and 4 dark ones, but the stack has 90" in found.failures[name]


@pytest.mark.parametrize(("axis_deg", "tilt_sign", "hand"), CASES)
def test_the_record_comes_back(
    tmp_path: Path, axis_deg: float, tilt_sign: Literal[1, -1], hand: Literal[1, -1]
) -> None:
    one, _ = exported(tmp_path, axis_deg=axis_deg, tilt_sign=tilt_sign, hand=hand)
    found = read_aretomo(tmp_path / "out")
    assert not found.failures
    back = found.series[0]
    assert (back.series.name, back.series.shape_yx, back.series.order_known) == ("TS_001", one.series.shape_yx, True)
    assert back.series.pixel_A == pytest.approx(2.7)
    for ours, theirs in zip(one.series.tilts, back.series.tilts, strict=True):
        assert (ours.order, ours.exposure_e_A2) == (theirs.order, theirs.exposure_e_A2)
        assert theirs.pre_exposure_e_A2 == pytest.approx(ours.pre_exposure_e_A2)
        assert theirs.tilt_deg == pytest.approx(ours.tilt_deg, abs=0.006)
    assert back.used_sections == one.used_sections
    used = list(one.used_sections)
    assert np.abs(seen_xy_px(back, points())[used] - seen_xy_px(one, points())[used]).max() < 0.005
    assert back.ctf is not None
    assert one.ctf is not None
    assert back.ctf.hand is not None
    assert back.ctf.hand.hand == hand
    assert back.ctf.hand.sure == (hand > 0)  # AreTomo3 may have turned the axis since
    for ours_, theirs_ in zip(one.ctf.tilts, back.ctf.tilts, strict=True):
        assert theirs_.defocus_u_A == pytest.approx(ours_.defocus_u_A, abs=0.01)
        assert theirs_.defocus_v_A == pytest.approx(ours_.defocus_v_A, abs=0.01)
        assert theirs_.azimuth_deg == pytest.approx(ours_.azimuth_deg, abs=0.01)
        assert theirs_.fit_resolution_A == pytest.approx(ours_.fit_resolution_A, abs=1e-3)
        assert theirs_.score == pytest.approx(ours_.score, abs=1e-4)
    assert back.files.stack == tmp_path / "out/TS_001.mrc"


def test_what_cannot_be_held_is_told(tmp_path: Path) -> None:
    _, dropped = exported(tmp_path, x_tilt_deg=2.5, hand=-1)
    told = "\n".join(dropped)
    for what in ("tilts about x of up to 2.50°", "7 particles", "-Cs 2.7", "hand is -1", "sections [1, 10]", "movie"):
        assert what in told


def test_without_a_stack_the_pixel_must_be_given(tmp_path: Path) -> None:
    write_aretomo(tmp_path, [processed_series()])
    found = read_aretomo(tmp_path / "TS_001.aln")
    assert "pixel_A" in found.failures["TS_001"]
    assert read_aretomo(tmp_path, pixel_A=2.7).series[0].series.pixel_A == 2.7
    with pytest.raises(InputError, match="cannot be"):
        read_aretomo(tmp_path, pixel_A=-1)


def test_a_stack_of_another_order_is_sorted(tmp_path: Path) -> None:
    one = processed_series(tilt_sign=-1, shape_yx=(20, 31))
    n, rows, columns = 11, 20, 31
    stack = np.broadcast_to(np.arange(n, dtype=np.float32)[:, None, None], (n, rows, columns))
    write_mrc(tmp_path / "stack.mrc", stack, 2.7, kind="stack")
    write_aretomo(tmp_path / "out", [one.replace(files=SeriesFiles(stack=tmp_path / "stack.mrc"))])
    image = open_mrc(tmp_path / "out/TS_001.mrc")
    assert image.pixel_A == pytest.approx(2.7)
    assert list(image.data[:, 0, 0]) == list(range(n))[::-1]


def test_sections_are_found_however_they_are_counted(tmp_path: Path) -> None:
    head = "# RawSize = 64 48 5\n# NumPatches = 0\n"
    row = "{:5d} 84.7 1.0 1.0 2.0 1.0 1.0 1.0 0.0 {:8.2f}\n"
    tilts = (-20.0, -10.0, 0.0, 10.0, 20.0)
    for dark, secs in (
        ("# DarkFrame = 1 2 -10.0\n", (1, 3, 4, 5)),  # AreTomo3
        ("# DarkFrame = 1 1 -10.0\n", (0, 2, 3, 4)),  # from 0
        ("# DarkFrame = 1 0 -10.0\n", (1, 2, 3, 4)),  # without the dark ones
        ("# DarkFrame = 1 0 -10.0\n", (0, 1, 2, 3)),
    ):
        lines = [row.format(sec, tilt) for sec, tilt in zip(secs, [t for t in tilts if t != -10], strict=True)]
        (tmp_path / "a.aln").write_text(head + dark + "".join(lines))
        one = read_aretomo(tmp_path / "a.aln", pixel_A=1.0).series[0]
        assert list(one.series.tilts_deg) == list(tilts)
        assert one.used_sections == (0, 2, 3, 4)
    (tmp_path / "a.aln").write_text(head + dark + "".join(lines[:-1]) + lines[0])
    assert "each once" in read_aretomo(tmp_path / "a.aln", pixel_A=1.0).failures["a"]


def test_an_empty_folder_and_no_series_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no AreTomo alignment"):
        read_aretomo(tmp_path)
    with pytest.raises(InputError, match="no series"):
        write_aretomo(tmp_path, [])
    with pytest.raises(InputError, match="no alignment"):
        write_aretomo(tmp_path, [processed_series().replace(alignment=None)])


@settings(max_examples=60)
@given(data=st.data(), which=st.sampled_from(["a.aln", "a_CTF.txt", "a_TLT.txt"]))
def test_no_file_brings_the_reader_down(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, which: str
) -> None:
    folder = tmp_path_factory.mktemp("fuzz")
    write_aretomo(folder, [processed_series(name="a", n=5)])
    raw = bytearray((folder / which).read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at : at + data.draw(st.integers(0, 8))] = data.draw(
            st.one_of(st.binary(max_size=8), st.sampled_from([b"nan", b"-", b"1e99", b"#", b"\n", b"inf", b" 7 "]))
        )
    (folder / which).write_bytes(bytes(raw))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with contextlib.suppress(EucentricError):
            read_aretomo(folder, pixel_A=2.7)


def _reversed(one: ProcessedSeries) -> ProcessedSeries:
    """Return a series with its sections in the opposite order."""
    assert one.alignment is not None
    assert one.ctf is not None

    def turn(items: tuple[object, ...]) -> tuple[object, ...]:
        return tuple(item.replace(section=i) for i, item in enumerate(items[::-1]))  # type: ignore[attr-defined]

    return one.replace(
        series=one.series.replace(tilts=turn(one.series.tilts)),
        alignment=one.alignment.replace(tilts=turn(one.alignment.tilts)),
        ctf=one.ctf.replace(tilts=turn(one.ctf.tilts)),
    )
