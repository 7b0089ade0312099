"""`SummedMovies`: what the stages before the alignment made of movies, as those after it need it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eucentric.assessment import HalvesOf
from eucentric.optics import Lens, SeriesCTF
from eucentric.processing.motion.records import MotionTrack, SeriesMotion
from eucentric.workflow.records import GainFound, MoviesOutcome, Sums

_COARSEST_A = 12.0  # Nyquist beyond which two rings at most are seen at any usual defocus, and no fit can be trusted


@dataclass(frozen=True)
class CTFFound:
    """The CTF of a series; where there is none, `reason` says why, unless nobody asked."""

    series: SeriesCTF | None = None
    reason: str = ""


@dataclass(frozen=True)
class SummedMovies:
    """The sums of a series' movies, and what was learned on the way.

    Attributes
    ----------
    tilts
        How many the .mdoc has; `sums` says which of them the stacks hold.
    missing
        Sections whose movies could not be opened, of which the user was told when the series was loaded.
    sums, gain, motion
        As the stages left them; `motion` is by the .mdoc's sections.
    unweighted, even, odd
        Stacks beside the weighted one, of the same sections.
    halves
        What the two tomograms are to be made of.
    target_defocus_A
        What was asked for, by section of the stacks; None where nobody said.
    lens
        Of the microscope; None where its voltage is not known.
    """

    tilts: int
    missing: frozenset[int]
    sums: Sums
    gain: GainFound
    motion: SeriesMotion
    unweighted: Path
    even: Path
    odd: Path
    halves: HalvesOf
    target_defocus_A: tuple[float | None, ...]
    lens: Lens | None

    @property
    def tracks(self) -> tuple[MotionTrack, ...]:
        """The tracks of the sections of the stacks."""
        found = (self.motion.tracks[section] for section in self.sums.sections)
        return tuple(track for track in found if track is not None)

    def no_ctf(self) -> str:
        """Say why no CTF can be fitted, or nothing where it can."""
        pixel_A = self.sums.series.pixel_A
        if 2 * pixel_A > _COARSEST_A:
            return (
                f"pixels of {pixel_A:g} Å show no detail finer than {2 * pixel_A:.0f} Å, and rings coarser than "
                f"{_COARSEST_A:g} Å tell too little of the defocus"
            )
        if self.lens is None:
            return "nothing says the voltage of the microscope; give it with --voltage"
        return ""

    def doubts(self, found: CTFFound) -> tuple[str, ...]:
        """Return what a user should look at, each with a name."""
        name, said = self.sums.series.name, []
        if self.gain.unsure:
            said.append(f"{name}: {self.gain.unsure} [gain-unsure]")
        if self.motion.gain_is_wrong:
            share = 100 * (self.motion.fixed_pattern or 0)
            said.append(
                f"{name}: frames share a pattern of the camera's own ({share:.1f} % of their noise), which pulls "
                "shifts towards 0: gain reference or defects are not right. [camera-pattern]"
            )
        said += [
            f"{name}: the tilt of section {section} was left out of the stacks: {reason}. [movie-left-out]"
            for section, reason in sorted(self.sums.left_out.items())
            if section not in self.missing
        ]
        if found.reason and not self.no_ctf():
            said.append(f"{name}: no CTF was fitted: {found.reason} [no-ctf]")
        ctf = found.series
        if ctf is not None and ctf.hand is not None and not ctf.hand.sure:
            said.append(
                f"{name}: the ramp of defocus over tilted images was too weak to tell the defocus hand, so that each "
                "tilt was taken to have one defocus. [hand-unsure]"
            )
        return tuple(said)

    def outcome(self, stack: Path, found: CTFFound) -> MoviesOutcome:
        """Return the figures for the user."""
        tracks, ctf = self.tracks, found.series
        used = [tilt for tilt in ctf.tilts if tilt.used] if ctf else []
        return MoviesOutcome(
            tilts=self.tilts,
            left_out=self.sums.left_out,
            stack=stack,
            unweighted=self.unweighted,
            even=self.even,
            odd=self.odd,
            gain=self.gain.words(),
            motion_A=float(np.median([track.total_A for track in tracks])) if tracks else None,
            defocus_A=float(np.median([tilt.mean_A for tilt in used])) if used else None,
            hand=ctf.hand if ctf else None,
            ctf_thickness_A=ctf.thickness_A if ctf else None,
            ctf_reason=found.reason,
        )
