"""Whole or nothing: whatever happens while a file is written, its name shows the old content or all of the new."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eucentric.core import OutputError, make_folder, remove_partials, whole_or_nothing, write_text

DIE_WHILE_WRITING = """
import os, signal, sys
from pathlib import Path
from eucentric.core import whole_or_nothing

with whole_or_nothing(Path(sys.argv[1])) as partial:
    partial.write_bytes(b"new" * 1000)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@given(text=st.text())
def test_what_was_written_is_read_back(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "text.txt"
    write_text(path, text)
    with path.open(encoding="utf-8", newline="") as handle:
        assert handle.read() == text
    assert not list(path.parent.glob(".partial-*"))


def test_the_name_appears_only_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "tomogram.mrc"
    with whole_or_nothing(path) as partial:
        assert partial.parent == path.parent  # so that the rename stays on one disk
        partial.write_bytes(b"1")
        assert not path.exists()
    assert path.read_bytes() == b"1"


@pytest.mark.parametrize("kind", [RuntimeError, KeyboardInterrupt])
def test_a_failure_leaves_the_old_file(tmp_path: Path, kind: type[BaseException]) -> None:
    path = tmp_path / "result"
    path.write_text("old")

    def write_half() -> None:
        with whole_or_nothing(path) as partial:
            partial.write_text("ne")
            raise kind

    with pytest.raises(kind):
        write_half()
    assert [(found.name, found.read_text()) for found in tmp_path.iterdir()] == [("result", "old")]


def test_a_failure_leaves_the_old_folder(tmp_path: Path) -> None:
    group = tmp_path / "tomogram.zarr"
    group.mkdir()
    (group / "zarr.json").write_text("old")

    def write_half() -> None:
        with whole_or_nothing(group) as partial:
            partial.mkdir()
            (partial / "zarr.json").write_text("new")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_half()
    assert [path.relative_to(tmp_path).as_posix() for path in sorted(tmp_path.rglob("*"))] == [
        "tomogram.zarr",
        "tomogram.zarr/zarr.json",
    ]
    assert (group / "zarr.json").read_text() == "old"


def test_a_folder_replaces_a_folder_whole(tmp_path: Path) -> None:
    group = tmp_path / "tomogram.zarr"
    for name in ("first", "second"):
        with whole_or_nothing(group) as partial:
            (partial / "0").mkdir(parents=True)
            (partial / "0" / name).write_text(name)
    assert [path.relative_to(tmp_path).as_posix() for path in sorted(tmp_path.rglob("*"))] == [
        "tomogram.zarr",
        "tomogram.zarr/0",
        "tomogram.zarr/0/second",
    ]


def test_a_link_is_replaced_and_not_what_it_points_to(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    raw.write_text("raw data are never modified")
    (tmp_path / "link").symlink_to(raw)
    write_text(tmp_path / "link", "new")
    assert raw.read_text() == "raw data are never modified"
    assert (tmp_path / "link").read_text() == "new"


def test_a_body_that_writes_nothing_leaves_the_old_folder(tmp_path: Path) -> None:
    group = tmp_path / "tomogram.zarr"
    (group / "0").mkdir(parents=True)

    def write_nothing() -> None:
        with whole_or_nothing(group):
            pass

    with pytest.raises(OutputError):
        write_nothing()
    assert [path.relative_to(tmp_path).as_posix() for path in sorted(tmp_path.rglob("*"))] == [
        "tomogram.zarr",
        "tomogram.zarr/0",
    ]


def test_a_file_never_replaces_a_folder(tmp_path: Path) -> None:
    (tmp_path / "results" / "a year of work").mkdir(parents=True)
    with pytest.raises(OutputError, match="Is a directory"):
        write_text(tmp_path / "results", "")
    assert (tmp_path / "results" / "a year of work").is_dir()
    assert [path.name for path in tmp_path.iterdir()] == ["results"]


def test_a_kill_while_folders_are_swapped_loses_neither(tmp_path: Path) -> None:
    script = """
import os, signal, sys
from pathlib import Path
from eucentric.core import whole_or_nothing

rename = Path.rename
def rename_once(self, target):
    rename(self, target)
    os.kill(os.getpid(), signal.SIGKILL)
Path.rename = rename_once
with whole_or_nothing(Path(sys.argv[1])) as partial:
    partial.mkdir()
"""
    group = tmp_path / "old-tomogram.zarr"
    (group / "old").mkdir(parents=True)
    dead = subprocess.run([sys.executable, "-c", script, str(group)], capture_output=True, check=False)
    assert dead.returncode == -signal.SIGKILL, dead.stderr
    assert not group.exists()
    assert len(remove_partials(tmp_path)) == 2
    assert [path.relative_to(tmp_path).as_posix() for path in sorted(tmp_path.rglob("*"))] == [
        "old-tomogram.zarr",
        "old-tomogram.zarr/old",
    ]


def test_an_error_about_another_file_is_not_taken_for_one_of_writing(tmp_path: Path) -> None:
    def copy() -> None:
        with whole_or_nothing(tmp_path / "copy") as partial:
            partial.write_bytes((tmp_path / "original").read_bytes())

    with pytest.raises(FileNotFoundError, match="original"):
        copy()


def test_a_used_up_quota_is_a_full_disk(tmp_path: Path) -> None:
    def write() -> None:
        with whole_or_nothing(tmp_path / "result"):
            raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    with pytest.raises(OutputError, match="the disk is full"):
        write()


def test_a_read_only_disk_is_named(small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    for path in (small_disk / "file", small_disk / "folder" / "file"):
        with pytest.raises(OutputError, match="cannot be written to"):
            write_text(path, "")


@pytest.mark.parametrize("old", [None, "old"])
def test_a_kill_leaves_a_partial_that_can_be_cleared(tmp_path: Path, old: str | None) -> None:
    path = tmp_path / "series" / "tomogram.mrc"
    path.parent.mkdir()
    if old is not None:
        path.write_text(old)
    dead = subprocess.run([sys.executable, "-c", DIE_WHILE_WRITING, str(path)], capture_output=True, check=False)
    assert dead.returncode == -signal.SIGKILL, dead.stderr
    (left,) = path.parent.glob(".partial-*")
    assert remove_partials(tmp_path) == [left]
    assert [found.read_text() for found in path.parent.iterdir()] == ([old] if old else [])


def test_only_partials_are_cleared(tmp_path: Path) -> None:
    (tmp_path / "keep").mkdir()
    (tmp_path / "keep" / "partial-1").touch()
    (tmp_path / ".partial").touch()
    folder = tmp_path / "keep" / ".partial-0123abcd-tomogram.zarr"
    folder.mkdir()
    (folder / "chunk").touch()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "raw").touch()
    (tmp_path / ".partial-89abcdef-link").symlink_to(elsewhere)
    assert set(remove_partials(tmp_path)) == {folder, tmp_path / ".partial-89abcdef-link"}
    assert sorted(path.name for path in tmp_path.rglob("*")) == [".partial", "elsewhere", "keep", "partial-1", "raw"]
    assert remove_partials(tmp_path) == []


def test_a_full_disk_is_named_and_leaves_the_old_file(small_disk: Path) -> None:
    path = small_disk / "tomogram.mrc"
    path.write_text("old")
    with pytest.raises(OutputError, match=r"tomogram\.mrc: the disk is full.*Free some space"):
        write_text(path, "x" * (1 << 21))
    assert [(found.name, found.read_text()) for found in small_disk.iterdir()] == [("tomogram.mrc", "old")]


def test_a_folder_that_is_not_ours_to_write_is_named(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write anywhere")
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="cannot be written to"):
        write_text(tmp_path / "file", "")


def test_what_stands_in_the_way_of_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"file: a file of this name is in the way"):
        make_folder(tmp_path / "file")
    with pytest.raises(OutputError, match=r"a/b: one of its parents is a file"):
        make_folder(tmp_path / "file" / "a" / "b")
    with pytest.raises(OutputError, match=r"/proc/new/folder: "):
        make_folder(Path("/proc/new/folder"))
    assert make_folder(tmp_path / "a" / "b").is_dir()
    assert make_folder(tmp_path / "a" / "b").is_dir()  # it may be there already
