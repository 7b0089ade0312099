"""Local motion: one smooth field over the specimen and its exposure, from how pieces of views miss their predictions.

A piece of one view says next to nothing, but all pieces of all views speak of the same few numbers. What they say is
kept as the slope and curvature of their correlation with what is predicted; the numbers are those with the
highest correlation in all, held to what specimens are known to do. They are accepted if the field that one half of
the pieces (a chessboard) gives raises the correlation of the other.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eucentric.core import Alignment, LocalMotion
from eucentric.core.local_motion import powers, spatial_basis, temporal_basis
from eucentric.processing.alignment.matcher import Matcher

Array = NDArray[np.float64]

DEGREE = 2
_DECAY_e_A2 = 20.0  # movement is most of it over within tens of e/Å²; one law for all, since data tell little of it
USUAL_A = (30.0, 15.0)  # movement at the field's border by degree: tens of Å in all (10.1016/j.yjsbx.2022.100068)
_STEP = 1.5  # of the change that a fit asks for: predictions follow the views, and so tell less than all of it
_PIECES = 7  # along each side of the field
_PIECE_SHARE = 0.2  # of the field: standard deviation of a piece's weight is a quarter of it
_REACH = 0.42  # of the field, from its middle to the outermost pieces
_SURE = 1.2  # standard errors by which held-out pieces must gain: where the specimen moves they do by 1.22 or more


@dataclass(frozen=True)
class Pieces:
    """What the pieces of views say: slope (n, P, 2) and curvature (n, P, 2, 2) of their correlation, along v and u.

    `places_vu` (P, 2) are their middles from the image's, in pixels of the level; `black` (P,) one half of them.
    """

    slope: Array
    curvature: Array
    places_vu: Array
    black: NDArray[np.bool_]


def measure_pieces(matcher: Matcher, predicted: Tensor, aligned: Tensor) -> Pieces:
    """Compare each piece of the views with its prediction, both (n, v, u)."""
    a, b = matcher.weighted_pair(predicted, aligned)
    rows, columns = a.shape[1:]
    a_v, a_u = torch.gradient(a, dim=(1, 2))
    b_v, b_u = torch.gradient(b, dim=(1, 2))
    middles = np.linspace(-_REACH, _REACH, _PIECES) * matcher.field
    v, u = (_weights(n, middles, matcher.field, a.device) for n in (rows, columns))

    def summed(product: Tensor) -> Array:
        return torch.einsum("pv,nvu,qu->npq", v, product, u).reshape(len(a), -1).double().cpu().numpy()

    slope = np.stack([-summed(b * a_v), -summed(b * a_u)], axis=-1)
    mixed = 0.5 * summed(b_v * a_u + b_u * a_v)
    curvature = np.stack([summed(b_v * a_v), mixed, mixed, summed(b_u * a_u)], axis=-1).reshape(*slope.shape, 2)
    places = np.stack(np.meshgrid(middles, middles, indexing="ij"), axis=-1).reshape(-1, 2)
    black = np.add.outer(np.arange(_PIECES), np.arange(_PIECES)).reshape(-1) % 2 == 0
    return Pieces(slope, _steadied(curvature), places, black)


def fit_local(
    pieces: Pieces, alignment: Alignment, exposures_e_A2: Array, views: Array, pixel_A: float
) -> LocalMotion | None:
    """Return the local motion that moves pieces to where they agree best with what is predicted.

    Parameters
    ----------
    pieces
        Of `views`, in pixels of `pixel_A`, of images from which the alignment's local motion was taken out.
    alignment
        How the views see the specimen. Without local motion, one is looked for, and None returned if held-out pieces
        do not gain by it; with it, that is improved.
    exposures_e_A2
        In the middle of each view, by section.
    views
        Sections that the pieces are of.
    pixel_A
        Pixel size of the level.
    """
    known = alignment.local
    if known is not None:
        return _improved(pieces, alignment, known, views, pixel_A)
    still = motionless(alignment, exposures_e_A2)
    if _held_out(pieces, alignment, still, views, pixel_A) <= _SURE:
        return None
    return _improved(pieces, alignment, still, views, pixel_A)


def motionless(alignment: Alignment, exposures_e_A2: Array) -> LocalMotion:
    """Return the motion, of the kind that is looked for, of a specimen that does not move."""
    return LocalMotion(
        degree=DEGREE,
        radius_A=0.5 * min(alignment.shape_yx) * alignment.pixel_A,
        decays_e_A2=(_DECAY_e_A2,),
        exposures_e_A2=tuple(float(one) for one in exposures_e_A2),
        coefficients_A=(((0.0,),) * len(powers(DEGREE)),) * 3,
    )


def _improved(pieces: Pieces, alignment: Alignment, motion: LocalMotion, views: Array, pixel_A: float) -> LocalMotion:
    design = _design(pieces.places_vu, alignment, motion, views, pixel_A)
    begun = np.array(motion.coefficients_A)
    change = _solve(design, pieces, np.ones(len(pieces.black), dtype=bool), motion)
    new = begun + _STEP * change.reshape(begun.shape)
    return motion.replace(coefficients_A=tuple(tuple(tuple(float(c) for c in power) for power in axis) for axis in new))


def _held_out(pieces: Pieces, alignment: Alignment, motion: LocalMotion, views: Array, pixel_A: float) -> float:
    """Return by how many standard errors the correlation of each half rises with the other half's field."""
    design = _design(pieces.places_vu, alignment, motion, views, pixel_A)
    gains = np.zeros(len(views))
    for half in (pieces.black, ~pieces.black):
        found = design[:, ~half] @ _solve(design, pieces, half, motion)
        gains += np.einsum("npi,npi->n", found, pieces.slope[:, ~half])
        gains -= 0.5 * np.einsum("npi,npij,npj->n", found, pieces.curvature[:, ~half], found)
    error = float(np.sqrt(len(gains)) * gains.std())
    return float(gains.sum()) / max(error, 1e-30)


def _design(places_vu: Array, alignment: Alignment, motion: LocalMotion, views: Array, pixel_A: float) -> Array:
    """Return (n, P, 2, coefficients): by how many pixels along v and u each coefficient (in Å) moves each piece."""
    time = temporal_basis(motion.exposures_e_A2, motion.decays_e_A2)
    blocks = []
    for section in views:
        tilt = np.deg2rad(alignment.tilts[section].tilt_deg)
        along, across = places_vu.T * pixel_A
        on_specimen = np.stack([along, across / np.cos(tilt)], axis=1) / motion.radius_A
        basis = np.einsum("np,k->npk", spatial_basis(on_specimen, motion.degree), time[section])
        basis = basis.reshape(len(places_vu), -1)
        zero = np.zeros_like(basis)
        v = np.concatenate([zero, basis, zero], axis=1)
        u = np.concatenate([np.sin(tilt) * basis, zero, np.cos(tilt) * basis], axis=1)
        blocks.append(np.stack([v, u], axis=1) / pixel_A)
    return np.array(blocks)


def _solve(design: Array, pieces: Pieces, which: NDArray[np.bool_], motion: LocalMotion) -> Array:
    """Return the change of the motion's coefficients that the pieces `which` ask for, held to what is usual."""
    some, slope, curvature = design[:, which], pieces.slope[:, which], pieces.curvature[:, which]
    bent = np.einsum("npij,npjc->npic", curvature, some)
    usual_A = np.array([USUAL_A[sum(power) - 1] for power in powers(motion.degree)])
    prior = np.tile(np.repeat(usual_A, len(motion.decays_e_A2)), 3) ** -2.0
    n, noise = design.shape[-1], _noise(pieces)
    normal = some.reshape(-1, n).T @ bent.reshape(-1, n) / noise + np.diag(prior)
    right = some.reshape(-1, n).T @ slope.reshape(-1) / noise - prior * np.ravel(motion.coefficients_A)
    change: Array = np.linalg.solve(normal, right)
    return change


def _noise(pieces: Pieces) -> float:
    """Return the variance of slopes in units of their curvature, from the pieces themselves; motion is little of it."""
    inverse = np.linalg.inv(pieces.curvature)
    squares = np.einsum("npi,npij,npj->np", pieces.slope, inverse, pieces.slope) / 2
    return float(np.median(squares) / 0.693) or 1.0  # the median of an exponential law, to its mean


def _steadied(curvature: Array) -> Array:
    """Return curvatures as the product of what each view and what each place has on average.

    That of a single piece is as noisy as its slope, and may be negative.
    """
    by_view = curvature.mean(axis=1)
    values, vectors = np.linalg.eigh(by_view)
    values = np.maximum(values, 1e-3 * np.abs(values).max() + 1e-30)
    by_view = np.einsum("nij,nj,nkj->nik", vectors, values, vectors)
    trace = np.trace(curvature, axis1=2, axis2=3)
    share = np.maximum(trace.sum(0) / max(trace.sum() / trace.shape[1], 1e-30), 0.05)
    steadied: Array = by_view[:, None] * share[None, :, None, None]
    return steadied


def _weights(n: int, middles: Array, field: int, device: torch.device) -> Tensor:
    """Return the weights (pieces, n) of pixels in pieces along one axis."""
    places = torch.arange(n, device=device) - n // 2
    away = places[None] - torch.from_numpy(middles).to(device)[:, None]
    return torch.exp(-0.5 * (away / (_PIECE_SHARE * field / 4)) ** 2).float()
