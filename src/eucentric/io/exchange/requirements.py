"""What a series must have before a program's files can be made of it."""

from collections.abc import Sequence

from eucentric.core import Alignment, InputError
from eucentric.io.exchange.records import ProcessedSeries


def need_series(series: Sequence[ProcessedSeries]) -> None:
    """Refuse an export of nothing.

    Raises
    ------
    InputError
        If there is no series.
    """
    if not series:
        raise InputError("There is no series to export.", "Name a session with processed series.")


def need_alignment(one: ProcessedSeries, program: str) -> Alignment:
    """Return the alignment of a series, with a view in use.

    Raises
    ------
    InputError
        If there is none, or all its views are left out.
    """
    name, alignment = one.series.name, one.alignment
    if alignment is None:
        raise InputError(f"{name}: there is no alignment, which is what {program}'s files hold.", "Align it first.")
    if not alignment.used:
        raise InputError(f"{name}: every view is left out.", "Leave this series out of the export.")
    return alignment
