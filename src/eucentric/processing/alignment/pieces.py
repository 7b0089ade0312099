"""What pieces of views say of where they should be: slope and curvature of their correlation with what is predicted."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from torch import Tensor

from eucentric.processing.alignment.matcher import COHERENCE_CAP, Matcher

Array = NDArray[np.float64]

_ALONG = 7  # pieces along each side of the field
_SHARE = 0.2  # of the field: standard deviation of a piece's weight is a quarter of it
_REACH = 0.42  # of the field, from its middle to the outermost pieces
_NEAR = (4.0, 3.0, 3.0)  # views, and frequencies along v and u, over which coherence is averaged: deviations of normals
_LEAST = 0.05  # of the mean piece's curvature: that of an empty place is noise


@dataclass(frozen=True)
class Pieces:
    """What the pieces of views say, in pixels of the level.

    `slope` (n, P, 2) is that of their correlation along v and u. `bonds` (2, n, n) is its curvature along v and u for
    a piece of average contents, by which other view predicts it: row i tells how much each view takes part in the
    prediction of view i. `share` (P,) is the contents of each place, 1 on average; `noise` the variance of slopes in
    units of curvature. `places_vu` (P, 2) are the pieces' middles from the image's; `black` (P,) one half of them.
    """

    slope: Array
    bonds: Array
    share: Array
    noise: float
    places_vu: Array
    black: NDArray[np.bool_]

    def less(self, still: Self) -> "Pieces":
        """Return these without what pieces of a specimen that is still say of it, which is how predictions are wrong.

        Views have borders and the slab has an end, so that tilted views are predicted a little too wide or too narrow:
        with a pre-tilt that looks as if the specimen tilted with exposure (30 Å at the border of two lamellae).
        """
        share_of_it = self.bonds.sum(axis=2) / np.maximum(still.bonds.sum(axis=2), 1e-30)
        return replace(self, slope=self.slope - still.slope * share_of_it.T[:, None, :])


def measure_pieces(matcher: Matcher, aligned: Tensor, views: Tensor) -> Pieces:
    """Compare each piece of the `views`, images (n, v, u), with its prediction from all others."""
    rows, columns = aligned.shape[1:]
    predicted = matcher.predict_from_others(matcher.filtered(aligned), views)
    a, b = matcher.whitened_spectra(predicted, aligned)
    weight = _weights_of_frequencies(a, b, matcher.tilts_rad[views]).sqrt()
    a, b = a * weight, b * weight
    v_rad = 2 * torch.pi * torch.fft.fftfreq(rows, device=a.device)[:, None]
    u_rad = 2 * torch.pi * torch.fft.rfftfreq(columns, device=a.device)
    middles = np.linspace(-_REACH, _REACH, _ALONG) * matcher.field
    weights = tuple(_weights(n, middles, matcher.field, a.device) for n in (rows, columns))

    def image(spectrum: Tensor) -> Tensor:
        made: Tensor = torch.fft.irfft2(spectrum, s=(rows, columns))
        return made

    def summed(product: Tensor) -> Array:
        summed_up = torch.einsum("pv,nvu,qu->npq", weights[0], product, weights[1])
        return summed_up.reshape(len(a), -1).double().cpu().numpy()

    still = image(b)
    slopes, curvatures = [], []
    for frequency_rad in (v_rad, u_rad):
        inclined = image(1j * frequency_rad * a)
        slopes.append(-summed(still * inclined))
        curvatures.append(summed(image(1j * frequency_rad * b) * inclined))
    slope, curvature = np.stack(slopes, axis=-1), np.stack(curvatures, axis=-1)
    by_view, share = _steadied(curvature)
    product = (a.conj() * b).real.sum(0)
    told = [(product * frequency_rad**2).sum(0).clamp(min=0).double().cpu().numpy() for frequency_rad in (v_rad, u_rad)]
    bonds = by_view.T[:, :, None] * _partners(matcher, views, u_rad.double().cpu().numpy(), np.stack(told))
    squares = np.square(slope) / (by_view[:, None] * share[None, :, None])
    # The median of an exponential law, to its mean; motion is little of it.
    noise = float(np.median(squares.mean(axis=2)) / 0.693) or 1.0
    places = np.stack(np.meshgrid(middles, middles, indexing="ij"), axis=-1).reshape(-1, 2)
    black = np.add.outer(np.arange(_ALONG), np.arange(_ALONG)).reshape(-1) % 2 == 0
    return Pieces(slope, bonds, share, noise, places, black)


def _weights_of_frequencies(a: Tensor, b: Tensor, tilts_rad: Tensor) -> Tensor:
    """Return the weight (n, v, u) of each frequency of each view, by its coherence r there: r / (1 - r²).

    Not by rings: of a thick slab, all views tell of each other along the axis, at all frequencies (a coherence of .7 on
    a lamella where it is .1 across), and tilted views less. Coherence is that of frequencies and tilts nearby.
    """
    order = np.argsort(tilts_rad.cpu().numpy(), kind="stable")
    product, predicted, recorded = (
        gaussian_filter(one.cpu().numpy()[order], _NEAR, mode=("nearest", "wrap", "mirror"), truncate=2.5)
        for one in ((a.conj() * b).real, a.abs().square(), b.abs().square())
    )
    coherence = np.clip(product / np.sqrt(predicted * recorded + 1e-20), 0, COHERENCE_CAP)
    weights = np.empty_like(coherence)
    weights[order] = coherence / (1 - coherence**2)
    return torch.from_numpy(weights).to(a.device)


def _partners(matcher: Matcher, views: Tensor, u_rad: Array, told: Array) -> Array:
    """Return (2, n, n): the share that each view has in what pulls another to its prediction, along v and along u.

    Two views at an angle d have in common, of a slab of depth D, sinc²(D q sin d) at a frequency q across the axis:
    along the axis all views may tell of each other, across it only near ones. `told` (2, u) is how much each frequency
    across the axis, `u_rad` in radians a pixel, says along v and u.
    """
    tilts = matcher.tilts_rad[views].cpu().numpy()
    cos = np.maximum(np.cos(tilts), 0.05)
    apart = np.abs(np.sin(tilts[:, None] - tilts[None]) / cos[None])
    common = np.sinc(matcher.depth * u_rad[:, None, None] / (2 * np.pi) * apart) ** 2 + 1e-9
    common *= 1 - np.eye(len(tilts))
    common /= common.sum(axis=2, keepdims=True)
    shares: Array = np.tensordot(told / np.maximum(told.sum(axis=1, keepdims=True), 1e-30), common, axes=1)
    return shares


def _steadied(curvature: Array) -> tuple[Array, Array]:
    """Return curvatures (n, P, 2) as what each view has on average, (n, 2), and each place's share of it, (P,).

    That of a single piece is as noisy as its slope, and may be negative.
    """
    by_view = curvature.mean(axis=1)
    by_view = np.maximum(by_view, 1e-3 * np.abs(by_view).max() + 1e-30)
    by_place = curvature.sum(axis=(0, 2))
    return by_view, np.maximum(by_place / max(by_place.mean(), 1e-30), _LEAST)


def _weights(n: int, middles: Array, field: int, device: torch.device) -> Tensor:
    """Return the weights (pieces, n) of pixels in pieces along one axis."""
    places = torch.arange(n, device=device) - n // 2
    away = places[None] - torch.from_numpy(middles).to(device)[:, None]
    return torch.exp(-0.5 * (away / (_SHARE * field / 4)) ** 2).float()
