"""Match each view with the projection of a volume made of other views.

All lengths here are pixels of one level (one binning); tilts are in radians; shifts are yx in the recorded image's
own axes, the sense of `TiltAlignment.shift_yx_A`. Aligned images have the tilt axis along y.
"""

import math
from copy import copy
from dataclasses import dataclass, field

import torch
from scipy.fft import prev_fast_len
from torch import Tensor

from eucentric.processing.alignment.bands import own_projection_bands
from eucentric.processing.operators import backproject, project, ramp_filter, resample, spline_coefficients

_EDGE = 0.1  # share of the field over which windows fall off: wide enough to keep the border out of every frequency
_LOW_CYCLES = 4.0  # frequencies below this many cycles per field hold thickness and beam profile, not features
_WIDEST = 3.0  # at most this many fields across: beyond 70° views overlap too little to be worth the memory
_COHERENCE_CAP = 0.8  # beyond, errors of the model and not noise limit the match, so more weight is not deserved


@dataclass
class _Last:
    """Aligned images that were made last, with what they were made for, and their spectrum once it was needed."""

    key: tuple[float, bytes, bytes] | None = None
    images: Tensor = field(default_factory=lambda: torch.empty(0))
    spectrum: Tensor | None = None


@dataclass(frozen=True)
class Match:
    """What matching found, one value a view.

    `move_vu` (n, 2) is by how much the content of each aligned image is displaced from its prediction;
    `correlation` (n,) is the weighted mean coherence at that displacement, `in_place` (n,) that at none; `coherence`
    (rings,) is the mean coherence per ring of spatial frequency, where it was asked for.
    """

    move_vu: Tensor
    correlation: Tensor
    in_place: Tensor
    coherence: Tensor | None = None


class Matcher:
    """The images of one level, and what is needed again and again to match them.

    Parameters
    ----------
    images
        (n, y, x) float32, each with mean 0 and standard deviation 1.
    """

    def __init__(self, images: Tensor) -> None:
        self.coefficients = spline_coefficients(images)
        self.n, self.rows, self.columns = images.shape
        self.field = min(self.rows, self.columns)
        fast = prev_fast_len(self.rows, real=True), prev_fast_len(self.columns, real=True)
        self._shapes = fast, (fast[1], fast[0])
        self._last = _Last()
        self._set_rings(images.device)

    def with_slab(self, tilts_rad: Tensor, depth: int) -> "Matcher":
        """Return a matcher of the same images that predicts views from a slab.

        Parameters
        ----------
        tilts_rad
            (n,) float64: the slab lies flat at 0.
        depth
            Thickness of the slab in pixels: it should hold the specimen and no more, since the thinner the specimen
            is known to be, the farther one view can predict another.
        """
        other = copy(self)
        other.tilts_rad = tilts_rad
        other.depth = depth
        increment = float(torch.diff(tilts_rad.sort().values).median()) if self.n > 1 else 1.0
        # Beyond this frequency the slabs of neighbouring views no longer overlap (Crowther's criterion).
        other._flat_above = 1 / (depth * max(increment, 1e-3))
        other._known_bands = None
        return other

    def shape(self, axis_deg: float) -> tuple[int, int]:
        """Return rows and columns of an aligned image: those of the recorded one, swapped if its axis lies along x.

        A few are cut off where that makes transforms fast.
        """
        swapped = abs((axis_deg + 90) % 180 - 90) > 45
        return self._shapes[1] if swapped else self._shapes[0]

    def aligned(self, axis_deg: float, shifts: Tensor, views: Tensor) -> Tensor:
        """Resample `views` (indices) with the axis along y, taking out `shifts` (len(views), 2).

        The last ones are kept, also for other slabs: how the specimen lies makes no difference to them.
        """
        key = (axis_deg, shifts.numpy().tobytes(), views.numpy().tobytes())
        if self._last.key != key:
            turn = turn_matrix(axis_deg).expand(len(views), 2, 2)
            self._last.images = self._resampled(axis_deg, views, turn, shifts)
            self._last.key, self._last.spectrum = key, None
        return self._last.images

    def widened(self, axis_deg: float, views: Tensor, ratio: Tensor) -> Tensor:
        """Resample `views` (indices) with the axis along y, made wider across it by 1 / `ratio` (len(views),)."""
        narrow = torch.zeros((len(views), 2, 2), dtype=torch.float64)
        narrow[:, 0, 0], narrow[:, 1, 1] = 1, ratio
        return self._resampled(axis_deg, views, turn_matrix(axis_deg) @ narrow, torch.zeros(len(views), 2))

    def _resampled(self, axis_deg: float, views: Tensor, linear: Tensor, shifts: Tensor) -> Tensor:
        maps = torch.cat([linear, shifts[:, :, None]], dim=2)
        return resample(self.coefficients[views], maps, self.shape(axis_deg), margin_px=_EDGE * self.field)

    def filtered(self, aligned: Tensor) -> Tensor:
        """Return aligned images weighted for back-projection."""
        flat_above = torch.full((len(aligned),), self._flat_above, device=aligned.device)
        return ramp_filter(aligned, flat_above=flat_above)

    def predict(self, filtered: Tensor, sources: Tensor, target: Tensor) -> Tensor:
        """Project the volume made of the filtered views `sources` at the tilts of the views `target`."""
        width = filtered.shape[2]
        volume = backproject(filtered, self.tilts_rad[sources], self.size(width))
        return project(volume, self.tilts_rad[target], width)

    def predict_from_others(self, filtered: Tensor, views: Tensor) -> Tensor:
        """Predict each of `views` from all the others: held out, since a volume always agrees with its own views."""
        predicted = self.predict(filtered, views, views)
        below, own, above = self._bands(views, filtered.shape[2]).to(filtered.device)[:, :, None, :]
        predicted -= own * filtered
        predicted[:, :, :-1] -= (below * filtered)[:, :, 1:]
        predicted[:, :, 1:] -= (above * filtered)[:, :, :-1]
        return predicted

    def predict_from_afar(self, filtered: Tensor, views: Tensor, block_views: int) -> Tensor:
        """Predict each block of `block_views` views neighbouring in tilt from all views outside it.

        Nearest neighbours agree with each other even when the geometry is wrong; only views some way apart
        tell a wrong axis (measured on a needle: with single views held out, its axis comes out 13° off that of blocks).
        """
        width = filtered.shape[2]
        size = self.size(width)
        tilts = self.tilts_rad[views]
        volume = backproject(filtered, tilts, size)
        predicted = torch.empty_like(filtered)
        for block in torch.split(tilts.argsort(stable=True), block_views):
            own = backproject(filtered[block], tilts[block], size)
            predicted[block] = project(torch.sub(volume, own, out=own), tilts[block], width)
        return predicted

    def match(self, predicted: Tensor, aligned: Tensor, max_move: float, *, learn: bool = False) -> Match:
        """Find the displacement of each aligned image against its prediction, within `max_move` pixels.

        With `learn`, the coherence at that displacement is measured too.
        """
        rows, columns = aligned.shape[1:]
        ring, multiplicity, count = self._rings[(rows, columns)]
        a, b, whitening_a, whitening_b = self._spectra(predicted, aligned)
        # Whitened: every ring has power one in both images, so that a weight is a weight.
        whitening = whitening_a * whitening_b
        cross = a.conj() * b
        total = (self.weights * count).sum()
        weighted = cross * (whitening * self.weights)[:, ring]
        # Faster by a factor of three than the transform of both axes at once.
        correlation = torch.fft.irfft(torch.fft.ifft(weighted, dim=1), n=columns, dim=2) * (rows * columns / total)
        moves, heights = _peaks(correlation, max_move)
        coherence = None
        if learn:
            ky = torch.fft.fftfreq(rows, device=aligned.device)
            kx = torch.fft.rfftfreq(columns, device=aligned.device)
            cross *= torch.exp(2j * torch.pi * moves[:, 0, None] * ky)[:, :, None]
            cross *= torch.exp(2j * torch.pi * moves[:, 1, None] * kx)[:, None, :]
            coherence = (self._ring_sums(cross.real, ring, multiplicity) * whitening / count).mean(0)
        return Match(moves.double(), heights.double(), correlation[:, 0, 0].double(), coherence)

    def weighted_pair(self, predicted: Tensor, aligned: Tensor) -> tuple[Tensor, Tensor]:
        """Return both images (n, v, u) filtered, so that the sum of their product is what `match` makes largest."""
        rows, columns = aligned.shape[1:]
        ring = self._rings[(rows, columns)][0]
        a, b, *whitenings = self._spectra(predicted, aligned)
        first, second = (
            torch.fft.irfft2(spectrum * (whitening * self.weights.sqrt())[:, ring], s=(rows, columns))
            for spectrum, whitening in zip((a, b), whitenings, strict=True)
        )
        return first, second

    def _spectra(self, predicted: Tensor, aligned: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return the spectra of both, windowed, and for each what (n, rings) brings its rings to power one."""
        rows, columns = aligned.shape[1:]
        ring, multiplicity, count = self._rings[(rows, columns)]
        window = self._window(rows, columns)
        a = torch.fft.rfft2(predicted * window)
        b = self._last.spectrum if aligned is self._last.images else None
        if b is None:
            b = torch.fft.rfft2(aligned * window)
            if aligned is self._last.images:
                self._last.spectrum = b
        whitening = [torch.rsqrt(self._ring_sums(_power(one), ring, multiplicity) / count + 1e-20) for one in (a, b)]
        return a, b, whitening[0], whitening[1]

    def learn_weights(self, coherence: Tensor) -> None:
        """Weight each ring by its measured coherence r: r / (1 - r²), the maximum-likelihood weight of its phases."""
        smooth = torch.nn.functional.avg_pool1d(coherence[None, None], 5, 1, 2, count_include_pad=False)[0, 0]
        r = torch.clamp(smooth, 0, _COHERENCE_CAP)
        weights = r / (1 - r**2) * self._low_cut
        weights[self._frequency > 0.5] = 0
        if float(weights.sum()) > 0:
            self.weights = weights

    def size(self, width: int) -> tuple[int, int]:
        """Return depth and width of the volume that predicts images `width` pixels wide."""
        return self.depth, self._volume_width(width)

    def _volume_width(self, width: int) -> int:
        """Return how wide a volume must be for every column of every view to be predicted from its neighbours.

        A tilted view sees more of the specimen than the untilted one; cut short, the volume would pull the
        shifts of high tilts (measured: the error across the axis doubles).
        """
        largest = float(self.tilts_rad.abs().max())
        cos = max(math.cos(largest), 1 / _WIDEST)
        return min(int((width + self.depth * math.sin(largest)) / cos) + 1, int(_WIDEST * width))

    tilts_rad: Tensor
    depth: int
    _flat_above: float
    _known_bands: tuple[tuple[tuple[int, ...], int], Tensor] | None

    def _bands(self, views: Tensor, width: int) -> Tensor:
        """Return the bands of `own_projection_bands`, kept from call to call: they are those of the geometry alone."""
        key = (tuple(views.tolist()), width)
        if self._known_bands is None or self._known_bands[0] != key:
            size = self.size(width)
            self._known_bands = key, own_projection_bands(self.tilts_rad[views], size, width)
        return self._known_bands[1]

    def _ring_sums(self, values: Tensor, ring: Tensor, multiplicity: Tensor) -> Tensor:
        """Add (n, rows, columns) values up by ring, to (n, rings)."""
        sums = torch.zeros((len(values), self._n_rings), dtype=values.dtype, device=values.device)
        return sums.index_add_(1, ring.reshape(-1), (values * multiplicity).reshape(len(values), -1))

    def _set_rings(self, device: torch.device) -> None:
        """Give every spatial frequency its ring, one cycle per (shorter) field wide, for both orientations.

        Kept for each shape: the ring of each frequency, how many frequencies of the full plane stand there, and how
        many there are in each ring.
        """
        rings = {}
        for rows, columns in set(self._shapes):
            ky = torch.fft.fftfreq(rows, device=device)[:, None]
            kx = torch.fft.rfftfreq(columns, device=device)[None, :]
            ring = (torch.sqrt(ky**2 + kx**2) * self.field).round().long()
            multiplicity = torch.full(ring.shape, 2.0, device=device)  # rfft2 leaves out the conjugate half
            multiplicity[:, 0] = 1
            if columns % 2 == 0:
                multiplicity[:, -1] = 1
            rings[(rows, columns)] = ring, multiplicity
        self._n_rings = max(int(ring.max()) for ring, _ in rings.values()) + 1
        self._rings = {
            shape: (ring, multiplicity, self._ring_sums(torch.ones_like(multiplicity)[None], ring, multiplicity)[0])
            for shape, (ring, multiplicity) in rings.items()
        }
        self._frequency = torch.arange(self._n_rings, device=device) / self.field
        self._low_cut = 1 - torch.exp(-0.5 * (self._frequency * self.field / _LOW_CYCLES) ** 4)
        self.weights = torch.exp(-0.5 * (self._frequency / 0.15) ** 2) * self._low_cut

    def _window(self, rows: int, columns: int) -> Tensor:
        """Return (rows, columns) of ones that fall off smoothly towards the borders."""
        edge = _EDGE * self.field
        device = self.coefficients.device
        v = (torch.arange(rows, device=device) - rows // 2).abs()
        u = (torch.arange(columns, device=device) - columns // 2).abs()
        return _fall(v - (rows / 2 - edge), edge)[:, None] * _fall(u - (columns / 2 - edge), edge)[None, :]


def turn_matrix(axis_deg: float) -> Tensor:
    """Return the (2, 2) matrix from aligned (v, u) to recorded (y, x) directions."""
    angle = torch.deg2rad(torch.tensor(axis_deg, dtype=torch.float64))
    c, s = torch.cos(angle), torch.sin(angle)
    return torch.stack([torch.stack([c, s]), torch.stack([-s, c])])


def _fall(beyond: Tensor, edge: float) -> Tensor:
    return 0.5 + 0.5 * torch.cos(torch.pi * torch.clamp(beyond / edge, 0, 1))


def _power(spectrum: Tensor) -> Tensor:
    return spectrum.real**2 + spectrum.imag**2


def _peaks(correlation: Tensor, max_move: float) -> tuple[Tensor, Tensor]:
    """Return the place (n, 2) and height (n,) of the highest value within `max_move` of zero, parabola-refined."""
    n, rows, columns = correlation.shape
    y = torch.fft.fftfreq(rows, 1 / rows, device=correlation.device)[:, None]
    x = torch.fft.fftfreq(columns, 1 / columns, device=correlation.device)[None, :]
    allowed = torch.where(y**2 + x**2 <= max(max_move, 1.0) ** 2, correlation, -torch.inf)
    best = allowed.reshape(n, -1).argmax(1)
    row, column = best // columns, best % columns
    views = torch.arange(n, device=correlation.device)
    middle = correlation[views, row, column]
    moves = []
    for at, size, before, after in (
        (row, rows, (views, (row - 1) % rows, column), (views, (row + 1) % rows, column)),
        (column, columns, (views, row, (column - 1) % columns), (views, row, (column + 1) % columns)),
    ):
        low, high = correlation[before], correlation[after]
        curvature = torch.clamp(2 * middle - low - high, min=1e-12)
        fraction = torch.clamp((high - low) / (2 * curvature), -1, 1)
        signed = torch.where(at > size // 2, at - size, at)
        moves.append(signed + fraction)
    return torch.stack(moves, 1), middle
