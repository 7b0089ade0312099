"""The explorer as it is used: by keyboard, by its story, through links, and on a phone."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from served_pages import Visit

from eucentric.io import read_plan
from eucentric.web.explorer.presets import PRESETS
from eucentric.web.explorer.state import State

if TYPE_CHECKING:
    from playwright.sync_api import Page

SLICE = "document.querySelector('#explorer-slice')"


def _open(visit: Visit, path: str = "/") -> "Page":
    page = visit.go(path)
    page.wait_for_function(f"{SLICE}?.src.startsWith('data:image') && {SLICE}.complete")
    page.locator(".charts svg.chart").nth(4).wait_for()  # the sweet spot, which comes last
    return page


def _until_it_differs(page: "Page", picture: str, before: str | None) -> None:
    page.wait_for_function("([id, before]) => document.getElementById(id).src !== before", arg=[picture, before])


def test_a_slider_moved_by_a_key_changes_the_picture_and_the_curves(visit: Callable[..., Visit]) -> None:
    page = _open(visit())
    picture, chart = page.locator("#explorer-slice"), page.get_by_role("img", name=re.compile("Exposure of each"))
    before, drawn = picture.get_attribute("src"), chart.inner_html()
    slider = page.get_by_role("slider", name="Tilts", exact=True)
    slider.focus()
    for _ in range(3):
        page.keyboard.press("ArrowLeft")
    page.wait_for_url("**/?tilts=35")
    assert picture.get_attribute("src") != before
    assert chart.inner_html() != drawn
    assert "35 tilts" in (chart.get_attribute("aria-label") or "")
    assert slider.get_attribute("aria-valuetext") == "35, every 3.53°"
    page.keyboard.press("Home")
    page.wait_for_url("**/?tilts=5")
    assert slider.input_value() == "5"


def test_everything_can_be_reached_by_tab(visit: Callable[..., Visit]) -> None:
    page = _open(visit())
    wanted = page.evaluate("document.querySelectorAll('main input[type=range]:not([disabled]), main button').length")
    reached = set()
    page.locator("main button").first.focus()
    for _ in range(wanted + 12):  # radios and switches too
        reached.add(page.evaluate("document.activeElement.ariaLabel || document.activeElement.innerText"))
        page.keyboard.press("Tab")
    names = {"Tilts", "Range", "Exposure in all", "Thickness", "Defocus", "Noise", "Stage tilt shown", "Copy link"}
    assert names <= reached
    assert {f"{number} {preset.name}" for number, preset in enumerate(PRESETS, 1)} <= reached


def test_the_story_sets_the_sliders_and_says_what_to_look_at(visit: Callable[..., Visit]) -> None:
    page = _open(visit())
    for number, preset in ((3, PRESETS[2]), (5, PRESETS[4])):
        button = page.get_by_role("button", name=f"{number} {preset.name}")
        button.click()
        page.wait_for_url(f"**/?{preset.state.query}")
        assert page.get_by_text(preset.look).is_visible()
        assert button.get_attribute("aria-pressed") == "true"
        assert page.get_by_role("slider", name="Tilts", exact=True).input_value() == str(preset.state.tilts)
    assert page.get_by_role("radio", name="unidirectional").is_checked()
    assert page.get_by_role("slider", name="Tilts on a side in turn").is_disabled()


def test_a_link_shows_what_was_shared_and_says_what_it_could_not(visit: Callable[..., Visit]) -> None:
    first = _open(visit(), "/?tilts=21&thickness=1500&view=30&weighted=no")
    shared, projected = (first.locator(f"#explorer-{name}").get_attribute("src") for name in ("slice", "projection"))
    again = _open(visit(), "/?" + urlsplit(first.url).query)
    assert again.locator("#explorer-slice").get_attribute("src") == shared
    assert again.locator("#explorer-projection").get_attribute("src") == projected
    wrong = _open(visit(), "/?tilts=100000&scheme=<b>none</b>&thickness=1500")
    told = wrong.get_by_role("alert").inner_text()
    assert "121 was taken" in told
    assert "<b>none</b>" in told  # as text
    assert wrong.get_by_role("slider", name="Tilts", exact=True).input_value() == "121"
    assert wrong.get_by_role("slider", name="Thickness").input_value() == "1500"


def test_a_plan_is_downloaded_as_it_is_shown(visit: Callable[..., Visit], tmp_path: Path) -> None:
    state = State(tilts=31, scheme="bidirectional", exposure_e_A2=90)
    page = _open(visit(), f"/?{state.query}")
    with page.expect_download() as downloading:
        page.get_by_role("button", name="Plan (.yaml)").click()
    path = tmp_path / downloading.value.suggested_filename
    downloading.value.save_as(path)
    assert read_plan(path) == state.design().plan()
    page.get_by_role("button", name="PACEtomo targets").click()
    page.get_by_text("PACEtomo cannot acquire this plan").wait_for()
    assert not page.get_by_role("button", name="Save in the session").is_visible()


def test_the_stage_swings_and_stops(visit: Callable[..., Visit]) -> None:
    page = _open(visit(reduced_motion="reduce"))
    button = page.get_by_role("button", name="Swing the stage")
    assert button.get_attribute("aria-pressed") == "false"  # nothing moves until it is asked to
    before = page.locator("#explorer-projection").get_attribute("src")
    button.click()
    _until_it_differs(page, "explorer-projection", before)
    page.wait_for_function("document.querySelector('[aria-label=\"Stage tilt shown\"]').value >= 9")
    button.click()
    page.locator("button[aria-pressed=false]", has_text="Swing the stage").wait_for()
    tilt = page.get_by_role("slider", name="Stage tilt shown").input_value()
    page.wait_for_timeout(400)
    assert page.get_by_role("slider", name="Stage tilt shown").input_value() == tilt


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone(visit: Callable[..., Visit], scheme: str) -> None:
    page = _open(visit(viewport={"width": 400, "height": 800}, color_scheme=scheme))
    assert page.evaluate("document.documentElement.scrollWidth") == 400
    page.get_by_role("slider", name="Noise").scroll_into_view_if_needed()
    assert page.locator("#explorer-slice").evaluate("one => one.getBoundingClientRect().top") >= 0  # still in sight
