"""One look for every plot: thin lines, one accent, colours that follow the page into dark mode."""

import base64
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

INK, MUTED, GRID, ACCENT, ALARM = "#010203", "#040506", "#070809", "#0a0b0c", "#0d0e0f"
"""Stand-ins: `svg` turns each into the page's own colour of that role, so that a plot can be light or dark."""

_ROLES = {INK: "--ink", MUTED: "--muted", GRID: "--grid", ACCENT: "--accent", ALARM: "--alarm"}

SMOOTHED_A = 15.0
"""Gaussian that slices are smoothed with for the eye; finer detail of one slice is noise at any usual dose."""

PANEL_IN = (4.7, 2.9)
"""Two panels fit side by side on a desk, one on a phone, with letters that stay readable."""

_STYLE: dict[Any, Any] = {  # Any: matplotlib types these keys in some versions only
    "svg.fonttype": "none",  # letters stay letters: they take the page's font and can be searched
    "font.size": 9.5,
    "axes.labelsize": 9.5,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "text.color": INK,
    "axes.labelcolor": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.4,
    "lines.markersize": 4.0,
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
}


@dataclass(frozen=True)
class Plot:
    """A drawing for the page: HTML or SVG, and the words under it: what to look for, what would be wrong."""

    name: str
    drawing: str
    caption: str
    wide: bool = False


@contextmanager
def styled() -> Iterator[None]:
    """Draw inside this to have the report's style; matplotlib's own settings are as before afterwards."""
    with mpl.rc_context(_STYLE):
        yield


def panel(x_label: str, y_label: str) -> tuple[Figure, Axes]:
    """Return a figure with one set of labelled axes."""
    figure = Figure(figsize=PANEL_IN, layout="constrained")
    axes = figure.add_subplot()
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    return figure, axes


def svg(figure: Figure, name: str) -> str:
    """Return a figure as an SVG element for the page, its references made unique by `name`."""
    text = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": name}):  # the same plot gives the same text every time
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    drawn = text.getvalue()
    drawn = drawn[drawn.index("<svg") :]
    drawn = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", drawn, count=1)
    drawn = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", drawn, count=1)
    for stand_in, role in _ROLES.items():
        drawn = drawn.replace(stand_in, f"var({role})")
    used = set(re.findall(r'(?:url\(#|href="#)([^)"]+)', drawn))
    return re.sub(r' id="([^"]*)"', lambda match: match.group(0) if match.group(1) in used else "", drawn)


def grey(image: NDArray[np.floating], limits: tuple[float, float] | None = None) -> NDArray[np.uint8]:
    """Return an image as 8-bit grey between `limits`, or between its own robust ones; what is no number is black."""
    low, high = limits or robust_limits(image)
    scaled = (image - low) * (255 / max(high - low, 1e-12))
    return np.asarray(np.clip(np.nan_to_num(scaled, nan=0.0), 0, 255), dtype=np.uint8)


def robust_limits(image: NDArray[np.floating]) -> tuple[float, float]:
    """Return the black and the white point: what all but 0.6 % of the inner pixels lie between.

    So neither the beads rule, nor the rim where views end, nor pixels that are not numbers.
    """
    rows, columns = image.shape[0] // 10, image.shape[1] // 10
    inner = image[rows : image.shape[0] - rows, columns : image.shape[1] - columns]
    finite = inner[np.isfinite(inner)]
    if not finite.size:
        return 0.0, 1.0
    low, high = np.percentile(finite, (0.3, 99.7))
    return float(low), float(high)


def data_uri(image: NDArray[np.uint8], *, quality: int = 60) -> str:
    """Return an 8-bit grey image as an embedded JPEG: on such noise no larger than WebP, and ten times faster."""
    encoded = io.BytesIO()
    Image.fromarray(image).save(encoded, format="JPEG", quality=quality)
    return f"data:image/jpeg;base64,{base64.b64encode(encoded.getvalue()).decode()}"


def as_jpeg(drawing: str) -> str:
    """Return a drawing with the coloured PNGs that matplotlib embeds as grey JPEGs, a fifth of their size."""

    def smaller(match: re.Match[str]) -> str:
        with Image.open(io.BytesIO(base64.b64decode(match.group(1)))) as picture:
            return data_uri(np.asarray(picture.convert("L")), quality=85)

    drawing = re.sub(r"data:image/png;base64,\s*([A-Za-z0-9+/=\s]+)", smaller, drawing)
    return drawing.replace("image-rendering:crisp-edges;image-rendering:pixelated", "")


def smoothed(image: NDArray[np.floating], pixel_A: float) -> NDArray[np.float32]:
    """Return an image smoothed by `SMOOTHED_A` for the eye."""
    return np.asarray(ndimage.gaussian_filter(image, SMOOTHED_A / pixel_A, mode="nearest"), dtype=np.float32)


def shrunk(image: NDArray[np.uint8], largest: int) -> NDArray[np.uint8]:
    """Return an image reduced, with antialiasing, to at most `largest` pixels a side."""
    height, width = image.shape
    factor = largest / max(height, width)
    if factor >= 1:
        return image
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR))
