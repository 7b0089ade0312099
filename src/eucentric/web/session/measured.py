"""What has been found of each tilt of a series: by looks as movies closed, by acquisition, by the stages at last."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import numpy as np
from pydantic import BaseModel, ValidationError

from eucentric.core import TiltSeries
from eucentric.optics import SeriesCTF
from eucentric.session import RunStatus
from eucentric.web.session.acquired import Acquired
from eucentric.web.session.expected import expected_counts
from eucentric.web.session.following import Told
from eucentric.web.session.records import TiltView
from eucentric.workflow.live.records import LOOKS
from eucentric.workflow.records import Assessment, Evidence, Sums

T = TypeVar("T")
R = TypeVar("R", bound=BaseModel)

_THUMBNAIL = "largest=320&own=true"


class Distilled:
    """What is needed of results, kept as long as their files stay as they are: the files themselves are large."""

    def __init__(self) -> None:
        self._kept: dict[Path, tuple[tuple[int, int], Any]] = {}

    def of(self, path: Path, record: type[R], distil: Callable[[R], T]) -> T | None:
        """Return what is needed of a file; None where it is not there, or is of another version."""
        try:
            info = path.stat()
            stamp = (info.st_size, info.st_mtime_ns)
            known = self._kept.get(path)
            if known is None or known[0] != stamp:
                known = (stamp, _distilled(path, record, distil))
                self._kept[path] = known
        except OSError:
            return None
        found: T | None = known[1]
        return found


def _distilled(path: Path, record: type[R], distil: Callable[[R], T]) -> T | None:
    try:
        return distil(record.model_validate_json(path.read_bytes()))
    except ValidationError:  # of another version, or not what a stage writes
        return None


class _Target(BaseModel):
    """The one field of a look that the journal does not have."""

    target_defocus_A: float | None = None


def tilts_of(told: Told, folder: Path, files: Distilled, acquired: Acquired) -> tuple[TiltView, ...]:
    """Return the tilts of a series in the order of acquisition, the latest of what was found of each.

    Parameters
    ----------
    told
        By the journal.
    folder
        The session.
    files
        What was read before.
    acquired
        What acquisition has left in the session.
    """
    tilts = _looked_at(told, folder, files)
    if "align" in told.runs or "sums" in told.finished:
        tilts = _processed(told, folder, files, tilts)
    if not tilts:
        tilts = acquired.tilts(told)
    ordered = sorted(tilts.values(), key=lambda tilt: (tilt.order, tilt.section))
    return _with_expected(acquired.with_pictures(told.name, ordered))


def _looked_at(told: Told, folder: Path, files: Distilled) -> dict[int, TiltView]:
    tilts = {}
    for section, run in sorted(told.looks.items()):
        asked, seen = run.settings, run.metrics
        if run.status is not RunStatus.FINISHED:
            seen = {}
        stem = f"{section:03d}"
        name = quote(told.name, safe="")
        tilts[section] = TiltView(
            section=section,
            tilt_deg=asked["tilt_deg"],
            order=section,
            exposure_e_A2=asked.get("exposure_e_A2"),
            counts=seen.get("counts"),
            motion_A=seen.get("motion_A"),
            defocus_A=seen.get("defocus_A"),
            fit_resolution_A=seen.get("fit_resolution_A"),
            target_defocus_A=files.of(
                folder / "series" / told.name / LOOKS / f"{stem}.json", _Target, lambda look: look.target_defocus_A
            ),
            left_out=run.reason if run.status is RunStatus.FAILED else "",
            movie=Path(run.inputs[-1].path).name if run.inputs else None,
            picture=f"/session-files/{name}/looks/{stem}?v={run.ended}" if run.outputs else None,
        )
    return tilts


def _processed(told: Told, folder: Path, files: Distilled, looks: Mapping[int, TiltView]) -> dict[int, TiltView]:
    """Return the tilts of the stack that was aligned, and those left out before it, by the .mdoc's section."""
    at = folder / "series" / told.name
    sums = files.of(at / "sums.json", Sums, lambda sums: sums) if "sums" in told.finished else None
    series = sums.series if sums else _series_of(told)
    if series is None:
        return dict(looks)
    sections = sums.sections if sums else tuple(range(len(series.tilts)))
    motion = told.finished["motion"].metrics.get("total_A", []) if "motion" in told.finished else []
    residuals, counts = _aligned(told, at, files, len(series.tilts))
    ctf = _ctf(told, at, files, len(series.tilts))
    targets = _targets(told, len(series.tilts))
    paths = _paths(told, at, files, counts)
    tilts: dict[int, TiltView] = {}
    for i, (tilt, section) in enumerate(zip(series.tilts, sections, strict=False)):
        look = looks.get(section)
        base = look or TiltView(section=section, tilt_deg=tilt.tilt_deg, order=tilt.order)
        defocus_A, fit_A = ctf[i] if ctf else (base.defocus_A, base.fit_resolution_A)
        tilts[section] = base.replace(
            tilt_deg=tilt.tilt_deg,
            order=tilt.order if series.order_known else base.order,
            exposure_e_A2=base.exposure_e_A2 if tilt.exposure_e_A2 is None else tilt.exposure_e_A2,
            movie=tilt.movie or base.movie,
            motion_A=motion[section] if section < len(motion) else base.motion_A,
            counts=counts[i] if counts else base.counts,
            residual_A=residuals[i] if residuals else None,
            defocus_A=defocus_A,
            fit_resolution_A=fit_A,
            target_defocus_A=base.target_defocus_A if targets[i] is None else targets[i],
            path_A=paths[i] if paths else None,
            refined=bool(residuals),
            picture=base.picture or _of_stack(told, i),
            left_out="",
        )
    for section, reason in (sums.left_out if sums else {}).items():
        if section in looks:
            tilts[section] = looks[section].replace(left_out=reason)
    return tilts


def _series_of(told: Told) -> TiltSeries | None:
    try:
        return TiltSeries.model_validate(told.runs["align"].settings["series"])
    except (ValidationError, KeyError):  # of another version
        return None


def _aligned(
    told: Told, at: Path, files: Distilled, n: int
) -> tuple[tuple[float | None, ...] | None, tuple[float, ...] | None]:
    """Return residual (of those that are used) and mean counts of each section of the stack."""
    if "align" not in told.finished:
        return None, None

    def distil(evidence: Evidence) -> tuple[tuple[float | None, ...], tuple[float, ...]]:
        used = {view.section for view in evidence.result.alignment.used}
        residuals = (tilt.residual_A if tilt.section in used else None for tilt in evidence.result.tilts)
        return tuple(residuals), evidence.mean_counts

    found = files.of(at / "evidence.json", Evidence, distil)
    if found is None or len(found[0]) != n or len(found[1]) != n:
        return None, None
    return found


def _ctf(told: Told, at: Path, files: Distilled, n: int) -> tuple[tuple[float | None, float | None], ...] | None:
    """Return mean defocus and fit resolution of each section; none of those of which the image told nothing."""
    if "ctf" not in told.finished:
        return None

    def distil(ctf: SeriesCTF) -> tuple[tuple[float | None, float | None], ...]:
        return tuple((tilt.mean_A, tilt.fit_resolution_A) if tilt.used else (None, None) for tilt in ctf.tilts)

    found = files.of(at / "ctf.json", SeriesCTF, distil)
    return found if found is not None and len(found) == n else None


def _targets(told: Told, n: int) -> Sequence[float | None]:
    asked = told.finished["ctf"].settings.get("target_defocus_A", ()) if "ctf" in told.finished else ()
    return asked if len(asked) == n else [None] * n


def _paths(told: Told, at: Path, files: Distilled, counts: Sequence[float] | None) -> tuple[float | None, ...] | None:
    """Return the path through the specimen that the counts of each section tell of."""
    if counts is None or "assess" not in told.finished:
        return None
    found = files.of(
        at / "assessment.json", Assessment, lambda one: (one.thickness.incident_counts, one.thickness.mean_free_path_A)
    )
    if found is None or found[0] is None:
        return None
    incident, mean_free_path_A = found[0], found[1]
    return tuple(float(mean_free_path_A * np.log(incident / each)) if each > 0 else None for each in counts)


def _of_stack(told: Told, section: int) -> str | None:
    """Return the picture of a section of the stack, as the page of tomograms cuts it."""
    if "sums" not in told.finished:
        return None
    name, run = quote(told.name, safe=""), told.finished["sums"]
    return f"/api/slice/{name}/{name}/z/{section}?{_THUMBNAIL}#{run.ended}"


def _with_expected(tilts: tuple[TiltView, ...]) -> tuple[TiltView, ...]:
    seen = [tilt for tilt in tilts if tilt.counts is not None and tilt.expected_counts is None]
    expected = expected_counts(
        [tilt.tilt_deg for tilt in seen],
        [tilt.counts or 0.0 for tilt in seen],
        [tilt.exposure_e_A2 for tilt in seen],
    )
    if expected is None:
        return tilts
    by_section = {tilt.section: counts for tilt, counts in zip(seen, expected, strict=True)}
    return tuple(
        tilt.replace(expected_counts=by_section[tilt.section]) if tilt.section in by_section else tilt for tilt in tilts
    )
