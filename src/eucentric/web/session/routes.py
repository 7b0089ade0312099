"""What the session page fetches: pictures of tilts as they came, of previews, and reports."""

import re
from collections.abc import Callable
from pathlib import Path

from fastapi import FastAPI, Request, Response
from starlette.responses import FileResponse, HTMLResponse

from eucentric.core import EucentricError, InputError
from eucentric.report.figures.movie import SCRIPT
from eucentric.web.served import NotServedError, under
from eucentric.web.session.pictures import MOVIES, STACKS, Pictures
from eucentric.workflow.live.preview import PREVIEW
from eucentric.workflow.live.records import LOOKS

FILES = "/session-files"

_LARGEST_REPORT = 64 << 20
_KEEP = {"cache-control": "private, max-age=86400"}
_NOT_YET = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 96 96" fill="#888" font-family="sans-serif" font-size="13" '
    'text-anchor="middle"><text x="48" y="44">no picture</text><text x="48" y="60">yet</text></svg>'
)
_NAME = re.compile(r"[^/\\\x00.][^/\\\x00]*")


def add_routes(on: FastAPI, session: Path) -> None:
    """Answer for the files of a session."""
    pictures = Pictures(session)

    # The page asks by the number of the run that made it, or by what the file was: another content, another address.
    def picture(series: str, section: int) -> Response:
        return _kept(_file(session, series, f"{LOOKS}/{section:03d}.jpg"))

    def preview(series: str) -> Response:
        return _kept(_file(session, series, f"{PREVIEW}.jpg"))

    def of_movie(movie: str) -> Response:
        return _picture(lambda: pictures.movie(movie))

    def of_stack(series: str, section: int) -> Response:
        return _picture(lambda: pictures.section(series, section))

    def report(series: str, request: Request) -> Response:
        return page(_file(session, series, "report.html"), request)

    def restored(series: str, method: str, request: Request) -> Response:
        return page(_file(session, series, f"restored_{method}.html"), request)

    def page(path: Path, request: Request) -> Response:
        if path.stat().st_size > _LARGEST_REPORT:
            raise InputError(f"{path.name} is too large to be shown here.", "Open it from the folder.")
        text = path.read_text(encoding="utf-8", errors="replace")
        return HTMLResponse(with_its_script(text, request.state.nonce), headers={"cache-control": "no-cache"})

    on.add_api_route(f"{FILES}/{{series}}/{LOOKS}/{{section:int}}", picture, response_model=None)
    on.add_api_route(f"{FILES}/{{series}}/{PREVIEW}", preview, response_model=None)
    on.add_api_route(f"{MOVIES}/{{movie}}", of_movie, response_model=None)
    on.add_api_route(f"{STACKS}/{{series}}/{{section:int}}", of_stack, response_model=None)
    on.add_api_route(f"{FILES}/{{series}}/report", report, response_model=None)
    on.add_api_route(f"{FILES}/{{series}}/restored/{{method}}", restored, response_model=None)


def _kept(path: Path) -> Response:
    return FileResponse(path, media_type="image/jpeg", headers=_KEEP)


def _picture(make: Callable[[], bytes]) -> Response:
    """Answer with a picture; of what cannot be read, as a movie that is being written, with one that says so."""
    try:
        return Response(make(), media_type="image/jpeg", headers=_KEEP)
    except NotServedError:
        raise
    except (EucentricError, OSError):
        return Response(_NOT_YET, media_type="image/svg+xml", headers={"cache-control": "no-store"})


def with_its_script(report: str, nonce: str) -> str:
    """Return a report in which its own script may run under the pages' content policy, and no other.

    The file may have come from anybody: what runs is known by its text, to the letter.
    """
    return report.replace(f"<script>{SCRIPT}</script>", f'<script nonce="{nonce}">{SCRIPT}</script>', 1)


def _file(session: Path, series: str, name: str) -> Path:
    if not _NAME.fullmatch(series):
        raise NotServedError(f"{series[:80]!r} is no series of this session.", "Go back to the session's page.")
    path = under(session, f"series/{series}/{name}")
    if not path.is_file():
        raise NotServedError(f"{series[:80]!r} has no such file.", "Go back to the session's page.")
    return path
