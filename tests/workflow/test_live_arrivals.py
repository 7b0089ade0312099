"""What counts as having come: by the .mdoc alone, and only once a file has stayed as it is."""

from pathlib import Path

import pytest

from eucentric.workflow.live.arrivals import Arrivals

HEAD = "PixelSpacing = 2.7\nVoltage = 300\nImageSize = 8 8\n\n[T = Tilt axis angle = 84.7, binning = 1]\n\n"


def section(number: int) -> str:
    return (
        f"[ZValue = {number}]\nTiltAngle = {3 * number}\nExposureDose = 3\nNumSubFrames = 8\n"
        f"SubFramePath = D:\\frames\\m{number}.tif\nDateTime = 29-Nov-2026  10:{number:02d}:00\n\n"
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "frames").mkdir()
    (tmp_path / "mdoc").mkdir()
    return tmp_path


def write_mdoc(folder: Path, sections: int, name: str = "TS_1.mrc.mdoc") -> None:
    (folder / "mdoc" / name).write_text(HEAD + "".join(section(number) for number in range(sections)))


def movie(folder: Path, number: int, data: bytes = b"frames") -> None:
    (folder / "frames" / f"m{number}.tif").write_bytes(data)


def test_a_movie_is_whole_when_it_has_not_grown_for_a_while(folder: Path) -> None:
    write_mdoc(folder, 2)
    movie(folder, 0)
    arrivals = Arrivals(folder, settle_s=2.0)
    arrivals.look(0.0)
    one = arrivals.series["TS_1"]
    assert one.movies == {}
    assert one.waiting == {0: "m0.tif", 1: "m1.tif"}
    movie(folder, 0, b"frames and more")
    arrivals.look(1.9)
    arrivals.look(3.0)
    assert one.movies == {}  # it grew at 1.9
    arrivals.look(4.0)
    assert one.movies == {0: folder / "frames" / "m0.tif"}
    assert one.waiting == {1: "m1.tif"}
    assert one.changed_at == 4.0


def test_an_empty_file_and_a_hidden_one_are_none(folder: Path) -> None:
    write_mdoc(folder, 2)
    movie(folder, 0, b"")
    (folder / "frames" / ".m1.tif").write_bytes(b"half-copied")
    arrivals = Arrivals(folder, settle_s=0.0)
    arrivals.look(0.0)
    arrivals.look(1.0)
    assert set(arrivals.series["TS_1"].waiting) == {0, 1}


def test_a_late_movie_holds_up_no_other_and_the_longest_wait_is_remembered(folder: Path) -> None:
    write_mdoc(folder, 3)
    arrivals = Arrivals(folder, settle_s=0.0)
    for now_s, number in ((0.0, 0), (30.0, 2), (130.0, 1)):
        movie(folder, number)
        arrivals.look(now_s)
    one = arrivals.series["TS_1"]
    assert sorted(one.movies) == [0, 1, 2]
    assert one.waiting == {}
    assert one.longest_wait_s == 100.0


def test_a_half_written_mdoc_leaves_what_was_read_before(folder: Path) -> None:
    write_mdoc(folder, 2)
    movie(folder, 0)
    arrivals = Arrivals(folder, settle_s=0.0)
    arrivals.look(0.0)
    (folder / "mdoc" / "TS_1.mrc.mdoc").write_text("")
    arrivals.look(1.0)
    one = arrivals.series["TS_1"]
    assert "mdoc" in one.reason
    assert one.movies
    write_mdoc(folder, 3)
    arrivals.look(2.0)
    assert one.reason == ""
    assert len(one.movies) + len(one.waiting) == 3


def test_two_mdocs_of_one_name_are_one_series_and_that_is_said(folder: Path) -> None:
    write_mdoc(folder, 1)
    write_mdoc(folder, 1, "TS_1.mdoc")
    movie(folder, 0)
    arrivals = Arrivals(folder, settle_s=0.0)
    arrivals.look(0.0)
    assert list(arrivals.series) == ["TS_1"]
    assert "both" in arrivals.series["TS_1"].reason


def test_a_path_in_an_mdoc_leads_nowhere_else(folder: Path, tmp_path: Path) -> None:
    text = (HEAD + section(0)).replace("D:\\frames\\m0.tif", "../secret/m0.tif")
    (folder / "mdoc" / "TS_1.mrc.mdoc").write_text(text)
    (folder / "secret").mkdir()
    (folder / "secret" / "m0.tif").write_bytes(b"frames")
    arrivals = Arrivals(folder, settle_s=0.0)
    arrivals.look(0.0)
    assert arrivals.series["TS_1"].movies == {}


def test_a_folder_that_goes_away_and_comes_back(folder: Path) -> None:
    write_mdoc(folder, 1)
    movie(folder, 0)
    arrivals = Arrivals(folder, settle_s=0.0)
    arrivals.look(0.0)
    (folder / "frames").rename(folder / "away")
    arrivals.look(1.0)
    assert arrivals.series["TS_1"].waiting == {0: "m0.tif"}
    (folder / "away").rename(folder / "frames")
    arrivals.look(2.0)
    assert sorted(arrivals.series["TS_1"].movies) == [0]
