"""`Watch`: sees what has come, has workers do what is to be done, and keeps account of every series.

All that it knows is in the folder and in the journal: killed at any moment and started again, it goes on from there.
"""

import hashlib
import json
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Event

from eucentric.core import SILENT, EucentricError, Reporter
from eucentric.io.movie_series import find_gain
from eucentric.session import JournalAddress, Session
from eucentric.workflow.excluded import excluded_stamp
from eucentric.workflow.live.arrivals import Arrivals, Arrived
from eucentric.workflow.live.asking import ask_for_look
from eucentric.workflow.live.crew import Crew, WorkerLostError
from eucentric.workflow.live.previews import Previews
from eucentric.workflow.live.records import (
    SeriesProgress,
    SeriesRequest,
    SeriesState,
    Source,
    TaskOutcome,
    WatchSettings,
)
from eucentric.workflow.live.stacks import Stamp
from eucentric.workflow.live.tasks import process_one, take_look
from eucentric.workflow.process import VERSIONS

_WAITS = 3.0  # longest waits of its own that a series is quiet for before it counts as ended
_SHARE = 20.0  # times what a look at the folder takes, from one to the next
_LOOK_S = 2.0  # from one to the next at most
_BACK_OFF_S = 2.0  # before the second try; twice that before the third

Told = Callable[[TaskOutcome], None]


@dataclass
class _Series:
    """What the watcher knows of a series, besides what has arrived of it."""

    arrived: Arrived
    looked: dict[int, Stamp] = field(default_factory=dict)
    looks_under_way: set[int] = field(default_factory=set)
    look_tries: dict[int, int] = field(default_factory=dict)
    state: SeriesState = SeriesState.GROWING
    reason: str = ""
    tries: int = 0
    not_before_s: float = 0.0
    made_from: tuple[object, ...] = ()
    digest: str = ""


class Watch:
    """Watches a folder.

    Parameters
    ----------
    session
        Where results and the journal go; held by this process, and `served` at `address` to the workers.
    arrivals
        Sees the folder.
    crew
        The workers.
    settings
        How to watch and to process.
    given
        The source of every series, of which gain, pixel and exposure are taken, where they are there.
    device
        Where workers compute.
    reporter
        Where lines go.
    clock
        Tells seconds; never goes back.
    """

    def __init__(
        self,
        session: Session,
        address: JournalAddress,
        arrivals: Arrivals,
        crew: Crew,
        settings: WatchSettings,
        *,
        gain: Path | None = None,
        pixel_A: float | None = None,
        exposure_e_A2: float | None = None,
        device: str = "cpu",
        reporter: Reporter = SILENT,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._session, self._address, self._arrivals, self._crew = session, address, arrivals, crew
        self._settings, self._device, self._reporter, self._clock = settings, device, reporter, clock
        self._gain, self._pixel_A, self._exposure_e_A2 = gain, pixel_A, exposure_e_A2
        self._series: dict[str, _Series] = {}
        self._looked_s = self._look_at = 0.0
        self._once = self._finishing = False
        self._heard: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._previews = Previews(
            session, address, crew, settings.process, device=device, reporter=reporter, when_done=self._when_done
        )
        self._before = {event.series: event.body for event in session.events("live.done") if event.series}
        # What results were made from: better than what is left once their files were taken away.
        self._worth = {name: tuple(body.get("worth", (True, 1))) for name, body in self._before.items()}

    def run(self, *, once: bool = False, poll_s: float = 0.25, stop: Event | None = None) -> tuple[SeriesProgress, ...]:
        """Watch until told to stop, or with `once` until nothing is left to be done; return how far each series is."""
        stop, self._once = stop or Event(), once
        self._session.note("watch.started", {})
        while not stop.is_set():
            self.step()
            if once and self._idle():
                break
            self._hear(poll_s)
        return self.progress()

    def finish(self) -> tuple[SeriesProgress, ...]:
        """Take note of what workers still did once this was stopped, and have ended; return how far each series is."""
        self._finishing = True
        while self._hear(0):
            pass
        return self.progress()

    def step(self) -> None:
        """See what has come by now, and send workers what is to be done."""
        now_s = self._clock()
        if now_s >= self._look_at:
            self._arrivals.look(now_s)
            self._looked_s = now_s
            # Where a look takes long, as on a slow disk with many series, most of the time is left to the workers.
            self._look_at = now_s + min(_LOOK_S, _SHARE * (self._clock() - now_s))
        while self._hear(0):
            pass
        for name, arrived in self._arrivals.series.items():
            if name not in self._series:
                self._series[name] = _Series(arrived)
            self._consider(self._series[name])
        self._send_series(now_s)
        self._send_preview()

    def progress(self) -> tuple[SeriesProgress, ...]:
        """Return how far each series is."""
        return tuple(
            SeriesProgress(
                series=name,
                state=one.state,
                tilts=len(one.arrived.facts.sections) if one.arrived.facts else 0,
                looked_at=len(one.looked) - len(one.looks_under_way),
                reason=one.reason or one.arrived.reason,
            )
            for name, one in sorted(self._series.items())
        )

    def _idle(self) -> bool:
        busy = (SeriesState.QUEUED, SeriesState.PROCESSING)
        for one in self._series.values():
            readable = one.arrived.facts is not None
            if one.state in busy or one.looks_under_way or (one.state is SeriesState.GROWING and readable):
                return False
        return True

    def _consider(self, one: _Series) -> None:
        arrived = one.arrived
        if arrived.facts is None:
            one.reason = arrived.reason
            return
        if one.state in (SeriesState.QUEUED, SeriesState.PROCESSING):
            return
        ended = self._ended(arrived)
        # Of one that had ended before it was first seen, and where nobody waits for more, looks come too late.
        if (one.looked or not ended) and not self._once:
            self._send_looks(one)
        if not ended:
            one.state = SeriesState.GROWING
            return
        if arrived.worth < self._worth.get(arrived.name, (False, 0)):
            one.state = SeriesState.DONE
            return
        made_from = self._made_from(arrived)
        if made_from == one.made_from:  # done or failed with just these
            one.state = SeriesState.FAILED if one.reason else SeriesState.DONE
            return
        one.made_from, one.tries = made_from, 0
        one.digest = digest = self._digest(made_from)
        if self._before.pop(arrived.name, {}).get("digest") == digest:  # once: what is done now is done otherwise
            one.state = SeriesState.DONE
            return
        one.state, one.reason = SeriesState.QUEUED, ""
        self._note("queued", one, {"tilts": arrived.worth[1], "missing": len(arrived.waiting)})
        if arrived.stack and arrived.names_movies:
            self._reporter.say(f"{arrived.name}: none of its movies came; it is processed from {arrived.stack.name}.")

    def _ended(self, arrived: Arrived) -> bool:
        """Whether nothing more is to be expected of a series, or has been waited for long enough."""
        settings, tilts = self._settings, len(arrived.facts.sections) if arrived.facts else 0
        if settings.tilts is not None and tilts >= settings.tilts and not arrived.waiting:
            return True
        # What is there must have had the time to be seen to be whole.
        quiet_s = max(settings.quiet_s, 2 * settings.settle_s, _WAITS * arrived.longest_wait_s)
        lacks = bool(arrived.waiting) or (settings.tilts is not None and tilts < settings.tilts)
        return self._looked_s - arrived.changed_at >= quiet_s + (settings.late_s if lacks else 0)

    def _made_from(self, arrived: Arrived) -> tuple[object, ...]:
        """Return what of its own tells whether a series is still the one that was processed, without reading it."""
        stamps = [(section, *stamp) for section, stamp in arrived.stamps.items()]
        excluded = excluded_stamp(self._session.folder / "series" / arrived.name)
        return (arrived.stack_stamp if arrived.stack else sorted(stamps), arrived.mdoc_stamp, excluded)

    def _digest(self, made_from: tuple[object, ...]) -> str:
        """Return what tells the same to a watcher that is started anew, with the settings that all series share."""
        images, mdoc, excluded = made_from
        told: list[object] = [
            images,
            mdoc,
            self._settings.process.model_dump(mode="json"),
            [self._pixel_A, self._exposure_e_A2, str(self._gain)],
            VERSIONS,
        ]
        if excluded:
            told.append(excluded)
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()

    def _source(self, arrived: Arrived) -> Source:
        return Source(
            mdoc=arrived.mdoc,
            frames=arrived.frames,
            stack=arrived.stack,
            gain=self._gain or find_gain(arrived.frames),
            pixel_A=self._pixel_A,
            exposure_e_A2=self._exposure_e_A2,
        )

    def _send_looks(self, one: _Series) -> None:
        arrived = one.arrived
        for section, movie in arrived.movies.items():
            stamp = arrived.stamps[section]
            if one.looked.get(section) == stamp or section in one.looks_under_way:
                continue
            one.looked[section] = stamp
            self._send_look(one, section, movie)

    def _send_look(self, one: _Series, section: int, movie: Path) -> None:
        arrived = one.arrived
        if arrived.facts is None:
            return
        try:
            asked = ask_for_look(
                self._address,
                self._source(arrived),
                arrived.name,
                arrived.facts,
                section,
                movie,
                self._settings.process,
                self._device,
            )
        except EucentricError:  # a stack that went away meanwhile, perhaps: it is seen in the next step
            one.looked.pop(section, None)
            return
        try:
            if self._session.state(asked.plan).done:
                return
        except EucentricError:  # the movie went away meanwhile, perhaps: the worker will say
            pass
        one.looks_under_way.add(section)
        one.look_tries[section] = one.look_tries.get(section, 0) + 1

        def told(outcome: TaskOutcome) -> None:
            one.looks_under_way.discard(section)
            if outcome.again and one.look_tries[section] < self._settings.tries:
                one.looked.pop(section, None)
            self._tell_look(one, section, outcome)

        self._when_done(self._crew.submit(take_look, asked.request, urgent=True), told)

    def _send_series(self, now_s: float) -> None:
        under_way = sum(one.state is SeriesState.PROCESSING for one in self._series.values())
        growing = any(one.state is SeriesState.GROWING and one.arrived.facts for one in self._series.values())
        # While the microscope works, one worker is kept for the tilts that come: they are looked at within seconds.
        room = max(1, self._crew.size - 1 if growing else self._crew.size)
        queued = [one for one in self._series.values() if one.state is SeriesState.QUEUED and now_s >= one.not_before_s]
        for one in queued[: max(0, room - under_way)]:
            self._send_one(one)

    def _send_one(self, one: _Series) -> None:
        one.state, one.tries, worth = SeriesState.PROCESSING, one.tries + 1, one.arrived.worth
        request = SeriesRequest(
            journal=self._address,
            source=self._source(one.arrived),
            series=one.arrived.name,
            settings=self._settings.process,
            device=self._device,
        )

        def told(outcome: TaskOutcome) -> None:
            one.reason = outcome.reason
            if outcome.done:
                one.state = SeriesState.DONE
                self._worth[one.arrived.name] = worth
                self._note("done", one, {"digest": one.digest, "worth": worth})
                self._reporter.say(f"{one.arrived.name}: done.")
            elif outcome.again and self._finishing:  # the next watcher takes it up
                one.state = SeriesState.QUEUED
            elif outcome.again and one.tries < self._settings.tries:
                one.state = SeriesState.QUEUED
                one.not_before_s = self._clock() + _BACK_OFF_S * 2 ** (one.tries - 1)
                self._note("retried", one, {"reason": outcome.reason, "tries": one.tries})
                self._reporter.say(f"{one.arrived.name}: {outcome.reason} It is tried again.")
            else:
                one.state = SeriesState.FAILED
                self._note("failed", one, {"reason": outcome.reason, "digest": one.digest})
                self._reporter.say(f"{one.arrived.name}: failed: {outcome.reason}")

        self._when_done(self._crew.submit(process_one, request), told)

    def _send_preview(self) -> None:
        """Have a preview made where a worker is free and nothing waits to be looked at."""
        every = self._series.values()
        busy = sum(one.state is SeriesState.PROCESSING for one in every) + self._previews.under_way
        if any(one.looks_under_way for one in every) or busy >= self._crew.size:
            return
        for one in every:
            facts = one.arrived.facts if one.state is SeriesState.GROWING else None
            if facts is not None and self._previews.send(one.arrived.name, facts, one.looked):
                return

    def _when_done(self, future: "Future[TaskOutcome]", told: Told) -> None:
        """Have `told` called by this thread with what came of a task."""

        def heard(done: "Future[TaskOutcome]") -> None:
            self._heard.put(lambda: told(_outcome(done)))

        future.add_done_callback(heard)

    def _hear(self, wait_s: float) -> bool:
        """Take note of one task that has ended, waiting for it as long as is said; whether there was one."""
        try:
            told = self._heard.get(timeout=wait_s) if wait_s else self._heard.get_nowait()
        except Empty:
            return False
        told()
        return True

    def _tell_look(self, one: _Series, section: int, outcome: TaskOutcome) -> None:
        name = one.arrived.name
        if not outcome.done:
            self._reporter.say(f"{name}: section {section}: {outcome.reason}")
            return
        run = self._session.last(name, f"look-{section:03d}")
        if run is None:
            return
        seen = run.metrics
        words = [f"{seen['tilt_deg']:+.1f}°", f"{seen['counts']:.3g} counts"]
        if seen["motion_A"] is not None:
            words.append(f"moved {seen['motion_A']:.1f} Å")
        if seen["defocus_A"] is not None:
            words.append(f"defocus {seen['defocus_A'] / 1e4:.2f} µm, rings to {seen['fit_resolution_A']:.1f} Å")
        self._reporter.say(f"{name}: {', '.join(words)}.")

    def _note(self, kind: str, one: _Series, body: dict[str, object]) -> None:
        self._session.note(f"live.{kind}", body, series=one.arrived.name)


def _outcome(done: "Future[TaskOutcome]") -> TaskOutcome:
    if done.cancelled():
        return TaskOutcome(reason="the watcher ended before it was begun.", again=True)
    error = done.exception()
    if error is None:
        return done.result()
    if isinstance(error, WorkerLostError):
        return TaskOutcome(reason=f"its worker was lost: {error}.", again=True)
    if isinstance(error, EucentricError):  # the session could not be joined, say
        return TaskOutcome(reason=str(error), again=True)
    return TaskOutcome(reason=f"an error of Eucentric itself ({type(error).__name__}: {error}). Please report it.")
