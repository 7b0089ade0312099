"""What the session page fetches: pictures of tilts as they came, of previews, and reports."""

import re
from pathlib import Path

from fastapi import FastAPI, Request, Response
from starlette.responses import FileResponse, HTMLResponse

from eucentric.core import InputError
from eucentric.report.figures.movie import SCRIPT
from eucentric.web.served import NotServedError, under
from eucentric.workflow.live.preview import PREVIEW
from eucentric.workflow.live.records import LOOKS

FILES = "/session-files"

_LARGEST_REPORT = 64 << 20
_NAME = re.compile(r"[^/\\\x00.][^/\\\x00]*")


def add_routes(on: FastAPI, session: Path) -> None:
    """Answer for the files of a session."""

    def picture(series: str, section: int) -> Response:
        return _picture(_file(session, series, f"{LOOKS}/{section:03d}.jpg"))

    def preview(series: str) -> Response:
        return _picture(_file(session, series, f"{PREVIEW}.jpg"))

    def report(series: str, request: Request) -> Response:
        path = _file(session, series, "report.html")
        if path.stat().st_size > _LARGEST_REPORT:
            raise InputError(f"{path.name} is too large to be shown here.", "Open it from the folder.")
        text = path.read_text(encoding="utf-8", errors="replace")
        return HTMLResponse(with_its_script(text, request.state.nonce), headers={"cache-control": "no-cache"})

    on.add_api_route(f"{FILES}/{{series}}/{LOOKS}/{{section:int}}", picture, response_model=None)
    on.add_api_route(f"{FILES}/{{series}}/{PREVIEW}", preview, response_model=None)
    on.add_api_route(f"{FILES}/{{series}}/report", report, response_model=None)


def with_its_script(report: str, nonce: str) -> str:
    """Return a report in which its own script may run under the pages' content policy, and no other.

    The file may have come from anybody: what runs is known by its text, to the letter.
    """
    return report.replace(f"<script>{SCRIPT}</script>", f'<script nonce="{nonce}">{SCRIPT}</script>', 1)


def _picture(path: Path) -> Response:
    # The page asks by the number of the run that made it: another run, another address.
    headers = {"cache-control": "private, max-age=86400"}
    return FileResponse(path, media_type="image/jpeg", headers=headers)


def _file(session: Path, series: str, name: str) -> Path:
    if not _NAME.fullmatch(series):
        raise NotServedError(f"{series[:80]!r} is no series of this session.", "Go back to the session's page.")
    path = under(session, f"series/{series}/{name}")
    if not path.is_file():
        raise NotServedError(f"{series[:80]!r} has no such file.", "Go back to the session's page.")
    return path
