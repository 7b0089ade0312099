"""What an acquisition tells of its tilts as they come: its journal, or the .mdoc that a script or simulation writes."""

import os
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

from eucentric.core import EucentricError
from eucentric.io.mdoc import MdocSection, examine_mdoc
from eucentric.io.mdoc_text import RawSection
from eucentric.io.movie_series import series_name
from eucentric.session import ExposureRecord, ExposureState
from eucentric.session.exposures import exposures_of
from eucentric.web.session.following import Told
from eucentric.web.session.pictures import find_movie, movie_address, section_address
from eucentric.web.session.records import TiltView

RECORD = "record"

_A_PER_UM = 1e4
_LISTED_EVERY_S = 1.0
_MDOC = ".mdoc"


class Acquired:
    """The .mdocs and movies of the session at `folder`, looked at again as they change.

    Attributes
    ----------
    unsettled
        Series of which a movie may not be whole yet: their pictures are to be asked for again soon.
    """

    def __init__(self, folder: Path) -> None:
        self.unsettled: set[str] = set()
        self._folder = folder
        self._listed_s = float("-inf")
        self._mdocs: dict[str, tuple[Path, tuple[int, int]]] = {}
        self._tilts: dict[str, tuple[tuple[int, int], dict[int, TiltView]]] = {}

    def advance(self, now_s: float) -> frozenset[str]:
        """Return the names of the series whose .mdoc is new or was written to, by a clock that tells `now_s`."""
        if now_s - self._listed_s < _LISTED_EVERY_S:
            return frozenset()
        self._listed_s = now_s
        try:
            with os.scandir(self._folder / "mdoc") as entries:
                found = {
                    series_name(Path(entry.path)): (Path(entry.path), (info.st_size, info.st_mtime_ns))
                    for entry in entries
                    if entry.name.endswith(_MDOC) and not entry.name.startswith(".")
                    for info in (entry.stat(),)
                }
        except OSError:  # none yet, or one was replaced in this moment
            return frozenset()
        changed = frozenset(name for name, mdoc in found.items() if self._mdocs.get(name) != mdoc)
        self._mdocs = found
        return changed

    def tilts(self, told: Told) -> dict[int, TiltView]:
        """Return the tilts of a series by their order: as the journal tells of its exposures, else by its .mdoc."""
        return _by_journal(told) or self._by_mdoc(told.name)

    def with_pictures(self, series: str, tilts: Iterable[TiltView]) -> tuple[TiltView, ...]:
        """Return tilts, those without a picture with the address of one of their movie, or of their section."""
        self.unsettled.discard(series)
        return tuple(tilt if tilt.picture or tilt.left_out else self._with_picture(series, tilt) for tilt in tilts)

    def _with_picture(self, series: str, tilt: TiltView) -> TiltView:
        movie = find_movie(self._folder, tilt.movie) if tilt.movie else None
        if movie is not None:
            address = movie_address(movie)
            if address is None:
                self.unsettled.add(series)
        else:
            address = section_address(self._folder, series, tilt.section) if tilt.by_mdoc else None
        return tilt.replace(picture=address)

    def _by_mdoc(self, name: str) -> dict[int, TiltView]:
        if name not in self._mdocs:
            return {}
        path, stamp = self._mdocs[name]
        known = self._tilts.get(name)
        if known is None or known[0] != stamp:
            known = self._tilts[name] = (stamp, _read_mdoc(path))
        return known[1]


def _by_journal(told: Told) -> dict[int, TiltView]:
    """Return the exposures of a target, by their order in the plan; the last word on each."""
    tilts: dict[int, TiltView] = {}
    received_e_A2, before = 0.0, None
    for one in exposures_of(told.exposures):
        received_e_A2 += one.exposure_e_A2 if one.received else 0.0
        if one.purpose != RECORD:
            continue
        seen = told.exposed[one.order].body if one.order in told.exposed else {}
        readback = one.details.get("readback") or {}
        began = datetime.fromisoformat(readback["began"]) if readback else None
        tilts[one.order] = TiltView(
            section=one.order,
            tilt_deg=one.tilt_deg,
            order=one.order,
            exposure_e_A2=one.exposure_e_A2 if one.received else None,
            received_e_A2=received_e_A2 if one.received else None,
            counts=seen.get("counts_share"),
            expected_counts=1.0 if seen else None,
            counts_are_share=True,
            # The lens's makes up for the specimen's height: it is not what the image has.
            lens_defocus_A=readback.get("defocus_A"),
            target_defocus_A=seen.get("wanted_defocus_A"),
            image_shift_A=_length(readback.get("image_shift_yx_A")),
            miss_A=_apart(seen.get("measured_yx_A"), seen.get("predicted_yx_A")),
            shutter_s=readback.get("seconds"),
            since_last_s=_between(before, began),
            movie=one.details.get("movie"),
            left_out=_not_delivered(one),
        )
        before = began or before
    return tilts


def _not_delivered(one: ExposureRecord) -> str:
    if one.state is ExposureState.DELIVERED:
        return ""
    return f"{one.state}: {one.reason}" if one.reason else str(one.state)


def _read_mdoc(path: Path) -> dict[int, TiltView]:
    """Return what an .mdoc, which may be growing, tells of its sections, by number; nothing where it is no series'."""
    try:
        examined = examine_mdoc(path, growing=True)
    except EucentricError:
        return {}
    if examined.series is None or examined.refusals:
        return {}
    raw = {section["ZValue"].strip(): section for section in examined.raw.sections if "ZValue" in section}
    tilts: dict[int, TiltView] = {}
    before = None
    for section in sorted(examined.series.sections, key=lambda one: one.order):
        tilts[section.z_value] = _of_section(section, raw.get(str(section.z_value)), before)
        before = section.recorded or before
    return tilts


def _of_section(section: MdocSection, raw: RawSection | None, before: datetime | None) -> TiltView:
    said = raw or RawSection(0)
    exposure, prior = section.exposure_e_A2, section.pre_exposure_e_A2
    defocus_um, shift_um = _numbers(said.get("Defocus"), 1), _numbers(said.get("ImageShift"), 2)
    shutter_s, counts = _numbers(said.get("ExposureTime"), 1), _numbers(said.get("MinMaxMean"), 3)
    return TiltView(
        section=section.z_value,
        tilt_deg=section.tilt_deg,
        order=section.order,
        by_mdoc=True,
        exposure_e_A2=exposure,
        received_e_A2=None if exposure is None or prior is None else prior + exposure,
        counts=counts[2] if counts else None,
        lens_defocus_A=-defocus_um[0] * _A_PER_UM if defocus_um else None,
        target_defocus_A=section.target_defocus_A,
        image_shift_A=_length([_A_PER_UM * each for each in shift_um] if shift_um else None),
        shutter_s=shutter_s[0] if shutter_s else None,
        since_last_s=_between(before, section.recorded),
        movie=section.movie,
    )


def _numbers(said: str | None, n: int) -> list[float] | None:
    try:
        numbers = [float(word) for word in (said or "").split()]
    except ValueError:
        return None
    return numbers if len(numbers) == n and all(abs(number) < 1e12 for number in numbers) else None


def _length(yx_A: Any) -> float | None:
    return _apart(yx_A, (0.0, 0.0))


def _apart(a_yx_A: Any, b_yx_A: Any) -> float | None:
    if not a_yx_A or not b_yx_A:
        return None
    return float(((a_yx_A[0] - b_yx_A[0]) ** 2 + (a_yx_A[1] - b_yx_A[1]) ** 2) ** 0.5)


def _between(before: datetime | None, now: datetime | None) -> float | None:
    """Return the seconds between two times by the microscope's clock; None where that was set back."""
    if before is None or now is None or (before.tzinfo is None) != (now.tzinfo is None):
        return None
    seconds = (now - before).total_seconds()
    return seconds if seconds >= 0 else None
