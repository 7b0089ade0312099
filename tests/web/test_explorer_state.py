"""What the sliders say goes through a link and comes back; what a link should not say is told and left out."""

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from eucentric.core import InputError
from eucentric.design import EVERYTHING, predict
from eucentric.io import read_plan
from eucentric.web.explorer import figures, model
from eucentric.web.explorer.following import Follower
from eucentric.web.explorer.handing_over import FORMS, Form, as_file, save
from eucentric.web.explorer.presets import PRESETS, Preset
from eucentric.web.explorer.state import LIMITS, State
from eucentric.web.served import ReadOnlyError, Served


def _places(name: str) -> st.SearchStrategy[float]:
    limits = LIMITS[name]
    return st.integers(0, round((limits.most - limits.least) / limits.step)).map(
        lambda steps: round(limits.least + steps * limits.step, 6)
    )


STATES = st.builds(
    State,
    tilts=_places("tilts").map(int),
    half_range_deg=_places("half_range_deg"),
    scheme=st.sampled_from(["dose-symmetric", "bidirectional", "unidirectional"]),
    group=_places("group").map(int),
    exposure_e_A2=_places("exposure_e_A2"),
    division=st.sampled_from(["constant", "inverse-cosine"]),
    thickness_A=_places("thickness_A"),
    defocus_A=_places("defocus_A"),
    noise=_places("noise"),
    view_deg=_places("view_deg"),
    weighted=st.booleans(),
    flipped=st.booleans(),
)


@given(STATES)
@settings(deadline=None)
def test_a_link_holds_all_of_a_state(state: State) -> None:
    assert State.from_query(dict(parse_qsl(state.query))) == (state, ())


@given(STATES)
@settings(deadline=None, max_examples=50)
def test_every_state_is_a_design_of_its_tilts_and_exposure(state: State) -> None:
    plan = state.design().plan()
    tilts = sorted(exposure.tilt_deg for exposure in plan)
    assert len(plan) == state.tilts
    assert tilts[0] == pytest.approx(-state.half_range_deg)
    assert tilts[-1] == pytest.approx(state.half_range_deg)
    assert min(map(abs, tilts)) == pytest.approx(0, abs=1e-9)
    assert sum(exposure.exposure_e_A2 for exposure in plan) == pytest.approx(state.exposure_e_A2)


@given(st.dictionaries(st.sampled_from(["tilts", "range", "scheme", "view", "weighted", "noise", "else"]), st.text()))
def test_any_link_gives_a_state(values: dict[str, str]) -> None:
    state, _ = State.from_query(values)
    assert State.from_query(dict(parse_qsl(state.query))) == (state, ())


@pytest.mark.parametrize(
    ("values", "field", "becomes", "told"),
    [
        ({"tilts": "4000"}, "tilts", 121, "121 was taken"),
        ({"tilts": "40"}, "tilts", 41, "was taken"),
        ({"range": "-3"}, "half_range_deg", 20, "from 20 to 70"),
        ({"exposure": "nan"}, "exposure_e_A2", 120, "no number"),
        ({"exposure": "1e999"}, "exposure_e_A2", 120, "no number"),
        ({"thickness": "1" * 5000}, "thickness_A", 2000, "no number"),
        ({"scheme": "dose-symetric"}, "scheme", "dose-symmetric", 'Did you mean "dose-symmetric"?'),
        ({"weighted": "<script>"}, "weighted", True, "yes or no"),
        ({"tlits": "9"}, "tilts", 41, 'Did you mean "tilts"?'),
    ],
)
def test_what_a_link_should_not_say_is_told(values: dict[str, str], field: str, becomes: object, told: str) -> None:
    state, (remark,) = State.from_query(values)
    assert getattr(state, field) == becomes
    assert told in remark
    assert len(remark) < 250


def test_a_place_that_no_slider_has_is_refused() -> None:
    with pytest.raises(ValidationError, match="in steps of"):
        State(exposure_e_A2=121.0)


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.name)
def test_a_step_of_the_story_differs_and_says_what_to_look_at(preset: Preset) -> None:
    assert preset.state != State()
    assert preset.look.count(". ") + preset.look.endswith(".") in (2, 3, 4)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.file_name)
def test_a_design_is_handed_over_as_it_is(form: Form, tmp_path: Path) -> None:
    state = State(tilts=31, group=2)
    path = tmp_path / form.file_name
    path.write_bytes(as_file(state, form))
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".yaml":
        assert read_plan(path) == state.design().plan()
    elif path.suffix == ".txt":
        assert "_set step = 4.0" in text
        assert "groupSize = 2" in text
    else:
        assert all(str(exposure.pre_exposure_e_A2) in text for exposure in state.design().plan())
        assert len(text.splitlines()) > state.tilts


def test_what_a_program_cannot_do_is_refused() -> None:
    pacetomo = next(form for form in FORMS if "PACEtomo" in form.label)
    with pytest.raises(InputError, match="PACEtomo cannot"):
        as_file(State(scheme="unidirectional"), pacetomo)


def test_a_plan_is_saved_beside_others_and_only_where_it_may(tmp_path: Path) -> None:
    kept = tmp_path / "plan-explorer.yaml"
    kept.write_text("mine")
    with pytest.raises(ReadOnlyError):
        save(State(), Served(session=tmp_path, port=1))
    path = save(State(tilts=21), Served(session=tmp_path, allow_edit=True, port=1))
    assert path.name == "plan-explorer-2.yaml"
    assert len(read_plan(path)) == 21
    assert kept.read_text() == "mine"


def test_numbers_and_curves_are_those_of_eucentric_design() -> None:
    state = State(tilts=21, view_deg=30.0)
    prediction = predict(state.design().plan(), EVERYTHING)
    told = dict(figures.numbers(state))
    assert told["missing wedge"] == f"{100 * prediction.summary.missing_wedge_fraction:.0f} %"
    assert told["sampled to (Crowther)"] == f"{prediction.summary.crowther_A:.0f} Å"
    assert model.worth(state, 21).everything == pytest.approx(prediction.worth())
    for name in ("view_deg", "noise"):
        assert model.predicted(state.replace(**{name: LIMITS[name].most})) is model.predicted(state)


def _run(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run it in a thread of its own: in this one the browser's driver may have its loop."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(lambda: asyncio.run(work())).result(timeout=60)


def test_of_many_states_wanted_only_the_last_is_shown() -> None:
    shown: list[int] = []

    async def moved_fast() -> None:
        go_on = asyncio.Event()

        async def show(state: State) -> None:
            await go_on.wait()
            shown.append(state.tilts)

        follower = Follower(show)
        follower.want(State(tilts=5))
        await asyncio.sleep(0)
        for tilts in (7, 9, 11, 13):
            follower.want(State(tilts=tilts))
        assert follower.behind
        go_on.set()
        while not follower.idle:
            await asyncio.sleep(0)

    _run(moved_fast)
    assert shown == [5, 13]


def test_after_a_state_that_could_not_be_shown_the_next_one_is() -> None:
    shown: list[int] = []

    async def stumbling() -> None:
        async def show(state: State) -> None:
            if state.tilts == 5:
                raise InputError("This one fails.")
            shown.append(state.tilts)

        follower = Follower(show)
        for tilts in (5, 7):
            follower.want(State(tilts=tilts))
            while not follower.idle:
                await asyncio.sleep(0)

    _run(stumbling)
    assert shown == [7]
