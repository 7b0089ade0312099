"""Words and ticks on figures of designs: names that fit, resolutions on an axis of frequency."""

from matplotlib.axes import Axes
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

_RESOLUTIONS_A = (100, 40, 20, 10, 7, 5, 4, 3, 2.5, 2, 1.5, 1.2, 1)
_LABEL_SHARE = 0.07  # of an axis two and a half inches long: what a label of two digits takes
_BREAKS = " _-"


def resolution_axis(axes: Axes, most_per_A: float) -> None:
    """Make the x axis one of frequency (1/Å) up to `most_per_A`, labelled in Å."""
    ticks = [0.0]
    for resolution_A in _RESOLUTIONS_A:
        at = 1 / resolution_A
        if ticks[-1] + _LABEL_SHARE * most_per_A <= at <= most_per_A * 1.0001:
            ticks.append(at)
    axes.set_xlim(0, most_per_A)
    axes.set_xticks(ticks, ["∞", *(f"{1 / at:g}" for at in ticks[1:])])
    axes.set_xlabel("resolution (Å)")


def shortened(name: str, width_in: float, size_pt: float, *, bold: bool = False) -> str:
    """Return a name as one line that fits a width; what is left out of its middle is marked by an ellipsis."""
    name = _printable(name)
    font = _font(size_pt, bold=bold)
    left = len(name)
    short = name
    while _width_in(short, font) > width_in and left > 2:
        left -= 1
        # Names differ at their ends as often as at their beginnings.
        short = f"{name[: (left + 1) // 2]}…{name[len(name) - left // 2 :]}"
    return short


def in_two_lines(name: str, width_in: float, size_pt: float) -> str:
    """Return a name in bold as one or two lines that fit a width."""
    name = _printable(name)
    font = _font(size_pt, bold=True)
    if _width_in(name, font) <= width_in:
        return name
    fits = next((n for n in range(len(name), 1, -1) if _width_in(name[:n], font) <= width_in), 1)
    cut = max((at + 1 for at in range(fits // 2, fits) if name[at] in _BREAKS), default=fits)
    return f"{name[:cut].rstrip()}\n{shortened(name[cut:], width_in, size_pt, bold=True)}"


def wrapped(text: str, width_in: float, size_pt: float) -> str:
    """Return a text broken into lines that fit a width, those after the first indented."""
    font = _font(size_pt, bold=False)
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and _width_in(longer, font) > width_in:
            lines.append(f"    {word}")
        else:
            lines[-1:] = [longer]
    return "\n".join(lines)


def _printable(name: str) -> str:
    return " ".join("".join(letter if letter.isprintable() else " " for letter in name).split())


def _font(size_pt: float, *, bold: bool) -> FontProperties:
    return FontProperties(size=size_pt, weight="bold" if bold else "normal")


def _width_in(text: str, font: FontProperties) -> float:
    width_pt, _, _ = text_to_path.get_text_width_height_descent(text, font, ismath=False)
    return float(width_pt) / 72
