"""What is alarming, and from where on: all thresholds of the session page are here, and the page states them."""

from collections.abc import Iterable, Iterator

from eucentric.core import Record
from eucentric.design import Plan
from eucentric.web.session.records import Alarm, AlarmKind, SeriesView, TiltView
from eucentric.workflow.live import SeriesState

_GB = 1e9


class Limits(Record):
    """From where on something is alarming.

    Attributes
    ----------
    counts_share
        A tilt has lost counts that has less than this share of what the others make it expect: half is a grid bar, an
        aperture, a beam that moved away or ice that grew, and no slab's slope.
    drift_A
        The way of the specimen within an exposure: beyond 20 Å, frames of 2 Å and more each are blurred.
    defocus_A
        Off the defocus that was asked for: half of a µm, by which series usually vary it.
    rings_A
        The fit to a single image counts only where it sees rings to such a detail: of fewer rings, another defocus may
        fit as well. That of a series counts where it saw any.
    disk_GB
        What the disk must have left: a few series of movies. A plan whose own policy asks for more is followed.
    """

    counts_share: float = 0.5
    drift_A: float = 20.0
    defocus_A: float = 5000.0
    rings_A: float = 15.0
    disk_GB: float = 10.0

    def for_plan(self, plan: Plan | None) -> "Limits":
        """Return the limits for the series of a plan."""
        if plan is None:
            return self
        return self.replace(disk_GB=max(self.disk_GB, plan.acquisition.policies.disk_low.least_GB))


def series_alarms(view: SeriesView, limits: Limits) -> tuple[Alarm, ...]:
    """Return what is alarming of a series, and of its tilts in the order of acquisition; not of excluded ones."""
    found = []
    if view.state is SeriesState.FAILED:
        found.append(Alarm(kind=AlarmKind.FAILED, text=view.reason or "It failed.", series=view.name))
    for tilt in view.tilts:
        found += [
            Alarm(kind=kind, text=f"{_angle(tilt)}: {text}", series=view.name, section=tilt.section)
            for kind, text in _of_tilt(tilt, limits)
            if not tilt.excluded
        ]
    return tuple(found)


def _of_tilt(tilt: TiltView, limits: Limits) -> Iterator[tuple[AlarmKind, str]]:
    if tilt.left_out:
        yield AlarmKind.MOVIE, f"left out: {tilt.left_out}"
        return
    share, off_A = tilt.counts_share, tilt.defocus_off_A
    if share is not None and share < limits.counts_share:
        yield AlarmKind.COUNTS, f"{100 * share:.0f} % of the counts that the other tilts make it expect"
    if tilt.motion_A is not None and tilt.motion_A > limits.drift_A:
        yield AlarmKind.DRIFT, f"moved by {tilt.motion_A:.0f} Å within the exposure"
    rings_A = tilt.fit_resolution_A
    trusted = rings_A is not None and (tilt.refined or rings_A <= limits.rings_A)
    if off_A is not None and trusted and abs(off_A) > limits.defocus_A:
        meant = f"{(tilt.target_defocus_A or 0) / 1e4:.2f} µm were asked for"
        yield AlarmKind.DEFOCUS, f"defocus {(tilt.defocus_A or 0) / 1e4:.2f} µm, {meant}"


def session_alarms(
    free_bytes: int, *, held: bool, series: Iterable[SeriesView], limits: Limits, asked: str = ""
) -> tuple[Alarm, ...]:
    """Return what is alarming of the session as a whole.

    Parameters
    ----------
    free_bytes
        What its disk has left.
    held
        Whether a process works in it.
    series
        All of them.
    limits
        From where on.
    asked
        Why the session could not be looked at, if so.
    """
    found = [Alarm(kind=AlarmKind.STOPPED, text=asked)] if asked else []
    if free_bytes < limits.disk_GB * _GB:
        found.append(
            Alarm(kind=AlarmKind.DISK, text=f"{free_bytes / _GB:.1f} GB are left; {limits.disk_GB:g} GB should be.")
        )
    waiting = [one.name for one in series if one.state not in (SeriesState.DONE, SeriesState.FAILED)]
    if waiting and not held:
        names = ", ".join(waiting[:3]) + (" and others" if len(waiting) > 3 else "")
        found.append(
            Alarm(
                kind=AlarmKind.STOPPED,
                text=f"No process works in this session, and {names} {'is' if len(waiting) == 1 else 'are'} not done. "
                "The same command goes on where it stopped.",
            )
        )
    return tuple(found)


def _angle(tilt: TiltView) -> str:
    return f"{tilt.tilt_deg:+.1f}°".replace("-", "−")
