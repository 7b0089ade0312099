from pathlib import Path

import pytest
import starfile
from hypothesis import given, settings
from hypothesis import strategies as st

from eucentric.core import EucentricError, FormatError, FormatWarning, InputError
from eucentric.io.exchange.star import StarBlock, numbers, read_star, texts, write_star

WORDS = st.from_regex(r"[A-Za-z0-9.@/][A-Za-z0-9.@/%_-]{0,11}", fullmatch=True)


@settings(max_examples=25)
@given(st.integers(1, 4).flatmap(lambda n: st.lists(st.lists(WORDS, min_size=n, max_size=n), min_size=1, max_size=4)))
def test_what_is_written_is_read_back_and_by_starfile_too(
    tmp_path_factory: pytest.TempPathFactory, columns: list[list[str]]
) -> None:
    path = tmp_path_factory.mktemp("star") / "a.star"
    table = {f"rlnColumn{i}": values for i, values in enumerate(columns)}
    write_star(path, {"global": table})
    assert read_star(path)["global"].columns == {label: tuple(values) for label, values in table.items()}
    theirs = starfile.read(path, parse_as_string=list(table))
    assert {label: [str(value) for value in theirs[label]] for label in theirs.columns} == table


def test_blocks_are_tables_or_values(tmp_path: Path) -> None:
    path = tmp_path / "a.star"
    write_star(path, {"one": StarBlock({"a": ("1",)}, looped=False), "two": {"a": [1.5], "b": [None]}})
    blocks = read_star(path)
    assert not blocks["one"].looped
    assert blocks["two"].looped
    assert numbers(path, blocks["two"], "a") == [1.5]
    assert texts(path, blocks["two"], "b") == ["None"]
    theirs = starfile.read(path, always_dict=True)
    assert theirs["one"] == {"a": 1}
    assert list(theirs["two"]["a"]) == [1.5]


def test_one_row_blocks_are_values_where_asked(tmp_path: Path) -> None:
    path = tmp_path / "a.star"
    write_star(path, {"": {"a": ["x"]}}, loops=False)
    assert not read_star(path)[""].looped


def test_quotes_comments_and_brackets_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.star"
    path.write_text("# version 30001\n\ndata_\n\nloop_ \n_a #1\n_b #2 \n\"x y\" [1,2,3] # said\n'z' 2@s.mrcs\n\n")
    assert read_star(path)[""].columns == {"a": ("x y", "z"), "b": ("[1,2,3]", "2@s.mrcs")}


def test_all_that_a_block_holds_is_given(tmp_path: Path) -> None:
    path = tmp_path / "a.star"
    path.write_text("data_x\nloop_\n_a\n1 2\nloop_\n_b\n3\n_c 4\n")
    assert {name: block.columns for name, block in read_star(path).items()} == {
        "x": {"a": ("1", "2")},
        "x 2": {"b": ("3",)},
        "x 3": {"c": ("4",)},
    }


@pytest.mark.parametrize("text", ["", "hello", "data_x\n", "data_x\nloop_\n_a\n_b\n1 2 3\n", "data_x\n_a 'x\n", "\0"])
def test_what_is_no_star_file_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.star"
    path.write_text(text)
    with pytest.raises(FormatError, match=str(path)):
        read_star(path)


def test_too_many_values_are_refused_before_they_fill_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.star"
    path.write_text("data_x\nloop_\n_a\n" + "1 " * 2_100_000)
    with pytest.raises(FormatError, match="more than 2000000 values"):
        read_star(path)


@pytest.mark.parametrize("value", ["nan", "inf", "-1e300", "x", "1_0"])
def test_what_is_no_number_is_refused_with_its_row(tmp_path: Path, value: str) -> None:
    block = StarBlock({"a": ("1", value)})
    if value == "1_0":  # Python's own notation, which float() takes
        assert numbers(tmp_path, block, "a") == [1, 10]
        return
    with pytest.raises(FormatError, match="row 2"):
        numbers(tmp_path, block, "a")


def test_a_column_that_is_missing_is_told(tmp_path: Path) -> None:
    block = StarBlock({"a": ("1", "2")})
    assert numbers(tmp_path, block, "b", 3.0) == [3, 3]
    assert texts(tmp_path, block, "b", "x") == ["x", "x"]
    with pytest.raises(FormatError, match="column b is missing"):
        numbers(tmp_path, block, "b")
    with pytest.raises(FormatError, match="column b is missing"):
        texts(tmp_path, block, "b")


@pytest.mark.parametrize("value", ["a b", "'a", '"a', "#a", "a#1", "_a", ";a", "$a", "a'", "a\x07"])
def test_what_other_readers_would_split_is_not_written(tmp_path: Path, value: str) -> None:
    with pytest.raises(InputError, match="cannot stand in a STAR file"):
        write_star(tmp_path / "a.star", {"x": {"a": [value]}})
    assert not list(tmp_path.iterdir())


@pytest.mark.filterwarnings("ignore::eucentric.core.FormatWarning")
@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=6), st.integers(0, 400))
def test_any_bytes_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, int]], cut: int
) -> None:
    path = tmp_path_factory.mktemp("star") / "a.star"
    text = bytearray(b"data_global\n\nloop_\n_rlnTomoName #1\n_rlnVoltage #2\n" + b"TS_1 300.0\n" * 30)
    for place, byte in changes:
        text[place % len(text)] = byte
    path.write_bytes(bytes(text[: len(text) - cut]))
    try:
        blocks = read_star(path)
    except EucentricError:
        return
    assert all(len(set(map(len, block.columns.values()))) == 1 for block in blocks.values())


def test_other_code_pages_are_told_of(tmp_path: Path) -> None:
    path = tmp_path / "a.star"
    path.write_bytes(b"data_x\n_a 5\xb5m\n")
    with pytest.warns(FormatWarning, match="not-utf8"):
        assert read_star(path)["x"].columns == {"a": ("5µm",)}
