"""The series that a session's folder holds, as acquisition leaves them: in ``mdoc/``, each a stack with its .mdoc."""

import warnings
from pathlib import Path

from eucentric.core import DataWarning, InputError


def find_series(folder: Path) -> tuple[Path, ...]:
    """Return the stacks of a session's series, by name; none of them is opened.

    Parameters
    ----------
    folder
        A session, or any folder that holds ``mdoc/NAME.mrc`` with ``NAME.mrc.mdoc`` or ``NAME.mdoc``.

    Raises
    ------
    InputError
        If there is none; it says what is missing.

    Warns
    -----
    DataWarning
        `no-mdoc`, `no-stack`: half of a series was found beside whole ones, and left out.
    """
    folder = Path(folder)
    place = folder / "mdoc"
    fix = "Acquire a series first, or name stacks themselves."
    if not place.is_dir():
        raise InputError(f"{folder}: there is no series in it, for it has no folder mdoc.", fix)
    # What begins with a dot is half-written, or another system's own.
    files = sorted(path for path in place.iterdir() if path.is_file() and not path.name.startswith("."))
    names = {path.name for path in files}
    stacks = [path for path in files if path.suffix == ".mrc"]
    whole = [path for path in stacks if names & {f"{path.name}.mdoc", f"{path.stem}.mdoc"}]
    halves = [(f"{path}: this stack has no .mdoc beside it", "no-mdoc") for path in stacks if path not in whole]
    halves += [
        (f"{path}: there is no stack {path.stem} beside it; its acquisition may not have ended", "no-stack")
        for path in files
        if path.name.endswith(".mrc.mdoc") and path.stem not in names
    ]
    if not whole:
        why = ". ".join(what for what, _ in halves) or f"{place} holds no stacks (.mrc)"
        raise InputError(f"{folder}: there is no series in it. {why}.", fix)
    for what, name in halves:
        warnings.warn(f"{what}; it was left out. [{name}]", DataWarning, stacklevel=2)
    return tuple(whole)
