"""What became of a series, in lines for a terminal."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from eucentric.workflow.records import MoviesOutcome, ProcessOutcome


def describe(outcome: "ProcessOutcome") -> Iterator[str]:
    """Say in a few lines what was found and where it lies."""
    from eucentric.assessment import BOTH_HALVES

    depth, rows, columns = outcome.shape_zyx
    total = outcome.tilts_used + len(outcome.tilts_left_out)
    uncertainty = outcome.tilt_axis_uncertainty_deg
    axis = f"{outcome.tilt_axis_deg:.2f}°" + (" (given)" if uncertainty is None else f" ± {uncertainty:.2f}°")
    yield (
        f"{outcome.series}: {outcome.tilts_used} of {total} tilts, tilt axis {axis}, "
        f"residual {outcome.median_residual_A:.1f} Å, tomogram {depth} x {rows} x {columns} voxels "
        f"of {outcome.voxel_A:g} Å"
    )
    for section, reason in sorted(outcome.tilts_left_out.items()):
        yield f"  left out: section {section}, {reason}"
    if outcome.movies:
        yield from _of_movies(outcome.movies)
    halves = BOTH_HALVES[outcome.halves]
    known = [
        f"{halves} agree to {outcome.resolution_A:.0f} Å (FSC 0.143)" if outcome.resolution_A else "",
        f"thickness {outcome.thickness_A / 10:.0f} nm from counts" if outcome.thickness_A else "",
    ]
    if any(known):
        yield f"  {'; '.join(filter(None, known))}"
    ran = [f"{stage.stage} {stage.seconds:.1f} s" for stage in outcome.stages if stage.ran]
    yield f"  {', '.join(ran) if ran else 'nothing had changed: all stages were done before'}"
    yield f"Report: {outcome.report}"


def _of_movies(movies: "MoviesOutcome") -> Iterator[str]:
    """Say what the movies told, which of them are not in the stacks, and why."""
    if movies.gain:
        yield f"  gain reference: {movies.gain}"
    for section, reason in sorted(movies.left_out.items()):
        yield f"  no sum of the movie of section {section}: {reason}"
    known = [
        f"movement {movies.motion_A:.1f} Å a tilt (median)" if movies.motion_A is not None else "",
        f"defocus {movies.defocus_A / 1e4:.2f} µm (median)" if movies.defocus_A is not None else "",
        f"no CTF: {movies.ctf_reason}" if movies.ctf_reason else "",
    ]
    if movies.hand:
        sure = "" if movies.hand.sure else ", too small to rely on"
        known.append(f"defocus hand {movies.hand.hand:+d} (log odds {movies.hand.log_odds:.0f}{sure})")
    yield f"  {'; '.join(filter(None, known))}"
