"""What is said of files of AreTomo that are not read, or that contradict each other."""

from collections.abc import Callable
from pathlib import Path

import pytest

from eucentric.io.exchange.aretomo import read_aretomo, write_aretomo
from phantoms.processed import processed_series


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_aretomo(tmp_path, [processed_series(name="a", n=7)])
    return tmp_path


def edit(path: Path, change: Callable[[str], str]) -> Path:
    path.write_text(change(path.read_text()))
    return path


def told(folder: Path) -> list[str]:
    """Return what is said of a series, without what is said of every one."""
    found = read_aretomo(folder, pixel_A=2.7)
    assert not found.failures
    usual = ("where the dark frames", "does not tell 300 kV")
    return [one for one in found.dropped if not any(part in one for part in usual)]


def test_of_a_series_as_we_write_it_nothing_is_told(folder: Path) -> None:
    assert told(folder) == []


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("NumPatches = 0", "NumPatches = 16", "NumPatches, 0 rows of local alignment"),
        ("DarkFrame =     1    2", "DarkFrame =     4    2", "4 as the first number was not read; they are of the"),
        ("DarkFrame =     1    2", "DarkFrame =     1    5", "5 as the second number was not read; they are of the"),
        ("BetaOffset =     0.00", "BetaOffset =     0.00 7", "BetaOffset in its header, only the first number"),
    ],
)
def test_what_is_passed_over_in_the_alignment_is_told(folder: Path, old: str, new: str, what: str) -> None:
    assert old in (folder / "a.aln").read_text()
    edit(folder / "a.aln", lambda text: text.replace(old, new))
    (sentence,) = told(folder)
    assert what in sentence


def test_an_offset_that_the_tilts_do_not_have_is_told(folder: Path) -> None:
    before = read_aretomo(folder, pixel_A=2.7).series
    edit(folder / "a.aln", lambda text: text.replace("AlphaOffset =     ", "AlphaOffset =    2"))
    (sentence,) = told(folder)
    assert "AlphaOffset 21." in sentence
    assert read_aretomo(folder, pixel_A=2.7).series == before
    (folder / "a_TLT.txt").unlink()
    assert told(folder) == []  # it was read, as nothing else has the stage's tilts


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda rows: [*rows[:-1], f"{rows[-1]} 77"], "go on after three numbers, such as with 77"),
        (lambda rows: [*rows[:-1], rows[-1].split()[0]], "the order of acquisition was not read"),
        (lambda rows: [*rows[:-1], rows[-1].replace("3.00", "-3.00")], "exposures below 0"),
    ],
)
def test_what_is_passed_over_in_the_tilts_is_told(
    folder: Path, change: Callable[[list[str]], list[str]], what: str
) -> None:
    path = edit(folder / "a_TLT.txt", lambda text: "\n".join(change(text.rstrip().split("\n"))))
    (sentence,) = told(folder)
    assert sentence.startswith(f"{path}: ")
    assert what in sentence


@pytest.mark.parametrize("hand", ["7", "-0.5", "0", "1 of one", "1 and -1"])
def test_a_hand_that_is_none_is_told(folder: Path, hand: str) -> None:
    path = folder / "a_CTF.txt"
    head, *rows = path.read_text().rstrip().split("\n")
    shorter = [" ".join(row.split()[:7]) for row in rows]
    hands = {"1 of one": ["1"] + [""] * 6, "1 and -1": ["1", *["-1"] * 6]}.get(hand, [hand] * 7)
    path.write_text("\n".join([head, *(f"{row} {one}" for row, one in zip(shorter, hands, strict=True))]))
    (sentence,) = told(folder)
    assert sentence.startswith(f"{path}: the eighth column, the defocus hand, was not read")
    ctf = read_aretomo(folder, pixel_A=2.7).series[0].ctf
    assert ctf is not None
    assert ctf.hand is None
