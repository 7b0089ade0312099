"""The pictures and charts of a state, as what an `img` and a `figure` of the page show."""

import base64
import io
import math

import numpy as np
from matplotlib import colormaps
from numpy.typing import NDArray
from PIL import Image

from eucentric.design import Prediction, crowther_A, elongation, missing_wedge_fraction, parallax_A
from eucentric.optics import transmission
from eucentric.web.explorer import model
from eucentric.web.explorer.charts import Axis, Chart, angle_axis
from eucentric.web.explorer.imaging import PIXEL_A, SLICE_ZX
from eucentric.web.explorer.model import MAP_PER_A, MAP_PX, RESOLUTIONS_A, SWEEP, TRANSFER_PER_A, Worth
from eucentric.web.explorer.phantom import beads_A
from eucentric.web.explorer.state import LIMITS, State

Doubles = NDArray[np.float64]

_OUTSIDE = 0.4  # percent of pixels that are blacker than black, and whiter than white
_EVERY = 3  # pixel is looked at to find these
_JPEG = 82
_SSNR = (1e-5, 1e1)  # the scale of the map
_DARKEST = 0.15  # of the colours: what is darker is not told from a dark page
_CLOSE = 0.03  # as good as the best
_HALF_DEG = LIMITS["view_deg"].most + 4


def tomogram_slice(state: State) -> str:
    """Return the slice of the tomogram as an address for an `img`, z upwards."""
    return _grey(model.tomogram_slice(state)[::-1])


def projection(state: State) -> str:
    """Return the projection likewise, the tilt axis upwards."""
    return _grey(model.projection(state)[::-1])


def _grey(image: NDArray[np.float32]) -> str:
    low, high = np.percentile(image[::_EVERY, ::_EVERY], (_OUTSIDE, 100 - _OUTSIDE))
    levels = np.clip((image - low) * (255 / max(float(high - low), 1e-12)), 0, 255).astype(np.uint8)
    return _address(Image.fromarray(levels), "jpeg", quality=_JPEG)


def coverage(state: State) -> str:
    """Return the map of SSNR likewise; what was not measured is not painted."""
    ssnr = model.coverage(state)
    low, high = np.log(_SSNR)
    share = np.clip((np.log(np.maximum(ssnr, _SSNR[0])) - low) / (high - low), 0, 1)
    table = (255 * colormaps["viridis"](np.linspace(_DARKEST, 1, 255))).astype(np.uint8)
    painted = np.where(ssnr > 0, 1 + (share * 254).astype(np.uint8), 0).astype(np.uint8)
    image = Image.fromarray(painted, "P")
    image.putpalette(b"\0\0\0" + table[:, :3].tobytes())
    return _address(image, "png", transparency=0, compress_level=1)


def _address(image: Image.Image, kind: str, **options: int) -> str:
    data = io.BytesIO()
    image.save(data, kind, **options)
    return f"data:image/{kind};base64,{base64.b64encode(data.getvalue()).decode()}"


# What lies over the pictures


def over_slice(state: State) -> str:
    """Return the slab's faces, the beam's direction and the beads' rings."""
    rows, columns = SLICE_ZX
    top = state.thickness_A / 2 / PIXEL_A
    faces = "".join(f"M0 {rows / 2 + side * top:.1f}H{columns}" for side in (-1, 1))
    tilt = math.radians(state.view_deg)
    across, up = 140 * math.sin(tilt), 140 * math.cos(tilt)
    beam = f"M{columns / 2 - across:.1f} {rows / 2 + up:.1f}L{columns / 2 + across:.1f} {rows / 2 - up:.1f}"
    rings = _rings([(x, z) for x, _, z in beads_A(state.thickness_A)[:3]])
    return _overlay(f'<path class="face" d="{faces}"/><path class="beam" d="{beam}"/>{rings}')


def over_projection(state: State) -> str:
    """Return the tilt axis and rings about the beads that are followed."""
    rows, columns = SLICE_ZX
    places = [(x + float(parallax_A(z, x, state.view_deg)), y) for x, y, z in beads_A(state.thickness_A)[:3]]
    axis = f'<path class="face" d="M{columns / 2} 0V{rows}"/>'
    return _overlay(axis + _rings(places))


def _rings(places_A: list[tuple[float, float]]) -> str:
    rows, columns = SLICE_ZX
    return "".join(
        f'<circle class="ring c{at}" cx="{columns / 2 + x / PIXEL_A:.1f}" cy="{rows / 2 - y / PIXEL_A:.1f}" r="12"/>'
        for at, (x, y) in enumerate(places_A)
    )


def _overlay(parts: str) -> str:
    rows, columns = SLICE_ZX
    return f'<svg viewBox="0 0 {columns} {rows}" aria-hidden="true">{parts}</svg>'


def over_coverage(state: State) -> str:
    """Return rings of resolution and the ends of the range over the map of coverage."""
    scale = MAP_PX / MAP_PER_A
    parts = []
    for resolution_A in (*RESOLUTIONS_A, 1 / MAP_PER_A):
        r = scale / resolution_A
        parts.append(
            f'<path class="circle" d="M{MAP_PX - r:.1f} {MAP_PX}A{r:.1f} {r:.1f} 0 0 1 {MAP_PX + r:.1f} {MAP_PX}"/>'
        )
        if resolution_A in RESOLUTIONS_A:
            parts.append(f'<text x="{MAP_PX + r:.1f}" y="{MAP_PX + 14}" text-anchor="middle">{resolution_A:g}</text>')
    for side in (-1, 1):
        end = math.radians(state.half_range_deg)
        x, y = MAP_PX + side * MAP_PX * math.cos(end), MAP_PX * (1 - math.sin(end))
        parts.append(f'<path class="wedge" d="M{MAP_PX} {MAP_PX}L{x:.1f} {y:.1f}"/>')
        anchor, sign = ("start", "") if side > 0 else ("end", "−")
        place = f'x="{x + 4 * side:.1f}" y="{y - 3:.1f}" text-anchor="{anchor}"'
        parts.append(f"<text {place}>{sign}{state.half_range_deg:g}°</text>")
    parts.append(f'<text x="{MAP_PX}" y="{MAP_PX + 14}" text-anchor="middle">Å</text>')
    return f'<svg viewBox="0 -14 {2 * MAP_PX} {MAP_PX + 32}" aria-hidden="true">{"".join(parts)}</svg>'


# Charts


def exposures(state: State) -> str:
    """Return the exposure of each tilt, over what the specimen had received before."""
    prediction = model.predicted(state)
    plan = prediction.plan
    tilts = np.array([one.tilt_deg for one in plan])
    before = np.array([one.pre_exposure_e_A2 for one in plan])
    after = before + np.array([one.exposure_e_A2 for one in plan])
    told = [
        f"{one.tilt_deg:.4g}°: number {one.order + 1}, {one.exposure_e_A2:.3g} e/Å² after {one.pre_exposure_e_A2:.3g}"
        for one in plan
    ]
    says = f"Exposure of each of {len(plan)} tilts, in {state.scheme} order, {after[-1]:.4g} e/Å² in all."
    chart = Chart(says, angle_axis("stage tilt (°)", _HALF_DEG), Axis("e/Å²", 0, float(after[-1]) * 1.05))
    width = min(0.8 * state.step_deg, 2.4)
    chart.bars(tilts, np.zeros_like(before), before, width, "pale")
    chart.bars(tilts, before, after, width, "full", told)
    chart.upright(state.view_deg, "view")
    return chart.svg()


def transfer(state: State) -> str:
    """Return the signal transfer of the image at the state's tilt, in the middle and at both ends of the field."""
    found = model.transfer(state)
    says = f"Signal transfer of the image nearest to {state.view_deg:g}°, up to {1 / TRANSFER_PER_A:g} Å."
    ticks = [(0.0, "∞"), *((1 / at, f"{at:g}") for at in (40, 20, 14, 10, 8))]
    chart = Chart(says, Axis("resolution (Å)", 0, TRANSFER_PER_A, ticks=ticks), Axis("share of the amplitude", 0, 1))
    chart.line(found.k, found.left, "c1 thin")
    chart.line(found.k, found.right, "c2 thin")
    chart.line(found.k, found.survived, "muted dashed")
    chart.line(found.k, found.middle, "c0")
    return chart.svg()


def ssnr(state: State) -> str:
    """Return the SSNR of each image over tilt at some resolutions, and that of the tomogram."""
    prediction = model.predicted(state)
    tilts = np.array([one.tilt_deg for one in prediction.plan])
    rising = np.argsort(tilts)
    axis = Axis("SSNR", 1e-6, 1e2, log=True)
    says = "SSNR of each image over tilt, and of the tomogram, at " + ", ".join(f"{at:g} Å" for at in RESOLUTIONS_A)
    chart = Chart(says, angle_axis("stage tilt (°)", _HALF_DEG), axis)
    chart.upright(state.view_deg, "view")
    for at, resolution_A in enumerate(RESOLUTIONS_A):
        image, volume = ssnr_at(prediction, resolution_A)
        chart.level(volume, f"c{at} dashed")
        chart.line(tilts[rising], image[rising], f"c{at}")
    return chart.svg()


def ssnr_at(prediction: Prediction, resolution_A: float) -> tuple[Doubles, float]:
    """Return the SSNR of each image, in the order of acquisition, and of the tomogram, in the mean of directions."""
    k = prediction.k
    image = np.array([np.interp(1 / resolution_A, k, of_tilt) for of_tilt in prediction.information])
    return image, float(np.interp(1 / resolution_A, k, prediction.volume.ssnr))


def parallax(state: State) -> str:
    """Return how far points at different heights move across the axis as the stage swings."""
    angles = np.linspace(-LIMITS["view_deg"].most, LIMITS["view_deg"].most, 71)
    most = LIMITS["thickness_A"].most / 2
    says = "Movement of points at the top, the middle and the bottom of the slab over the stage's tilt."
    chart = Chart(says, angle_axis("stage tilt (°)", _HALF_DEG), Axis("movement (nm)", -most / 10, most / 10))
    chart.upright(state.view_deg, "view")
    for at, (_, _, z) in enumerate(beads_A(state.thickness_A)[:3]):
        chart.line(angles, parallax_A(z, 0.0, angles) / 10, f"c{at}")
        chart.dot(state.view_deg, float(parallax_A(z, 0.0, state.view_deg)) / 10, f"c{at}")
    return chart.svg()


def sweet_spot(state: State, found: list[Worth]) -> str:
    """Return worth over the number of tilts as far as it has been worked out, the best of all being 1."""
    rising = sorted(found, key=lambda one: one.tilts)
    ticks = [(float(at), f"{at:d}") for at in SWEEP]
    best = max(one.everything for one in rising)
    top = max(one.neither for one in rising) / best
    says = "Worth of the tomogram over the number of tilts, with and without what gaps and alignment cost."
    chart = Chart(
        says,
        Axis("number of tilts", SWEEP[0], SWEEP[-1], log=True, ticks=ticks),
        Axis("worth, the best being 1", 0, 1.05 * top),
    )
    tilts = np.array([one.tilts for one in rising])
    for name, look in (("neither", "c2"), ("gapless", "c1 dashed"), ("aligned", "c0 dashed"), ("everything", "ink")):
        chart.line(tilts, np.array([getattr(one, name) for one in rising]) / best, look)
    own = next((one.everything for one in rising if one.tilts == state.tilts), None)
    if own is not None:
        chart.dot(state.tilts, own / best, "ink")
    return chart.svg()


def sweet_spot_words(state: State, found: list[Worth]) -> str:
    """Say where worth is highest, how near the state is to it, and what gaps and the placement of images cost it."""
    best = max(found, key=lambda one: one.everything)
    own = next(one for one in found if one.tilts == state.tilts)
    near = [one.tilts for one in found if one.everything >= (1 - _CLOSE) * best.everything]
    flat = f"between {min(near)} and {max(near)}" if len(near) > 1 else f"at {best.tilts}"
    gaps, placing = (100 * (1 - own.everything / without) for without in (own.gapless, own.aligned))
    return (
        f"Most is had {flat} tilts. These {own.tilts} give {100 * own.everything / best.everything:.0f} % of it: gaps "
        f"between them take {gaps:.0f} %, the placement of weak images {placing:.0f} %."
    )


def numbers(state: State) -> list[tuple[str, str]]:
    """Return the design in a few numbers, each with its name."""
    prediction = model.predicted(state)
    slab, plan = prediction.plan.design.slab, prediction.plan
    high, low = (float(transmission(path, slab.mean_free_path_A)) for path in (slab.thickness_A, slab.path_A.max()))
    half = state.half_range_deg
    each = [one.exposure_e_A2 for one in plan]
    spread = f"{min(each):.3g}" if max(each) < 1.01 * min(each) else f"{min(each):.3g} to {max(each):.3g}"
    return [
        ("one tilt", f"{spread} e/Å²"),
        ("step", f"{state.step_deg:.3g}°"),
        ("missing wedge", f"{100 * missing_wedge_fraction(-half, half):.0f} %"),
        ("elongation", f"{elongation(half):.2f} ×"),
        ("sampled to (Crowther)", f"{crowther_A(float(slab.path_A.max()), state.step_deg):.0f} Å"),
        ("beam that passes", f"{100 * high:.0f} to {100 * low:.0f} %"),
        ("worst placed image", f"{float(prediction.alignment_error_A.max()):.1f} Å"),
        ("information", f"{prediction.information_bits / 1e6:.2f} Mbit/µm²"),
        ("time", f"{prediction.clock.duration_s / 60:.0f} min, {prediction.clock.reversals} turns"),
    ]
