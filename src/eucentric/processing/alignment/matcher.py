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

from eucentric.core.threads import in_parts
from eucentric.processing.alignment.bands import own_projection_bands
from eucentric.processing.alignment.peaks import find_peaks
from eucentric.processing.alignment.rings import Rings
from eucentric.processing.operators import ramp_filter, reproject, resample, spline_coefficients

_EDGE = 0.1  # share of the field over which windows fall off: wide enough to keep the border out of every frequency
_HIGHEST = 0.5  # cycles per pixel: beyond, rings have their corners only
_LOW_CYCLES = 4.0  # frequencies below this many cycles per field hold thickness and beam profile, not features
_WIDEST = 3.0  # at most this many fields across: beyond 70° views overlap too little to be worth the memory
COHERENCE_CAP = 0.8  # beyond, errors of the model and not noise limit the match, so more weight is not deserved


@dataclass(frozen=True)
class Spectrum:
    """Windowed images' transforms `values` (n, v, u // 2 + 1), and what brings their rings to power one (n, rings)."""

    values: Tensor
    whitening: Tensor

    def __getitem__(self, places: Tensor) -> "Spectrum":
        return Spectrum(self.values[places], self.whitening[places])


@dataclass
class _Last:
    """What was made last: aligned images, with what they were made for; these filtered, and the filter; spectra."""

    key: tuple[float, bytes, bytes] | None = None
    images: Tensor = field(default_factory=lambda: torch.empty(0))
    filtered: Tensor | None = None
    flat_above: float = 0.0
    spectra: tuple[tuple[Tensor, Spectrum], ...] = ()


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
        # Corners that come out as other frequencies do so in all views alike, and draw the axis to where that agrees
        # best (measured: by .25°, or by nothing with all views half a pixel farther along it).
        parts = in_parts(
            lambda some: spline_coefficients(images[some], to_be_turned=True), len(images), images[0].numel()
        )
        self.coefficients = torch.cat(parts)
        self.n, self.rows, self.columns = images.shape
        self.field = min(self.rows, self.columns)
        fast = prev_fast_len(self.rows, real=True), prev_fast_len(self.columns, real=True)
        self._shapes = fast, (fast[1], fast[0])
        self._last = _Last()
        self._set_rings(images.device)

    def with_slab(self, tilts_rad: Tensor, depth: int, height: float = 0.0, across: float = 0.0) -> "Matcher":
        """Return a matcher of the same images that predicts views from a slab.

        Parameters
        ----------
        tilts_rad
            (n,) float64: the slab lies flat at 0.
        depth
            Thickness of the slab in pixels: it should hold the specimen and no more, since the thinner the specimen
            is known to be, the farther one view can predict another.
        height, across
            Where its middle lies, in pixels, and how far across the axis from their middle all views show it.
        """
        other = copy(self)
        other.tilts_rad = tilts_rad
        other.depth = depth
        # A volume with an even number of planes has its middle between two: off it, views would drift (measured).
        other._height = height + (0.5 if depth % 2 == 0 else 0.0)
        other._across = across
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
            self._last.key, self._last.filtered = key, None
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
        """Return aligned images weighted for back-projection; the last ones are kept."""
        last = self._last
        known = aligned is last.images
        if known and last.filtered is not None and last.flat_above == self._flat_above:
            return last.filtered
        flat_above = torch.full((len(aligned),), self._flat_above, device=aligned.device)
        filtered = ramp_filter(aligned, flat_above=flat_above)
        if known:
            last.filtered, last.flat_above = filtered, self._flat_above
        return filtered

    def predict(self, filtered: Tensor, sources: Tensor, target: Tensor) -> Tensor:
        """Project the volume made of the filtered views `sources` at the tilts of the views `target`."""
        return self._reprojected(filtered, sources, at_rad=self.tilts_rad[target])

    def _reprojected(
        self, filtered: Tensor, sources: Tensor, *, at_rad: Tensor | None = None, block_views: int = 0
    ) -> Tensor:
        tilts = self.tilts_rad[sources]
        size = self.size(filtered.shape[2], tilts if at_rad is None else at_rad)
        centre = self._height, 0.0
        return reproject(
            filtered, tilts, size, at_rad=at_rad, block_views=block_views, centre_zx_px=centre, across_px=self._across
        )

    def projected(self, aligned: Tensor, views: Tensor) -> Tensor:
        """Return what the volume made of `views` looks like where each of them was taken: a specimen that is still."""
        return self._reprojected(self.filtered(aligned), views)

    def predict_from_others(self, filtered: Tensor, views: Tensor) -> Tensor:
        """Predict each of `views` from all the others: held out, since a volume always agrees with its own views."""
        predicted = self._reprojected(filtered, views)
        below, own, above = self._bands(views, filtered.shape[2]).to(filtered.device)[:, :, None, :]

        def take_off(some: slice) -> None:
            seen, given = predicted[some], filtered[some]
            seen -= own[some] * given
            seen[:, :, :-1] -= (below[some] * given)[:, :, 1:]
            seen[:, :, 1:] -= (above[some] * given)[:, :, :-1]

        in_parts(take_off, len(predicted), predicted[0].numel())
        return predicted

    def predict_from_afar(self, filtered: Tensor, views: Tensor, block_views: int) -> Tensor:
        """Predict each block of `block_views` views neighbouring in tilt from all views outside it.

        Nearest neighbours agree with each other even when the geometry is wrong; only views some way apart
        tell a wrong axis (measured on a needle: with single views held out, its axis comes out 13° off that of blocks).
        """
        order = self.tilts_rad[views].argsort(stable=True)
        predicted = torch.empty_like(filtered)
        predicted[order] = self._reprojected(filtered[order], views[order], block_views=block_views)
        return predicted

    def match(self, predicted: Tensor, aligned: Tensor, max_move: float, *, learn: bool = False) -> Match:
        """Find the displacement of each aligned image against its prediction, within `max_move` pixels.

        With `learn`, the coherence at that displacement is measured too.
        """
        return self.match_spectra(self.spectrum(predicted), self.spectrum(aligned), aligned.shape[2], max_move, learn)

    def match_spectra(self, a: Spectrum, b: Spectrum, columns: int, max_move: float, learn: bool = False) -> Match:
        """Do as `match` does, of images `columns` wide."""
        rows = a.values.shape[1]
        rings = self._rings[(rows, columns)]
        # Whitened: every ring has power one in both images, so that a weight is a weight.
        gain = a.whitening * b.whitening * self._shares(rings) * (rows * columns)
        weighted = rings.weighted(a.values, b.values, gain)
        parts = in_parts(lambda some: find_peaks(weighted[some], columns, max_move), len(weighted), rows * columns)
        moves, heights, in_place = (torch.cat(part) for part in zip(*parts, strict=True))
        coherence = None
        if learn:
            ky = torch.fft.fftfreq(rows, device=moves.device)
            kx = torch.fft.rfftfreq(columns, device=moves.device)
            back = b.values * torch.exp(2j * torch.pi * moves[:, 0, None] * ky)[:, :, None]
            back *= torch.exp(2j * torch.pi * moves[:, 1, None] * kx)[:, None, :]
            coherence = (rings.sums(a.values, back) * a.whitening * b.whitening / rings.count).mean(0)
        return Match(moves.double(), heights.double(), in_place.double(), coherence)

    def agreement(self, predicted: Tensor, aligned: Tensor) -> Tensor:
        """Return the `in_place` (n,) of a match, without the match."""
        rings = self._rings[(aligned.shape[1], aligned.shape[2])]
        a, b = self.spectrum(predicted), self.spectrum(aligned)
        sums = rings.sums(a.values, b.values) * a.whitening * b.whitening * self._shares(rings)
        return sums.sum(1).double()

    def whitened_spectra(self, predicted: Tensor, aligned: Tensor) -> tuple[Tensor, Tensor]:
        """Return the transforms of both with every ring of power one, and without the frequencies that tell nothing."""
        ring = self._rings[(aligned.shape[1], aligned.shape[2])].ring.long()
        band = (self._low_cut * (self._frequency <= _HIGHEST)).sqrt()
        first, second = (
            one.values * (one.whitening * band)[:, ring] for one in (self.spectrum(predicted), self.spectrum(aligned))
        )
        return first, second

    def spectrum(self, images: Tensor) -> Spectrum:
        """Return the spectrum of images (n, v, u); those of the last two stacks are kept."""
        kept = self._last.spectra
        for known, spectrum in kept:
            if known is images:
                self._last.spectra = (*(one for one in kept if one[0] is not images), (images, spectrum))
                return spectrum
        rows, columns = images.shape[1:]
        rings = self._rings[(rows, columns)]
        window = self._windows[(rows, columns)]
        values = torch.empty((len(images), rows, columns // 2 + 1), dtype=torch.complex64, device=images.device)

        def transform(some: slice) -> None:
            values[some] = torch.fft.rfft2(images[some] * window)

        in_parts(transform, len(images), rows * columns)
        made = Spectrum(values, torch.rsqrt(rings.sums(values, values) / rings.count + 1e-20))
        self._last.spectra = (*kept[-1:], (images, made))
        return made

    def _shares(self, rings: Rings) -> Tensor:
        """Return the weight of a frequency of each ring, as a share of all frequencies'."""
        return self.weights / (self.weights * rings.count).sum()

    def learn_weights(self, coherence: Tensor) -> None:
        """Weight each ring by its measured coherence r: r / (1 - r²), the maximum-likelihood weight of its phases."""
        smooth = torch.nn.functional.avg_pool1d(coherence[None, None], 5, 1, 2, count_include_pad=False)[0, 0]
        r = torch.clamp(smooth, 0, COHERENCE_CAP)
        weights = r / (1 - r**2) * self._low_cut
        weights[self._frequency > _HIGHEST] = 0
        if float(weights.sum()) > 0:
            self.weights = weights

    def size(self, width: int, tilts_rad: Tensor) -> tuple[int, int]:
        """Return depth and width of a volume that shows every column of views at these tilts, `width` pixels wide.

        A tilted view sees more of the specimen than the untilted one; cut short, the volume would pull the
        shifts of high tilts (measured: the error across the axis doubles).
        """
        largest = float(tilts_rad.abs().max())
        cos, sin = max(math.cos(largest), 1 / _WIDEST), math.sin(largest)
        seen = width + (self.depth + 2 * abs(self._height)) * sin + 2 * abs(self._across)
        return self.depth, min(int(seen / cos) + 1, int(_WIDEST * width))

    tilts_rad: Tensor
    depth: int
    _height: float
    _across: float
    _flat_above: float
    _known_bands: tuple[tuple[tuple[int, ...], int], Tensor] | None

    def _bands(self, views: Tensor, width: int) -> Tensor:
        """Return the bands of `own_projection_bands`, kept from call to call: they are those of the geometry alone."""
        key = (tuple(views.tolist()), width)
        if self._known_bands is None or self._known_bands[0] != key:
            tilts = self.tilts_rad[views]
            bands = own_projection_bands(tilts, self.size(width, tilts), width, self._height, self._across)
            self._known_bands = key, bands
        return self._known_bands[1]

    def _set_rings(self, device: torch.device) -> None:
        """Give every spatial frequency its ring, one cycle per (shorter) field wide, for both orientations."""
        farthest = max(
            math.hypot(rows // 2 / rows, columns // 2 / columns) * self.field for rows, columns in self._shapes
        )
        n_rings = round(farthest) + 1
        self._rings = {shape: Rings.of(shape, self.field, n_rings, device) for shape in set(self._shapes)}
        self._windows = {shape: self._window(*shape) for shape in self._rings}
        self._frequency = torch.arange(n_rings, device=device) / self.field
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
