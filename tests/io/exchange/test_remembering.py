"""What a file says and nobody asked for is listed, in a sentence for all files that are alike in it."""

from pathlib import Path

from eucentric.io.exchange.relion import read_relion, write_relion
from eucentric.io.exchange.remembering import Remembering, grouped, not_read
from eucentric.io.exchange.star import StarBlock, median, read_star, texts, unread
from eucentric.io.exchange.warp import read_warp, write_warp
from eucentric.io.exchange.warp_xml import says_nothing
from phantoms.processed import processed_series


def test_only_what_was_taken_is_remembered() -> None:
    said = Remembering({"a": 1, "b": 2, "c": 3, "d": 4})
    assert "b" in said
    assert dict(said.items()) == {**said} == dict(said)
    assert list(said.unread()) == ["a", "b", "c", "d"]
    assert (said["a"], said.get("b"), said.get("x", 7)) == (1, 2, 7)
    assert said.unread() == {"c": 3, "d": 4}
    assert Remembering({"c": 5, "e": 6}, said.asked).unread() == {"c": 5, "e": 6}
    assert Remembering({"a": 5, "e": 6}, said.asked).unread() == {"e": 6}


def test_files_of_which_the_same_was_not_read_have_one_sentence() -> None:
    told = [line for name in "abcde" for line in not_read(Path(f"x/{name}.star"), ["p", "q", "p"])]
    assert told[0] == "x/a.star: not read: p, q."
    others = ["x: something else.", "y: something else.", *not_read(Path("x/f.star"), ["p"])]
    assert grouped([*told, *others, others[0]]) == ["x/a.star, b.star, c.star and 2 more: not read: p, q.", *others]
    assert not_read(Path("x"), []) == []


def test_a_block_of_which_nothing_was_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.star"
    path.write_text("data_one\n_a 1\n_b 2\n_c 3\n\ndata_two\nloop_\n_d\n_e\n1 2\n")
    blocks = read_star(path)
    texts(path, blocks["one"], "b")
    assert unread(path, blocks, ("c",)) == [f"{path}: not read: a, data_two (d, e)."]


def test_a_median_tells_where_rows_differ() -> None:
    dropped: list[str] = []
    block = StarBlock({"axis": ("84", "84.0004", "83.9996"), "other": ("84", "85", "86.5")})
    assert median(Path("x"), block, "axis", dropped) == 84
    assert median(Path("x"), block, "absent", dropped) is None
    assert not dropped
    assert median(Path("x"), block, "other", dropped) == 85
    assert dropped == ["x: other differs between rows, by up to 1.5 from its median, which was read."]


def test_what_changes_nothing_is_not_taken_for_what_looks_like_it() -> None:
    assert says_nothing("Bfactor", "0.0")
    assert says_nothing("MagnificationCorrection", "1, 0, 0, 1")
    assert says_nothing("UnselectFilter", "False")
    for name, value in (("Bfactor", "10"), ("Thickness", "0.1"), ("UnselectManual", "True"), ("Unknown", "0")):
        assert not says_nothing(name, value)


def test_a_project_of_many_series_has_a_short_list(tmp_path: Path) -> None:
    many = [processed_series(name=f"TS_{i}", n=3) for i in range(6)]
    write_relion(tmp_path / "relion", many)
    for path in (tmp_path / "relion/tilt_series").glob("TS_*.star"):
        path.write_text(path.read_text().replace("rlnTomoNominalDefocus", "rlnAccumMotionTotal"))
    (told,) = (line for line in read_relion(tmp_path / "relion").dropped if "rlnAccumMotionTotal" in line)
    assert "TS_0.star" in told
    assert "more: not read: rlnAccumMotionTotal." in told
    write_warp(tmp_path / "warp", many)
    (told,) = (line for line in read_warp(tmp_path / "warp").dropped if "PixelSize of <CTF>" in line)
    assert "TS_0.xml, TS_1.xml, TS_2.xml and 3 more: not read" in told


def test_a_later_table_of_relion_that_overrides_an_earlier_one_is_told(tmp_path: Path) -> None:
    write_relion(tmp_path, [processed_series(n=3)])
    path = tmp_path / "tilt_series.star"
    path.write_text(path.read_text().replace("300.000000", "200.000000").replace("2.700000", "2.7"))
    (told,) = (line for line in read_relion(tmp_path).dropped if "says otherwise" in line)
    assert told == f"{path}: not read: rlnVoltage: tomograms.star says otherwise."


def test_an_optimisation_set_that_names_other_files_is_told(tmp_path: Path) -> None:
    write_relion(tmp_path, [processed_series(n=3)])
    path = tmp_path / "optimisation_set.star"
    path.write_text(path.read_text().replace("particles.star", "Extract/job007/picked.star"))
    assert any("rlnTomoParticlesFile Extract/job007/picked.star" in line for line in read_relion(tmp_path).dropped)
    assert any("picked.star does not lie beside it" in line for line in read_relion(path).dropped)


def test_lists_of_warp_that_disagree_are_told(tmp_path: Path) -> None:
    write_warp(tmp_path, [processed_series(n=3)])
    path = tmp_path / "warp_tiltseries/TS_001.xml"
    text = path.read_text()
    path.write_text(text.replace("<Dose>", "<Dose>1").replace("<MoviePath>", "<MoviePath>x"))
    told = " ".join(read_warp(tmp_path).dropped)
    assert "<Dose> is not what" in told
    assert "<MoviePath> is not what" in told
    path.write_text(text.replace('<Node X="0" Y="0" Z="1" ', '<Node X="0" Y="0" Z="0" ', 1))
    assert "nodes are missing" in read_warp(tmp_path).failures["TS_001"]
