"""Match each view with the projection of a volume made of other views.

All lengths here are pixels of one level (one binning); tilts are in radians; shifts are yx in the recorded image's
own axes, the sense of `TiltAlignment.shift_yx_A`. Aligned images have the tilt axis along y.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from eucentric.processing.operators import backproject, project, ramp_filter, resample, spline_coefficients

_EDGE = 0.1  # share of the field over which windows fall off: wide enough to keep the border out of every frequency
_LOW_CYCLES = 4.0  # frequencies below this many cycles per field hold thickness and beam profile, not features
_WIDEST = 3.0  # at most this many fields across: beyond 70° views overlap too little to be worth the memory
_BLOCK = 5  # views held out together where the geometry is judged
_COHERENCE_CAP = 0.8  # beyond, errors of the model and not noise limit the match, so more weight is not deserved


@dataclass(frozen=True)
class Match:
    """What matching found, one value a view.

    `move_vu` (n, 2) is by how much the content of each aligned image is displaced from its prediction;
    `correlation` (n,) is the weighted mean coherence at that displacement; `coherence` (rings,) the mean
    coherence per ring of spatial frequency.
    """

    move_vu: Tensor
    correlation: Tensor
    coherence: Tensor


class Matcher:
    """The images of one level, and what is needed again and again to match them.

    Parameters
    ----------
    images
        (n, y, x) float32, each with mean 0 and standard deviation 1.
    tilts_rad
        (n,) float64.
    depth
        Thickness in pixels of the volume that views are predicted from: it should hold the specimen and no
        more, since the thinner the specimen is known to be, the farther one view can predict another.
    """

    def __init__(self, images: Tensor, tilts_rad: Tensor, depth: int) -> None:
        self.coefficients = spline_coefficients(images)
        self.tilts_rad = tilts_rad
        self.depth = depth
        self.n, self.rows, self.columns = images.shape
        self.field = min(self.rows, self.columns)
        self._set_rings(images.device)
        increment = float(torch.diff(tilts_rad.sort().values).median()) if self.n > 1 else 1.0
        # Beyond this frequency the slabs of neighbouring views no longer overlap (Crowther's criterion).
        self._flat_above = 1 / (depth * max(increment, 1e-3))

    def shape(self, axis_deg: float) -> tuple[int, int]:
        """Return rows and columns of an aligned image: those of the recorded one, swapped if its axis lies along x."""
        swapped = abs((axis_deg + 90) % 180 - 90) > 45
        return (self.columns, self.rows) if swapped else (self.rows, self.columns)

    def aligned(self, axis_deg: float, shifts: Tensor, views: Tensor) -> Tensor:
        """Resample `views` (indices) with the axis along y, taking out `shifts` (len(views), 2)."""
        turn = turn_matrix(axis_deg)
        maps = torch.cat([turn.expand(len(views), 2, 2), shifts[:, :, None]], dim=2)
        margin = _EDGE * self.field
        return resample(self.coefficients[views], maps, self.shape(axis_deg), margin_px=margin)

    def filtered(self, aligned: Tensor) -> Tensor:
        """Return aligned images weighted for back-projection."""
        flat_above = torch.full((len(aligned),), self._flat_above, device=aligned.device)
        return ramp_filter(aligned, flat_above=flat_above)

    def predict(self, filtered: Tensor, sources: Tensor, target: Tensor) -> Tensor:
        """Project the volume made of the filtered views `sources` at the tilts of the views `target`."""
        width = filtered.shape[2]
        volume = backproject(filtered, self.tilts_rad[sources], (self.depth, self._volume_width(width)))
        return project(volume, self.tilts_rad[target], width)

    def predict_from_others(self, filtered: Tensor, views: Tensor) -> Tensor:
        """Predict each of `views` from all the others: held out, since a volume always agrees with its own views."""
        predicted = self.predict(filtered, views, views)
        width = filtered.shape[2]
        bands = _own_projection_bands(self.tilts_rad[views], (self.depth, self._volume_width(width)), width)
        below, own, above = (band[:, None, :] * filtered for band in bands.to(filtered.device))
        predicted -= own
        predicted[:, :, :-1] -= below[:, :, 1:]
        predicted[:, :, 1:] -= above[:, :, :-1]
        return predicted

    def predict_from_afar(self, filtered: Tensor, views: Tensor) -> Tensor:
        """Predict each block of `_BLOCK` views neighbouring in tilt from all views outside it.

        Nearest neighbours agree with each other even when the geometry is wrong; only views some way apart
        tell a wrong axis (measured on a needle: with single views held out, its axis comes out 13° off that of blocks).
        """
        width = filtered.shape[2]
        size = (self.depth, self._volume_width(width))
        tilts = self.tilts_rad[views]
        volume = backproject(filtered, tilts, size)
        predicted = torch.empty_like(filtered)
        for block in torch.split(tilts.argsort(stable=True), _BLOCK):
            backproject(-filtered[block], tilts[block], size, out=volume)
            predicted[block] = project(volume, tilts[block], width)
            backproject(filtered[block], tilts[block], size, out=volume)
        return predicted

    def match(self, predicted: Tensor, aligned: Tensor, max_move: float) -> Match:
        """Find the displacement of each aligned image against its prediction, within `max_move` pixels."""
        rows, columns = aligned.shape[1:]
        ring, multiplicity = self._rings[(rows, columns)]
        window = self._window(rows, columns)
        a = torch.fft.rfft2(predicted * window)
        b = torch.fft.rfft2(aligned * window)
        count = _ring_sums(multiplicity[None], ring, self._n_rings)[0]
        power = _ring_sums(multiplicity * a.abs() ** 2, ring, self._n_rings) * _ring_sums(
            multiplicity * b.abs() ** 2, ring, self._n_rings
        )
        # Whitened: every ring has power one in both images, so that a weight is a weight.
        cross = a.conj() * b * torch.rsqrt(power / count**2 + 1e-20)[:, ring]
        total = (self.weights * count).sum()
        correlation = torch.fft.irfft2(cross * self.weights[ring], s=(rows, columns)) * (rows * columns / total)
        moves, heights = _peaks(correlation, max_move)
        ky = torch.fft.fftfreq(rows, device=aligned.device)[:, None]
        kx = torch.fft.rfftfreq(columns, device=aligned.device)[None, :]
        phase = torch.exp(2j * torch.pi * (moves[:, 0, None, None] * ky + moves[:, 1, None, None] * kx))
        coherence = _ring_sums(multiplicity * (cross * phase).real, ring, self._n_rings) / count
        return Match(moves.double(), heights.double(), coherence.mean(0))

    def learn_weights(self, coherence: Tensor) -> None:
        """Weight each ring by its measured coherence r: r / (1 - r²), the maximum-likelihood weight of its phases."""
        smooth = torch.nn.functional.avg_pool1d(coherence[None, None], 5, 1, 2, count_include_pad=False)[0, 0]
        r = torch.clamp(smooth, 0, _COHERENCE_CAP)
        weights = r / (1 - r**2) * self._low_cut
        weights[self._frequency > 0.5] = 0
        if float(weights.sum()) > 0:
            self.weights = weights

    def _volume_width(self, width: int) -> int:
        """Return how wide a volume must be for every column of every view to be predicted from its neighbours.

        A tilted view sees more of the specimen than the untilted one; cut short, the volume would pull the
        shifts of high tilts (measured: the error across the axis doubles).
        """
        largest = float(self.tilts_rad.abs().max())
        cos = max(math.cos(largest), 1 / _WIDEST)
        return min(int((width + self.depth * math.sin(largest)) / cos) + 1, int(_WIDEST * width))

    def _set_rings(self, device: torch.device) -> None:
        """Give every spatial frequency its ring, one cycle per (shorter) field wide, for both orientations."""
        self._rings: dict[tuple[int, int], tuple[Tensor, Tensor]] = {}
        for rows, columns in {(self.rows, self.columns), (self.columns, self.rows)}:
            ky = torch.fft.fftfreq(rows, device=device)[:, None]
            kx = torch.fft.rfftfreq(columns, device=device)[None, :]
            ring = (torch.sqrt(ky**2 + kx**2) * self.field).round().long()
            multiplicity = torch.full(ring.shape, 2.0, device=device)  # rfft2 leaves out the conjugate half
            multiplicity[:, 0] = 1
            if columns % 2 == 0:
                multiplicity[:, -1] = 1
            self._rings[(rows, columns)] = ring, multiplicity
        self._n_rings = max(int(ring.max()) for ring, _ in self._rings.values()) + 1
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


def _ring_sums(values: Tensor, ring: Tensor, n_rings: int) -> Tensor:
    """Add (n, rows, columns) values up by ring, to (n, n_rings)."""
    sums = torch.zeros((len(values), n_rings), dtype=values.dtype, device=values.device)
    return sums.index_add_(1, ring.reshape(-1), values.reshape(len(values), -1))


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


def _own_projection_bands(tilts_rad: Tensor, depth_width: tuple[int, int], columns: int) -> Tensor:
    """Return what back-projecting a view and projecting it again at its own tilt does, as three bands (3, n, u).

    Linear interpolation couples a column only with its neighbours: with the bands (below, own, above), the
    result at column k is ``below[k+1] f[k+1]`` + ``own[k] f[k]`` + ``above[k-1] f[k-1]``.
    """
    depth, width = depth_width
    z = torch.arange(depth, dtype=torch.float64)[:, None] - depth // 2
    x = torch.arange(width, dtype=torch.float64)[None, :] - width // 2
    bands = torch.zeros((3, len(tilts_rad), columns), dtype=torch.float64)
    for i, tilt in enumerate(tilts_rad.to("cpu", torch.float64)):
        u = (x * torch.cos(tilt) + z * torch.sin(tilt) + columns // 2).reshape(-1)
        u = u[(u >= 0) & (u < columns - 1)]
        k = u.long()
        f = u - k
        bands[1, i].index_add_(0, k, (1 - f) ** 2)
        bands[1, i].index_add_(0, k + 1, f**2)
        bands[2, i].index_add_(0, k, f * (1 - f))  # column k as seen at k + 1
        bands[0, i].index_add_(0, k + 1, f * (1 - f))  # column k + 1 as seen at k
    return bands.float()
