"""The session page in a browser: what comes appears by itself, filters by the keyboard, pictures and reports."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import httpx
import pytest
from served_pages import ServedPages, Visit

from eucentric.report.figures.movie import SCRIPT
from eucentric.session import Session
from eucentric.web.session.routes import with_its_script
from eucentric.workflow.excluded import EXCLUDED, read_excluded
from phantoms.live_session import SERIES, acquired, make_preview, plan, take_look

Visiting = Callable[..., Visit]


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return acquired(tmp_path_factory.mktemp("live") / "raw")


@pytest.fixture(scope="module")
def session(raw: Path) -> Iterator[Session]:
    """Hold a session, as the watcher does, with looks at four tilts of seven, one of which moved too far."""
    with Session.create_or_open(raw.parent / "live-session") as session:
        for section in range(4):
            take_look(session, raw, section, way_A=25.0 if section == 2 else 3.0 + section)
        yield session


def test_what_comes_while_the_page_is_open_appears_by_itself(session: Session, raw: Path, visit: Visiting) -> None:
    pages = visit(session.folder)
    page = pages.go("/session")
    card = page.locator(".series li", has_text=SERIES)
    card.get_by_text("4 of 7 tilts").wait_for()
    assert "growing" in card.inner_text()
    assert "1 alarm" in card.inner_text()
    card.get_by_role("link", name=SERIES).click()
    page.get_by_role("heading", name=SERIES).wait_for()
    page.locator(".strip img").nth(3).wait_for()
    assert page.locator(".strip button").count() == 4
    assert "moved by 25 Å" in page.get_by_role("region", name="Alarms").inner_text()
    take_look(session, raw, 4, counts=1.0)
    page.locator(".strip img").nth(4).wait_for()
    page.get_by_role("region", name="Alarms").get_by_text("Lost counts").wait_for()
    page.locator(".traceseen path.point").first.wait_for()
    make_preview(session, 5)
    picture = page.get_by_role("img", name="Middle of the preview")
    picture.wait_for()
    assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") == 48


def test_filters_and_tilts_are_reached_by_the_keyboard_on_a_phone(session: Session, visit: Visiting) -> None:
    page = visit(session.folder, viewport={"width": 400, "height": 800}, color_scheme="dark").go(f"/session/{SERIES}")
    page.locator(".strip img").nth(3).wait_for()
    slider = page.get_by_role("slider", name="Drift at most")
    slider.focus()
    slider.press("Home")
    page.get_by_text("0 of ").wait_for()
    slider.press("End")
    for _ in range(3):
        slider.press("PageDown")  # a tenth of 30 Å, to below that of the one that moved too far
    page.locator(".strip button.faded").first.wait_for()
    assert page.locator(".strip button").nth(2).get_attribute("class") == "faded alarm"
    page.locator(".strip button").nth(1).press("Enter")
    chosen = page.get_by_role("region", name="Chosen tilt")
    chosen.get_by_role("img").wait_for()
    assert f"{plan()[1].defocus_A / 1e4:.2f} µm" in chosen.inner_text()
    assert page.locator(".strip button").nth(1).get_attribute("aria-pressed") == "true"
    assert page.evaluate("document.documentElement.scrollWidth") <= 400


def test_a_tilt_is_excluded_by_the_keyboard_and_taken_back_where_edits_are_allowed(
    session: Session, visit: Visiting
) -> None:
    reasons = partial(read_excluded, session.folder / "series" / SERIES)
    page = visit(session.folder, "--allow-edit").go(f"/session/{SERIES}")
    tilt = page.locator(".strip button").nth(1)
    tilt.press("Enter")
    chosen = page.get_by_role("region", name="Chosen tilt")
    chosen.get_by_label("Reason").select_option("other")
    chosen.get_by_label("In words").fill("ice & <b>more</b>")
    chosen.get_by_role("button", name="Exclude this tilt").press("Enter")
    chosen.get_by_text("Excluded: ice & <b>more</b>").wait_for()
    assert reasons() == {1: "ice & <b>more</b>"}
    assert tilt.get_attribute("class") == "excluded"
    assert "excluded" in tilt.inner_text()
    chosen.get_by_text("will be aligned without").wait_for()
    chosen.get_by_role("button", name="Take it back").press("Enter")  # the focus is where it was
    chosen.get_by_role("button", name="Exclude this tilt").wait_for()
    assert reasons() == {}
    page.locator(".strip button:not(.excluded)").nth(1).wait_for()


def test_without_allow_edit_nothing_can_be_excluded_and_the_hidden_button_is_refused(
    session: Session, visit: Visiting
) -> None:
    page = visit(session.folder).go(f"/session/{SERIES}")
    page.locator(".strip button").nth(1).press("Enter")
    chosen = page.get_by_role("region", name="Chosen tilt")
    chosen.get_by_text("--allow-edit").wait_for()
    assert chosen.get_by_role("button").count() == 0
    # What a page sends that was tampered with: the server knows the button, and hides it.
    chosen.locator("button").dispatch_event("click")
    chosen.get_by_text("read-only; nothing was changed").wait_for()
    assert not (session.folder / "series" / SERIES / EXCLUDED).exists()


def test_a_series_that_is_not_there_is_said_to_be_none(session: Session, visit: Visiting) -> None:
    page = visit(session.folder).go("/session/TS_999")
    page.get_by_text("knows no series of that name").wait_for()


def test_files_outside_of_the_series_are_not_served(
    session: Session, raw: Path, pages_of: Callable[..., ServedPages]
) -> None:
    pages = pages_of(session.folder)
    name, value = pages.cookie
    looks = session.folder / "series" / SERIES / "looks"
    (looks / "099.jpg").symlink_to(raw / "plan.yaml")

    def status(path: str) -> int:
        return httpx.get(f"{pages.base}/session-files/{path}", cookies={name: value}).status_code

    assert status(f"{SERIES}/looks/0") == 200
    assert [status(f"{SERIES}/looks/{section}") for section in (50, 99)] == [404, 404]
    assert status("%2e%2e/looks/0") in (400, 404)
    assert status(f"{SERIES}/looks/x") in (404, 422)
    assert httpx.get(f"{pages.base}/session-files/{SERIES}/looks/0").status_code == 403  # to a stranger


def test_a_report_runs_its_own_script_and_no_other(session: Session, visit: Visiting) -> None:
    report = session.folder / "series" / SERIES / "report.html"
    other = "<script>document.title = 'taken over'</script>"
    report.write_text(f"<!doctype html><title>Report</title><h1>Report</h1>{other}")
    pages = visit(session.folder)
    page = pages.page
    page.goto(f"{pages.base}/session-files/{SERIES}/report")
    assert page.title() == "Report"
    assert pages.wrong
    assert all("Content Security Policy" in each for each in pages.wrong)
    pages.wrong.clear()
    own = f"<script>{SCRIPT}</script>"
    assert with_its_script(own + other + own, "n").count('nonce="n"') == 1
    assert with_its_script(own.replace("80", "81"), "n").count("nonce") == 0
