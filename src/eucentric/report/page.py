"""The report's page: sections, tables, and the file itself."""

import platform
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from eucentric.core import SILENT, Reporter, write_text
from eucentric.report.certificate import certificate_table
from eucentric.report.figures import (
    astigmatism,
    axis_search,
    counts,
    defocus,
    fit_resolution,
    local_motion,
    montage,
    motion_over_order,
    movie,
    residuals,
    shell_correlation,
    shifts,
    slices,
    spectra,
    tracks,
)
from eucentric.report.headline import headline, notices
from eucentric.report.inputs import ReportInput
from eucentric.report.look import CSS
from eucentric.report.parts import MARK, SAFE, figures_in, numbers_list, package_version, section, table, warnings_list
from eucentric.report.style import styled
from eucentric.report.words import seconds

PACKAGES = ("eucentric", "numpy", "scipy", "torch", "numba", "mrcfile", "matplotlib")
"""What the numbers depend on."""

_OF_MOVIES = (
    ("motion", "Movement within exposures", (tracks, motion_over_order, local_motion)),
    ("ctf", "Contrast transfer", (spectra, defocus, astigmatism, fit_resolution)),
)


def write_report(path: Path, data: ReportInput, reporter: Reporter = SILENT) -> None:
    """Write the report as one self-contained HTML file, whole or not at all.

    Parameters
    ----------
    path
        Where to write it; a file that stands there is replaced.
    data
        What to show.
    reporter
        Told of each section.

    Raises
    ------
    InputError
        If the alignment uses no view.
    OutputError
        If the place cannot be written to.
    """
    numbers = headline(data)
    subjects = (
        ("tomogram", "Tomogram", (slices, movie)),
        ("resolution", "Agreement of the halves", (shell_correlation,)),
        *(_OF_MOVIES if data.movies else ()),
        ("axis", "Tilt axis", (axis_search,)),
        ("alignment", "Alignment, view by view", (shifts, residuals)),
        ("thickness", "Counts and thickness", (counts,)),
        ("views", "Views", (montage,)),
    )
    sections = []
    if data.conventions:
        sections.append(section("conventions", "Conventions", certificate_table(data.conventions)))
    with styled():
        for key, title, figures in reporter.each(subjects, "Drawing the report"):
            plots = [plot for figure in figures for plot in figure(data)]
            sections.append(section(key, title, foreword(key, data) + (figures_in(plots) if plots else "")))
    sections.append(section("settings", "Settings and provenance", _provenance(data)))
    sections.append(section("timings", "Time taken", _timings(data.timings)))
    first = [("conventions", "Conventions")] if data.conventions else []
    named = first + [(key, title) for key, title, _ in subjects] + [("settings", "Settings"), ("timings", "Time taken")]
    links = "".join(f'<a href="#{key}">{title}</a>' for key, title in named)
    name = escape(data.series.name)
    written = f" · {data.written:%Y-%m-%d %H:%M}" if data.written else ""
    text = (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{SAFE}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{name} – tilt-series report</title>{MARK}<style>{CSS}</style></head><body>\n"
        f'<header><p class="over">Tilt-series report{written}</p><h1>{name}</h1>'
        f'<nav aria-label="Sections">{links}</nav></header>\n'
        f"<main>{numbers_list(numbers)}{warnings_list(notices(data))}{''.join(sections)}</main>\n</body></html>\n"
    )
    write_text(path, text)


def foreword(key: str, data: ReportInput) -> str:
    """Say what stands before the pictures of a section: why there are none, and what was done first."""
    said = ""
    if key == "axis" and data.result.axis_search is None:
        value = next(number.value for number in headline(data) if number.key == "axis")
        said = f"The tilt axis was given ({value}), so it was not searched."
    elif key == "resolution" and data.fsc is None:
        said = "No halves of the series were reconstructed, so their agreement is not known."
    elif key == "motion" and data.movies:
        one_each = all(len(track.frames) == 1 for track in data.movies.tracks)
        gain = data.movies.gain
        said = "The frames had no gain reference. " if gain is None else f"The gain reference lies {gain}. "
        said += f"{data.movies.defects} defective pixels of the camera were replaced by their neighbours."
        said += " Every movie has one frame, so that no movement can be seen." if one_each else ""
    elif key == "ctf" and data.movies and data.movies.ctf is None:
        said = f"No CTF was fitted: {data.movies.ctf_reason or 'nobody asked for it'}."
    return f'<p class="quiet">{escape(said)}</p>' if said else ""


def _provenance(data: ReportInput) -> str:
    tables = [table(stage, _flat(settings)) for stage, settings in data.settings.items() if settings]
    if data.inputs:
        tables.append(table("input files", ((file, digest or "no digest taken") for file, digest in data.inputs)))
    series = data.series
    tables.append(
        table(
            "series",
            (
                ("name", series.name),
                ("pixel", f"{series.pixel_A:g} Å"),
                ("image", f"{series.shape_yx[0]} × {series.shape_yx[1]} (y x)"),
                ("voltage", "not given" if series.voltage_kV is None else f"{series.voltage_kV:g} kV"),
                (
                    "tilt axis in the metadata",
                    "not given" if series.tilt_axis_deg is None else f"{series.tilt_axis_deg:g}°",
                ),
                ("order of acquisition", "given" if series.order_known else "not given"),
            ),
        )
    )
    versions = [*((name, package_version(name)) for name in PACKAGES), ("python", platform.python_version())]
    tables.append(table("versions", versions))
    return f'<div class="tables">{"".join(tables)}</div>'


def _flat(settings: Mapping[str, Any], before: str = "") -> list[tuple[str, str]]:
    """Return every setting, nested ones with a dotted name."""
    rows = []
    for name, value in settings.items():
        if isinstance(value, Mapping):
            rows += _flat(value, f"{before}{name}.")
        else:
            rows.append((f"{before}{name}", "not set" if value is None else str(value)))
    return rows


def _timings(timings: Mapping[str, float]) -> str:
    if not timings:
        return '<p class="quiet">No times were recorded.</p>'
    longest = max(*timings.values(), 1e-9)
    rows = "".join(
        f"<tr><th>{escape(stage)}</th><td>{seconds(taken)}</td>"
        f'<td class="bar"><span style="width:{100 * taken / longest:.1f}%"></span></td></tr>'
        for stage, taken in timings.items()
    )
    return f"<table>{rows}<tr><th>in all</th><td>{seconds(sum(timings.values()))}</td><td></td></tr></table>"
