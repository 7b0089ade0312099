"""What there is to see of a series: its volumes and stack, and what is known of its tilts."""

import re
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from eucentric.core import Alignment, EucentricError, Record, TiltSeries
from eucentric.io.alignment_json import read_alignment
from eucentric.session import read_history
from eucentric.web.served import NotServedError, under
from eucentric.workflow.live.preview import PREVIEW, Preview

_NAME = re.compile(r"[^/\\\x00.][^/\\\x00]*")
_TOMOGRAM = re.compile(rf"(tomogram(?:[_-](.+))?|restored_([a-z0-9]+)|{PREVIEW})")
_LABELS = {"": "Full", "even": "Even half", "odd": "Odd half"}


class Version(Record):
    """A volume of a series by its file's name without the ending, and what it is called on the page."""

    name: str
    label: str

    @property
    def is_preview(self) -> bool:
        """Whether it was made before the series had ended."""
        return self.name == PREVIEW


class TiltView(Record):
    """One image of a stack: how it was recorded, and how it is laid upright, where that is known.

    `shift_yx_px` is where the specimen's origin is seen, from the image's middle, the pixel ``n // 2``, rows upward;
    `axis_deg` the tilt axis, counter-clockwise from the image's y; `order` its place in the acquisition.
    """

    section: int
    tilt_deg: float
    order: int | None
    exposure_e_A2: float | None
    pre_exposure_e_A2: float | None
    used: bool = True
    reason: str = ""
    axis_deg: float | None = None
    shift_yx_px: tuple[float, float] | None = None
    magnification: float | None = None


def find_series(session: Path) -> tuple[str, ...]:
    """Return the names of the series that have a folder of results, sorted."""
    folder = session / "series"
    if not folder.is_dir():
        return ()
    return tuple(sorted(path.name for path in folder.iterdir() if _NAME.fullmatch(path.name) and path.is_dir()))


def series_folder(session: Path, series: str) -> Path:
    """Return the folder of a series' results.

    Raises
    ------
    NotServedError
        If there is none.
    """
    with suppress(NotServedError):
        folder = under(session, f"series/{_plain(series)}")
        if folder.is_dir():
            return folder
    raise NotServedError(f"{series[:80]!r} is no series of this session.", "Go back to the list of tomograms.")


def find_versions(session: Path, series: str) -> tuple[Version, ...]:
    """Return the volumes of a series: the whole, restored ones, the halves; a preview where there is no whole one.

    Raises
    ------
    NotServedError
        If there is no such series.
    """
    found: dict[str, Version] = {}
    folder = series_folder(session, series)
    for path in folder.iterdir():
        match = _TOMOGRAM.fullmatch(path.stem) if path.suffix in (".mrc", ".zarr") else None
        if match:
            which = match[2] or ""
            label = _LABELS.get(which, which.replace("_", " ").capitalize())
            if match[3]:  # its halves and its error are other volumes, and would be in the way
                label = f"Restored ({match[3]})"
            elif path.stem == PREVIEW:
                label = _preview_label(folder)
            found[path.stem] = Version(name=path.stem, label=label)
    if "tomogram" in found:
        found.pop(PREVIEW, None)
    return tuple(sorted(found.values(), key=_rank))


def _preview_label(folder: Path) -> str:
    """Return what a preview is called: plainly what it is, and of how many tilts."""
    try:
        of = Preview.model_validate_json((folder / f"{PREVIEW}.json").read_bytes())
    except (OSError, ValidationError):  # not there yet, or of another version
        return "Preview"
    return f"Preview from {of.tilts} tilts"


def volume_path(session: Path, series: str, name: str) -> Path:
    """Return the file or Zarr folder of a volume or stack of a series; where there are both, the file.

    Raises
    ------
    NotServedError
        If there is none under the session.
    """
    places = [f"series/{_plain(series)}/{_plain(name)}{ending}" for ending in (".mrc", ".zarr")]
    if name == series:
        places.append(f"mdoc/{name}.mrc")
    for place in places:
        try:
            return under(session, place)
        except NotServedError:
            continue
    raise NotServedError(f"{name[:80]!r} is no volume of {series[:80]!r}.", "Go back to the list of tomograms.")


def has_stack(session: Path, series: str) -> bool:
    """Whether the stack of a series lies in the session."""
    try:
        return volume_path(session, series, series).suffix == ".mrc"
    except NotServedError:
        return False


def tilt_views(session: Path, series: str) -> tuple[TiltView, ...]:
    """Return what is known of each section of a stack, by tilt; nothing where nobody wrote it down.

    Raises
    ------
    NotServedError
        If there is no such series.
    EucentricError
        If the journal cannot be read.
    """
    known, alignment = _tilt_series(session, series), _alignment(session, series)
    if known is None:
        return ()
    views = [
        TiltView(
            section=tilt.section,
            tilt_deg=tilt.tilt_deg,
            order=tilt.order if known.order_known else None,
            exposure_e_A2=tilt.exposure_e_A2,
            pre_exposure_e_A2=tilt.pre_exposure_e_A2,
        )
        for tilt in known.tilts
    ]
    if alignment is not None and len(alignment.tilts) == len(views):
        views = [
            view.replace(
                used=tilt.used,
                reason=tilt.reason,
                axis_deg=tilt.axis_deg,
                shift_yx_px=(tilt.shift_yx_A[0] / alignment.pixel_A, tilt.shift_yx_A[1] / alignment.pixel_A),
                magnification=tilt.magnification,
            )
            for view, tilt in zip(views, alignment.tilts, strict=True)
        ]
    return tuple(sorted(views, key=lambda view: view.tilt_deg))


def _plain(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise NotServedError(f"{name[:80]!r} is no name of a series or volume.", "Go back to the list of tomograms.")
    return name


def _rank(version: Version) -> tuple[int, str]:
    """Put the whole first, then what was made of it, the halves, and previews."""
    ranks = {"tomogram": 0, "tomogram_even": 2, "tomogram_odd": 3}
    return (4 if version.is_preview else ranks.get(version.name, 1), version.name)


def _tilt_series(session: Path, series: str) -> TiltSeries | None:
    """Return the series as the latest alignment was given it."""
    series_folder(session, series)
    runs = [run for run in read_history(session) if run.series == series and run.stage == "align"]
    try:
        return TiltSeries.model_validate(runs[-1].settings["series"]) if runs else None
    except (ValidationError, KeyError):  # of another version
        return None


def _alignment(session: Path, series: str) -> Alignment | None:
    try:
        return read_alignment(under(session, f"series/{series}/alignment.json"))
    except EucentricError:  # none yet, or half of one
        return None
