"""The page of a restoration: what it did to a tomogram, and what of that is measured and what inferred."""

import platform
from html import escape
from pathlib import Path

from eucentric.core import SILENT, Reporter, write_text
from eucentric.report.figures.restoration import agreement, filled, misfit, power, slices, training
from eucentric.report.look import CSS
from eucentric.report.parts import MARK, SAFE, figures_in, numbers_list, package_version, section, table, warnings_list
from eucentric.report.restoration_input import RestorationShown
from eucentric.report.restoration_words import METHODS, how_it_ended, numbers, statement, warnings
from eucentric.report.style import styled
from eucentric.report.words import seconds

_PACKAGES = ("eucentric", "numpy", "torch", "matplotlib")

_SUBJECTS = (
    ("slices", "Before and after", (slices,)),
    ("data", "Kept to the data", (misfit,)),
    ("agreement", "Agreement of the halves", (agreement,)),
    ("wedge", "Inside and outside the wedge", (power, filled)),
    ("training", "Training", (training,)),
)


def write_restoration_report(path: Path, data: RestorationShown, reporter: Reporter = SILENT) -> None:
    """Write the page as one self-contained HTML file, whole or not at all.

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
    OutputError
        If the place cannot be written to.
    """
    sections = [section("supported", "What the data support", _list(statement(data)))]
    with styled():
        for key, title, figures in reporter.each(_SUBJECTS, "Drawing the report"):
            plots = [plot for figure in figures for plot in figure(data)]
            sections.append(section(key, title, _foreword(key, data) + (figures_in(plots) if plots else "")))
    sections.append(section("settings", "Settings and provenance", _provenance(data)))
    named = [("supported", "What the data support"), *((key, title) for key, title, _ in _SUBJECTS)]
    links = "".join(f'<a href="#{key}">{title}</a>' for key, title in [*named, ("settings", "Settings")])
    name = escape(data.pair.name)
    written = f" · {data.written:%Y-%m-%d %H:%M}" if data.written else ""
    write_text(
        path,
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{SAFE}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{name} – restoration report</title>{MARK}<style>{CSS}</style></head><body>\n"
        f'<header><p class="over">Restoration report{written}</p><h1>{name}</h1>'
        f'<nav aria-label="Sections">{links}</nav></header>\n'
        f"<main>{numbers_list(numbers(data))}{warnings_list(warnings(data))}{''.join(sections)}</main>\n"
        "</body></html>\n",
    )


def _foreword(key: str, data: RestorationShown) -> str:
    """Say what stands before the pictures of a section."""
    said = ""
    if key == "training":
        learned = ", ".join(data.learned_from) or "this tomogram"
        said = f"{METHODS[data.trained.settings.method]} It learned from {learned}. {how_it_ended(data.trained)}"
    return f'<p class="quiet">{escape(said)}</p>' if said else ""


def _list(sentences: tuple[str, ...]) -> str:
    return f"<ul>{''.join(f'<li>{escape(sentence)}</li>' for sentence in sentences)}</ul>"


def _of_what(data: RestorationShown) -> str:
    """Say of what the halves are, as far as they tell."""
    return "of frames or counts, each with all tilts" if data.pair.even_views is None else "of tilts, every other one"


def _provenance(data: RestorationShown) -> str:
    settings = data.trained.settings.model_dump(mode="json")
    tilts = data.pair.tilts_deg
    pair = (
        ("name", data.pair.name),
        ("voxels", f"{' × '.join(map(str, data.pair.shape))} (z y x)"),
        ("voxel", f"{data.pair.voxel_A:g} Å"),
        ("tilts", f"{len(tilts)}, {min(tilts):g}° to {max(tilts):g}°".replace("-", "−")),
        ("halves", _of_what(data)),
        ("what views let through", "all of everything" if data.pair.gain is None else "by their CTF and exposure"),
    )
    tables = [
        table("restoration", ((name, "not set" if value is None else str(value)) for name, value in settings.items())),
        table("halves", pair),
    ]
    if data.inputs:
        tables.append(table("input files", ((file, digest or "no digest taken") for file, digest in data.inputs)))
    if data.timings:
        tables.append(table("time taken", ((stage, seconds(taken)) for stage, taken in data.timings.items())))
    versions = [*((name, package_version(name)) for name in _PACKAGES), ("python", platform.python_version())]
    tables.append(table("versions", versions))
    return f'<div class="tables">{"".join(tables)}</div>'
