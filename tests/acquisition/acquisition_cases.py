"""Small acquisitions on a twin without pixels, and what must hold of any of them, whatever went wrong."""

from collections import Counter
from pathlib import Path
from typing import Any

from eucentric.acquisition.past import RECORD
from eucentric.design import (
    Acquisition,
    ConstantExposure,
    Design,
    DoseSymmetric,
    Place,
    Plan,
    Policies,
    Target,
    Targets,
)
from eucentric.design.increments import ConstantIncrement
from eucentric.session import ExposureRecord, ExposureState, Session, read_events, read_exposures
from eucentric.twin.log import LoggedExposure, read_log
from eucentric.workflow.acquire import acquire, begin, take_up
from eucentric.workflow.acquire_records import AcquireOutcome, AcquireSettings, Beginning

TARGETS = Targets(
    targets=(Target(name="TS_001"), Target(name="TS_002", y_A=30_000.0, x_A=20_000.0)),
    tracking=Place(y_A=-40_000.0),
)
ALONE = Targets(targets=(Target(name="TS_001"),))


def small_plan(*, range_deg: float = 30.0, step_deg: float = 10.0, **policies: Any) -> Plan:
    """Give a dose-symmetric plan of few tilts, 2 e/Å² each, with changes to its policies."""
    tilts = 1 + 2 * int(range_deg / step_deg)
    design = Design(
        scheme=DoseSymmetric(min_deg=-range_deg, max_deg=range_deg, increment=ConstantIncrement(step_deg=step_deg)),
        exposure=ConstantExposure(total_e_A2=2.0 * tilts),
    )
    changed = {name: getattr(Policies(), name).replace(**changes) for name, changes in policies.items()}
    return Plan(design=design, acquisition=Acquisition(policies=Policies(**changed)))


def beginning(plan: Plan | None = None, targets: Targets = TARGETS, **settings: Any) -> Beginning:
    return Beginning(plan or small_plan(), targets, AcquireSettings(**{"pixels": False, **settings}))


def acquired(folder: Path, begun: Beginning | None = None, **more: Any) -> AcquireOutcome:
    """Acquire into a new session."""
    begun = begun or beginning()
    with Session.create_or_open(folder) as session:
        begin(session, begun)
        return acquire(session, begun, **more)


def resumed(folder: Path, **more: Any) -> AcquireOutcome:
    """Go on with a session."""
    with Session.create_or_open(folder) as session:
        return acquire(session, take_up(session), **more)


def records(folder: Path, target: str = "TS_001") -> dict[int, ExposureRecord]:
    """Give the last record of each of the plan's exposures of a target, by its order."""
    return {one.order: one for one in read_exposures(folder) if one.target == target and one.purpose == RECORD}


def states(folder: Path, target: str = "TS_001") -> str:
    """Give the states of the plan's exposures of a target, a letter each, in the order of the plan."""
    by_order = records(folder, target)
    return "".join(by_order[order].state.value[0] if order in by_order else "-" for order in range(max(by_order) + 1))


def policies_used(folder: Path) -> list[tuple[str, str]]:
    """Give the policies that were called on, and what they did, without repeats in a row."""
    used = [(event.body["policy"], event.body["action"]) for event in read_events(folder, "acquisition.policy")]
    return [one for at, one in enumerate(used) if at == 0 or one != used[at - 1]]


def assert_nothing_lost(folder: Path, *, retaken: int = 0) -> None:
    """Whatever hit the specimen is recorded as delivered or uncertain, and none of the plan was exposed twice."""
    log, noted = read_log(folder / "truth"), read_exposures(folder)
    received = [one for one in noted if one.received]
    hit, kept = Counter(map(_key, log)), Counter(map(_key, received))
    sure = Counter(_key(one) for one in received if one.state is ExposureState.DELIVERED)
    assert not hit - kept, "hit the specimen and not recorded"
    assert not sure - hit, "recorded as delivered and never made"
    planned = Counter((one.target, one.order) for one in log if one.purpose == RECORD)
    assert sum(count - 1 for count in planned.values()) <= retaken, "exposed twice"


def _key(one: LoggedExposure | ExposureRecord) -> tuple[Any, ...]:
    # Partial exposures are recorded as what was read back, which is what the twin's log has.
    return (one.target, one.order, round(one.tilt_deg, 6), round(one.exposure_e_A2, 6), one.purpose)
