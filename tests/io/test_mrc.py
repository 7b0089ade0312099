import re
import warnings
from pathlib import Path
from typing import Any

import mrcfile
import mrcfile.dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from eucentric.core import EucentricError, EucentricWarning, FormatError, FormatWarning, InputError
from eucentric.io import MrcImage, SectionHeader, open_mrc, write_mrc

DTYPES = ["int8", "int16", "uint16", "float16", "float32"]


def ramp(dtype: str = "int16", shape: tuple[int, int, int] = (4, 6, 8)) -> NDArray[Any]:
    n = int(np.prod(shape))
    return (np.arange(n) % 120).reshape(shape).astype(dtype)


def written(folder: Path, data: NDArray[Any], kind: Any = "stack", pixel_A: float = 2.5) -> bytearray:
    write_mrc(folder / "base.mrc", data, pixel_A, kind=kind)
    return bytearray((folder / "base.mrc").read_bytes())


def put(raw: bytearray, offset: int, value: Any, code: str) -> None:
    value = np.array(value, code).tobytes()
    raw[offset : offset + len(value)] = value


def opened(folder: Path, raw: bytes | bytearray, name: str = "case.mrc") -> MrcImage:
    (folder / name).write_bytes(raw)
    return open_mrc(folder / name)


def with_extended(raw: bytearray, extended: bytes, exttyp: bytes, n_int: int = 0, n_real: int = 0) -> bytes:
    put(raw, 92, len(extended), "<i4")
    raw[104:108] = exttyp
    put(raw, 128, [n_int, n_real], "<i2")
    return bytes(raw[:1024]) + extended + bytes(raw[1024:])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", ["volume", "stack"])
def test_what_is_written_is_valid_and_read_alike_by_mrcfile_and_by_us(tmp_path: Path, dtype: str, kind: Any) -> None:
    # Small numbers: mrcfile's validator sums squares in the file's own type, and float16 ends at 65504.
    data, path = ramp(dtype) // 10, tmp_path / "a.mrc"
    write_mrc(path, data, 3.36, kind=kind)
    assert mrcfile.validate(path)
    with mrcfile.open(path) as theirs:
        np.testing.assert_array_equal(theirs.data, data)
        assert theirs.is_volume() == (kind == "volume")
        assert float(theirs.voxel_size.x) == pytest.approx(3.36)
        assert float(theirs.voxel_size.z) == pytest.approx(3.36)
        assert float(theirs.header.rms) == pytest.approx(data.astype(float).std(), rel=1e-6)
        assert float(theirs.header.dmean) == pytest.approx(data.astype(float).mean(), rel=1e-6)
    ours = open_mrc(path)
    np.testing.assert_array_equal(ours.data, data)
    assert ours.pixel_A == pytest.approx(3.36)
    assert (ours.data.dtype, ours.header_kind) == (data.dtype, "none")
    assert isinstance(ours.data, np.memmap)
    assert not ours.data.flags.writeable


def test_statistics_merge_over_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eucentric.io.mrc_writer._CHUNK_BYTES", 64)
    data = np.random.default_rng(1).normal(1e4, 3, (3, 7, 9)).astype(np.float32)
    write_mrc(tmp_path / "a.mrc", data, 1.0, kind="volume")
    with mrcfile.open(tmp_path / "a.mrc") as theirs:
        np.testing.assert_array_equal(theirs.data, data)
        assert float(theirs.header.rms) == pytest.approx(data.std(dtype=float), rel=1e-6)


def test_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    assert written(tmp_path, ramp()) == written(tmp_path, ramp())


@pytest.mark.parametrize(
    ("data", "pixel_A", "label", "says"),
    [
        (ramp().astype("float64"), 1.0, "x", "float64"),
        (ramp()[0], 1.0, "x", "sections"),
        (ramp(), float("nan"), "x", "nan"),
        (ramp(), 1.0, "å", "ASCII"),
        (np.array([[[np.inf, -np.inf]]], "f4"), 1.0, "x", "section 0"),
    ],
)
def test_what_cannot_be_written_leaves_the_old_file(
    tmp_path: Path, data: NDArray[Any], pixel_A: float, label: str, says: str
) -> None:
    (tmp_path / "a.mrc").write_text("old")
    with pytest.raises(InputError, match=says):
        write_mrc(tmp_path / "a.mrc", data, pixel_A, kind="stack", label=label)
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("a.mrc", "old")]


@pytest.mark.parametrize("dtype", ["int16", "float32"])
def test_big_endian_is_read_whatever_the_stamp(tmp_path: Path, dtype: str) -> None:
    data = ramp(dtype)
    with mrcfile.new(tmp_path / "big.mrc") as theirs:
        theirs.set_data(data.astype(data.dtype.newbyteorder(">")))
        theirs.voxel_size = 4.0
    image = open_mrc(tmp_path / "big.mrc")
    np.testing.assert_array_equal(image.data, data)
    assert image.pixel_A == 4.0
    raw = bytearray((tmp_path / "big.mrc").read_bytes())
    raw[212:214] = b"\x44\x44"
    with pytest.warns(FormatWarning, match="machine-stamp"):
        image = opened(tmp_path, raw)
    np.testing.assert_array_equal(image.data, data)


@pytest.mark.parametrize(
    ("offset", "value", "code", "name"),
    [
        (208, 0, "<i4", "no-map-id"),
        (212, 0, "<i4", "machine-stamp"),
        (64, [3, 2, 1], "<i4", "axis-order"),
        (92, -5, "<i4", "extended-header-size"),
        (92, 1 << 30, "<i4", "extended-header-size"),
    ],
)
def test_a_wrong_field_is_read_around_and_named(tmp_path: Path, offset: int, value: Any, code: str, name: str) -> None:
    raw = written(tmp_path, ramp())
    put(raw, offset, value, code)
    with pytest.warns(FormatWarning, match=re.escape(f"[{name}]")):
        image = opened(tmp_path, raw)
    np.testing.assert_array_equal(image.data, ramp())


@pytest.mark.parametrize("cell", [(0, 0, 0), (np.nan, np.nan, np.nan), (1e12, 1e12, 1e12), (80, 6, 4), (-8, -6, -4)])
def test_a_pixel_size_that_cannot_be_is_none(tmp_path: Path, cell: tuple[float, ...]) -> None:
    raw = written(tmp_path, ramp())
    put(raw, 40, cell, "<f4")
    with pytest.warns(FormatWarning, match="pixel-size"):
        assert opened(tmp_path, raw).pixel_A is None


def test_one_angstrom_is_a_placeholder_only_in_old_files(tmp_path: Path) -> None:
    raw = written(tmp_path, ramp(), pixel_A=1.0)
    assert opened(tmp_path, raw).pixel_A == 1.0
    put(raw, 108, 0, "<i4")
    with pytest.warns(FormatWarning, match="pixel-size"):
        assert opened(tmp_path, raw).pixel_A is None


def test_trailing_bytes_are_ignored_with_a_warning(tmp_path: Path) -> None:
    with pytest.warns(FormatWarning, match="7 bytes after"):
        image = opened(tmp_path, written(tmp_path, ramp()) + b"\0" * 7)
    np.testing.assert_array_equal(image.data, ramp())


def test_a_truncated_file_says_how_much_is_there(tmp_path: Path) -> None:
    raw = written(tmp_path, ramp())
    with pytest.raises(FormatError, match="promises 4 sections, the file holds 2 whole ones"):
        opened(tmp_path, raw[: 1024 + 3 * 96 - 1])


def test_imods_unsigned_bytes(tmp_path: Path) -> None:
    data = np.arange(200, 248, dtype=np.uint8).reshape(1, 6, 8)
    raw = written(tmp_path, data.view(np.int8))
    put(raw, 152, [1146047817, 0], "<i4")
    np.testing.assert_array_equal(opened(tmp_path, raw).data, data)
    put(raw, 156, 1, "<i4")
    np.testing.assert_array_equal(opened(tmp_path, raw).data, data.view(np.int8))


@pytest.mark.parametrize("mode", [3, 4, 16, 101])
def test_modes_that_are_not_images_are_refused(tmp_path: Path, mode: int) -> None:
    raw = written(tmp_path, ramp())
    put(raw, 12, mode, "<i4")
    with pytest.raises(FormatError, match=f"mode {mode}"):
        opened(tmp_path, raw)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty"),
        (b"-60.0\n-57.0\n", "12 bytes"),
        (b"TiltAngle = 3\n" * 200, "not an MRC file"),
        (b"\x1f\x8b" + bytes(2000), "gunzip"),
        (b"BZh9" + bytes(2000), "bunzip2"),
        (bytes(5000), "not an MRC file"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: bytes, says: str) -> None:
    with pytest.raises(FormatError, match=says):
        opened(tmp_path, content)


def test_missing_files_and_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        open_mrc(tmp_path / "absent.mrc")
    with pytest.raises(InputError, match="folder"):
        open_mrc(tmp_path)


def serialem(tilts: list[float]) -> bytes:
    # tilt, magnification, dose: 768 x 2^-8 = 3 e/Å²
    return b"".join(np.array([round(t * 100), 500, 3, -8 * 256], "<i2").tobytes() for t in tilts)


def agard(tilts: list[float], pixel_A: float = 0.0) -> bytes:
    table = np.zeros((len(tilts), 32), "<f4")
    table[:, 0], table[:, 11] = tilts, pixel_A * 1e-10
    return table.tobytes()


def fei(tilts: list[float], exttyp: bytes, pixel_A: float = 2.5) -> bytes:
    table = np.zeros(len(tilts), mrcfile.dtypes.get_ext_header_dtype(exttyp, "<"))
    table["Metadata size"] = table.dtype.itemsize
    table["Bitmask 1"] = 0xFFFF
    table["Alpha tilt"], table["Dose"], table["Pixel size X"] = tilts, 3e20, pixel_A * 1e-10
    return table.tobytes()


TILTS = [-3.0, 0.0, 3.0, 6.0]


@pytest.mark.parametrize(
    ("extended", "exttyp", "counts", "kind", "first"),
    [
        (serialem(TILTS), b"SERI", (8, 1 | 8 | 32), "SERI", SectionHeader(-3.0, 3.0)),
        (serialem(TILTS), bytes(4), (8, 1 | 8 | 32), "SERI", SectionHeader(-3.0, 3.0)),
        (agard(TILTS, 5.0), b"AGAR", (0, 32), "AGAR", SectionHeader(-3.0, None, 5.0)),
        (agard(TILTS), bytes(4), (0, 32), "AGAR", SectionHeader(-3.0)),
        (fei(TILTS, b"FEI1"), b"FEI1", (0, 0), "FEI1", SectionHeader(-3.0, 3.0, 2.5)),
        (fei(TILTS, b"FEI2"), b"FEI2", (0, 0), "FEI2", SectionHeader(-3.0, 3.0, 2.5)),
    ],
)
def test_extended_headers(
    tmp_path: Path, extended: bytes, exttyp: bytes, counts: tuple[int, int], kind: str, first: SectionHeader
) -> None:
    image = opened(tmp_path, with_extended(written(tmp_path, ramp()), extended, exttyp, *counts))
    assert image.header_kind == kind
    assert image.tilts_deg == tuple(TILTS)
    assert (image.sections[0].tilt_deg, image.sections[0].exposure_e_A2) == (first.tilt_deg, first.exposure_e_A2)
    assert image.sections[0].pixel_A == pytest.approx(first.pixel_A)
    np.testing.assert_array_equal(image.data, ramp())


@pytest.mark.parametrize("tilts", [[0.0] * 4, [12.0] * 4, [0, 3, 6, 1e9], [0, 3, np.nan, 6], [0, 3, 6]])
def test_tilts_that_contradict_themselves_are_dropped(tmp_path: Path, tilts: list[float]) -> None:
    raw = with_extended(written(tmp_path, ramp()), agard(tilts), b"AGAR", 0, 32)
    with pytest.warns(FormatWarning, match="extended-header-tilts"):
        assert opened(tmp_path, raw).tilts_deg is None


def test_an_unknown_extended_header_is_skipped(tmp_path: Path) -> None:
    image = opened(tmp_path, with_extended(written(tmp_path, ramp()), b"SYMMETRY" * 10, b"CCP4"))
    assert (image.header_kind, image.sections) == ("unknown", ())
    np.testing.assert_array_equal(image.data, ramp())


def test_the_needles_main_header_lies_about_its_pixel_and_its_extended_header_knows(real_data: Path) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        image = open_mrc(real_data / "haadf-needle" / "HAADF.mrc")
    assert [str(w.message).split("[")[-1] for w in caught] == ["no-map-id]", "machine-stamp]", "pixel-size]"]
    assert image.pixel_A == pytest.approx(33.6)  # HAADF.txt: 3.36 nm
    assert image.tilts_deg == tuple(np.loadtxt(real_data / "haadf-needle" / "HAADF.rawtlt"))
    assert image.data.shape == (77, 256, 256)
    # The FEI program noted each section's mean in counts; the pixels are counts - 32768.
    assert float(image.data[0].mean()) + 32768 == pytest.approx(5039.41, abs=0.01)


def test_real_files(real_data: Path) -> None:
    image = open_mrc(real_data / "empiar-10499-ts01" / "ts01.mrc")
    assert (image.data.shape, image.pixel_A, image.header_kind) == ((41, 630, 652), 10.0, "none")
    image = open_mrc(real_data / "micrograph-falcon" / "epu2.9_example_crop2048.mrc")
    assert image.data.dtype == np.uint16
    assert image.pixel_A == pytest.approx(0.6666, abs=1e-4)
    with pytest.warns(FormatWarning, match="pixel-size"):
        assert open_mrc(real_data / "small-stack" / "virus_4tilts.mrc").pixel_A is None


def samples() -> list[bytes]:
    raw = np.zeros(1024, np.uint8).tobytes()
    data = ramp()
    cases = []
    for extended, exttyp, counts in (
        (b"", bytes(4), (0, 0)),
        (serialem(TILTS), b"SERI", (8, 41)),
        (agard(TILTS), b"AGAR", (0, 32)),
        (fei(TILTS, b"FEI1"), b"FEI1", (0, 0)),
    ):
        header = bytearray(raw)
        put(header, 0, [8, 6, 4, 1], "<i4")
        put(header, 28, [8, 6, 1], "<i4")
        put(header, 40, [20, 15, 2.5], "<f4")
        header[208:214] = b"MAP DD"
        cases.append(with_extended(header + bytearray(data.tobytes()), extended, exttyp, *counts))
    return cases


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    raw=st.sampled_from(samples()),
    edits=st.lists(
        st.tuples(
            st.sampled_from(["set", "insert", "delete"]),
            st.one_of(st.integers(0, 223), st.integers(0, 5000)),
            st.one_of(st.binary(min_size=1, max_size=8), st.sampled_from([b"\xff" * 4, b"\xff\xff\xff\x7f"])),
        ),
        min_size=1,
        max_size=4,
    ),
)
def test_a_damaged_header_is_read_or_refused_in_our_own_words(
    tmp_path_factory: pytest.TempPathFactory, raw: bytes, edits: list[tuple[str, int, bytes]]
) -> None:
    damaged = bytearray(raw)
    for action, at, what in edits:
        at %= len(damaged)
        damaged[at : at + (0 if action == "insert" else len(what))] = b"" if action == "delete" else what
    path = tmp_path_factory.getbasetemp() / "damaged.mrc"
    path.write_bytes(damaged)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EucentricWarning)
        try:
            image = open_mrc(path)
        except EucentricError:
            return
    assert image.data.nbytes <= len(damaged)
    assert image.data[-1, -1].tobytes()
    assert image.pixel_A is None or image.pixel_A > 0
