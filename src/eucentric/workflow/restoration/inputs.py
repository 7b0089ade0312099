"""Pairs of half tomograms, from a session or from files named one by one; no voxel is read here."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from eucentric.core import Alignment, InputError
from eucentric.io import open_mrc, read_alignment, read_angles
from eucentric.processing.reconstruction import ReconstructSettings, volume_shape
from eucentric.processing.restoration import SAME_VOXEL, HalfTomograms
from eucentric.session import Session
from eucentric.workflow.restoration.gain import ViewsGain, gain_of_series

EVEN, ODD, ALIGNMENT = "tomogram_even.mrc", "tomogram_odd.mrc", "alignment.json"


@dataclass(frozen=True)
class Subject:
    """A pair of half tomograms, memory-mapped.

    Attributes
    ----------
    pair
        The halves, and how they saw their specimen.
    even, odd
        Their files, which are only read.
    tilts
        Where the tilts are from.
    gain
        That of `pair`, as a record.
    """

    pair: HalfTomograms
    even: Path
    odd: Path
    tilts: Path
    gain: ViewsGain | None = None

    @property
    def name(self) -> str:
        """Of the series or file, for messages."""
        return self.pair.name


@dataclass(frozen=True)
class FilePair:
    """Files of two half tomograms, and one that says at which tilts both were seen."""

    even: Path
    odd: Path
    tilts: Path


def series_with_halves(session: Session) -> tuple[str, ...]:
    """Return the names of the series whose half tomograms are there, sorted."""
    folder = session.folder / "series"
    found = [even.parent for even in folder.glob(f"*/{EVEN}") if even.with_name(ODD).is_file()]
    return tuple(sorted(path.name for path in found if not path.name.startswith(".")))


def subject_of_series(session: Session, series: str) -> Subject:
    """Open the halves of a series.

    Raises
    ------
    InputError
        If a file that is needed is not there, or cannot be opened.
    FormatError
        If one is not what its name says.
    """
    folder = session.folder / "series" / series
    even, odd, tilts = folder / EVEN, folder / ODD, folder / ALIGNMENT
    for path in (even, odd, tilts):
        if not path.is_file():
            raise InputError(
                f"{series}: it has no {path.name} in {folder}.", f"Run `eucentric process {session.folder}` first."
            )
    alignment = read_alignment(tilts)
    pair = _halves(series, even, odd, tuple(view.tilt_deg for view in alignment.used))
    gain = gain_of_series(session, series, alignment, pair.shape[2] * pair.voxel_A)
    return Subject(replace(pair, gain=gain, field_A=_field_A(alignment)), even, odd, tilts, gain)


def subject_of_files(files: FilePair, voxel_A: float | None = None) -> Subject:
    """Open two halves with a list of tilts (.tlt, .rawtlt), or with an `alignment.json`, whose views in use count.

    Parameters
    ----------
    files
        Two MRC volumes, and a list of angles or an alignment.
    voxel_A
        In place of what the files say.

    Raises
    ------
    InputError
        If a file is not there or cannot be opened, or nothing says the size of a voxel, or each half another.
    FormatError
        If a file is not what it should be.
    """
    field_A = None
    if files.tilts.suffix == ".json":
        alignment = read_alignment(files.tilts)
        tilts_deg, field_A = tuple(view.tilt_deg for view in alignment.used), _field_A(alignment)
    else:
        tilts_deg = read_angles(files.tilts)
    pair = _halves(str(files.even), files.even, files.odd, tilts_deg, voxel_A)
    return Subject(replace(pair, field_A=field_A), files.even, files.odd, files.tilts)


def _field_A(alignment: Alignment) -> float:
    """Return how wide images are across the tilt axis."""
    return volume_shape(alignment, ReconstructSettings())[2] * alignment.pixel_A


def _halves(
    name: str, even: Path, odd: Path, tilts_deg: Sequence[float], voxel_A: float | None = None
) -> HalfTomograms:
    images = [open_mrc(path) for path in (even, odd)]
    sizes = [image.pixel_A for image in images]
    voxel_A = voxel_A or sizes[0] or sizes[1]
    if voxel_A is None:
        raise InputError(f"{even}: its header gives no voxel size.", "Give it in Å with --pixel.")
    if sizes[0] and sizes[1] and abs(sizes[1] / sizes[0] - 1) > SAME_VOXEL:
        raise InputError(
            f"{odd}: its voxels are {sizes[1]:g} Å, and those of {even.name} {sizes[0]:g} Å.",
            "Give two halves of one tomogram.",
        )
    return HalfTomograms(name, images[0].data, images[1].data, float(voxel_A), tuple(tilts_deg))
