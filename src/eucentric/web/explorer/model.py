"""What a state comes to: predictions of its design, pictures of its specimen; none is made twice in a row."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from eucentric.design import (
    Exposure,
    Objective,
    Prediction,
    predict,
    sweet_spot,
)
from eucentric.design.volume import section_half_width
from eucentric.optics import ctf, surviving_amplitude, temporal_envelope
from eucentric.web.explorer import imaging
from eucentric.web.explorer._kernels import add_sections
from eucentric.web.explorer.phantom import phantom
from eucentric.web.explorer.state import State

Doubles = NDArray[np.float64]
Floats = NDArray[np.float32]

RESOLUTIONS_A = (40.0, 20.0, 10.0)
"""Where signal is told in numbers: a shape, a domain, what averaging begins with."""

SWEEP = (5, 9, 15, 21, 31, 41, 61, 91, 121)
"""Numbers of tilts at which worth is worked out."""

MAP_PER_A = 0.11
MAP_PX = 150
"""To which frequency coverage is shown, and pixels from the middle of the map to its rim."""

TRANSFER_PER_A = 0.125

_MAP_BINS, _MAP_DIRECTIONS = 100, 720


@lru_cache(maxsize=32)
def _predicted(state: State) -> Prediction:
    return predict(state.design().plan())


def predicted(state: State) -> Prediction:
    """Return the prediction of the design."""
    return _predicted(_of_design(state))


def _of_design(state: State) -> State:
    """Return the state with all that is no part of the design at rest."""
    rest = {name: State.model_fields[name].default for name in ("noise", "view_deg", "weighted", "flipped")}
    return state.replace(**rest)


@lru_cache(maxsize=32)
def _slice(state: State) -> Floats:
    series = imaging.Series.of(predicted(state))
    lines = imaging.recorded(phantom(state.thickness_A).section, series, state.noise)
    lines = imaging.corrected(lines, series, weighted=state.weighted, flipped=state.flipped)
    return imaging.reconstructed(lines, series.tilts_deg)


def tomogram_slice(state: State) -> Floats:
    """Return the slice (z, x) across the tilt axis, z rising, as the tomogram has it."""
    return _slice(state.replace(view_deg=0.0))


@lru_cache(maxsize=64)
def projection(state: State) -> Floats:
    """Return the projection (y, x) at the state's tilt, y rising."""
    series = imaging.Series.of(predicted(state))
    return imaging.projection(phantom(state.thickness_A), series, state.view_deg, state.noise)


@lru_cache(maxsize=1)
def _places() -> NDArray[np.intp]:
    """Return where four places of each pixel are in the table of directions by bins, whose last bin is nothing."""
    quarter = np.array([0.25, 0.75])
    up, right = (part.reshape(-1, 1, 1) for part in np.meshgrid(quarter, quarter))
    z, x = np.arange(MAP_PX)[::-1, None] + up, np.arange(-MAP_PX, MAP_PX) + right
    at_k = np.minimum(np.hypot(z, x) * _MAP_BINS / MAP_PX, _MAP_BINS).astype(np.intp)
    direction = (np.arctan2(z, x) * _MAP_DIRECTIONS / np.pi).astype(np.intp)
    return np.asarray(direction * (_MAP_BINS + 1) + at_k)


@lru_cache(maxsize=8)
def _coverage(state: State) -> Doubles:
    prediction = _predicted(state)
    k = (np.arange(_MAP_BINS) + 0.5) * MAP_PER_A / _MAP_BINS
    information = np.array([np.interp(k, prediction.k, of_tilt) for of_tilt in prediction.information])
    slab, specimen = prediction.plan.design.slab, prediction.plan.design.specimen
    half = np.stack([section_half_width(at, slab.slab_deg, specimen.thickness_A, specimen.diameter_A) for at in k], 1)
    polar = np.zeros((_MAP_DIRECTIONS, _MAP_BINS + 1))
    add_sections(information, np.deg2rad(slab.slab_deg), half, polar[:, :-1])
    return np.asarray(polar.ravel()[_places()].mean(axis=0))


def coverage(state: State) -> Doubles:
    """Return SSNR over the upper half of the plane across the tilt axis, (`MAP_PX`, 2 `MAP_PX`), top row first."""
    return _coverage(_of_design(state))


@dataclass(frozen=True, eq=False)
class Transfer:
    """Amplitude that one image has of the specimen's at `k`: in the middle of the field and at both of its ends."""

    k: Doubles
    left: Doubles
    middle: Doubles
    right: Doubles
    survived: Doubles


def transfer(state: State) -> Transfer:
    """Return that of the image nearest to the state's tilt: the size of the CTF, times what exposure left."""
    prediction = predicted(state)
    exposure = nearest(prediction, state.view_deg)
    design = prediction.plan.design
    k = np.linspace(0, TRANSFER_PER_A, 260)
    middle_e_A2 = exposure.pre_exposure_e_A2 + 0.5 * exposure.exposure_e_A2
    survived = surviving_amplitude(k, middle_e_A2, design.lens.voltage_kV) * temporal_envelope(k, design.lens)
    # A place of the image u from the axis is u tan(tilt) higher or lower.
    edge_A = 0.5 * design.camera.pixel_A * design.camera.columns * np.tan(np.deg2rad(exposure.tilt_deg))
    left, middle, right = (
        np.asarray(np.abs(ctf(k, exposure.defocus_A + at, design.lens)) * survived) for at in (-edge_A, 0.0, edge_A)
    )
    return Transfer(k, left, middle, right, survived)


def nearest(prediction: Prediction, tilt_deg: float) -> Exposure:
    """Return the exposure whose tilt is nearest."""
    return min(prediction.plan, key=lambda exposure: abs(exposure.tilt_deg - tilt_deg))


@dataclass(frozen=True)
class Worth:
    """What a number of tilts is worth: with everything counted, and without the cost of each cause."""

    tilts: int
    everything: float
    aligned: float
    gapless: float
    neither: float


@lru_cache(maxsize=512)
def _worth(state: State) -> Worth:
    spot = sweet_spot(state.design(), Objective(), (state.tilts,))
    names = ("everything", "perfect alignment", "gapless sampling", "neither")
    return Worth(state.tilts, *(spot.curves[name][0] for name in names))


def worth(state: State, tilts: int) -> Worth:
    """Return what the design is worth with another number of tilts."""
    return _worth(_of_design(state).replace(tilts=tilts))
