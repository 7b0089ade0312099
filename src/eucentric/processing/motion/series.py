"""The movement within every exposure of a series: each weighed alone, then all together."""

from collections.abc import Iterable, Sequence

import numpy as np

from eucentric.core import SILENT, EucentricError, Reporter
from eucentric.core.threads import threads_for
from eucentric.processing.motion.likelihood import fixed_pattern
from eucentric.processing.motion.local import LocalPrior, PatchEvidence, weigh_patches
from eucentric.processing.motion.prior import TemporalPrior
from eucentric.processing.motion.records import MotionSettings, MotionTrack, SeriesMotion
from eucentric.processing.motion.spectra import frame_spectra
from eucentric.processing.motion.track import TrackEvidence, weigh_track
from eucentric.processing.motion.transforms import Frame, Frames


class MovieEvidence:
    """What the frames of one exposure say, whatever others say.

    Parameters
    ----------
    frames
        Taken one by one.
    pixel_A
        Pixel size.
    settings
        How movement is looked for.
    which
        Which frames of the movie these are; all of them if absent.

    Raises
    ------
    InputError
        If there are no frames, their shapes differ, or they hold nothing.
    """

    def __init__(
        self,
        frames: Iterable[Frame],
        pixel_A: float,
        settings: MotionSettings,
        which: Sequence[int] | None = None,
    ) -> None:
        spectra = frame_spectra(frames, pixel_A, max(settings.resolution_A, 2 * pixel_A))
        self.frames = tuple(which) if which is not None else tuple(range(spectra.frames))
        self.track: TrackEvidence | None = None
        self.patches: PatchEvidence | None = None
        self.fixed_pattern = fixed_pattern(spectra)
        if spectra.frames < 2:
            return
        with threads_for(spectra.grid.rings.numel()):
            self.track = weigh_track(spectra, TemporalPrior(), settings.max_shift_A)
        if settings.local:
            with threads_for(0):  # patches are small
                self.patches = weigh_patches(spectra, self.track, pixel_A)

    def resolved(self, prior: TemporalPrior, local: LocalPrior | None) -> MotionTrack:
        """Return the track, in the light of what the series says."""
        if self.track is None or not self.track.information > 0:
            return MotionTrack.still(len(self.frames)).replace(frames=self.frames)
        shifts, sigma = prior.estimate(self.track.observed_yx_A, self.track.information)
        field = local.field(self.patches) if local is not None and self.patches is not None else None
        return MotionTrack(
            frames=self.frames,
            shifts_yx_A=tuple((float(y), float(x)) for y, x in shifts),
            sigma_A=tuple(float(one) for one in sigma),
            local=field,
        )


def estimate_movie(frames: Iterable[Frame], pixel_A: float, settings: MotionSettings | None = None) -> MotionTrack:
    """Return the track of a single movie, of which nothing else is known.

    Raises
    ------
    InputError
        If there are no frames, their shapes differ, or they hold nothing.
    """
    evidence = MovieEvidence(frames, pixel_A, settings or MotionSettings())
    return evidence.resolved(TemporalPrior(), LocalPrior([evidence.patches] if evidence.patches else []))


def estimate_series(
    movies: Sequence[Frames | None],
    pixel_A: float,
    settings: MotionSettings | None = None,
    *,
    which: Sequence[Sequence[int] | None] | None = None,
    reporter: Reporter = SILENT,
) -> SeriesMotion:
    """Return the tracks of all movies of a series; how one specimen moves, its other exposures tell too.

    Parameters
    ----------
    movies
        One for each tilt, in section order; None where there is none. One is open at a time.
    pixel_A
        Pixel size.
    settings
        How movement is looked for.
    which
        Which frames of its movie each gives, where some are missing.
    reporter
        Where progress goes.

    Returns
    -------
    SeriesMotion
        A movie that cannot be used has no track, and `reasons` says why; the others go on.
    """
    settings = settings or MotionSettings()
    weighed: list[MovieEvidence | None] = []
    reasons: dict[int, str] = {}
    with reporter.task("Following the specimen", len(movies)) as step:
        for section, movie in enumerate(movies):
            found = None
            if movie is None:
                reasons[section] = "there is no movie"
            else:
                try:
                    found = MovieEvidence(movie(), pixel_A, settings, None if which is None else which[section])
                except EucentricError as error:
                    reasons[section] = error.what
            weighed.append(found)
            step()
    usable = [one for one in weighed if one is not None]
    tracks = [one.track for one in usable if one.track is not None]
    patterns = [one.fixed_pattern for one in usable if one.fixed_pattern is not None]
    prior = TemporalPrior.learned([(np.asarray(track.observed_yx_A), track.information) for track in tracks])
    local = LocalPrior([one.patches for one in usable if one.patches is not None]) if settings.local else None
    return SeriesMotion(
        pixel_A=pixel_A,
        tracks=tuple(None if one is None else one.resolved(prior, local) for one in weighed),
        reasons=reasons,
        fixed_pattern=float(np.median(patterns)) if patterns else None,
    )
