"""The tomogram page in a browser: by mouse and by keyboard, with an eye on what is drawn."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Locator, Page, Route, expect
from served_pages import Visit

from eucentric.io import write_mrc
from phantoms.tomogram_session import BEAD_ZYX, ON_AXIS_A, SERIES, SHAPE_ZYX, tomogram_session

PLACE = f"/tomogram/{SERIES}"
BRIGHTEST = """canvas => {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  const sums = [0, 0, 0];  // of what is nearly white, but for the scale bar: its middle
  for (let i = 0; i < 0.8 * data.length; i += 4) {
    const pixel = i / 4;
    if (data[i] > 235) [1, pixel % canvas.width, Math.floor(pixel / canvas.width)].forEach((v, k) => { sums[k] += v; });
  }
  return [sums[1] / sums[0] / canvas.width, sums[2] / sums[0] / canvas.height];
}"""
FEW_ARE_WHITE = """canvas => {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  const white = data.reduce((sum, value, i) => sum + (i % 4 === 0 && value > 235), 0) / data.length * 4;
  return 0 < white && white < 0.01;
}"""
MEAN = """canvas => {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return data.reduce((sum, value, i) => sum + (i % 4 ? 0 : value), 0) / data.length * 4;
}"""


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tomogram_session(tmp_path_factory.mktemp("tomogram") / "my-session")


@pytest.fixture
def enter(visit: Callable[..., Visit], session: Path) -> Callable[..., Page]:
    """Give a function that opens the page of the series, with its slices drawn."""

    def open_it(path: str = PLACE, **options: Any) -> Page:
        page = visit(session, **options).go(path)
        if path == PLACE:
            for view in ("xy", "xz", "yz"):
                expect(pane(page, view)).to_have_attribute("data-index", re.compile(r"\d"))
        return page

    return open_it


def pane(page: Page, view: str, version: int = 0) -> Locator:
    return page.locator(f".pane.{view} canvas").nth(version)


def version(page: Page, label: str) -> Locator:
    return page.get_by_role("checkbox", name=label, exact=True)


def readout(page: Page) -> Locator:
    return page.locator(".readout")


def go_to(page: Page, axis: str, index: int) -> None:
    page.get_by_label(f"Place along {axis}").fill(str(index))


def wait_for(canvas: Locator, test: str) -> None:
    """Wait until a test of a canvas, in JavaScript, holds."""
    canvas.page.wait_for_function(f"canvas => ({test})(canvas)", arg=canvas.element_handle())


def test_a_click_moves_the_cross_to_the_voxel_under_it(enter: Callable[..., Page]) -> None:
    """The bead is clicked where it is drawn: this pins which way every view is turned."""
    page = enter()
    z, y, x = BEAD_ZYX
    page.get_by_label("White point").fill("200")
    for view, axis, index in (("xy", "z", z), ("xz", "y", y), ("yz", "x", x)):
        for other in "zyx":
            go_to(page, other, 0)
        go_to(page, axis, index)
        canvas = pane(page, view)
        expect(canvas).to_have_attribute("data-index", str(index))
        wait_for(canvas, FEW_ARE_WHITE)
        right, down = canvas.evaluate(BRIGHTEST)
        box = canvas.bounding_box()
        assert box is not None
        canvas.click(position={"x": right * box["width"], "y": down * box["height"]})
        page.mouse.move(2, 2)
        expect(readout(page)).to_contain_text(f"voxel {x}, {y}, {z} · Full 40")


def test_keys_scroll_the_view_in_focus(enter: Callable[..., Page]) -> None:
    page = enter()
    view, n = pane(page, "xy"), SHAPE_ZYX[0]
    view.focus()
    for key, index in (
        ("ArrowUp", n // 2 + 1),
        ("ArrowDown", n // 2),
        ("PageUp", n // 2 + 10),
        ("Home", 0),
        ("PageDown", 0),
        ("End", n - 1),
    ):
        page.keyboard.press(key)
        expect(view).to_have_attribute("data-index", str(index))
        expect(view).to_have_attribute("aria-valuenow", str(index))
    expect(view).to_have_attribute("aria-valuetext", f"z 11.0 nm, slice {n} of {n}")
    page.keyboard.press("Shift+ArrowRight")
    expect(pane(page, "yz")).to_have_attribute("data-index", str(SHAPE_ZYX[2] // 2 + 1))
    page.keyboard.press("Shift+ArrowDown")
    expect(pane(page, "xz")).to_have_attribute("data-index", str(SHAPE_ZYX[1] // 2 - 1))
    page.keyboard.press("+")
    expect(page.locator(".zoom output")).to_have_text("2×")
    page.keyboard.press("-")
    expect(page.locator(".zoom output")).to_have_text("1×")
    page.keyboard.press(" ")
    expect(page.get_by_role("button", name="Play along z")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press(" ")
    expect(page.get_by_role("button", name="Play along z")).to_have_attribute("aria-pressed", "false")


def test_the_page_is_reached_by_keys_alone(enter: Callable[..., Page]) -> None:
    page = enter()
    reached = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.ariaLabel || document.activeElement.textContent.trim()"))
    assert {"XY slices, Full", "YZ slices, Full", "Place along z", "Play along x", "White point", "Zoom in"} <= reached
    assert {"Image", "Play the tilt series", "Copy the line for napari"} <= reached


def test_the_mouse_scrolls_plays_and_sets_contrast(enter: Callable[..., Page]) -> None:
    page = enter()
    view = pane(page, "xz")
    view.hover()
    page.mouse.wheel(0, -100)
    expect(view).to_have_attribute("data-index", str(SHAPE_ZYX[1] // 2 + 1))

    usual = view.evaluate(MEAN)
    page.get_by_label("White point").fill("20")
    wait_for(view, f"canvas => ({MEAN})(canvas) > {usual + 30}")
    page.get_by_label("Black point").fill("60")
    expect(page.get_by_label("White point")).to_have_value("61")  # white stays above black
    page.get_by_role("button", name="Usual contrast").click()
    wait_for(view, f"canvas => Math.abs(({MEAN})(canvas) - {usual}) < 1")

    button, slider = page.get_by_role("button", name="Play along z"), page.get_by_label("Place along z")
    before = pane(page, "xy").get_attribute("data-index")
    button.click()
    expect(button).to_have_attribute("aria-pressed", "true")
    expect(pane(page, "xy")).not_to_have_attribute("data-index", before or "")
    button.click()
    expect(button).to_have_attribute("aria-pressed", "false")
    stopped = slider.input_value()
    page.wait_for_timeout(150)
    assert slider.input_value() == stopped


def test_versions_stand_side_by_side_at_one_place(enter: Callable[..., Page]) -> None:
    page = enter()
    words = page.locator(".sliders .row", has_text="white").locator("output")
    one = float(words.inner_text())
    page.get_by_label("Average").select_option("9")
    expect(words).not_to_have_text(str(one))
    assert float(words.inner_text()) == pytest.approx(one / 3, rel=0.2)  # less noise, and limits of its own

    version(page, "Even half").check()
    version(page, "Restored").check()
    expect(page.locator(".stage figcaption")).to_have_text(["Full", "Restored", "Even half"])
    pane(page, "xy", 1).focus()
    page.keyboard.press("Home")
    for nth in range(3):
        expect(pane(page, "xy", nth)).to_have_attribute("data-index", "0")
    expect(readout(page)).to_contain_text(re.compile(r"Full \S+, Restored \S+, Even half \S+"))
    page.get_by_label("View").select_option("XZ")
    expect(page.locator(".pane:visible")).to_have_count(3)
    version(page, "Full").uncheck()
    expect(page.locator(".stage figcaption")).to_have_text(["Restored", "Even half"])


def test_values_are_of_what_is_shown_when_they_come(enter: Callable[..., Page]) -> None:
    """Values asked for before another version was shown, and before the place moved, are asked for again."""
    page = enter()
    expect(readout(page)).to_contain_text("Full ")
    held: list[Route] = []
    page.route("**/value/**", lambda route: route.continue_() if held else held.append(route))
    go_to(page, "z", 3)
    page.wait_for_timeout(300)
    assert len(held) == 1
    version(page, "Restored").press("Space")
    expect(pane(page, "xy", 1)).to_have_attribute("data-index", "3")
    pane(page, "xy").press("Home")
    expect(pane(page, "xy", 1)).to_have_attribute("data-index", "0")
    held[0].continue_()
    expect(readout(page)).to_contain_text(re.compile(r"voxel 50, 40, 0 · Full \S+, Restored \S+"))


def test_what_changes_while_one_looks(enter: Callable[..., Page], session: Path) -> None:
    page = enter()
    folder = session / "series" / SERIES
    shutil.copy(folder / "tomogram.mrc", folder / "aside")
    page.wait_for_load_state("networkidle")  # what is on its way would be refused, and the console say so
    shutil.copy(folder / "tomogram_even.mrc", folder / "tomogram_denoised.mrc")
    write_mrc(folder / "tomogram.mrc", np.full((12, 80, 100), 7, np.float32), 20.0, kind="volume")
    try:
        expect(page.locator(".status").first).to_contain_text("Full was written anew", timeout=15_000)
        expect(version(page, "Denoised")).to_be_visible()
        expect(page.locator(".sliders").first).to_contain_text("slice 7 of 12")
        expect(readout(page)).to_contain_text("Full 7")
    finally:
        (folder / "tomogram_denoised.mrc").unlink()
        (folder / "aside").replace(folder / "tomogram.mrc")


def test_tilts_are_a_movie_and_lines_are_copied(enter: Callable[..., Page], session: Path) -> None:
    page = enter()
    movie, words = page.locator(".movie canvas"), page.locator(".tilt")
    expect(movie).to_have_attribute("data-index", "2")
    expect(words).to_have_text("0.0° · section 3 of 5 · acquired as number 1 · exposed with 3.0 e/Å² after 0.0")
    page.get_by_label("Aligned").check()
    for section in range(5):
        page.get_by_label("Image", exact=True).fill(str(section))
        expect(movie).to_have_attribute("data-index", str(section))
        right, down = movie.evaluate(BRIGHTEST)
        assert right == pytest.approx(0.5, abs=0.012)  # on the axis, which is upright
        assert down == pytest.approx(0.5 - ON_AXIS_A / 2.7 / 120, abs=0.012)  # above the middle, always as far
    expect(words).to_contain_text("left out: blank")
    page.get_by_label("Order").select_option("as acquired")
    expect(page.get_by_label("Image", exact=True)).to_have_value("3")  # the same image, the fourth of five
    page.get_by_role("button", name="Play the tilt series").click()
    expect(movie).not_to_have_attribute("data-index", "4")

    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy the line for napari", exact=True).click()
    line = f"napari --plugin napari-ome-zarr {session}/series/{SERIES}/tomogram.zarr"
    assert page.evaluate("navigator.clipboard.readText()") == line
    link = page.get_by_role("link", name="Open in Neuroglancer")
    expect(link).to_be_hidden()
    page.get_by_label("Address at which tomogram.zarr is served").fill("https://data.example/tomogram.zarr")
    expect(link).to_be_visible()
    expect(link).to_have_attribute("href", re.compile(r"zarr%3A%2F%2Fhttps%3A%2F%2Fdata.example%2Ftomogram.zarr"))


def test_the_list_leads_to_each_series(enter: Callable[..., Page], session: Path) -> None:
    (session / "series" / "TS_<new>").mkdir(exist_ok=True)
    page = enter("/tomogram")
    picture = page.locator(".gallery img")
    expect(picture).to_have_count(1)
    assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") == 100
    page.get_by_role("link", name=SERIES).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(SERIES)
    page.get_by_role("link", name="Previous: TS_<new>").or_(page.get_by_role("link", name="Next: TS_<new>")).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("TS_<new>")
    expect(page.locator(".status")).to_contain_text("No tomogram yet")
    page.goto(page.url.replace("TS_%3Cnew%3E", "TS_404"))
    expect(page.locator(".warnings")).to_contain_text("'TS_404' is no series of this session")


def test_a_phone_in_the_dark_with_little_motion(enter: Callable[..., Page]) -> None:
    page = enter(viewport={"width": 400, "height": 860}, color_scheme="dark", reduced_motion="reduce")
    version(page, "Even half").check()
    expect(page.locator(".stage figcaption")).to_have_count(2)
    assert page.evaluate("document.documentElement.scrollWidth") == 400
    expect(page.get_by_label("Speed").first).to_have_value("5")
