"""What is drawn of one design in its row: exposures over tilt, the stage over time, SSNR over Fourier space."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.image import AxesImage
from matplotlib.patches import Arc
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from eucentric.design import Prediction
from eucentric.report.designs.palette import MUTED, SMALL_PT, ssnr_colours, tint

Array = NDArray[np.float64]

RINGS_A = (40.0, 20.0, 10.0)
MAP_PER_A = 0.11
"""To where SSNR is shown: just beyond the last ring."""

IMAGE_PX = 360
"""Pixels from the middle of the map of SSNR to its rim: more than a page shows."""

_PLACES = 3  # each way, in a pixel
_DIRECTIONS = 2879  # of half a turn: two in a section of 4000 Å at 10 Å; a prime, lest all tilts fall alike on them
_FINER = 5  # odd, so that the middle of each bin is among the finer ones
_DECADES = (3, 7)  # fewest and most of them on the scale
_SCALE_FROM_PER_A = 0.01  # what is coarser is the outline of the particle, and would take the scale
_NOTHING = 1e-30  # SSNR that is none, where a logarithm is taken
_MAP_HEIGHT = 1.13  # of the radius, with letters at the rim
_WIDEST_DEG = 2.4  # of a bar, as of tilts every 3°
_DENSE = 0.015  # of the axis, from tilt to tilt


def angles() -> MaxNLocator:
    """Return what places ticks on an axis of angles: 30° rather than 20° or 25°."""
    return MaxNLocator(nbins=5, steps=[1, 1.5, 3, 6, 10])


@dataclass(frozen=True)
class Reach:
    """How far the common axes of the rows go."""

    tilts_deg: tuple[float, float]
    exposure_e_A2: float
    minutes: float
    map_per_A: float

    @classmethod
    def of(cls, predictions: Sequence[Prediction]) -> "Reach":
        """Return the axes that hold all."""
        tilts = np.concatenate([one.plan.design.slab.stage_deg for one in predictions])
        span = float(np.ptp(tilts))
        pad = max(0.06 * span, 10 - span / 2)  # a lone tilt has its bar in twenty degrees
        return cls(
            tilts_deg=(float(tilts.min()) - pad, float(tilts.max()) + pad),
            exposure_e_A2=max(one.plan[-1].pre_exposure_e_A2 + one.plan[-1].exposure_e_A2 for one in predictions),
            minutes=max(one.clock.duration_s for one in predictions) / 60,
            map_per_A=min(MAP_PER_A, max(1 / (2 * one.plan.design.camera.pixel_A) for one in predictions)),
        )


def exposures(axes: Axes, prediction: Prediction, reach: Reach, colour: str, *, last: bool) -> None:
    """Draw a bar for each tilt: pale what the specimen had received before, full the exposure of the image."""
    plan = prediction.plan
    tilts = plan.design.slab.stage_deg
    before = np.array([one.pre_exposure_e_A2 for one in plan])
    own = np.array([one.exposure_e_A2 for one in plan])
    step = float(np.diff(np.sort(tilts)).min()) if len(plan) > 1 else _WIDEST_DEG
    # Bars that are hardly wider than a pixel would make a pattern of their own with gaps between them.
    apart = step > _DENSE * (reach.tilts_deg[1] - reach.tilts_deg[0])
    width = min(0.8 * step if apart else step, _WIDEST_DEG)
    axes.bar(tilts, before, width, color=tint(colour, 0.32), lw=0)
    axes.bar(tilts, own, width, bottom=before, color=colour, lw=0)
    axes.grid(visible=False, axis="x")
    axes.set_xlim(*reach.tilts_deg)
    axes.set_ylim(0, reach.exposure_e_A2 * 1.05)
    axes.xaxis.set_major_locator(angles())
    axes.yaxis.set_major_locator(MaxNLocator(nbins=4, steps=[1, 2, 4, 5, 10]))
    axes.set_ylabel("e/Å²")
    _last(axes, "stage tilt (°)", last=last)


def path(axes: Axes, prediction: Prediction, reach: Reach, colour: str, *, last: bool) -> None:
    """Draw where the stage is over time, and each exposure at its tilt."""
    plan, clock = prediction.plan, prediction.clock
    stage, routine = plan.design.stage, plan.design.routine
    tilts = plan.design.slab.stage_deg
    exposing = np.array([one.exposure_e_A2 for one in plan]) / routine.dose_rate_e_A2_per_s
    leaves = clock.start_s + exposing + routine.overhead_s
    arrives = np.concatenate([[0.0], leaves[:-1] + np.abs(np.diff(tilts)) / stage.speed_deg_per_s])
    minutes = np.column_stack([arrives, leaves]).ravel() / 60
    axes.plot(minutes, np.repeat(tilts, 2), color=tint(colour, 0.55), lw=0.7)
    ends = np.column_stack([clock.start_s, clock.start_s + exposing]) / 60
    axes.plot(ends.mean(axis=1), tilts, ls="none", marker=".", ms=3.2, mew=0, color=colour)
    axes.set_xlim(0, reach.minutes * 1.02)
    axes.set_ylim(*reach.tilts_deg)
    axes.yaxis.set_major_locator(angles())
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10]))
    axes.set_ylabel("tilt (°)")
    _last(axes, "time (min)", last=last)


def ssnr_scale(predictions: Sequence[Prediction], reach: Reach) -> LogNorm:
    """Return the common scale of SSNR: from the strongest image to a tenth of each design's at the finest ring."""
    finest = max((1 / ring for ring in RINGS_A if 1 / ring <= reach.map_per_A), default=reach.map_per_A)
    top = _decade(max(_strongest(one, _SCALE_FROM_PER_A) for one in predictions)) + 1
    bottom = _decade(min(_strongest(one, finest) for one in predictions)) - 1
    return LogNorm(10.0 ** min(max(bottom, top - _DECADES[1]), top - _DECADES[0]), 10.0**top)


def _strongest(prediction: Prediction, from_per_A: float) -> float:
    """Return the highest SSNR of one image from a frequency on."""
    return float(prediction.information[:, prediction.k >= from_per_A].max(initial=0.0))


def _decade(value: float) -> int:
    return math.floor(math.log10(max(value, _NOTHING)))


def ssnr(axes: Axes, prediction: Prediction, reach: Reach, scale: LogNorm, *, last: bool) -> AxesImage:
    """Draw SSNR over the plane across the tilt axis: along the slab to the sides, along its normal upwards."""
    most = reach.map_per_A
    drawn = axes.imshow(
        ssnr_image(prediction, most),
        extent=(-most, most, 0, most),
        origin="lower",
        norm=scale,
        cmap=ssnr_colours(),
        zorder=2,
    )
    _frame(axes, prediction, reach, last=last)
    return drawn


def ssnr_image(prediction: Prediction, most_per_A: float) -> Array:
    """Return the mean SSNR of each pixel, (`IMAGE_PX`, 2 `IMAGE_PX`), of the half plane to a frequency; rows upwards.

    Sections are finer than a pixel, so a pixel is a mean of several places. Between the middles of the prediction's
    bins, the information of each image is interpolated; the width of its section is that of the very frequency.
    """
    width = 2 * prediction.k[0] / _FINER
    bins = min(math.ceil(most_per_A / width), _FINER * len(prediction.k))
    k = (np.arange(bins) + 0.5) * width
    information = np.array([np.interp(k, prediction.k, of_tilt) for of_tilt in prediction.information])
    directions_deg = (np.arange(_DIRECTIONS) + 0.5) * 180 / _DIRECTIONS
    polar = np.pad(replace(prediction, k=k, information=information).ssnr(directions_deg), ((0, 0), (0, 1)))
    return np.asarray(polar.ravel()[_places(most_per_A / width, bins)].mean(axis=0))


@lru_cache(maxsize=2)  # designs that are compared have mostly one camera
def _places(radius: float, bins: int) -> NDArray[np.int64]:
    """Return where the places of each pixel are in the table of directions by bins, whose last bin is nothing.

    `radius` is that of the map in bins.
    """
    steps = (np.arange(_PLACES) + 0.5) / _PLACES
    up, right = (part.reshape(-1, 1, 1) for part in np.meshgrid(steps, steps))
    z, x = np.arange(IMAGE_PX)[:, None] + up, np.arange(-IMAGE_PX, IMAGE_PX) + right
    distance = np.hypot(z, x) * radius / IMAGE_PX
    at_k = np.where(distance < min(radius, bins), distance, bins).astype(np.int64)
    return (np.arctan2(z, x) * _DIRECTIONS / np.pi).astype(np.int64) * (bins + 1) + at_k


def _frame(axes: Axes, prediction: Prediction, reach: Reach, *, last: bool) -> None:
    """Draw rings, and below the image, as sections may lie there, the slab's plane and the ends of the range."""
    most = reach.map_per_A
    axes.set_xlim(-1.02 * most, 1.02 * most)
    axes.set_ylim(0, _MAP_HEIGHT * most)
    axes.set_aspect("equal", anchor="S")
    axes.grid(visible=False)
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(False)
    rings = [1 / ring for ring in RINGS_A if 1 / ring < most]
    for radius in (*rings, most):
        look = {"lw": 0.7} if radius == most else {"lw": 0.5, "ls": (0, (3, 2))}
        axes.add_patch(Arc((0, 0), 2 * radius, 2 * radius, theta1=0, theta2=180, color=MUTED, zorder=3, **look))
    axes.plot([-most, most], [0, 0], color=MUTED, lw=0.6, clip_on=False, zorder=1)
    slab_deg = prediction.plan.design.slab.slab_deg
    for end in sorted({float(slab_deg.min()), float(slab_deg.max())}):
        turn = math.radians(end if end >= 0 else end + 180)
        across, up = most * math.cos(turn), most * math.sin(turn)
        axes.plot([0, 1.02 * across], [0, 1.02 * up], color=MUTED, lw=0.4, zorder=1)
        axes.text(
            1.03 * across, 1.03 * up, f"{end:.3g}°".replace("-", "−"), size=SMALL_PT - 0.5, color=MUTED,
            ha="left" if end >= 0 else "right", va="bottom",
        )  # fmt: skip
    ticks = [-radius for radius in rings[::-1]] + rings
    axes.set_xticks(ticks, [f"{1 / abs(at):g}" for at in ticks])
    axes.set_yticks([])
    _last(axes, "resolution (Å)", last=last)


def _last(axes: Axes, label: str, *, last: bool) -> None:
    """Label the x axis of the last row only: those above have the same."""
    axes.tick_params(labelbottom=last)
    if last:
        axes.set_xlabel(label)
