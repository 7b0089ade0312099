"""One law for all readers of text: what a file holds is kept, or listed as left out, or the file is refused by name.

Something foreign is put into each file, and each of its values is changed to another that can be. Comments are no
losses. What says nothing to us, and need not be listed, stands in `SAYS_NOTHING` with the reason.
"""

import warnings
from dataclasses import dataclass
from pathlib import Path, PurePath

import pytest

from eucentric.core import EucentricError
from eucentric.io import read_mdoc
from phantoms.fuzz_seeds import all_fed
from phantoms.fuzzing import Fed, Files
from phantoms.losses import FOREIGN, grammar_of

READERS = (
    *("xf", "angles", "tilt table", "alignment", "processed", "particles", "places", "plan", "targets", "mdoc"),
    *("mdoc examined", "series", "movie series", "tracks", "star", "navigator", "serialem stack"),
    *("relion5", "warp", "imod", "aretomo", "cets", "portal"),
)
NOT_HELD_TO_IT = {
    "ome-zarr": "its JSON is checked by the models of zarr and OME; whoever extends them may be ignored, as they say",
}

_OTHERS = "belongs to the orientation and kind of a particle: read_particles reads the same table"
_MOVIES = "the movies' own is believed; where a pixel differs by more than any recalibration, a warning says so"
_STACK = "the stack's own is believed; where they differ by more than rounding, a warning says so"
SAYS_NOTHING: dict[tuple[str, str], dict[str, str]] = {
    ("places", ".csv"): dict.fromkeys(("rot_deg", "tilt_deg", "psi_deg", "label", "half"), _OTHERS),
    ("navigator", ".nav"): {
        "AdocVersion": "of the format, not of its items",
        "LastSavedAs": "where the file lay",
        "Acquire": "any number but 0 means yes",
    },
    ("relion5", ".star"): {
        **dict.fromkeys(("rlnMicrographId", "rlnTomoTiltMovieIndex"), "tells the order alone"),
        "rlnCtfAstigmatism": "what rlnDefocusU and rlnDefocusV differ by, which are kept",
    },
    ("portal", ".json"): {"alignment_type": "only LOCAL says anything to us, and is told"},
    ("movie series", ".mdoc"): {
        **dict.fromkeys(("PixelSpacing", "ImageSize"), _MOVIES),
        "DateTime": "tells the order alone",
    },
    ("series", ".mdoc"): {
        **dict.fromkeys(("PixelSpacing", "ImageSize", "TiltAngle"), _STACK),
        "NumSubFrames": "of movies, which a stack has none of",
        "DateTime": "tells the order alone",
    },
}

NEVER_OPENED = {
    ("portal", ".rawtlt"): "its angles stand in the metadata too, of which raw_tlt_path is listed as not read",
    ("warp", ".rawtlt"): "made for aligners, of the angles in the tomostar",
}


@dataclass(frozen=True)
class Outcome:
    """What a reader gave: its `record`, and what it `told` of what it left out; or why it `refused`."""

    record: str = ""
    told: tuple[str, ...] = ()
    refused: str = ""


def read(fed: Fed, folder: Path, files: Files) -> Outcome:
    """Read a case; what lies in the folder from the one before is written anew only where it differs."""
    for path, data in files.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        if not file.is_file() or file.read_bytes() != data:
            file.write_bytes(data)

    def plain(what: object) -> str:
        return str(what).replace(str(folder), "")

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            record = fed.read(folder / fed.given)
        except EucentricError as error:
            return Outcome(refused=plain(error))
    told = [plain(warning.message) for warning in caught]
    told += [
        plain(one) for listing in ("dropped", "notes", "findings", "unread") for one in getattr(record, listing, ())
    ]
    told += [plain(f"{key}: {why}") for key, why in getattr(record, "failures", {}).items()]
    return Outcome(plain(repr(record)), tuple(told))


def losses(fed: Fed, folder: Path) -> list[str]:
    """Return what a reader loses without a word."""
    files = fed.seeds[0]
    whole = read(fed, folder, files)
    assert not whole.refused
    lost = []
    for path, data in files.items():
        foreign, values = grammar_of(path) or (None, None)
        if foreign is None or values is None or (fed.name, PurePath(path).suffix) in NEVER_OPENED:
            continue
        name, meaningless = PurePath(path).name, SAYS_NOTHING.get((fed.name, PurePath(path).suffix), {})
        for what, text in foreign(data.decode()):
            found = read(fed, folder, files | {path: text.encode()})
            news = [one for one in found.told if one not in whole.told and (what in one or name in one)]
            if not (name in found.refused or news or what in found.record):
                lost.append(f"{path}: {what} was put in; {found.refused or 'nothing was said'}")
        for what, text in values(data.decode()):
            found = read(fed, folder, files | {path: text.encode()})
            kept = found != whole and (name in found.refused or not found.refused)
            if not (kept or what in meaningless or any(what in one for one in whole.told)):
                lost.append(f"{path}: {what} was changed; {found.refused or 'nothing was said'}")
        read(fed, folder, files)
    return lost


@pytest.fixture(scope="module")
def readers() -> dict[str, Fed]:
    return {fed.name: fed for fed in all_fed(None)}


@pytest.mark.parametrize("name", READERS)
def test_what_is_lost_is_told(readers: dict[str, Fed], name: str, tmp_path: Path) -> None:
    lost = losses(readers[name], tmp_path)
    assert not lost, "\n".join(lost)


def test_every_reader_of_text_is_held_to_the_law(readers: dict[str, Fed]) -> None:
    of_text = {name for name, fed in readers.items() if any(grammar_of(path) for path in fed.seeds[0])}
    assert of_text == {*READERS, *NOT_HELD_TO_IT}
    for fed in readers.values():
        text = [path for path, data in fed.seeds[0].items() if b"\0" not in data and not grammar_of(path)]
        assert all(
            path.endswith((".pdb", ".eucentric-copies.json")) or "." not in PurePath(path).name for path in text
        ), f"{fed.name}: no grammar for {text}"


def test_the_law_sees_a_silent_loss(tmp_path: Path) -> None:
    seeds: tuple[Files, ...] = ({"a.csv": b"section,acquisition_order\n1,1\n2,2\n"},)

    def careless(path: Path) -> object:
        return [line.split(",")[0] for line in path.read_text().splitlines()]

    def nameless(path: Path) -> object:
        if FOREIGN in path.read_text():
            raise EucentricError("something is wrong")
        return path.read_text()

    assert any("acquisition_order was changed" in loss for loss in losses(Fed("x", careless, "a.csv", seeds), tmp_path))
    assert any("something is wrong" in loss for loss in losses(Fed("x", nameless, "a.csv", seeds), tmp_path))
    assert losses(Fed("x", Path.read_text, "a.csv", seeds), tmp_path) == []


def test_a_section_of_another_kind_says_nothing_of_the_image_before_it(readers: dict[str, Fed], tmp_path: Path) -> None:
    text = readers["mdoc"].seeds[-1]["ts.mdoc"] + b"\n[Other = 0]\nTiltAngle = 77\n"
    path = tmp_path / "ts.mdoc"
    path.write_bytes(text)
    series = read_mdoc(path)
    assert max(section.tilt_deg for section in series.sections) < 77
    assert set(series.unread) >= {"[Other = 0]", "TiltAngle"}
