"""What of a series has to run again, told from the journal and from when files were last changed, without reading them.

`Session.state` compares contents. This is for looking at many series often: what a stage was given is compared with
what the stage before it has made since, by the hashes that the journal has; a file from outside the session counts as
changed where it has another size, or was written after the stage began.
"""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from eucentric.session import RunStatus
from eucentric.web.session.following import File, Run, Told


def outdated_stages(told: Told, folder: Path, align: str = "") -> dict[str, str]:
    """Return by stage why it has to run again; stages that need not are left out.

    Parameters
    ----------
    told
        Of the series.
    folder
        The session, whose journal it is.
    align
        Why the alignment has to run again, whatever it was given.
    """
    made = {output.path: run for run in told.finished.values() for output in run.outputs}
    found: dict[str, str] = {}
    for stage, run in sorted(told.finished.items(), key=lambda item: item[1].number):
        if told.runs[stage].status is RunStatus.RUNNING:
            continue
        given = align if stage == "align" else ""
        why = given or next(filter(None, (_changed(run, one, made, found, folder) for one in run.inputs)), "")
        if why:
            found[stage] = why
    return found


def _changed(run: Run, given: File, made: Mapping[str, Run], found: Mapping[str, str], folder: Path) -> str:
    maker = made.get(given.path)
    if maker is not None and maker.stage != run.stage:
        if maker.stage in found:
            return f"{maker.stage} is outdated"
        now = next(output for output in maker.outputs if output.path == given.path)
        return "" if now.sha256 == given.sha256 else f"{maker.stage} has run again since"
    return _changed_outside(run, given, folder)


def _changed_outside(run: Run, given: File, folder: Path) -> str:
    path = folder / given.path
    name = path.name
    try:
        info = path.stat()
    except FileNotFoundError:
        return f"{name} is not there any more"
    except OSError:  # a disk that is away for a moment tells nothing
        return ""
    if path.is_dir():
        return ""
    began = datetime.fromisoformat(run.started_at).timestamp()
    if info.st_size != given.size_bytes or info.st_mtime > began:
        return f"{name} was changed since"
    return ""


def queued_again(told: Told) -> str:
    """Say so where a watcher found that the series has changed since it was last processed, and has yet to begin."""
    last = max((run.number for run in told.runs.values()), default=0)
    if told.queued is not None and told.finished and told.queued.id > last:
        return "Something of it came or changed since it was processed; it waits to be processed again."
    return ""
