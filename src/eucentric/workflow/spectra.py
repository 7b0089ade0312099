"""Power spectra of a low and a high tilt, before and after motion correction, kept for the report."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eucentric.core import FormatError, whole_or_nothing
from eucentric.report.movies import TiltSpectrum

_TILE_A = 700.0  # rings of 5 µm of defocus are still apart at 5 Å, and there are many tiles to a field
_LEAST_PX, _MOST_PX = 64, 512
_BAND_A = 400.0  # of defocus, to either side: tiles further from the tilt axis have their rings elsewhere


@dataclass(frozen=True)
class Shown:
    """The spectra of one tilt; `spread_A` is the range of defocus over the places that they are of."""

    section: int
    before: NDArray[np.float32]
    after: NDArray[np.float32]
    spread_A: float


def sections_to_show(tilts_deg: Sequence[float]) -> tuple[int, ...]:
    """Return the least and the most tilted of some tilts, by their places; one where there is only one."""
    by_tilt = sorted(range(len(tilts_deg)), key=lambda section: abs(tilts_deg[section]))
    return tuple(dict.fromkeys((by_tilt[0], by_tilt[-1]))) if by_tilt else ()


def compare_spectra(
    section: int, before: Tensor, after: Tensor, pixel_A: float, tilt_deg: float, axis_deg: float | None
) -> Shown:
    """Return the mean spectra of two images (y, x) of one tilt, of tiles near the tilt axis where it is known."""
    from eucentric.processing.ctf.spectra import tile_spectra

    side = 2 * round(_TILE_A / pixel_A / 2)
    side = max(_LEAST_PX, min(_MOST_PX, side, 2 * (min(before.shape) // 4)))
    tiles = [tile_spectra(image, side) for image in (before, after)]
    places = np.asarray(tiles[0].centres_yx_px, dtype=float) * pixel_A
    slope = abs(math.tan(math.radians(tilt_deg)))
    kept, reach_A = np.ones(len(places), dtype=bool), 0.0
    if axis_deg is not None:
        axis = math.radians(axis_deg)
        away_A = np.abs(places[:, 1] * math.cos(axis) + places[:, 0] * math.sin(axis))
        kept = away_A * slope <= max(_BAND_A, slope * float(away_A.min()) + 1e-6)
        reach_A = float(away_A[kept].max())
    chosen = torch.from_numpy(np.flatnonzero(kept))
    spectra = [np.asarray(one.power[chosen.to(one.power.device)].mean(0).cpu(), np.float32) for one in tiles]
    spread_A = slope * (2 * reach_A + side * pixel_A) if axis_deg is not None else 0.0
    return Shown(section, spectra[0], spectra[1], spread_A)


def write_spectra(path: Path, shown: Sequence[Shown]) -> None:
    """Write spectra as NumPy's .npz, whole or not at all."""
    arrays: dict[str, NDArray[np.generic]] = {
        "sections": np.array([one.section for one in shown], dtype=np.int64),
        "spread_A": np.array([one.spread_A for one in shown], dtype=np.float64),
    }
    for which, one in enumerate(shown):
        arrays[f"before_{which}"], arrays[f"after_{which}"] = one.before, one.after
    with whole_or_nothing(path) as partial, partial.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]  # its stub takes the arrays for its own option


def read_spectra(path: Path, pixel_A: float) -> tuple[TiltSpectrum, ...]:
    """Read what `write_spectra` wrote.

    Raises
    ------
    FormatError
        If it is something else.
    """
    try:
        with np.load(path) as file:
            return tuple(
                TiltSpectrum(int(section), file[f"before_{which}"], file[f"after_{which}"], pixel_A, float(spread))
                for which, (section, spread) in enumerate(zip(file["sections"], file["spread_A"], strict=True))
            )
    except (OSError, ValueError, KeyError) as error:
        raise FormatError(f"{path}: these are no spectra ({error}).", "Remove the file and run again.") from error
