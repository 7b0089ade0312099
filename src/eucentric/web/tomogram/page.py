"""The pages of tomograms: a list of the session's series, and one page for each."""

import shlex
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from nicegui import app, ui
from nicegui.element import Element

from eucentric.core import EucentricError
from eucentric.session import RunStatus, read_history
from eucentric.web.look import frame
from eucentric.web.served import Served
from eucentric.web.tomogram.routes import add_routes
from eucentric.web.tomogram.series import Version, find_series, find_versions, has_stack, volume_path

_TITLE = "Tomogram"
_SCRIPTS = "/tomogram-files"  # the scripts name it too
_HOW = (
    "XY from above, XZ along the tilt axis, YZ across it; each volume has its own contrast. Click or drag to move the "
    "cross. Over a view, the wheel scrolls; with a view in focus, so do ↑ ↓, PageUp and PageDown (by ten), Home and "
    "End, while Shift and arrows move the cross, + and − zoom, and space plays."
)
_THUMBNAIL = "average=5&largest=384"


class Part(Element, component="files/viewer.js"):
    """What the page's scripts draw: ``volumes``, ``tilts`` or ``elsewhere``."""

    def __init__(self, part: str, series: str, more: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        self.props.update(part=part, series=series, more=dict(more or {}))


def add_pages(served: Served, session: Path) -> None:
    """Add the list and the pages of series of the session that is served, and what they fetch."""
    add_routes(app, session)
    app.add_static_files(_SCRIPTS, Path(__file__).parent / "files", max_cache_age=0)
    ui.add_head_html(f'<link rel="stylesheet" href="{_SCRIPTS}/tomogram.css">', shared=True)

    @ui.page("/tomogram")
    def every() -> None:
        with frame(_TITLE, served):
            _list(session)

    @ui.page("/tomogram/{series}")
    def one(series: str) -> None:
        with frame(_TITLE, served):
            try:
                _show(session, series)
            except EucentricError as error:
                _heading(1, "This tomogram cannot be shown")
                ui.label(str(error)).classes("warnings")


def _list(session: Path) -> None:
    _heading(1, "Tomograms")
    names = find_series(session)
    if not names:
        ui.label("No series has been processed yet; reload this page when one is.").classes("quiet")
        return
    items = "".join(_card(name, find_versions(session, name)) for name in names)
    ui.html(f'<ul class="gallery">{items}</ul>', sanitize=False)


def _card(name: str, versions: tuple[Version, ...]) -> str:
    """Return a series' name under a picture of the middle of its tomogram."""
    picture, mark = "no tomogram yet", ""
    if versions:
        mark = f" · {versions[0].label}" if versions[0].is_preview else ""
        source = f"/api/slice/{quote(name, safe='')}/{quote(versions[0].name, safe='')}/z/middle?{_THUMBNAIL}"
        picture = f'<img src="{escape(source)}" alt="" loading="lazy">'
    link = escape(f"/tomogram/{quote(name, safe='')}")
    return f'<li><a href="{link}"><span class="picture">{picture}</span>{escape(name + mark)}</a></li>'


def _show(session: Path, series: str) -> None:
    versions = find_versions(session, series)
    _heading(1, series)
    _beside(session, series)
    _numbers(session, series)
    Part("volumes", series)
    ui.label(_HOW).classes("caption")
    if has_stack(session, series):
        _heading(2, "Tilt series")
        Part("tilts", series)
    elif any(not version.is_preview for version in versions):
        ui.label("The stack of this series lies outside the session, and is not shown.").classes("quiet")
    if versions:
        _heading(2, "Open elsewhere")
        Part("elsewhere", series, _elsewhere(session, series, versions))


def _heading(level: int, text: str) -> None:
    ui.html(escape(text), sanitize=False, tag=f"h{level}")


def _beside(session: Path, series: str) -> None:
    """Link to the list and to the series before and after."""
    names = find_series(session)
    at = names.index(series) if series in names else 0
    with ui.element("p").classes("beside"):
        ui.link("All tomograms", "/tomogram")
        for word, other in (("Previous", names[at - 1] if at else None), ("Next", (*names, None)[at + 1])):
            if other is not None:
                ui.link(f"{word}: {other}", f"/tomogram/{quote(other, safe='')}")


def _numbers(session: Path, series: str) -> None:
    """Show what the stages found of the volume."""
    metrics: dict[str, Any] = {}
    for run in read_history(session):
        if run.series == series and run.status is RunStatus.FINISHED:
            metrics |= run.metrics
    rows = [("Voxels (x, y, z)", " × ".join(str(n) for n in reversed(metrics.get("shape_zyx", []))))]
    rows.append(("Halves agree to", _of("{:.1f} Å", metrics.get("resolution_A"))))
    rows.append(("Specimen", _of("{:.0f} nm thick", metrics.get("thickness_A"), 0.1)))
    rows.append(("Alignment residual", _of("{:.1f} Å", metrics.get("median_residual_A"))))
    cells = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in rows if value)
    if cells:
        ui.html(f'<dl class="numbers">{cells}</dl>', sanitize=False)


def _of(form: str, value: Any, factor: float = 1.0) -> str:
    return form.format(value * factor) if isinstance(value, int | float) else ""


def _elsewhere(session: Path, series: str, versions: tuple[Version, ...]) -> dict[str, Any]:
    """Return lines that open the volumes in other programs, and the name of the OME-Zarr folder if there is one."""
    paths = [volume_path(session, series, version.name) for version in versions]
    files = [path for path in paths if path.suffix == ".mrc"]
    zarr = next((path for path in (paths[0].with_suffix(".zarr"),) if path.is_dir()), None)
    commands = []
    if zarr:
        line = f"napari --plugin napari-ome-zarr {shlex.quote(str(zarr))}"
        commands.append(_command("napari", line, "Needs napari with its plugin napari-ome-zarr."))
    if files:
        line = " ".join(["napari", *(shlex.quote(str(path)) for path in files)])
        note = "Every version as a layer. Needs napari with a plugin that reads MRC, such as napari-mrcfile-reader."
        commands.append(_command("napari, all versions", line, note))
        line = f"import mrcfile; volume = mrcfile.mmap({str(files[0])!r}).data"
        commands.append(_command("Python", line, "Voxels (z, y, x), of which only those that are looked at are read."))
    return {"commands": commands, "zarr": zarr.name if zarr else None}


def _command(title: str, line: str, note: str) -> dict[str, str]:
    return {"title": title, "line": line, "note": note}
