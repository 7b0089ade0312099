"""What an export puts beside its own files: linked or copied, put there again, never in place of what others have."""

from pathlib import Path

import pytest

from eucentric.core import InputError, OutputError
from eucentric.io.exchange.placing import COPIES, place


@pytest.mark.parametrize("copy", [False, True])
def test_an_earlier_export_is_replaced(tmp_path: Path, copy: bool) -> None:
    source, placed = tmp_path / "a.mrc", tmp_path / "out/b.mrc"
    for content in (b"first", b"first", b"second, longer"):
        source.write_bytes(content)
        assert place(source, placed, copy=copy) == placed
        assert placed.read_bytes() == content
        assert placed.is_symlink() is not copy


def test_links_and_copies_replace_one_another(tmp_path: Path) -> None:
    source, placed = tmp_path / "a.mrc", tmp_path / "out/b.mrc"
    source.write_bytes(b"pixels")
    for copy in (True, False, True, False):
        place(source, placed, copy=copy)
        assert placed.is_symlink() is not copy
        assert placed.read_bytes() == source.read_bytes() == b"pixels"


@pytest.mark.parametrize("copy", [False, True])
def test_files_of_others_are_not_replaced(tmp_path: Path, copy: bool) -> None:
    source, theirs, changed = tmp_path / "a.mrc", tmp_path / "out/theirs.mrc", tmp_path / "out/changed.mrc"
    source.write_bytes(b"pixels")
    place(source, changed, copy=True)
    changed.write_bytes(b"edited")
    theirs.write_bytes(b"pixels")
    for path, content in ((theirs, b"pixels"), (changed, b"edited")):
        with pytest.raises(OutputError, match=r"another file stands here.*\n?.*Export elsewhere"):
            place(source, path, copy=copy)
        assert path.read_bytes() == content


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000, '{"b.mrc": "x"}'])
def test_a_broken_list_makes_no_file_ours(tmp_path: Path, text: str) -> None:
    source, placed = tmp_path / "a.mrc", tmp_path / "out/b.mrc"
    source.write_bytes(b"pixels")
    place(source, placed, copy=True)
    (tmp_path / "out" / COPIES).write_text(text)
    with pytest.raises(OutputError):
        place(source, placed, copy=True)
    place(source, tmp_path / "out/c.mrc", copy=True)
    place(source, tmp_path / "out/c.mrc", copy=True)


def test_a_missing_source_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        place(tmp_path / "absent.mrc", tmp_path / "b.mrc")
