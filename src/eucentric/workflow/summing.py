"""The stage `sums`: the frames of each movie, laid on each other and summed, as the sections of stacks."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack

import torch
from torch import Tensor

from eucentric.core import SILENT, EucentricError, InputError, OutputError, Reporter, Tilt, TiltSeries, write_text
from eucentric.io.mrc_writer import mrc_sections
from eucentric.processing.dose_weighting import accumulated_e_A2
from eucentric.processing.motion import (
    Frame,
    FrameTransform,
    MotionTrack,
    MovieSums,
    SeriesMotion,
    sum_movie,
    transformed,
)
from eucentric.processing.operators import inverse_transform
from eucentric.session import StageRun
from eucentric.workflow.movie_frames import MovieFrames
from eucentric.workflow.records import Sums, SumsStage
from eucentric.workflow.spectra import Shown, compare_spectra, sections_to_show, write_spectra

_LABELS = {
    "": "Sums of frames, weighted by exposure",
    "_even": "Sums of even frames, weighted by exposure",
    "_odd": "Sums of odd frames, weighted by exposure",
    "_unweighted": "Sums of frames, not weighted",
}


def sum_series(
    run: StageRun,
    frames: MovieFrames,
    motion: SeriesMotion,
    settings: SumsStage,
    missing: Mapping[int, str],
    reporter: Reporter = SILENT,
) -> None:
    """Write the stacks of a series, section by section, with what they hold, and the spectra for the report.

    Parameters
    ----------
    run
        Of the stage.
    frames
        Of the movies, by the .mdoc's section.
    motion
        Their tracks; a movie without one is left out.
    settings
        The series of the .mdoc, and how its frames are weighted.
    missing
        Why movies are not there.
    reporter
        Where progress goes.

    Raises
    ------
    InputError
        If no movie can be summed; no stack is written then.
    OutputError
        If a stack cannot be written.
    """
    series = settings.series
    with_track = [section for section, track in enumerate(motion.tracks) if track is not None]
    to_show = {with_track[place] for place in sections_to_show([series.tilts_deg[section] for section in with_track])}
    left_out = {
        section: missing.get(section) or motion.reasons.get(section, "nothing is known of its frames")
        for section in range(len(series.tilts))
        if motion.tracks[section] is None
    }
    kept: list[int] = []
    n_frames: list[int] = []
    shown: list[Shown] = []
    paths = {part: run.folder / f"{series.name}{part}.mrc" for part in _LABELS}
    with ExitStack() as stacks:
        append = {
            part: stacks.enter_context(
                mrc_sections(path, series.shape_yx, "float32", series.pixel_A, kind="stack", label=_LABELS[part])
            )
            for part, path in paths.items()
        }
        for section in reporter.each(with_track, "Summing frames"):
            track, plain = motion.tracks[section], _Plain(section in to_show)
            if track is None:
                continue
            try:
                summed = _summed(plain.through(frames.transforms(section)()), track, section, motion, settings)
            except OutputError:
                raise
            except EucentricError as error:
                left_out[section] = error.what
                continue
            if not bool(torch.isfinite(summed.weighted.sum())):
                left_out[section] = "some of its pixels are not numbers"
                continue
            for part, image in _images(summed).items():
                append[part](image.cpu().numpy())
            if (total := plain.total) is not None:
                shown += _spectra(len(kept), total, summed, settings, section)
            kept.append(section)
            n_frames.append(len(track.frames))
        if not kept:
            why = "; ".join(f"section {section}: {reason}" for section, reason in sorted(left_out.items())[:5])
            raise InputError(f"{series.name}: none of its movies can be used. {why}", "Check the movies.")
    sums = Sums(series=_kept(series, kept), sections=tuple(kept), frames=tuple(n_frames), left_out=left_out)
    write_text(run.folder / "sums.json", sums.model_dump_json(indent=1))
    write_spectra(run.folder / "spectra.npz", shown)
    for path in (*paths.values(), run.folder / "sums.json", run.folder / "spectra.npz"):
        run.output(path)
    run.metric("tilts", len(kept))
    run.metric("left_out", left_out)


class _Plain:
    """The sum of frames as they are, taken in passing where it is wanted."""

    def __init__(self, wanted: bool) -> None:
        self._wanted = wanted
        self._sum: Tensor | None = None
        self._shape_yx = (0, 0)

    @property
    def total(self) -> Tensor | None:
        """The sum, (y, x)."""
        return None if self._sum is None else inverse_transform(self._sum.clone(), self._shape_yx)

    def through(self, frames: Iterable[Frame]) -> Iterator[FrameTransform]:
        for frame in frames:
            one = transformed(frame)
            if self._wanted:
                self._sum = one.values.clone() if self._sum is None else self._sum + one.values
                self._shape_yx = one.shape_yx
            yield one


def _summed(
    frames: Iterable[Frame], track: MotionTrack, section: int, motion: SeriesMotion, settings: SumsStage
) -> MovieSums:
    tilt, received = settings.series.tilts[section], None
    if settings.dose_weighting and tilt.exposure_e_A2 is not None and tilt.pre_exposure_e_A2 is not None:
        in_all = settings.frames[section]
        each = accumulated_e_A2(tilt.pre_exposure_e_A2, tilt.exposure_e_A2, in_all)
        received = [each[frame] for frame in track.frames]
    return sum_movie(frames, track, motion.pixel_A, accumulated_e_A2=received, voltage_kV=settings.voltage_kV)


def _images(summed: MovieSums) -> dict[str, Tensor]:
    return {"": summed.weighted, "_even": summed.even, "_odd": summed.odd, "_unweighted": summed.unweighted}


def _spectra(place: int, plain: Tensor, summed: MovieSums, settings: SumsStage, section: int) -> list[Shown]:
    series = settings.series
    try:
        with torch.no_grad():
            return [
                compare_spectra(
                    place, plain, summed.unweighted, series.pixel_A, series.tilts_deg[section], series.tilt_axis_deg
                )
            ]
    except InputError:  # too small an image for tiles: the report goes without the picture
        return []


def _kept(series: TiltSeries, sections: list[int]) -> TiltSeries:
    """Return the series of those tilts that have a sum, counted anew."""
    by_order = sorted(sections, key=lambda section: series.tilts[section].order)
    tilts: list[Tilt] = [
        series.tilts[section].replace(section=place, order=by_order.index(section))
        for place, section in enumerate(sections)
    ]
    return series.replace(tilts=tuple(tilts))
