"""`SessionModel`: the session as it is now, brought after the journal a little at a time."""

import shutil
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from threading import Lock
from urllib.parse import quote

from eucentric.core import EucentricError
from eucentric.session import RunStatus
from eucentric.session.exposures import exposures_of
from eucentric.session.lock import LOCK, is_held
from eucentric.web.session.acquired import Acquired
from eucentric.web.session.alarms import Limits, series_alarms, session_alarms
from eucentric.web.session.excluding import can_exclude, excluded_now, is_heeded, marked, what_follows
from eucentric.web.session.following import NO_STAMP, Following, Run, Told, stamp
from eucentric.web.session.measured import Distilled, tilts_of
from eucentric.web.session.outdated import outdated_stages, queued_again
from eucentric.web.session.planned import Planned, beside_plan, find_plan
from eucentric.web.session.records import PreviewView, SeriesView, SessionView, StageView, TiltView
from eucentric.web.session.routes import FILES
from eucentric.workflow.excluded import EXCLUDED
from eucentric.workflow.live import SeriesState
from eucentric.workflow.live.preview import PREVIEW

_SLICE_S = 0.3  # of building at once: many series of a long session come one after the other
_HELD_S = 2.0  # between two questions whether a process holds the session: to ask is to touch its lock for an instant
_AGAIN_S = 10.0  # after which inputs from outside the session are looked at again, and the disk

FreeBytes = Callable[[Path], int]


def _free_bytes(folder: Path) -> int:
    return shutil.disk_usage(folder).free


class SessionModel:
    """What there is to see of the session at `folder`; threads may share it.

    Attributes
    ----------
    series
        Each as it was last built; a view is replaced by another when something of it has changed, and never altered.
    """

    def __init__(
        self,
        folder: Path,
        limits: Limits | None = None,
        *,
        free_bytes: FreeBytes = _free_bytes,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.folder = folder
        self.limits = limits or Limits()
        self.series: dict[str, SeriesView] = {}
        self._free_bytes, self._clock = free_bytes, clock
        self._following = Following(folder)
        self._files = Distilled()
        self._acquired = Acquired(folder)
        self._plans: dict[Path, tuple[int, Planned | None]] = {}
        self._pending: dict[str, None] = {}  # in the order in which they are to be built
        self._exclusions: dict[str, tuple[int, int]] = {}  # by series, what tells whether they have changed
        self._held: tuple[float, bool] = (float("-inf"), False)
        self._held_before: bool | None = None
        self._looked_at_s = float("-inf")
        self._session: SessionView | None = None
        self._lock = Lock()

    def advance(self, first: str | None = None) -> SessionView:
        """Take in what is new, build what has changed, and return the session as a whole.

        Parameters
        ----------
        first
            The series that somebody looks at: it is built before others, and outdated inputs are looked for.
        """
        with self._lock:
            asked = ""
            try:
                changed = self._following.advance()
            except EucentricError as error:
                changed, asked = frozenset(), str(error)
            now_s = self._clock()
            held = self._is_held(now_s)
            told = self._following.told
            changed |= self._acquired.advance(now_s)
            for name in changed - told.keys():  # a script's series, of which the journal tells nothing
                told[name] = Told(name)
            self._pending.update(dict.fromkeys(sorted(changed)))
            if held != self._held_before:  # what runs, runs no more, or again
                self._held_before = held
                self._pending.update(dict.fromkeys(one for one, series in self.series.items() if _unsettled(series)))
            again = now_s - self._looked_at_s > _AGAIN_S
            if first in told and (again or first in self._acquired.unsettled):
                self._pending[first] = None
            self._look_for_exclusions(told if again else told.keys() & {first})
            self._build(held, first, now_s)
            return self._as_a_whole(held, now_s, asked)

    @property
    def behind(self) -> int:
        """How many series are yet to be built."""
        return len(self._pending)

    def _look_for_exclusions(self, names: Iterable[str]) -> None:
        """Have series built anew whose tilts were excluded or taken back, by a page or by anybody else."""
        for name in names:
            now = stamp(self.folder / "series" / name / EXCLUDED)
            if now != self._exclusions.get(name, NO_STAMP):
                self._exclusions[name] = now
                self._pending[name] = None

    def _is_held(self, now_s: float) -> bool:
        asked_at_s, held = self._held
        if now_s - asked_at_s >= _HELD_S:
            held = is_held(self.folder / LOCK)
            self._held = (now_s, held)
        return held

    def _build(self, held: bool, first: str | None, now_s: float) -> None:
        if first in self._pending:
            self._pending = {str(first): None, **self._pending}
        while self._pending:
            name = next(iter(self._pending))
            del self._pending[name]
            view = series_view(
                self._following.told[name],
                self.folder,
                self._files,
                self._plan_of(self._following.told[name]),
                self.limits,
                self._acquired,
                held=held,
                acquiring=self._following.acquiring,
                watching=self._following.watching,
            )
            if self.series.get(name) != view:
                self.series[name] = view
            if self._clock() - now_s > _SLICE_S:
                break

    def _as_a_whole(self, held: bool, now_s: float, asked: str) -> SessionView:
        if now_s - self._looked_at_s > _AGAIN_S or self._session is None:
            free = self._free_bytes(self.folder)
            self._looked_at_s = now_s
        else:
            free = self._session.free_bytes
        plan = next((planned for _, planned in self._plans.values() if planned is not None), None)
        self._session = SessionView(
            name=self.folder.name,
            held=held,
            free_bytes=free,
            alarms=session_alarms(
                free,
                held=held,
                series=self.series.values(),
                limits=self.limits.for_plan(plan.plan if plan else None),
                asked=asked,
            ),
        )
        return self._session

    def _plan_of(self, told: Told) -> Planned | None:
        path = find_plan(self.folder, told)
        if path is None:
            return None
        try:
            stamp = path.stat().st_mtime_ns
            known = self._plans.get(path)
            if known is None or known[0] != stamp:
                known = (stamp, None)
                self._plans[path] = known
                known = self._plans[path] = (stamp, Planned.read(path))
        except (OSError, EucentricError):  # a plan that cannot be read is none: processing tells of it
            return None
        return known[1]


def series_view(
    told: Told,
    folder: Path,
    files: Distilled,
    plan: Planned | None,
    limits: Limits,
    acquired: Acquired,
    *,
    held: bool,
    acquiring: bool = False,
    watching: bool = False,
) -> SeriesView:
    """Return a series as journal and files have it.

    Parameters
    ----------
    told
        By the journal.
    folder
        The session.
    files
        What was read before.
    plan
        That it was acquired by, if it is known.
    limits
        From where on something is alarming.
    acquired
        What acquisition has left in the session.
    held
        Whether a process works in the session: without one, nothing runs.
    acquiring
        Whether an acquisition is under way.
    watching
        Whether a watcher works in the session, if anybody does.
    """
    excluded = excluded_now(told, folder, files)
    tilts, predicted = beside_plan(marked(tilts_of(told, folder, files, acquired), excluded), plan)
    aligned = told.finished.get("align")
    heeded = aligned is None or is_heeded(aligned, told, excluded, folder, files)
    outdated = outdated_stages(told, folder, "" if heeded else "other tilts are excluded now")
    state, reason, since = _state(told, held=held, acquiring=acquiring, acquired=bool(tilts))
    assessed = told.finished["assess"].metrics if "assess" in told.finished else {}
    results = folder / "series" / told.name
    has_tomogram = (results / "tomogram.mrc").is_file() or (results / "tomogram.zarr").is_dir()
    view = SeriesView(
        name=told.name,
        state=state,
        reason=reason,
        since=since,
        stages=tuple(
            _stage(run, outdated.get(run.stage, ""), held) for run in sorted(told.runs.values(), key=lambda r: r.number)
        ),
        tilts=tilts,
        plan=predicted,
        spent_e_A2=_spent_e_A2(told, tilts),
        planned_e_A2=plan.total_e_A2 if plan else None,
        resolution_A=assessed.get("resolution_A"),
        thickness_A=assessed.get("thickness_A"),
        has_report=(results / "report.html").is_file(),
        has_tomogram=has_tomogram,
        restored=tuple(sorted(stage.removeprefix(_RESTORE) for stage in told.finished if stage.startswith(_RESTORE))),
        preview=None if has_tomogram else _preview(told),
        can_exclude=can_exclude(told),
        exclusions=what_follows(told, excluded, folder, files, watched=watching and held),
        outdated=queued_again(told),
    )
    return view.replace(alarms=series_alarms(view, limits))


def _unsettled(view: SeriesView) -> bool:
    return view.state not in (SeriesState.DONE, SeriesState.FAILED) or bool(view.exclusions)


def _stage(run: Run, outdated: str, held: bool) -> StageView:
    status = run.status
    if status is RunStatus.RUNNING and not held:
        status = RunStatus.INTERRUPTED
    return StageView(
        name=run.stage,
        status=status,
        started_at=run.started_at,
        seconds=run.seconds,
        reason=run.reason,
        outdated="" if status is RunStatus.RUNNING else outdated,
    )


def _preview(told: Told) -> PreviewView | None:
    run = told.preview
    if run is None or "preview_tilts" not in run.metrics:  # of another version
        return None
    picture = f"{FILES}/{quote(told.name, safe='')}/{PREVIEW}?v={run.ended}"
    return PreviewView(tilts=run.metrics["preview_tilts"], picture=picture)


def _spent_e_A2(told: Told, tilts: tuple[TiltView, ...]) -> float | None:
    """Return what the specimen has received, by the exposures that were announced, else by those of the tilts."""
    if told.exposures:
        return sum(one.exposure_e_A2 for one in exposures_of(told.exposures) if one.received)
    known = [tilt.exposure_e_A2 for tilt in tilts if tilt.exposure_e_A2 is not None]
    return sum(known) if known else None


def _state(told: Told, *, held: bool, acquiring: bool, acquired: bool) -> tuple[SeriesState, str, str]:
    """Return how far a series is, why, and since when: the watcher's word, unless stages have run since."""
    runs = sorted(told.runs.values(), key=lambda run: max(run.number, run.ended))
    last = runs[-1] if runs else None
    begun = max((run.number for run in runs), default=0)
    looked = max((run.number for run in told.looks.values()), default=0)
    if told.live is not None and told.live.id > max(begun, looked):
        return _by_watcher(told)
    if last is not None and begun >= looked:
        return _by_run(last, held, watched=told.live is not None)
    if told.looks:
        latest = max(told.looks.values(), key=lambda run: run.number)
        return SeriesState.GROWING, "", latest.started_at
    if told.exposures or acquired:  # the journal tells of each exposure, or there is a script's .mdoc alone
        at = told.exposures[-1].at if told.exposures else ""
        return (SeriesState.GROWING if acquiring and held else SeriesState.DONE), "", at
    return SeriesState.QUEUED, "", ""


def _by_watcher(told: Told) -> tuple[SeriesState, str, str]:
    live = told.live
    if live is None:
        raise ValueError("no watcher has said anything")
    kind, reason = live.kind.removeprefix("live."), str(live.body.get("reason", ""))
    if kind == "queued":
        missing = int(live.body.get("missing", 0))
        return SeriesState.QUEUED, f"{missing} of its images have not come." if missing else "", live.at
    if kind == "retried":
        return SeriesState.QUEUED, f"{reason} It is tried again.", live.at
    return (SeriesState.DONE if kind == "done" else SeriesState.FAILED), reason, live.at


def _by_run(last: Run, held: bool, *, watched: bool) -> tuple[SeriesState, str, str]:
    if last.status is RunStatus.RUNNING:
        at_work = SeriesState.GROWING if last.stage == "simulate" else SeriesState.PROCESSING
        return (at_work if held else SeriesState.QUEUED), "", last.started_at
    if last.status is RunStatus.FAILED:
        return SeriesState.FAILED, f"{last.stage}: {last.reason}", last.started_at
    if last.status is RunStatus.INTERRUPTED:
        return SeriesState.QUEUED, f"{last.stage} was interrupted.", last.started_at
    # Between two stages, a process that holds the session goes on to the next one.
    ends = last.stage in _LAST_STAGES or last.stage.startswith(_RESTORE)
    going_on = not ends or watched
    return (SeriesState.PROCESSING if held and going_on else SeriesState.DONE), "", last.started_at


_LAST_STAGES = ("report", "simulate", "import")
"""After which `eucentric process`, `simulate` and `import` have nothing left to do with a series."""

_RESTORE = "restore_"
"""What the stages of `eucentric restore` begin with, of which each method has one."""
