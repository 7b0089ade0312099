"""`find_acquired`: one series told by two .mdocs, as scripts that sort their stacks leave it, is one series."""

from pathlib import Path

import pytest

from eucentric.core import DataWarning
from eucentric.workflow.session_series import Acquired, find_acquired


def write_mdoc(folder: Path, name: str, *movies: str) -> Path:
    path = folder / "mdoc" / f"{name}.mdoc"
    sections = [f"[ZValue = {z}]\nSubFramePath = X:\\frames\\{movie}\n" for z, movie in enumerate(movies)]
    path.write_text("\n".join(sections))
    return path


@pytest.fixture
def session(tmp_path: Path) -> Path:
    """Give a session with the movies of two series and the sorted stack of the first."""
    for name in ("mdoc", "frames"):
        (tmp_path / name).mkdir()
    for movie in ("1a.tif", "1b.tif", "1c.tif", "2a.tif", "2b.tif"):
        (tmp_path / "frames" / movie).touch()
    (tmp_path / "mdoc" / "TS_001.mrc").touch()
    write_mdoc(tmp_path, "TS_001.mrc", "1a.tif", "1b.tif", "1c.tif")
    return tmp_path


@pytest.mark.parametrize("unsorted", ["TS_001_unsorted.mrc", "TS_001_unsorted", "A"])
@pytest.mark.parametrize("movies", [("1c.tif", "1a.tif", "1b.tif"), ("1c.tif", "1a.tif")])
def test_the_unsorted_mdoc_beside_a_sorted_stack_is_passed_over(
    session: Path, unsorted: str, movies: tuple[str, ...]
) -> None:
    write_mdoc(session, unsorted, *movies)  # a warning would be an error
    stack, mdoc = session / "mdoc" / "TS_001.mrc", session / "mdoc" / "TS_001.mrc.mdoc"
    assert find_acquired(session) == (Acquired(mdoc, from_movies=True),)
    assert find_acquired(session, "movies") == (Acquired(mdoc, from_movies=True),)
    assert find_acquired(session, "stack") == (Acquired(stack, from_movies=False),)


def test_another_series_is_not_passed_over(session: Path) -> None:
    other = write_mdoc(session, "TS_002.mrc", "2a.tif", "1a.tif")  # one movie is its own
    assert Acquired(other, from_movies=True) in find_acquired(session)
    with pytest.warns(DataWarning, match=r"TS_002\.mrc\.mdoc.*\[no-stack\]"):
        find_acquired(session, "stack")


def test_of_two_without_a_stack_one_stays(session: Path) -> None:
    first = write_mdoc(session, "TS_002.mrc", "2a.tif", "2b.tif")
    write_mdoc(session, "TS_002_unsorted.mrc", "2b.tif", "2a.tif")
    write_mdoc(session, "A_begun.mrc", "2b.tif")
    assert [one.path for one in find_acquired(session)] == [session / "mdoc" / "TS_001.mrc.mdoc", first]


def test_mdocs_without_movies_are_no_series_twice(session: Path) -> None:
    for name in ("TS_003.mrc", "TS_004.mrc"):
        write_mdoc(session, name)
    with pytest.warns(DataWarning) as told:
        assert len(find_acquired(session)) == 1
    assert ["no-stack" in str(one.message) for one in told] == [True, True]


def test_a_copy_with_a_stack_of_its_own_stays(session: Path) -> None:
    write_mdoc(session, "TS_001_unsorted.mrc", "1c.tif", "1a.tif", "1b.tif")
    (session / "mdoc" / "TS_001_unsorted.mrc").touch()
    assert len(find_acquired(session)) == 2
