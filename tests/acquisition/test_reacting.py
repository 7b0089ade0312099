"""What is done when something goes wrong: by the policies, told to the journal, and never an exposure repeated."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from eucentric.acquisition.reacting import GiveUpError, Reactions
from eucentric.design import Policies
from eucentric.design.acquisition import Action, LastResort

ACTIONS: tuple[Action, ...] = ("go-on", "wait", "retry", "skip", "stop-side", "abort")
LAST: tuple[LastResort, ...] = ("go-on", "skip", "stop-side", "abort")


class Journal:
    """Keeps what it is told, and each wait, in order."""

    def __init__(self) -> None:
        self.entries: list[dict[str, Any] | float] = []

    def tell(self, **body: Any) -> None:
        self.entries.append(body)

    def wait(self, seconds: float) -> None:
        self.entries.append(seconds)

    @property
    def told(self) -> list[dict[str, Any]]:
        return [entry for entry in self.entries if isinstance(entry, dict)]

    @property
    def waits_s(self) -> list[float]:
        return [entry for entry in self.entries if not isinstance(entry, dict)]


def reacting(name: str = "", **policy: object) -> tuple[Reactions, Journal]:
    """Give reactions by the default policies, but for one of them."""
    journal = Journal()
    policies = Policies.model_validate({name: policy} if name else {})
    return Reactions(policies, journal.tell, journal.wait), journal


def until_the_end(reactions: Reactions, name: str) -> tuple[int, str]:
    """Meet the same trouble again and again; give how often it was tried again, and what was done then."""
    given_up: GiveUpError | None = None
    again, attempt = True, -1
    while again:
        attempt += 1
        try:
            again = reactions.again(name, "trouble", attempt, order=7)
        except GiveUpError as error:
            given_up, again = error, False
    assert given_up is None or given_up.reason == str(given_up) == "trouble"
    return attempt, "go-on" if given_up is None else given_up.scope


# --- trying again


@given(st.sampled_from(["wait", "retry"]), st.integers(1, 30), st.floats(0, 100), st.sampled_from(LAST))
def test_it_is_tried_as_often_as_the_policy_says_and_then_the_last_resort_is_taken(
    action: str, tries: int, wait_s: float, then: str
) -> None:
    """All of it told, each wait after it was told: a wait can be interrupted."""
    reactions, journal = reacting("lens_refused", action=action, tries=tries, wait_s=wait_s, then=then)
    assert until_the_end(reactions, "lens_refused") == (tries, then)
    common = {"policy": "lens_refused", "reason": "trouble", "order": 7}
    expected: list[dict[str, Any] | float] = []
    for attempt in range(1, tries + 1):
        expected += [{**common, "action": action, "attempt": attempt}, wait_s]
    assert journal.entries == [*expected, {**common, "action": then, "attempt": tries}]


@pytest.mark.parametrize("action", LAST)
def test_an_action_that_tries_nothing_is_taken_at_once(action: str) -> None:
    """Tries, waits and the last resort are then nothing to it."""
    reactions, journal = reacting("stage_failed", action=action, tries=5, wait_s=9.0, then="abort")
    assert until_the_end(reactions, "stage_failed") == (0, action)
    assert journal.entries == [
        {"policy": "stage_failed", "action": action, "reason": "trouble", "attempt": 0, "order": 7}
    ]


@pytest.mark.parametrize(
    ("name", "tries", "waited_s", "then"),
    [
        ("beam_gone", 60, 3600.0, "abort"),
        ("stage_failed", 2, 10.0, "stop-side"),
        ("lens_refused", 1, 0.0, "skip"),
        ("lost_counts", 0, 0.0, "stop-side"),
        ("prediction_error", 2, 0.0, "go-on"),
        ("tracking_failed", 2, 0.0, "go-on"),
        ("field_lost", 0, 0.0, "stop-side"),
        ("defocus_off", 1, 0.0, "go-on"),
        ("disk_low", 60, 3600.0, "abort"),
        ("drift_high", 3, 15.0, "go-on"),
        ("camera_failed", 0, 0.0, "go-on"),
    ],
)
def test_what_is_done_where_nothing_is_chosen(name: str, tries: int, waited_s: float, then: str) -> None:
    """An hour of waiting for beam or disk; a target lost on one side; a series that goes on with what it has."""
    reactions, journal = reacting()
    assert until_the_end(reactions, name) == (tries, then)
    assert sum(journal.waits_s) == waited_s


def test_every_policy_has_a_default_that_is_tested_above() -> None:
    (mark,) = test_what_is_done_where_nothing_is_chosen.pytestmark  # type: ignore[attr-defined]
    assert {case[0] for case in mark.args[1]} == set(Policies.model_fields)


def test_a_wait_that_is_interrupted_has_been_told() -> None:
    """A pause during it leaves the run in a state that the journal knows."""
    told: list[dict[str, Any]] = []

    def interrupted(seconds: float) -> None:
        raise KeyboardInterrupt

    reactions = Reactions(Policies(), lambda **body: told.append(body), interrupted)
    with pytest.raises(KeyboardInterrupt):
        reactions.again("beam_gone", "there is no beam", 0, order=3)
    assert [(body["action"], body["attempt"]) for body in told] == [("wait", 1)]


def test_the_place_of_a_trouble_is_told() -> None:
    reactions, journal = reacting()
    assert reactions.again("lens_refused", "refused", 0, place="tracking", target="TS_1", tilt_deg=3.0)
    assert journal.told[0].items() >= {"place": "tracking", "target": "TS_1", "tilt_deg": 3.0}.items()


# --- what cannot be tried again


@pytest.mark.parametrize(
    ("action", "last"), [*((action, False) for action in ACTIONS), *((action, True) for action in LAST)]
)
def test_an_exposure_that_was_made_is_never_tried_again(action: Action, last: bool) -> None:
    """What would retry, wait or skip goes on; without a wait; a side or the run can be given up."""
    policy = {"then": action} if last else {"action": action, "then": "go-on"}
    reactions, journal = reacting("camera_failed", **policy)
    taken = action if action in ("stop-side", "abort") else "go-on"
    if taken == "go-on":
        reactions.final("camera_failed", "no image", last=last, target="TS_1")
    else:
        with pytest.raises(GiveUpError, match="no image") as raised:
            reactions.final("camera_failed", "no image", last=last, target="TS_1")
        assert raised.value.scope == taken
    assert journal.entries == [
        {"policy": "camera_failed", "action": taken, "reason": "no image", "attempt": 0, "target": "TS_1"}
    ]


# --- the policies themselves


def test_one_setting_of_a_policy_leaves_its_others_and_all_others_as_they_were() -> None:
    changed = Policies.model_validate({"beam_gone": {"tries": 5}})
    assert changed.beam_gone == Policies().beam_gone.replace(tries=5)
    assert changed.replace(beam_gone=Policies().beam_gone) == Policies()
    assert Policies.model_validate_json(changed.model_dump_json()) == changed


@pytest.mark.parametrize(
    "wrong",
    [
        {"beam_gne": {}},
        {"beam_gone": {"trys": 3}},
        {"beam_gone": {"action": "repeat"}},
        {"beam_gone": {"then": "wait"}},  # would never end
        {"beam_gone": {"tries": 0}},
        {"beam_gone": {"wait_s": -1.0}},
        {"lost_counts": {"least_share": 1.5}},
        {"prediction_error": {"most_A": 0.0}},
        {"field_lost": {"most_percent": 0.0}},
        {"drift_high": {"most_A_per_s": float("nan")}},
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Policies.model_validate(wrong)
