"""`SerialemStack`: a stack that grows as SerialEM's does, readable by all at any moment, with what its script said."""

import signal
import struct
import subprocess
import sys
import warnings
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import mrcfile
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from eucentric.core import FormatError, FormatWarning, InputError, OutputError, stream
from eucentric.io import _growing_mrc, open_mrc, read_mdoc, write_mrc
from eucentric.io.mdoc_writer import MdocHeader, MdocImage, write_mdoc
from eucentric.io.serialem_stack import SerialemStack

START = datetime(2024, 5, 1, 12, 0, 0)
AXIS_DEG = 84.3


def image(i: int, **changes: Any) -> MdocImage:
    values: dict[str, Any] = {
        "tilt_deg": 3.0 * (i if i % 2 else -i),
        "exposure_e_A2": 3.0 + i,
        "pre_exposure_e_A2": 3.0 * i,
        "defocus_A": 35_000.0,
        "target_defocus_A": 40_000.0,
        "exposure_s": 0.8,
        "recorded": START + timedelta(seconds=60 * i),
        "frame_path": rf"X:\frames\TS_01_{i:03d}.tif",
        "n_frames": 10,
        "pixel_A": 1.7005,
        "spot_size": 5,
        "stage_xy_A": (-1_371_750.0, 3_671_990.0),
        "magnification": 64000,
        "intensity": 0.186771,
    }
    return MdocImage(**{**values, **changes})


def pictures(n: int, shape_yx: tuple[int, int] = (4, 6)) -> NDArray[np.int16]:
    return stream(1, "pictures").integers(-32768, 32767, (n, *shape_yx), np.int16, endpoint=True)


def create(folder: Path, name: str = "TS_01.mrc") -> SerialemStack:
    return SerialemStack.create(folder / name, voltage_kV=300, tilt_axis_deg=AXIS_DEG)


def filled(folder: Path, n: int) -> SerialemStack:
    stack = create(folder)
    for i, pixels in enumerate(pictures(n)):
        assert stack.append(pixels, image(i)) == i
    return stack


def quietly_open(path: Path) -> SerialemStack:
    """Open a stack whose last image may be cut off."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r".*\[trailing-bytes\]", FormatWarning)
        return SerialemStack.open(path)


@settings(max_examples=15)
@given(
    taken=st.lists(
        st.tuples(
            st.floats(-180, 180),
            st.floats(1e-6, 1e6),
            st.integers(-32768, 32767),
            st.integers(1, 32767),
        ),
        min_size=1,
        max_size=4,
        unique_by=lambda one: round(one[0], 2),
    )
)
def test_what_was_appended_is_what_every_reader_finds(
    tmp_path_factory: pytest.TempPathFactory, taken: list[tuple[float, float, int, int]]
) -> None:
    stack = create(tmp_path_factory.mktemp("grow"))
    data = np.zeros((len(taken), 2, 3), np.int16)
    for i, (tilt_deg, exposure_e_A2, value, step) in enumerate(taken):
        data[i] = np.arange(6).reshape(2, 3) * (step // 6) + max(value - 32767, -32768)
        stack.append(data[i], image(i, tilt_deg=tilt_deg, exposure_e_A2=exposure_e_A2))
        assert stack.sections == i + 1
    assert mrcfile.validate(stack.path)
    with mrcfile.open(stack.path) as theirs:  # a warning would be an error
        np.testing.assert_array_equal(theirs.data.reshape(data.shape), data)
        assert (theirs.header.dmin, theirs.header.dmax) == (data.min(), data.max())
        assert float(theirs.header.dmean) == pytest.approx(data.mean(dtype=float), rel=1e-6)
        assert float(theirs.header.rms) == pytest.approx(data.std(dtype=float), rel=1e-6, abs=1e-3)
        assert theirs.voxel_size.x == pytest.approx(1.7005)
    ours = open_mrc(stack.path)
    assert (ours.header_kind, ours.mode) == ("SERI", 1)
    for section, (tilt_deg, exposure_e_A2, *_) in zip(ours.sections, taken, strict=True):
        assert section.tilt_deg == pytest.approx(tilt_deg, abs=0.00501)
        assert section.exposure_e_A2 == pytest.approx(exposure_e_A2, rel=2**-23)  # 23 bits of mantissa


def test_an_exposure_just_under_a_power_of_two_keeps_its_precision(tmp_path: Path) -> None:
    stack = create(tmp_path)
    for i, exposure_e_A2 in enumerate((1 - 1e-8, 1.0, 1e-6, 127.99999999)):
        stack.append(pictures(1)[0], image(i, exposure_e_A2=exposure_e_A2))
        assert open_mrc(stack.path).sections[i].exposure_e_A2 == pytest.approx(exposure_e_A2, rel=2**-23)


def test_bytes_after_the_last_image_are_not_taken_along(tmp_path: Path) -> None:
    stack = filled(tmp_path, 1)
    with stack.path.open("ab") as file:
        file.write(bytes(500))
    stack.append(pictures(2)[1], image(1))
    np.testing.assert_array_equal(open_mrc(stack.path).data, pictures(2))  # they would be warned of


def test_the_bytes_are_where_serialem_puts_them(tmp_path: Path) -> None:
    raw = filled(tmp_path, 2).path.read_bytes()
    assert raw[104:108] == b"SERI"
    assert struct.unpack("<2h", raw[128:132]) == (14, 61)  # tilt, stage, magnification, intensity, exposure
    room = struct.unpack("<i", raw[92:96])[0]
    assert room >= 1024 * 14
    assert len(raw) == 1024 + room + 2 * 4 * 6 * 2
    # Tilt -3°, stage -137.175 and 367.199 µm, 64000 times, intensity 0.186771, 4 e/Å² as 2^22 times 2^-20.
    assert struct.unpack("<7h", raw[1038:1052]) == (300, -3429, 9180, 640, 4669, 1 << 14, -20 * 256)
    assert raw[1052 : 1024 + room] == bytes(room - 28)
    labels = [raw[224 + 80 * i : 304 + 80 * i].rstrip(b"\0") for i in range(3)]
    assert labels[0].startswith(b"SerialEM: ")
    assert labels[1].startswith(b"    Tilt axis angle = 84.3, binning = 1  spot = 5  camera = 0")
    assert labels[2] == b""


def test_row_0_is_the_bottom_as_in_the_file(tmp_path: Path) -> None:
    pixels = np.arange(24, dtype=np.int16).reshape(4, 6)
    stack = create(tmp_path)
    stack.append(pixels, image(0))
    np.testing.assert_array_equal(stack.read(0)[0], pixels)
    assert struct.unpack("<6h", stack.path.read_bytes()[-48:-36]) == (0, 1, 2, 3, 4, 5)


def test_its_mdoc_is_that_of_a_series_where_a_series_was_taken(tmp_path: Path) -> None:
    stack, images = create(tmp_path), [image(i, min_max_mean=(0, 12, 3.25)) for i in range(5)]
    for pixels, one in zip(pictures(5), images, strict=True):
        stack.append(pixels, one)
    header = MdocHeader(
        pixel_A=1.7005, voltage_kV=300, image_file="TS_01.mrc", shape_yx=(4, 6), tilt_axis_deg=AXIS_DEG, data_mode=1
    )
    write_mdoc(tmp_path / "whole.mdoc", header, images)
    assert stack.mdoc.read_text() == (tmp_path / "whole.mdoc").read_text()
    assert read_mdoc(stack.mdoc).findings == ()


def test_whatever_a_script_does_is_taken(tmp_path: Path) -> None:
    stack, at_once = create(tmp_path), START
    stack.append(pictures(1)[0], image(0, tilt_deg=0, recorded=at_once))
    stack.append(pictures(1)[0], image(0, tilt_deg=0, recorded=at_once))  # the same movie, in the same second
    plain = image(0, tilt_deg=0, recorded=at_once, frame_path="", n_frames=0, stage_xy_A=None, magnification=None)
    stack.append(pictures(1)[0] // 2, plain)
    keys = [stack.read(section)[1] for section in range(3)]
    assert keys[0] == keys[1]
    assert {"SubFramePath", "NumSubFrames", "StagePosition"} <= set(keys[0])
    assert not {"SubFramePath", "NumSubFrames", "StagePosition", "ZValue"} & set(keys[2])
    with pytest.raises(InputError, match="image 0 has no movie"):
        write_mdoc(
            tmp_path / "a.mdoc",
            MdocHeader(pixel_A=1, voltage_kV=300, image_file="a.mrc", shape_yx=(4, 6), tilt_axis_deg=0),
            [plain],
        )
    assert SerialemStack.open(stack.path).sections == 3  # all at one tilt, which is no fault


@pytest.mark.parametrize("changes", [{"n_frames": 0}, {"frame_path": ""}, {"frame_path": "", "n_frames": 0}])
def test_half_a_movie_is_none(changes: dict[str, Any]) -> None:
    frames = ((0.3, 10),) if len(changes) == 2 else None
    with pytest.raises(ValueError, match=r"movie"):
        image(0, **changes, frame_exposures=frames)


def test_minimum_maximum_and_mean_are_those_of_the_pixels(tmp_path: Path) -> None:
    stack = create(tmp_path)
    stack.append(np.array([[-5, 0], [1, 9]], np.int16), image(0))
    assert stack.read(0)[1]["MinMaxMean"] == "-5 9 1.25"


def test_what_was_added_is_on_disk_once_written(tmp_path: Path) -> None:
    stack, (first, second) = create(tmp_path), pictures(2)
    stack.add("Session", "night 3")
    assert list(tmp_path.iterdir()) == []
    stack.append(first, image(0))
    stack.add("UserNote", "a = b")
    stack.add("Defocus", "-9")
    assert "UserNote" not in stack.mdoc.read_text()
    stack.append(second, image(1))
    assert not {"Session", "UserNote"} & set(stack.mdoc.read_text().split())
    stack.add("UserNote", "of the second")
    stack.write_autodoc()
    text = stack.mdoc.read_text()
    head, *_, zero, one = text.rstrip("\n").split("\n\n")
    assert head.endswith("\nSession = night 3")
    assert zero.endswith("\nUserNote = a = b")
    assert zero.count("\nDefocus = ") == 1
    assert one.endswith("\nUserNote = of the second")
    again = SerialemStack.open(stack.path)
    for section in range(2):
        np.testing.assert_array_equal(again.read(section)[0], pictures(2)[section])
        assert again.read(section)[1] == stack.read(section)[1]
    assert again.read(0)[1]["Defocus"] == "-9"
    again.append(first, image(2))
    assert again.mdoc.read_text().startswith(text)
    assert again.read(2)[1]["RotationAngle"] == "174.3"  # from the axis in the title


def test_an_autodoc_can_be_written_before_the_first_image(tmp_path: Path) -> None:
    stack = create(tmp_path)
    stack.add("Session", "night 3")
    stack.write_autodoc()
    assert stack.mdoc.read_text() == "Session = night 3\n"
    stack.append(pictures(1)[0], image(0))
    assert "\nSession = night 3\n\n[T = " in stack.mdoc.read_text()


@pytest.mark.parametrize(
    ("key", "value"), [("", "x"), ("a=b", "x"), ("[T", "x"), ("#a", "x"), ("a", "x\n[ZValue = 9]")]
)
def test_what_cannot_stand_in_an_mdoc_is_refused(tmp_path: Path, key: str, value: str) -> None:
    stack = filled(tmp_path, 1)
    before = stack.mdoc.read_text()
    with pytest.raises(InputError, match="cannot stand on a line"):
        stack.add(key, value)
    stack.write_autodoc()
    assert stack.mdoc.read_text() == before


def test_an_append_beyond_the_room_makes_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_growing_mrc, "_ROOM", 2)
    stack = filled(tmp_path, 9)
    ours = open_mrc(stack.path)
    np.testing.assert_array_equal(ours.data, pictures(9))
    assert ours.tilts_deg == tuple(image(i).tilt_deg for i in range(9))
    assert mrcfile.validate(stack.path)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["TS_01.mrc", "TS_01.mrc.mdoc"]


def test_a_script_may_change_the_file_meanwhile(tmp_path: Path) -> None:
    stack, data = filled(tmp_path, 3), pictures(3)
    with mrcfile.open(stack.path, "r+") as theirs:
        theirs.set_data(data[::-1].copy())
    np.testing.assert_array_equal(stack.read(0)[0], data[2])
    stack.append(data[1], image(3))
    with mrcfile.open(stack.path, "r+") as theirs:
        np.testing.assert_array_equal(theirs.data, [*data[::-1], data[1]])
        theirs.set_data(np.zeros((1, 4, 6), np.float32))
    assert stack.append(data[0], image(4)) == 1
    assert stack.read(1)[0].dtype == np.float32
    assert mrcfile.validate(stack.path)
    assert open_mrc(stack.path).sections[1].exposure_e_A2 == pytest.approx(7.0)


class Killed(BaseException):
    """What no code catches, as it does not catch a kill."""


class Dying:
    """A file whose program is killed in the middle of its write number `last`."""

    def __init__(self, file: Any, last: int) -> None:
        self._file, self._left = file, last

    def __enter__(self) -> "Dying":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def write(self, data: Any) -> None:
        raw = bytes(data)
        if not self._left:
            self._file.write(raw[: len(raw) // 2])
            raise Killed
        self._left -= 1
        self._file.write(raw)


@pytest.mark.parametrize("last", [0, 1, 2])
def test_killed_in_any_write_the_sections_before_stand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, last: int
) -> None:
    stack, data = filled(tmp_path, 2), pictures(3)
    real_open = Path.open
    with monkeypatch.context() as patch:
        patch.setattr(
            Path,
            "open",
            lambda self, *args, **more: (
                Dying(real_open(self, *args, **more), last) if args == ("r+b",) else real_open(self, *args, **more)
            ),
        )
        with pytest.raises(Killed):
            stack.append(data[2], image(2))
    again = quietly_open(stack.path)
    counted = last == 2  # half of the header: its count, with the image before it on disk
    assert again.sections == (3 if counted else 2)
    for section in range(again.sections):
        np.testing.assert_array_equal(again.read(section)[0], data[section])
    assert len(read_mdoc(stack.mdoc).sections) == 2
    if not counted:
        again.append(data[2], image(2))
        np.testing.assert_array_equal(open_mrc(stack.path).data, data)  # without trailing bytes
        assert mrcfile.validate(stack.path)


ENDLESS = """
import sys, itertools
from pathlib import Path
import numpy as np
sys.path.insert(0, sys.argv[2])
from test_serialem_stack import create, image
stack = create(Path(sys.argv[1]))
for i in itertools.count():
    stack.append(np.full((300, 400), i, np.int16), image(i, tilt_deg=i % 90))
    print(i, flush=True)
"""


def test_a_killed_program_leaves_what_it_had_saved(tmp_path: Path) -> None:
    running = subprocess.Popen(
        [sys.executable, "-c", ENDLESS, str(tmp_path), str(Path(__file__).parent)], stdout=subprocess.PIPE, text=True
    )
    assert running.stdout is not None
    with running, running.stdout as lines:
        told = [next(lines) for _ in range(5)]
        running.send_signal(signal.SIGKILL)
        told += list(lines)
    saved = int(told[-1]) + 1
    stack = quietly_open(tmp_path / "TS_01.mrc")
    assert saved <= stack.sections <= saved + 1
    for section in range(stack.sections):
        assert (stack.read(section)[0] == section).all()
    assert saved <= len(read_mdoc(stack.mdoc).sections) <= stack.sections


def foreign(path: Path, data: NDArray[Any], order: Literal["<", ">"], flags: int, n_bytes: int, blocks: int) -> None:
    """Write a stack as another program has it: byte order, layout of its sections, no statistics."""
    write_mrc(path, data, 2.5, kind="volume")
    raw = path.read_bytes()
    header = np.frombuffer(raw[:1024], mrcfile.dtypes.HEADER_DTYPE.newbyteorder("<")).copy()
    header = header.astype(mrcfile.dtypes.HEADER_DTYPE.newbyteorder(order))
    header["exttyp"], header["nsymbt"], header["rms"] = b"SERI", n_bytes * blocks, -1
    header["extra2"] = np.void(bytes(16) + struct.pack(f"{order}2h", n_bytes, flags) + bytes(64))
    header["machst"] = [0x44, 0x44, 0, 0] if order == "<" else [0x11, 0x11, 0, 0]
    tilts = b"".join(struct.pack(f"{order}h", 100 * i).ljust(n_bytes, b"\0") for i in range(blocks))
    path.write_bytes(header.tobytes() + tilts + data.astype(data.dtype.newbyteorder(order)).tobytes())


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("dtype", [np.int16, np.uint16, np.float32, np.int8])
def test_stacks_of_others_grow_in_their_own_form(tmp_path: Path, order: Literal["<", ">"], dtype: type[Any]) -> None:
    path = tmp_path / "theirs.mrc"
    data = np.arange(48, dtype=dtype).reshape(2, 4, 6)
    foreign(path, data, order, flags=1 | 2 | 32, n_bytes=12, blocks=2)
    stack = SerialemStack.open(path)
    assert stack.read(0)[1] == {}
    assert stack.append(np.full((4, 6), 100, np.int16), image(3, tilt_deg=30)) == 2
    ours = open_mrc(path)
    assert ours.data.dtype.newbyteorder("=") == np.dtype(dtype)
    np.testing.assert_array_equal(ours.data, [*data, np.full((4, 6), 100)])
    assert ours.tilts_deg == (0.0, 1.0, 30.0)
    assert ours.pixel_A == pytest.approx(2.5)
    with mrcfile.open(path) as theirs:
        assert int(theirs.header.mz) == 3
        assert theirs.voxel_size.z == pytest.approx(2.5)
        assert float(theirs.header.rms) == pytest.approx(ours.data.std(dtype=float), rel=1e-6)
    assert list(tmp_path.iterdir()) == [path]  # no .mdoc, as there was none
    with pytest.raises(InputError, match=r"has no \.mdoc"):
        stack.add("Note", "x")
    with pytest.raises(InputError, match=r"has no \.mdoc"):
        stack.write_autodoc()


def test_an_mdoc_of_others_keeps_what_it_says(tmp_path: Path) -> None:
    path = tmp_path / "a.mrc"
    write_mrc(path, pictures(2), 1.7, kind="stack")
    first = "Voltage = 300\n\n[ZValue = 0]\nA = 0\n\n[ZValue = 0]\nA = 1\nÅngström = µ\n\n"  # of two the last counts
    theirs = f"{first}[ZValue = 2]\nStale = 1\n\n[T = end]\n"
    (tmp_path / "a.mrc.mdoc").write_bytes(theirs.replace("\n", "\r\n").encode("cp1252"))
    stack = SerialemStack.open(path)
    assert stack.read(0)[1] == {"A": "1", "Ångström": "µ"}
    assert stack.read(1)[1] == {}
    assert stack.append(pictures(1)[0], image(2)) == 2
    text = stack.mdoc.read_text(encoding="utf-8")
    assert text.startswith(f"{first}[T = end]\n\n[ZValue = 2]\nMinMaxMean")
    assert "Stale" not in text
    assert "RotationAngle" not in text  # nothing tells the axis
    assert SerialemStack.open(path).append(pictures(1)[0], image(3, rotation_deg=10.0)) == 3
    assert SerialemStack.open(path).append(pictures(1)[0], image(4)) == 4
    assert [SerialemStack.open(path).read(i)[1].get("RotationAngle") for i in (2, 3, 4)] == [None, "10", "10"]


@pytest.mark.parametrize(
    ("pixels", "says"),
    [
        (np.zeros((4, 7), np.int16), r"the image has \(4, 7\) pixels, not \(4, 6\)"),
        (np.zeros((1, 4, 6), np.int16), r"\(1, 4, 6\) pixels"),
        (np.full((4, 6), 40_000, np.uint16), "the stack holds int16, which some pixels"),
        (np.full((4, 6), 0.5, np.float32), "the stack holds int16"),
        (np.full((4, 6), np.nan, np.float32), "not finite"),
        (np.zeros((4, 6), np.complex64), "not finite numbers"),
    ],
)
def test_images_that_do_not_fit_are_refused_and_nothing_changes(
    tmp_path: Path, pixels: NDArray[Any], says: str
) -> None:
    stack = filled(tmp_path, 2)
    before = stack.path.read_bytes(), stack.mdoc.read_bytes()
    with pytest.raises(InputError, match=says):
        stack.append(pixels, image(2))
    assert (stack.path.read_bytes(), stack.mdoc.read_bytes()) == before


def test_new_stacks_are_of_the_types_that_serialem_saves(tmp_path: Path) -> None:
    for dtype, mode in ((np.uint16, 6), (np.float32, 2)):
        stack = create(tmp_path, f"{mode}.mrc")
        stack.append(np.full((2, 2), 40_000, dtype), image(0))
        assert open_mrc(stack.path).mode == mode
        assert f"\nDataMode = {mode}\n" in stack.mdoc.read_text()
    for wrong in (np.zeros((2, 2), np.float64), np.zeros((0, 2), np.int16)):
        with pytest.raises(InputError):
            create(tmp_path, "none.mrc").append(wrong, image(0))
    assert not (tmp_path / "none.mrc").exists()


def test_sections_that_are_not_there_are_named(tmp_path: Path) -> None:
    stack = create(tmp_path)
    assert stack.sections == 0
    with pytest.raises(InputError, match=r"TS_01\.mrc: there is no section 0; the stack has 0"):
        stack.read(0)
    stack.append(pictures(1)[0], image(0))
    for section in (-1, 1):
        with pytest.raises(InputError, match=f"no section {section}; the stack has 1"):
            stack.read(section)


def test_files_that_are_no_stacks_are_named(tmp_path: Path) -> None:
    (tmp_path / "text.mrc").write_text("no stack " * 200)
    (tmp_path / "empty.mrc").touch()
    for name in ("text.mrc", "empty.mrc"):
        with pytest.raises(FormatError, match=name):
            SerialemStack.open(tmp_path / name)
    with pytest.raises(InputError, match=r"none\.mrc"):
        SerialemStack.open(tmp_path / "none.mrc")
    stack = filled(tmp_path, 1)
    stack.mdoc.write_bytes(b"\0\1")
    with pytest.raises(FormatError, match=r"TS_01\.mrc\.mdoc"):
        SerialemStack.open(stack.path)
    stack.path.unlink()
    with pytest.raises(InputError, match=r"TS_01\.mrc"):
        stack.append(pictures(1)[0], image(1))


def test_places_that_cannot_be_written_to_are_named(tmp_path: Path) -> None:
    (tmp_path / "folder.mrc").mkdir()
    for name in ("nowhere/a.mrc", "folder.mrc"):
        with pytest.raises(OutputError, match=r"no stack can be made"):
            create(tmp_path, name)
    with pytest.raises(InputError, match=r"image_file = 'a=b\.mrc'"):
        create(tmp_path, "a=b.mrc")
    with pytest.raises(InputError, match="tilt_axis_deg"):
        SerialemStack.create(tmp_path / "a.mrc", voltage_kV=300, tilt_axis_deg=float("nan"))


def test_a_full_disk_leaves_the_sections_before(small_disk: Path) -> None:
    stack, pixels = create(small_disk), np.ones((300, 400), np.int16)
    for saved in range(4):  # of 240 kB each, on a disk of 1 MiB
        stack.append(pixels * saved, image(saved))
    with pytest.raises(OutputError, match=r"TS_01\.mrc.*those before stand"):
        stack.append(pixels, image(4))
    assert stack.sections == len(read_mdoc(stack.mdoc).sections) == 4
    ours = open_mrc(stack.path)  # without trailing bytes
    assert [int(section.max()) for section in ours.data] == [0, 1, 2, 3]


def test_creating_over_a_stack_replaces_it_with_the_first_image(tmp_path: Path) -> None:
    old = filled(tmp_path, 3)
    before = old.path.read_bytes()
    stack = create(tmp_path)
    assert old.path.read_bytes() == before
    stack.append(pictures(1, (2, 2))[0], image(0))
    assert open_mrc(stack.path).data.shape == (1, 2, 2)
    assert stack.mdoc.read_text().count("[ZValue") == 1


def test_statistics_do_not_wander(tmp_path: Path) -> None:
    stack = create(tmp_path)
    data = stream(3, "wander").normal(1000, 3, (40, 8, 8)).astype(np.int16)
    means = []
    for i, pixels in enumerate(data):
        stack.append(pixels, image(i))
        means.append(float(mrcfile.open(stack.path, header_only=True).header.dmean))
    true = [float(data[: i + 1].mean(dtype=float)) for i in range(40)]
    np.testing.assert_allclose(means, true, rtol=1e-6)
    assert max(abs(b - a) for a, b in pairwise(means)) < 5
