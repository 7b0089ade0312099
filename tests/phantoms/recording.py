"""A small tilt series of a phantom, with its whole truth: transmission, contrast, Poisson counts; no lens or damage."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from eucentric.core import Alignment, Angstrom, Record, Tilt, TiltAlignment, TiltSeries, stream
from eucentric.optics import MEAN_FREE_PATH_A
from phantoms.phantom import Phantom, project

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]

DARKEST = 0.02  # share of the beam that even the densest thing lets through
HOT_COUNTS = 20.0  # what a hot pixel adds to each image, over the image's mean counts
COUNTS_MAX = 65535


class Imaging(Record):
    """How a phantom is recorded.

    `exposure_e_A2` falls on the specimen for each image. Ice of `thickness_A` and the inelastic mean free path
    `mean_free_path_A` lets through ``exp(-thickness / (mean free path * cos tilt))`` of it; of that, the
    `contrast_per_A` says what share every Å of density 1 takes out of the image (0 leaves only noise).
    """

    exposure_e_A2: Positive = 3.0
    thickness_A: Annotated[Angstrom, Field(ge=0)] = 1500.0
    mean_free_path_A: Positive = MEAN_FREE_PATH_A
    contrast_per_A: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 4e-4  # a ribosome: some 6 to 10 %
    voltage_kV: Positive = 300.0


class Faults(Record):
    """What went wrong in the recording: `hot_pixels` in number, and the sections of `blank` (all zero) images."""

    hot_pixels: Annotated[int, Field(ge=0)] = 0
    blank: tuple[Annotated[int, Field(ge=0)], ...] = ()


@dataclass(frozen=True, eq=False)
class PhantomSeries:
    """A recorded series and what is true of it.

    Parameters
    ----------
    images
        Counts of electrons per pixel, uint16, shape (n, y, x), in section order.
    series
        What the microscope would have written down.
    truth
        How each image really sees the phantom.
    """

    images: NDArray[np.uint16]
    series: TiltSeries
    truth: Alignment


def dose_symmetric_orders(tilts_deg: Sequence[float], group: int = 1) -> tuple[int, ...]:
    """Return the place of each tilt in a dose-symmetric acquisition in SerialEM's order.

    The tilt nearest 0° comes first, then `group` tilts on its negative side, `group` on its positive side, and
    so on outwards: 0, -2, -4, +2, +4, -6, -8, +6, +8 for groups of 2. Once a side is used up the other runs on.

    Parameters
    ----------
    tilts_deg
        Tilt angles in any order, at least one.
    group
        Tilts on one side before the stage changes sides, at least 1.

    Raises
    ------
    ValueError
        If there is no tilt, or `group` is below 1.
    """
    if len(tilts_deg) == 0 or group < 1:
        raise ValueError(f"a dose-symmetric order needs tilts and groups of at least 1, not {group}")
    rising = sorted(range(len(tilts_deg)), key=lambda i: tilts_deg[i])
    start = min(range(len(rising)), key=lambda k: abs(tilts_deg[rising[k]]))
    sides = (rising[:start][::-1], rising[start + 1 :])
    acquired = [rising[start]]
    for first in range(0, len(rising), group):
        for side in sides:
            acquired += side[first : first + group]
    orders = [0] * len(acquired)
    for order, section in enumerate(acquired):
        orders[section] = order
    return tuple(orders)


def wandering_alignment(
    tilts_deg: Sequence[float],
    *,
    pixel_A: float,
    shape_yx: tuple[int, int],
    axis_deg: float = 0.0,
    max_shift_fraction: float = 0.0,
    seed: int = 0,
) -> Alignment:
    """Return the truth of a series whose stage does not hold still.

    Parameters
    ----------
    tilts_deg
        Tilt angles in section order.
    pixel_A, shape_yx
        Pixel size and shape of the images.
    axis_deg
        Tilt-axis angle, from the image's y axis, counter-clockwise.
    max_shift_fraction
        Shifts are uniform up to this share of the image along rows and columns; the least tilted view has none.
    seed
        Chooses the shifts; each section has its own stream.
    """
    centred = min(range(len(tilts_deg)), key=lambda i: abs(tilts_deg[i]))
    views = []
    for section, tilt_deg in enumerate(tilts_deg):
        reach = np.array(shape_yx) * pixel_A * (0.0 if section == centred else max_shift_fraction)
        y, x = reach * stream(seed, "shift", section).uniform(-1, 1, 2)
        views.append(
            TiltAlignment(section=section, tilt_deg=tilt_deg, axis_deg=axis_deg, shift_yx_A=(float(y), float(x)))
        )
    return Alignment(pixel_A=pixel_A, shape_yx=shape_yx, tilts=tuple(views))


def transmission(view: TiltAlignment, imaging: Imaging) -> float:
    """Return the share of the beam that the slab lets through without loss of energy."""
    along_beam = abs(view.sample2image().linear[0, 0]) / view.magnification  # the cosine of the slab's whole tilt
    return float(np.exp(-imaging.thickness_A / (imaging.mean_free_path_A * along_beam)))


def expected_counts(
    phantom: Phantom, view: TiltAlignment, shape_yx: tuple[int, int], pixel_A: float, imaging: Imaging
) -> NDArray[np.float64]:
    """Return the mean counts of each pixel, shape `shape_yx`; what is dense is dark.

    The slab's transmission is that of the mean projection over the image; the phantom's density darkens or
    brightens against that, down to `DARKEST` of it.
    """
    projection = project(phantom, view, shape_yx, pixel_A).astype(np.float64)
    brightness = 1 - imaging.contrast_per_A * (projection - projection.mean())
    arriving = imaging.exposure_e_A2 * pixel_A**2 * transmission(view, imaging)
    return np.asarray(arriving * np.maximum(brightness, DARKEST))


def simulate_series(
    phantom: Phantom,
    truth: Alignment,
    orders: Sequence[int],
    imaging: Imaging | None = None,
    *,
    faults: Faults | None = None,
    seed: int = 0,
    name: str = "phantom",
) -> PhantomSeries:
    """Record a phantom as `truth` sees it, with Poisson noise.

    Parameters
    ----------
    phantom
        The specimen.
    truth
        How each image sees it, with the images' shape and pixel size.
    orders
        Place of each section in the acquisition, such as from `dose_symmetric_orders`.
    imaging
        Exposure, thickness and contrast.
    faults
        Hot pixels and blank images; they leave the noise of everything else as it was.
    seed
        Chooses the noise (a stream for each section) and the hot pixels.
    name
        The series' name.

    Raises
    ------
    ValueError
        If `orders` is no order of the views, a blank section does not exist, or a pixel would expect more
        counts than 16 bits hold.
    """
    imaging, faults = imaging or Imaging(), faults or Faults()
    if not set(faults.blank) <= set(range(len(truth.tilts))):
        raise ValueError(f"blank sections {faults.blank} are not all among the {len(truth.tilts)} of the series")
    tilts = tuple(
        Tilt(
            section=view.section,
            tilt_deg=view.tilt_deg,
            order=order,
            exposure_e_A2=imaging.exposure_e_A2,
            pre_exposure_e_A2=order * imaging.exposure_e_A2,
        )
        for view, order in zip(truth.tilts, orders, strict=True)
    )
    series = TiltSeries(
        name=name,
        pixel_A=truth.pixel_A,
        shape_yx=truth.shape_yx,
        tilts=tilts,
        order_known=True,
        tilt_axis_deg=truth.tilts[0].axis_deg,
        voltage_kV=imaging.voltage_kV,
    )
    images = np.zeros((len(tilts), *truth.shape_yx), np.uint16)
    hot = _hot_pixels(truth.shape_yx, faults.hot_pixels, seed)
    for view in truth.tilts:
        if view.section in faults.blank:
            continue
        expected = expected_counts(phantom, view, truth.shape_yx, truth.pixel_A, imaging)
        if expected.max() > COUNTS_MAX / 2:
            raise ValueError(f"{expected.max():.0f} counts in a pixel: take a smaller pixel or exposure")
        counts = stream(seed, "noise", view.section).poisson(expected)
        counts[hot] += stream(seed, "hot", view.section).poisson(HOT_COUNTS * expected.mean(), hot[0].size)
        images[view.section] = np.minimum(counts, COUNTS_MAX)
    return PhantomSeries(images=images, series=series, truth=truth)


def _hot_pixels(shape_yx: tuple[int, int], n: int, seed: int) -> tuple[NDArray[np.intp], ...]:
    """Return the rows and columns of `n` hot pixels, the same in every image: they are the camera's."""
    places = stream(seed, "hot").choice(shape_yx[0] * shape_yx[1], n, replace=False)
    return tuple(np.unravel_index(places, shape_yx))
