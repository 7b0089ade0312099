from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eucentric.core import FormatError, FormatWarning, InputError
from eucentric.io import read_angles, write_angles


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.lists(st.floats(-180, 180), min_size=1, max_size=80))
def test_round_trip_to_the_digits_written(tmp_path_factory: pytest.TempPathFactory, tilts: list[float]) -> None:
    path = tmp_path_factory.getbasetemp() / "a.tlt"
    write_angles(path, tilts)
    np.testing.assert_allclose(read_angles(path), tilts, rtol=0, atol=0.0051)
    np.testing.assert_array_equal(np.loadtxt(path, ndmin=1), read_angles(path))


@pytest.mark.parametrize("text", ["-3\n0\n3", "\ufeff-3\r\n 0.0\r\n+3.0\r\n\r\n", "# tilts\n-3 # first\n\n0\n3e0\n"])
def test_careless_but_clear_files_are_read(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.rawtlt").write_bytes(text.encode())
    assert read_angles(tmp_path / "a.rawtlt") == (-3, 0, 3)


@pytest.mark.parametrize("bad", ["x", "nan", "inf", "181", "3 4", "3,0"])
def test_a_bad_line_is_named(tmp_path: Path, bad: str) -> None:
    (tmp_path / "a.tlt").write_text(f"0\n\n{bad}\n")
    with pytest.raises(FormatError, match=r"a\.tlt, line 3"):
        read_angles(tmp_path / "a.tlt")


@pytest.mark.parametrize(("content", "says"), [(b"", "empty"), (b"# none\n", "no angle"), (b"1\0", "binary")])
def test_files_without_angles_are_refused(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "a.tlt").write_bytes(content)
    with pytest.raises(FormatError, match=says):
        read_angles(tmp_path / "a.tlt")
    with pytest.raises(InputError, match="no such file"):
        read_angles(tmp_path / "b.tlt")


def test_windows_bytes_in_a_comment_are_warned_of(tmp_path: Path) -> None:
    (tmp_path / "a.tlt").write_bytes(b"3 # \xb0\n")
    with pytest.warns(FormatWarning, match="not-utf8"):
        assert read_angles(tmp_path / "a.tlt") == (3.0,)


def test_real_lists(real_data: Path) -> None:
    assert read_angles(real_data / "empiar-10499-ts01" / "ts01.rawtlt")[:2] == (-60.01, -57.0)
    assert len(read_angles(real_data / "alignments" / "imod-BBa" / "BBa.tlt")) == 61
    assert len(read_angles(real_data / "alignments" / "aretomo" / "global_no_local.tlt")) > 40
