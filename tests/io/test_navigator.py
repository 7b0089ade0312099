"""SerialEM's navigator files: read back as written, whatever keys they hold; spoilt ones refused by name."""

import warnings
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from eucentric.core import FormatError, FormatWarning, InputError, OutputError
from eucentric.io.navigator import NavItem, join_autodoc, read_navigator, split_autodoc, write_navigator

POINT = NavItem(label="12-A", kind="point", stage_xyz_um=(-495.956, 436.348, 44.77), acquire=True, note="lamella 3")
MAP = NavItem(
    label="1",
    kind="map",
    stage_xyz_um=(0.5, -1.25, 0),
    color=2,
    map_file=r"D:\data\a = b.mrc",
    map_section=3,
    extra={
        "MapID": "1291353952",
        "MapBinning": "1",
        "MapMagInd": "14",
        "UserValue1": "x=1 y=2",
        "NumPts": "5",
        "PtsX": "-1 2 2 -1 -1",
        "PtsY": "-3 -3 1 1 -3",
    },
)

text = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Zl", "Zp")), max_size=12).map(str.strip)
length_um = st.integers(-(10**9), 10**9).map(lambda n: n / 1000)
items = st.builds(
    NavItem,
    label=text,
    kind=st.sampled_from(["point", "polygon"]),
    stage_xyz_um=st.tuples(length_um, length_um, length_um),
    note=text,
    acquire=st.booleans(),
    color=st.integers(0, 5),
    registration=st.integers(1, 99),
    extra=st.dictionaries(st.from_regex(r"[A-Za-z][A-Za-z0-9()-]{2,9}", fullmatch=True).map("X".__add__), text),
)


@settings(max_examples=50)
@given(st.lists(items, max_size=4))
def test_what_is_written_is_read_back(tmp_path_factory: pytest.TempPathFactory, given_items: list[NavItem]) -> None:
    path = tmp_path_factory.getbasetemp() / "round-trip.nav"
    write_navigator(path, given_items)
    assert read_navigator(path) == tuple(given_items)


def test_the_lines_are_those_that_serialem_wants(tmp_path: Path) -> None:
    path = tmp_path / "a.nav"
    write_navigator(path, [POINT, MAP])
    head, point, overview = path.read_text(encoding="utf-8").rstrip("\n").split("\n\n")
    assert head.split("\n") == ["AdocVersion = 2.00", f"LastSavedAs = {path}"]
    assert point.split("\n") == [
        "[Item = 12-A]",
        "Color = 0",
        "StageXYZ = -495.956 436.348 44.77",
        "NumPts = 1",
        "Regis = 1",
        "Type = 0",
        "Note = lamella 3",
        "Acquire = 1",
        "PtsX = -495.956",
        "PtsY = 436.348",
    ]
    assert {"Type = 2", r"MapFile = D:\data\a = b.mrc", "MapSection = 3", "NumPts = 5"} <= set(overview.split("\n"))
    assert overview.count("PtsX") == 1
    assert read_navigator(path) == (POINT, MAP)


def test_a_moved_point_takes_its_point_along(tmp_path: Path) -> None:
    write_navigator(tmp_path / "a.nav", [POINT])
    (point,) = read_navigator(tmp_path / "a.nav")
    write_navigator(tmp_path / "a.nav", [point.replace(stage_xyz_um=(1, 2, 3))])
    assert "PtsX = 1\nPtsY = 2\n" in (tmp_path / "a.nav").read_text()


def test_a_recorded_file_survives(real_data: Path, tmp_path: Path) -> None:
    recorded = real_data / "mdoc" / "nav.nav"
    (item,) = read_navigator(recorded)
    assert (item.label, item.kind, item.map_file, item.map_section) == ("17-1-A", "map", "map.mrc", 0)
    assert item.stage_xyz_um == (-495.956, 436.348, 44.77)
    assert item.note == "Sec 0 - map.mrc -"
    assert (item.extra["MapMagInd"], item.extra["NumPts"]) == ("14", "5")
    write_navigator(tmp_path / "a.nav", [item])

    def said(path: Path) -> dict[str, str]:
        return split_autodoc(path.read_text(encoding="utf-8").replace("\r", ""))[1].pairs()

    assert said(tmp_path / "a.nav") == said(recorded)


WHOLE = (
    "AdocVersion = 2.00\nLastSavedAs = D:\\a.nav\n\n[Item = 1]\nColor = 2\nStageXYZ = -495.956 436.348 44.77\n"
    "NumPts = 1\nRegis = 1\nType = 2\nNote = Sec 0\nMapFile = map.mrc\nMapSection = 0\nPtsX = -421.93\nPtsY = 5\n"
)


@settings(max_examples=150)
@given(data=st.data())
def test_a_spoilt_file_is_refused_not_fallen_over(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    raw = bytearray(WHOLE.encode())
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(raw) - 1))
        until = data.draw(st.integers(at, min(at + 6, len(raw))))
        raw[at:until] = data.draw(
            st.one_of(st.binary(max_size=5), st.sampled_from([b"\n", b" = ", b"]", b"[T = ", b"9" * 40]))
        )
        if not raw:
            break
    path = tmp_path_factory.getbasetemp() / "spoilt.nav"
    path.write_bytes(raw)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FormatWarning)
        try:
            found = read_navigator(path)
        except FormatError as error:
            said = str(error)
        else:
            said = ""
            write_navigator(path, found)  # what was read can be written, with what SerialEM needs besides
            whole = read_navigator(path)
            assert [item.replace(extra=item.extra | more.extra) for item, more in zip(found, whole, strict=True)] == [
                *whole
            ]
    assert not said or str(path) in said


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("Type = 2", "Type = 3", r"item '1': its Type is 3, not one of 0 to 2"),
        ("Type = 2", "Type = -1", "Type is -1"),
        ("Color = 2\n", "", "it has no Color"),
        ("Regis = 1", "Regis = one", r"numbers cannot be read .*Regis = one"),
        ("44.77", "", "StageXYZ = -495.956 436.348"),
        ("44.77", "nan", "stage_xyz_um"),
        ("44.77", "1e9", "stage_xyz_um"),
        ("MapFile = map.mrc\n", "", "a map needs its map_file"),
        ("AdocVersion", "Version", "AdocVersion"),
        (WHOLE, '<?xml version="1.0"?>', "XML"),
        (WHOLE, "\0", "binary"),
        (WHOLE, "", "empty"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, old: str, new: str, says: str) -> None:
    assert old in WHOLE
    (tmp_path / "a.nav").write_text(WHOLE.replace(old, new))
    with pytest.raises(FormatError, match=says):
        read_navigator(tmp_path / "a.nav")


def test_other_sections_are_told_of(tmp_path: Path) -> None:
    (tmp_path / "a.nav").write_text(WHOLE + "\n[ParallelTSParam = 0]\nFirstPrevMapID = 3\n")
    with pytest.warns(FormatWarning, match=r"\[ParallelTSParam\] were left out.*\[navigator-sections\]"):
        assert len(read_navigator(tmp_path / "a.nav")) == 1


def test_places_that_do_not_work_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.nav: no such file"):
        read_navigator(tmp_path / "none.nav")
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="file"):
        write_navigator(tmp_path / "file" / "a.nav", [POINT])


@pytest.mark.parametrize(
    "changes",
    [
        {"label": "a\nb"},
        {"kind": "map"},
        {"extra": {"Note": "x"}},
        {"extra": {"a=b": "x"}},
        {"extra": {"[T": "x"}},
        {"stage_xyz_um": (0, 0, float("inf"))},
        {"misspelt": 1},
    ],
)
def test_impossible_items_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        POINT.replace(**changes)


def test_an_autodoc_keeps_what_it_does_not_know() -> None:
    written = "A = 1\n\n[T =     two  spaces, at the end  ]\n\n[ZValue = 0]\n# a comment\nB = x = y\n"
    sections = split_autodoc(written)
    assert join_autodoc(sections) == written
    assert sections[2].pairs() == {"B": "x = y"}
    sections[2].put("C", "3")
    sections[2].put("B", "2")
    assert sections[2].lines == ["# a comment", "B = 2", "C = 3"]
