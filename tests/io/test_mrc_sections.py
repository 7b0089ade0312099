"""`mrc_sections`: a stack written as it comes is the stack written at once, or nothing."""

from pathlib import Path

import mrcfile
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from eucentric.core import InputError, OutputError, stream
from eucentric.io import open_mrc, write_mrc
from eucentric.io.mrc_writer import mrc_sections


@given(
    data=arrays(
        np.float32,
        st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(1, 5)),
        elements=st.floats(-1e6, 1e6, width=32),
    )
)
def test_sections_one_by_one_give_the_same_bytes(
    data: NDArray[np.float32], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("sections")
    write_mrc(folder / "at-once.mrc", data, 2.5, kind="stack", label="Images")
    with mrc_sections(folder / "in-turn.mrc", data.shape[1:], np.float32, 2.5, kind="stack", label="Images") as append:
        for section in data:
            append(section)
    assert (folder / "at-once.mrc").read_bytes() == (folder / "in-turn.mrc").read_bytes()


def test_the_number_of_sections_need_not_be_known(tmp_path: Path) -> None:
    images = stream(1, "images").normal(0, 1, (3, 4, 6))
    with mrc_sections(tmp_path / "stack.mrc", (4, 6), "float32", 1.5, kind="stack") as append:
        for image in images:
            append(image)  # double precision becomes that of the file
    assert mrcfile.validate(tmp_path / "stack.mrc")
    stack = open_mrc(tmp_path / "stack.mrc")
    np.testing.assert_array_equal(stack.data, images.astype(np.float32))
    with mrcfile.open(tmp_path / "stack.mrc") as file:
        assert float(file.header.dmean) == pytest.approx(images.mean(), abs=1e-6)
        assert float(file.header.rms) == pytest.approx(images.std(), rel=1e-5)


def test_a_failure_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "stack.mrc"
    write_mrc(path, np.ones((1, 2, 2), np.float32), 1.0, kind="stack")
    before = path.read_bytes()

    def fail_with(*sections: NDArray[np.float32]) -> None:
        with mrc_sections(path, (2, 2), "float32", 1.0, kind="stack") as append:
            for section in sections:
                append(section)

    good, bad = np.zeros((2, 2), np.float32), np.full((2, 2), np.nan, np.float32)
    for sections, said in (
        ((good, bad), "section 1 holds pixels that are not finite"),
        ((good, np.zeros((2, 3), np.float32)), r"section 1 has \(2, 3\) pixels"),
        ((), "at least one section"),
    ):
        with pytest.raises(InputError, match=said):
            fail_with(*sections)
        assert path.read_bytes() == before
        assert [one.name for one in tmp_path.iterdir()] == ["stack.mrc"]


def test_a_place_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(OutputError, match="file"),
        mrc_sections(tmp_path / "file" / "stack.mrc", (2, 2), "float32", 1.0, kind="stack") as append,
    ):
        append(np.zeros((2, 2), np.float32))
