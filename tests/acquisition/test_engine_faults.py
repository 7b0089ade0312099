"""Everything that can go wrong, one at a time: each ends in its policy, and no exposure is lost or made twice.

Plans have 7 tilts (0, +10, -10, -20, +20, +30, -30) of two targets and a tracking area. States of a target's exposures
are spelt d (delivered), u (uncertain), s (skipped).
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from acquisition_cases import (
    ALONE,
    acquired,
    assert_nothing_lost,
    beginning,
    policies_used,
    records,
    small_plan,
    states,
)

from eucentric.acquisition import Happened
from eucentric.session import read_events
from eucentric.twin.log import read_log

D7 = "ddddddd"


@dataclass(frozen=True)
class Case:
    """A fault, the policies where they are not the default ones, and what is to come of it."""

    what: str
    fault: str
    finish: str = "finished"
    first: str = D7
    second: str = D7
    policies: tuple[tuple[str, str], ...] = ()
    changed: dict[str, Any] = field(default_factory=dict)


ABORT_STAGE: dict[str, Any] = {"stage_failed": {"action": "abort"}}
CASES = (
    Case("a tilt is refused once", "tilt at 10: refuse", policies=(("stage_failed", "retry"),)),
    Case(
        "a tilt is refused for good: its side is given up",
        "tilt at 20 times 0: refuse",
        first="ddddssd",
        second="ddddssd",
        policies=(("stage_failed", "retry"), ("stage_failed", "stop-side")),
    ),
    Case(
        "a tilt is refused for good: skipped, where the plan says so",
        "tilt at 20 times 0: refuse",
        first="ddddsdd",
        second="ddddsdd",
        policies=(("stage_failed", "skip"),),
        changed={"stage_failed": {"action": "skip"}},
    ),
    Case(
        "a tilt is refused: the run ends, where the plan says so",
        "tilt at 20: refuse",
        finish="aborted",
        first="dddd",
        second="dddd",
        policies=(("stage_failed", "abort"),),
        changed=ABORT_STAGE,
    ),
    Case("no answer to a tilt that was not made", "tilt at 10: timeout", policies=(("stage_failed", "retry"),)),
    Case("no answer to a tilt that was made", "tilt at 10: timeout-done", policies=(("stage_failed", "retry"),)),
    Case("a tilt ends elsewhere", "tilt at 10: off 0.8", policies=(("stage_failed", "retry"),)),
    Case(
        "image shift is refused once",
        "image-shift after 20: refuse",
        policies=(("lens_refused", "retry"),),
    ),
    Case("no answer to a beam shift", "beam-shift after 20: timeout-done", policies=(("lens_refused", "retry"),)),
    Case("the focus is refused once", "defocus after 20: refuse", policies=(("lens_refused", "retry"),)),
    Case("beam tilt is refused once", "beam-tilt after 6: refuse", policies=(("lens_refused", "retry"),)),
    Case(
        "no beam before an exposure; it comes back",
        "record order 2 target TS_001: no-beam returns 100",
        policies=(("beam_gone", "wait"),),
    ),
    Case(
        "the beam goes during an exposure: what was delivered counts, and is not repeated",
        "record order 2 target TS_001: beam-lost returns 100",
        policies=(("camera_failed", "go-on"), ("beam_gone", "wait")),
    ),
    Case(
        "the beam stays away: the run ends and can be resumed",
        "record order 2 target TS_001: no-beam",
        finish="aborted",
        first="dd",
        second="dd",
        policies=(("beam_gone", "wait"), ("beam_gone", "abort")),
        changed={"beam_gone": {"tries": 3}},
    ),
    Case(
        "no beam for a tracking image",
        "track after 4: no-beam returns 100",
        policies=(("beam_gone", "wait"),),
    ),
    Case(
        "the beam goes during a tracking image",
        "track after 4: beam-lost returns 100",
        policies=(("tracking_failed", "retry"), ("beam_gone", "wait")),
    ),
    Case(
        "no answer to an exposure that was made",
        "record order 3 target TS_002: timeout-done",
        second="ddduddd",
        policies=(("camera_failed", "go-on"),),
    ),
    Case(
        "no answer to an exposure that was not made: nobody knows that",
        "record order 3 target TS_002: timeout",
        second="ddduddd",
        policies=(("camera_failed", "go-on"),),
    ),
    Case(
        "no answer, again and again: the run ends",
        "record after 4 times 0: timeout-done",
        finish="aborted",
        first="dduu",
        second="ddu",
        policies=(("camera_failed", "go-on"), ("camera_failed", "abort")),
    ),
    Case(
        "the camera fails: what was delivered counts",
        "record order 3 target TS_002: no-frames",
        policies=(("camera_failed", "go-on"),),
    ),
    Case(
        "most frames are dropped",
        "record order 3 target TS_002: dropped-frames 6",
        policies=(("camera_failed", "go-on"),),
    ),
    Case("few frames are dropped: no policy is called on", "record order 3 target TS_002: dropped-frames 1"),
    Case(
        "counts are lost: the side is given up",
        "record order 3 target TS_002: dim 0.05",
        second="dddddds",
        policies=(("lost_counts", "stop-side"),),
    ),
    Case(
        "an image is dark: the run goes on, where the plan says so",
        "record order 3 target TS_002: dark",
        policies=(("lost_counts", "go-on"),),
        changed={"lost_counts": {"action": "go-on"}},
    ),
    Case("a tracking image is dark", "track after 5: dark", policies=(("tracking_failed", "retry"),)),
    Case(
        "tracking images stay dark: on with what the model predicts",
        "track after 5 times 0: dark",
        policies=(("tracking_failed", "retry"), ("tracking_failed", "go-on")) * 5,
    ),
    Case("focus images are dark", "focus after 2 times 2: dark", policies=(("defocus_off", "retry"),)),
    Case("a focus image is not answered", "focus after 3: timeout-done", policies=(("defocus_off", "retry"),)),
    Case(
        "the user interrupts an exposure: it is uncertain",
        "record order 3 target TS_001: interrupt",
        finish="aborted",
        first="dddu",
        second="ddd",
    ),
    Case(
        "a driver has a bug during an exposure: it is uncertain",
        "record order 3 target TS_001: crash",
        finish="failed",
        first="dddu",
        second="ddd",
    ),
    Case("a driver has a bug during a tilt", "tilt at 20: crash", finish="failed", first="dddd", second="dddd"),
)


@pytest.mark.parametrize("case", CASES, ids=[case.what for case in CASES])
def test_each_trouble_ends_in_its_policy_and_nothing_is_lost(case: Case, tmp_path: Path) -> None:
    folder = tmp_path / "session"
    outcome = acquired(folder, beginning(small_plan(**case.changed)), faults=[case.fault])
    assert outcome.struck, "the fault did not strike"
    assert outcome.finish == case.finish, outcome.reason
    assert (states(folder), states(folder, "TS_002")) == (case.first, case.second)
    assert policies_used(folder) == list(case.policies)
    assert_nothing_lost(folder)


def test_there_are_twenty_kinds_of_trouble_at_least() -> None:
    kinds = {(case.fault.split()[0], case.fault.partition(": ")[2].split()[0]) for case in CASES}
    assert len(kinds) >= 20


def test_what_the_beam_had_delivered_when_it_went_is_booked(tmp_path: Path) -> None:
    """Half of 2 e/Å²; the exposure has no movie, and those after it know of what was received."""
    acquired(tmp_path, faults=["record order 2 target TS_001: beam-lost returns 60"])
    one = records(tmp_path)[2]
    assert one.exposure_e_A2 == pytest.approx(1.0)
    assert one.details["movie"] is None
    from eucentric.io import read_mdoc

    sections = read_mdoc(tmp_path / "mdoc" / "TS_001.mrc.mdoc").sections
    assert [section.pre_exposure_e_A2 for section in sections] == pytest.approx([0.0, 2.0, 5.0, 7.0, 9.0, 11.0])


def test_a_listener_that_fails_is_told_no_more_and_stops_nothing(tmp_path: Path) -> None:
    told: list[str] = []

    def bad(happened: Happened) -> None:
        raise ValueError("no screen")

    outcome = acquired(tmp_path, listeners=[bad, lambda happened: told.append(happened.kind)])
    assert outcome.finish == "finished"
    assert states(tmp_path) == D7
    assert told.count("acquisition.exposed") == 14
    (event,) = read_events(tmp_path, "acquisition.listener")
    assert "no screen" in event.body["reason"]


def test_a_target_that_is_tracked_on_its_own_exposures_costs_nothing_else(tmp_path: Path) -> None:
    outcome = acquired(tmp_path, beginning(targets=ALONE))
    assert outcome.finish == "finished"
    assert {one.purpose for one in read_log(tmp_path / "truth")} == {"record"}
    assert_nothing_lost(tmp_path)
