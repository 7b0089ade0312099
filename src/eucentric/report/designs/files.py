"""Figures to files."""

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from eucentric.core import OutputError, whole_or_nothing
from eucentric.report.designs.palette import standing_alone

DPI = 200
"""Of a PNG, and of what is drawn in pixels within the others."""

_METADATA: dict[str, dict[str, Any]] = {  # no date, so that the same figure gives the same file
    ".png": {},
    ".svg": {"Date": None},
    ".pdf": {"CreationDate": None},
}


def write_figure(path: Path, figure: Figure) -> None:
    """Write a figure as PNG, SVG (its text stays text) or PDF, by the suffix; whole or not at all.

    Raises
    ------
    OutputError
        If the suffix is another, or the file cannot be written.
    """
    kind = path.suffix.lower()
    if kind not in _METADATA:
        named = f"of kind {path.suffix}" if path.suffix else "without a suffix"
        raise OutputError(
            f"{path}: a figure cannot be written to a file {named}; nothing was written.",
            f"Choose a name that ends in {', '.join(list(_METADATA)[:-1])} or {list(_METADATA)[-1]}.",
        )
    with whole_or_nothing(path) as partial, standing_alone():
        figure.savefig(partial, format=kind[1:], dpi=DPI, metadata=_METADATA[kind])
