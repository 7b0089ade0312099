"""`eucentric reconstruct`: the same volume from either form of the alignment, and never over an input."""

import shutil
from pathlib import Path

import mrcfile
import numpy as np
import pytest
from command_line import Run, partials
from command_line import run as run
from numpy.typing import NDArray

from eucentric.io import open_mrc, read_alignment, write_alignment
from eucentric.workflow.records import ProcessOutcome
from phantoms.series import WrittenPhantom


def volume(path: Path) -> NDArray[np.float32]:
    with mrcfile.open(path) as file:
        return np.array(file.data)


def thickness(processed: ProcessOutcome) -> float:
    return processed.shape_zyx[0] * processed.voxel_A


def test_both_forms_of_the_alignment_give_the_volume_of_the_session(
    run: Run, phantom: WrittenPhantom, processed: ProcessOutcome, tmp_path: Path
) -> None:
    ours, imods = tmp_path / "a" / "ours.mrc", tmp_path / "imods.mrc"
    common = ("--thickness", thickness(processed), "--json")
    ran = run(
        "reconstruct",
        phantom.stack,
        "--alignment",
        processed.folder / "alignment.json",
        "--halves",
        "-o",
        ours,
        *common,
    )
    assert ran.status == 0
    names = ["ours.mrc", "ours_even.mrc", "ours_odd.mrc"]
    assert ran.json["written"] == [str(ours.with_name(name)) for name in names]
    assert ran.json["shape_zyx"] == list(processed.shape_zyx)
    for half in ("", "_even", "_odd"):
        session_volume = volume(processed.folder / f"tomogram{half}.mrc")
        np.testing.assert_allclose(
            volume(ours.with_name(f"ours{half}.mrc")), session_volume, atol=1e-4 * session_volume.std()
        )
    imod = ("--xf", processed.folder / "ts.xf", "--tlt", processed.folder / "ts.tlt")
    assert run("reconstruct", phantom.stack, *imod, "-o", imods, *common).status == 0
    assert mrcfile.validate(imods)
    # What IMOD's files cannot hold, the specimen's local motion, is left out of what they are compared with.
    plain = read_alignment(processed.folder / "alignment.json").replace(local=None)
    write_alignment(tmp_path / "plain.json", plain)
    without = tmp_path / "without.mrc"
    assert run("reconstruct", phantom.stack, "--alignment", tmp_path / "plain.json", "-o", without, *common).status == 0
    whole = volume(without)
    # IMOD's files have 7 decimals of the rotation, 3 of the shift in pixels and 2 of the tilt in degrees; where
    # coverage ends, two voxels of 300 000 tell the difference.
    np.testing.assert_allclose(volume(imods), whole, atol=0.05 * whole.std())


def test_binning_keeps_the_field(run: Run, phantom: WrittenPhantom, processed: ProcessOutcome, tmp_path: Path) -> None:
    alignment = processed.folder / "alignment.json"
    command = ("reconstruct", phantom.stack, "--alignment", alignment, "-o", tmp_path / "b.mrc", "--json")
    ran = run(*command, "--bin", "2", "--thickness", thickness(processed))
    assert ran.json["voxel_A"] == 106.0
    depth, *across = (n // 2 for n in processed.shape_zyx)
    assert ran.json["shape_zyx"] == [-(-depth // 8) * 8, *across]  # thickness goes up to whole eights
    smaller = run(*command, "--size", "40", "48")
    assert smaller.json["shape_zyx"][1:] == [40, 48]


def test_an_input_is_never_replaced(
    run: Run, phantom: WrittenPhantom, processed: ProcessOutcome, tmp_path: Path
) -> None:
    stack, alignment, even = (tmp_path / name for name in ("ts.mrc", "alignment.json", "x_even.mrc"))
    shutil.copy(phantom.stack, stack)
    shutil.copy(processed.folder / "alignment.json", alignment)
    even.symlink_to(stack)
    before = {path: path.read_bytes() for path in (stack, alignment)}
    for output, more in (
        (stack, ()),
        (tmp_path / "a" / ".." / "ts.mrc", ()),
        (alignment, ()),
        (tmp_path / "x.mrc", ("--halves",)),
    ):
        ran = run("reconstruct", stack, "--alignment", alignment, "--output", output, *more)
        assert ran.status == 1
        assert "would be replaced" in ran.err
        assert "--output" in ran.err
    assert {path: path.read_bytes() for path in before} == before
    assert not (tmp_path / "x.mrc").exists()


def test_what_does_not_belong_together_is_named(
    run: Run, phantom: WrittenPhantom, processed: ProcessOutcome, tmp_path: Path
) -> None:
    alignment = read_alignment(processed.folder / "alignment.json")
    write_alignment(tmp_path / "short.json", alignment.replace(tilts=alignment.tilts[:20], local=None))
    write_alignment(tmp_path / "wide.json", alignment.replace(shape_yx=(96, 100)))
    (tmp_path / "not.json").write_text("{}")
    output = tmp_path / "out.mrc"
    for name, said in (
        ("short.json", "20 tilt angles"),
        ("wide.json", "(96, 100)"),
        ("not.json", "not an alignment"),
        ("no.json", "no such file"),
    ):
        ran = run("reconstruct", phantom.stack, "--alignment", tmp_path / name, "--output", output)
        assert ran.status == 1
        assert said in ran.err
        assert str(phantom.stack) in ran.err or str(tmp_path / name) in ran.err
    assert not output.exists()
    assert partials(tmp_path) == []


def test_a_missing_pixel_size_is_asked_for(
    run: Run, phantom: WrittenPhantom, processed: ProcessOutcome, tmp_path: Path
) -> None:
    stack = tmp_path / "ts.mrc"
    shutil.copy(phantom.stack, stack)
    with mrcfile.mmap(stack, "r+") as file:
        file.header.cella = (0, 0, 0)
    command = ("reconstruct", stack, "--xf", processed.folder / "ts.xf", "--tlt", processed.folder / "ts.tlt")
    ran = run(*command, "-o", tmp_path / "out.mrc")
    assert ran.status == 1
    assert f"Error: {stack}: its header gives no pixel size.\nGive it in Å with --pixel." in ran.err
    assert run(*command, "-o", tmp_path / "out.mrc", "--pixel", "53", "--bin", "2").status == 0
    assert open_mrc(tmp_path / "out.mrc").pixel_A == pytest.approx(106)


def test_a_full_disk_leaves_no_volume(
    run: Run, phantom: WrittenPhantom, processed: ProcessOutcome, small_disk: Path
) -> None:
    alignment = processed.folder / "alignment.json"
    command = (
        "reconstruct",
        phantom.stack,
        "--alignment",
        alignment,
        "-o",
        small_disk / "out.mrc",
        "--thickness",
        "2000",
    )
    ran = run(*command)
    assert ran.status == 1
    assert "the disk is full" in ran.err
    assert list(small_disk.iterdir()) == []
    assert run(*command, "--bin", "2").status == 0
    assert mrcfile.validate(small_disk / "out.mrc")


def test_a_recorded_needle_whose_header_lies_is_reconstructed_and_the_lie_named(
    run: Run, real_data: Path, tmp_path: Path
) -> None:
    stack = real_data / "haadf-needle" / "HAADF.mrc"
    before = stack.stat().st_mtime_ns
    (tmp_path / "rough.xf").write_text("1 0 0 1 0 0\n" * 77)
    imod = ("--xf", tmp_path / "rough.xf", "--tlt", stack.with_suffix(".rawtlt"))
    ran = run("reconstruct", stack, *imod, "--bin", "4", "--output", tmp_path / "needle.mrc", "--json")
    assert ran.status == 0
    assert f"Warning: {stack}: " in ran.err
    assert "[pixel-size]" in ran.err
    assert ran.json["voxel_A"] == pytest.approx(4 * 33.6, rel=0.01)
    assert ran.json["shape_zyx"][1:] == [64, 64]
    assert stack.stat().st_mtime_ns == before


def test_sub_volumes_are_pieces_of_the_tomogram(
    run: Run, phantom: WrittenPhantom, processed: ProcessOutcome, tmp_path: Path
) -> None:
    voxel_A = processed.voxel_A
    (tmp_path / "places.csv").write_text(f"y_A, z_A, x_A, kind\n0,0,0,a\n{-10 * voxel_A},0,{12 * voxel_A},b\n")
    command = ("reconstruct", phantom.stack, "--alignment", processed.folder / "alignment.json", "--halves", "--json")
    ran = run(
        *command,
        *("--thickness", thickness(processed), "-o", tmp_path / "sub.mrc"),
        *("--subvolumes", tmp_path / "places.csv", "--box", 24),
    )
    assert ran.status == 0
    assert ran.json["shape_zyx"] == [24, 24, 24]
    names = [f"sub_000{number}{half}.mrc" for number in (1, 2) for half in ("", "_even", "_odd")]
    assert [Path(path).name for path in ran.json["written"]] == names
    z, y, x = (n // 2 for n in processed.shape_zyx)
    for name, (down, right) in (("sub_0001", (0, 0)), ("sub_0002", (-10, 12))):
        box = np.s_[z - 12 : z + 12, y + down - 12 : y + down + 12, x + right - 12 : x + right + 12]
        for half in ("", "_even"):
            whole = volume(processed.folder / f"tomogram{half}.mrc")[box]
            assert (
                np.corrcoef(volume(tmp_path / f"{name}{half}.mrc").ravel(), whole.ravel())[0, 1] > 0.97
            )  # noise between columns is halved, elsewhere in each


def test_rounds_can_take_the_place_of_weights(
    run: Run, phantom: WrittenPhantom, processed: ProcessOutcome, tmp_path: Path
) -> None:
    command = ("reconstruct", phantom.stack, "--alignment", processed.folder / "alignment.json", "--bin", 2)
    whole = {}
    for name, options in {
        "wbp": ("--weighting", "exact"),
        "radial": ("--weighting", "radial-sirt", "--iterations", 10),
        "sirt": ("--method", "sirt", "--iterations", 10, "--weighting", "cosine"),
        "cgls": ("--method", "cgls", "--iterations", 4),
    }.items():
        assert run(*command, *options, "-o", tmp_path / f"{name}.mrc", "--thickness", 3000).status == 0
        whole[name] = volume(tmp_path / f"{name}.mrc").ravel()
    assert np.corrcoef(whole["sirt"], whole["radial"])[0, 1] > 0.9
    assert np.corrcoef(whole["cgls"], whole["sirt"])[0, 1] > 0.8
    assert np.corrcoef(whole["wbp"], whole["sirt"])[0, 1] > 0.5


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--method", "sirt", "--weighting", "exact"), "--weighting exact is of --method wbp, not sirt"),
        (("--positivity", "dark"), "--positivity dark is held by --method sirt, not wbp"),
        (("--iterations", "0"), "--iterations 0"),
        (("--least-gain", "1.5"), "--least-gain 1.5"),
        (("--subvolumes", "p.csv", "--method", "cgls"), "--subvolumes are made by --method wbp"),
        (("--subvolumes", "p.csv", "--box", "4"), "--box 4"),
        (("--method", "art"), "art"),
    ],
)
def test_options_that_do_not_go_together_are_usage_errors(
    run: Run, tmp_path: Path, options: tuple[str, ...], said: str
) -> None:
    ran = run("reconstruct", tmp_path / "ts.mrc", "--alignment", tmp_path / "a.json", "-o", "o.mrc", *options)
    assert ran.status == 2
    assert said in ran.err


@pytest.mark.parametrize(
    ("table", "said"),
    [("z,y,x\n1,2,3\n", "line 2"), ("z_A,y_A,x_A\n", "no place"), ("z_A,y_A,x_A\n1,2,3\n1,inf,3\n", "line 3")],
)
def test_a_table_without_places_is_told(
    run: Run, phantom: WrittenPhantom, processed: ProcessOutcome, tmp_path: Path, table: str, said: str
) -> None:
    (tmp_path / "places.csv").write_text(table)
    command = ("reconstruct", phantom.stack, "--alignment", processed.folder / "alignment.json")
    ran = run(*command, "-o", tmp_path / "out" / "s.mrc", "--subvolumes", tmp_path / "places.csv")
    assert ran.status == 1
    assert said in ran.err
    assert not (tmp_path / "out").exists()
