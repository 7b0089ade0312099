"""Central slices of the tomogram, in its own proportions."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from eucentric.report.inputs import ReportInput
from eucentric.report.style import SMOOTHED_A, Plot, as_jpeg, grey, smoothed, svg

AVERAGED_A = 100.0
"""Thickness that each slice is averaged over: a bead's, which lifts membranes out of the noise."""

_WIDTH_IN, _TALLEST_IN, _LABELS_IN, _EDGE_IN, _GAP_IN = 6.6, 8.0, 0.66, 0.06, 0.08


_AROUND_IN = _LABELS_IN + _GAP_IN + _EDGE_IN


def slices(data: ReportInput) -> tuple[Plot, ...]:
    """Show the central XY, XZ and YZ slices on one scale, with axes in nm and a scale bar."""
    nz, ny, nx = data.tomogram.shape
    per_px = min((_WIDTH_IN - _AROUND_IN) / (nx + nz), (_TALLEST_IN - _AROUND_IN) / (ny + nz))
    width = (nx + nz) * per_px + _AROUND_IN
    height = (ny + nz) * per_px + _AROUND_IN
    figure = Figure(figsize=(width, height))

    def axes_at(left: float, bottom: float, columns: int, rows: int) -> Axes:
        return figure.add_axes((left / width, bottom / height, columns * per_px / width, rows * per_px / height))

    above, beside = _LABELS_IN + nz * per_px + _GAP_IN, _LABELS_IN + nx * per_px + _GAP_IN
    xy, xz, yz = (
        axes_at(_LABELS_IN, above, nx, ny),
        axes_at(_LABELS_IN, _LABELS_IN, nx, nz),
        axes_at(beside, above, nz, ny),
    )
    z_nm, y_nm, x_nm = (extent_nm(n, data.pixel_A) for n in data.tomogram.shape)
    _show(xy, _central(data, 0), (*x_nm, *y_nm))
    _show(xz, _central(data, 1), (*x_nm, *z_nm))
    _show(yz, _central(data, 2).T, (*z_nm, *y_nm))
    xy.set_ylabel("y, along the tilt axis (nm)")
    xy.tick_params(labelbottom=False)
    xz.set_xlabel("x (nm)")
    xz.set_ylabel("z (nm)")
    yz.set_xlabel("z (nm)")
    yz.tick_params(labelleft=False)
    scale_bar(xy, x_nm, y_nm)
    drawn = as_jpeg(svg(figure, "slices"))
    return (
        Plot(
            "slices",
            drawn,
            f"Slices through the centre, averaged over {_averaged(data) * data.pixel_A / 10:.0f} nm: from "
            "above (xy), along the tilt axis (xz, below) and across it (yz, right), each with its own contrast and "
            f"smoothed by {SMOOTHED_A / 10:g} nm for the eye. Beads "
            "should be round in xy; crescents in xz mean a poor alignment, tails along z are the missing wedge.",
            wide=True,
        ),
    )


def _averaged(data: ReportInput) -> int:
    return max(1, round(AVERAGED_A / data.pixel_A))


def _central(data: ReportInput, axis: int) -> NDArray[np.float32]:
    """Return the mean of the slices about the centre of an axis."""
    n = data.tomogram.shape[axis]
    thick = min(_averaged(data), n)
    first = n // 2 - thick // 2
    index: list[slice] = [slice(None)] * 3
    index[axis] = slice(first, first + thick)
    mean = np.mean(data.tomogram[tuple(index)], axis=axis, dtype=np.float32)
    return smoothed(np.asarray(mean), data.pixel_A)


def extent_nm(n: int, pixel_A: float) -> tuple[float, float]:
    """Return the outer edges of an axis in nm about its centre, the sample n // 2."""
    return (-(n // 2) - 0.5) * pixel_A / 10, (n - n // 2 - 0.5) * pixel_A / 10


def _show(axes: Axes, image: NDArray[np.float32], extent: tuple[float, float, float, float]) -> None:
    axes.imshow(
        grey(image), cmap="gray", vmin=0, vmax=255, origin="lower", extent=extent, aspect="auto", interpolation="none"
    )
    axes.grid(visible=False)
    for side in axes.spines.values():
        side.set_visible(False)


def scale_bar(axes: Axes, x_nm: tuple[float, float], y_nm: tuple[float, float]) -> None:
    """Draw a bar of a round length, about a sixth of the width."""
    width = x_nm[1] - x_nm[0]
    power = 10 ** np.floor(np.log10(width / 6))
    length = float(power * max(step for step in (1, 2, 5) if step * power <= width / 6))
    left, low = x_nm[0] + 0.04 * width, y_nm[0] + 0.05 * (y_nm[1] - y_nm[0])
    for colour, thick in (("#000000", 7.0), ("#ffffff", 4.0)):
        axes.plot([left, left + length], [low, low], color=colour, lw=thick, solid_capstyle="butt")
    axes.text(
        left + length / 2,
        low + 0.025 * (y_nm[1] - y_nm[0]),
        f"{length:g} nm",
        color="#ffffff",
        ha="center",
        fontsize=11,
        bbox={"facecolor": "#000000", "alpha": 0.55, "lw": 0, "pad": 2},
    )
    axes.set_xlim(*x_nm)
    axes.set_ylim(*y_nm)
