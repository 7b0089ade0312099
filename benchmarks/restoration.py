"""Restoration against the twin's truth: WBP, the best linear filter, and the methods of `eucentric restore`.

Run: python benchmarks/restoration.py make FOLDER [--specimen cell] [--seed 1]
     python benchmarks/restoration.py score FOLDER... [--method noise2noise wedge cryogen] [--minutes 10] [--together]
     python benchmarks/restoration.py halve FOLDER... --of counts    # or tilts, frames: other halves of the same series

`make` simulates a series (41 tilts of 3 e/Å², ±60°, 384² pixels of 3.6 Å, 4 frames; cell or lamella 1100 Å thick, which
does not dome, so that there is one truth), processes its movies, and reconstructs the halves of the frames by the true
alignment, at 10.8 Å, 128³ voxels. `score` trains each method on one tomogram alone (on all of them together, if asked),
and compares with the truth:

- correlation over Fourier cells that tilts measured, and over those deep in the missing wedge (three cells off the last
  tilt's plane and more), of all and with beads of gold masked out, which else hold most of the power;
- the same in bands (by direction: measured within 30° of the plane of the specimen, measured above, missing);
- elongation of beads: full width at half maximum along z over that along x, median;
- share of voxels whose stated 90 % interval holds the truth.

Beside them stand two linear filters, by shell and by 10° of direction, that know what no one could: Wiener's, from the
true spectra of specimen and noise, and the regression of the truth on the tomogram, which no linear filter can beat: it
also knows what both halves have wrong together (what comes into view from beyond the field, what gold scatters that its
contrast transfer does not say).
"""

import argparse
import csv
import json
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

import numpy as np
import torch
from numpy.typing import NDArray

from eucentric.assessment import HalvesOf, fourier_shell_correlation
from eucentric.io import open_mrc, read_alignment, write_mrc
from eucentric.optics import SeriesCTF
from eucentric.processing.reconstruction import ReconstructSettings
from eucentric.processing.restoration import (
    HalfTomograms,
    RestoreSettings,
    Trained,
    restore,
    split_views,
    train,
    transfer,
)
from eucentric.session import Session
from eucentric.workflow.records import ReconstructStage
from eucentric.workflow.restoration.gain import gain_of_series
from eucentric.workflow.volumes import reconstruct_sums

Floats = NDArray[np.float32]
SIDE, BINNING, PIXEL_A = 128, 3, 3.6
PRE_TILT_DEG = {"cell": 0.0, "lamella": 8.0}
AXIS_DEG = 84.4  # of the twin
BEAD_CLEAR_PX, BEAD_EDGE_PX = 9, 4  # from the middle of a bead, what is masked out, and how softly
BANDS_A = ((1e9, 150), (150, 75), (75, 45), (45, 30))


def main() -> None:
    """Run as the module says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    make = verbs.add_parser("make")
    make.add_argument("folder", type=Path)
    make.add_argument("--specimen", choices=tuple(PRE_TILT_DEG), default="cell")
    make.add_argument("--seed", type=int, default=1)
    halved = verbs.add_parser("halve")
    halved.add_argument("folders", type=Path, nargs="+")
    halved.add_argument("--of", choices=get_args(HalvesOf), default="frames")
    scored = verbs.add_parser("score")
    scored.add_argument("folders", type=Path, nargs="+")
    scored.add_argument("--method", nargs="*", default=["noise2noise", "wedge", "cryogen"])
    scored.add_argument("--minutes", type=float, nargs="*", default=[10.0], help="of each method, or one for all")
    scored.add_argument("--steps", type=int, default=100_000, help="end after so many, if minutes are not over before")
    scored.add_argument("--together", action="store_true", help="one model of all folders, not one of each")
    scored.add_argument("--threads", type=int, default=2)
    scored.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.verb == "make":
        make_set(options.folder, options.specimen, options.seed)
        return
    if options.verb == "halve":
        for folder in options.folders:
            halve_set(folder, options.of)
        return
    torch.set_num_threads(options.threads)
    minutes = options.minutes * len(options.method) if len(options.minutes) == 1 else options.minutes
    sets = [ScoredSet.read(folder) for folder in options.folders]
    for group in [sets] if options.together else [[one] for one in sets]:
        score_sets(group, dict(zip(options.method, minutes, strict=True)), options.steps, options.seed)


def make_set(folder: Path, specimen: str, seed: int) -> None:
    """Simulate, process and reconstruct one set, and put its truth on the same grid."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    plan = folder.with_name(f"{folder.name}.yaml")
    tilt = f"--pre-tilt {PRE_TILT_DEG[specimen]} --range 60" if PRE_TILT_DEG[specimen] else "--range 60"
    _run(f"design --thickness 1100 --pixel {PIXEL_A} --exposure 123 --frames 4 --defocus 40000 {tilt} --output {plan}")
    _run(
        f"simulate {plan} --specimen {specimen} --size {SIDE * BINNING} --seed {seed} "
        f"--effects no-doming,no-local-motion --output {folder}"
    )
    halve_set(folder, "frames")


def halve_set(folder: Path, of: HalvesOf) -> None:
    """Process a set, reconstruct its halves by the true alignment, and put the truth on the same grid.

    Halves of tilts and counts are of sums that are not weighted by exposure: counts of weighted ones cannot be split.
    """
    thickness_A = SIDE * BINNING * PIXEL_A
    _run(
        f"process {folder} --bin {BINNING} --thickness {thickness_A:.0f} --axis {AXIS_DEG} --halves {of} "
        f"--{'' if of == 'frames' else 'no-'}dose-weighting"
    )
    series, truth = folder / "series" / "TS_001", folder / "truth" / "TS_001"
    ctf = SeriesCTF.model_validate_json((series / "ctf.json").read_text())
    settings = ReconstructStage(
        reconstruct=ReconstructSettings(binning=BINNING, thickness_A=thickness_A - 1, size_yx=(SIDE, SIDE)),
        ctf_correction="phase-flip",
        halves=of,
    )
    stacks = [series / f"TS_001{half}.mrc" for half in (("_even", "_odd") if of == "frames" else ("",))]
    halves = reconstruct_sums(
        stacks, read_alignment(truth / "alignment.json"), ctf, settings, device=torch.device("cpu")
    )
    whole = open_mrc(truth / "volume.mrc")
    for name, volume in (
        ("half1", halves.even.numpy()),
        ("half2", halves.odd.numpy()),
        ("truth", _on_grid(np.asarray(whole.data, np.float32), float(whole.pixel_A or 0), halves.voxel_A)),
    ):
        write_mrc(folder / f"{name}.mrc", volume, halves.voxel_A, kind="volume", label=name)


def _run(arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "eucentric", *arguments.split()], check=True)


def _on_grid(truth: Floats, pixel_A: float, voxel_A: float) -> Floats:
    """Return the middle of a volume with coarser voxels, by its spectrum."""
    padded = round(SIDE * voxel_A / pixel_A)
    box = np.zeros((padded,) * 3, np.float32)
    there, here = [], []
    for n in truth.shape:
        m = min(n, padded)
        there.append(slice(n // 2 - m // 2, n // 2 - m // 2 + m))
        here.append(slice(padded // 2 - m // 2, padded // 2 - m // 2 + m))
    box[tuple(here)] = truth[tuple(there)]
    spectrum = np.fft.fftshift(np.fft.fftn(np.fft.ifftshift(box)))
    low = slice(padded // 2 - SIDE // 2, padded // 2 - SIDE // 2 + SIDE)
    found = np.fft.fftshift(np.fft.ifftn(np.fft.ifftshift(spectrum[low, low, low]))).real
    return (found * (SIDE / padded) ** 3).astype(np.float32)


@dataclass
class Scoring:
    """The truth of a set, and which Fourier cells are measured."""

    truth: Floats
    beads: list[tuple[int, int, int]]
    voxel_A: float
    tilts_deg: tuple[float, ...]

    def __post_init__(self) -> None:
        """Lay out frequencies, the soft edge, and the mask of the beads."""
        n = SIDE
        kz, ky, kx = np.fft.fftfreq(n)[:, None, None], np.fft.fftfreq(n)[:, None], np.fft.rfftfreq(n)
        self.k = np.sqrt(kz**2 + ky**2 + kx**2)
        angle = (np.rad2deg(np.arctan2(kz, kx)) + 90) % 180 - 90 + 0 * ky
        low, high = min(self.tilts_deg), max(self.tilts_deg)
        off = np.min([np.abs(kz * np.cos(np.deg2rad(a)) - kx * np.sin(np.deg2rad(a))) for a in (low, high)], axis=0)
        seen = (angle >= low) & (angle <= high)
        inside = self.k < 0.5
        self.measured = inside & (seen | (off * n < 0.5))
        self.missing = inside & ~seen & (off * n > 3) & (ky > -1)
        self.direction = np.abs(angle)
        line = np.ones(n)
        line[:16] = np.hanning(32)[:16]
        line[-16:] = line[:16][::-1]
        self.edge = line[:, None, None] * line[:, None] * line
        grid = np.arange(n)
        self.clear = np.ones((n,) * 3)
        for bead in self.beads:
            z, y, x = (np.square(grid - c) for c in bead)
            away = np.sqrt(z[:, None, None] + y[:, None] + x)
            self.clear *= np.clip((away - BEAD_CLEAR_PX) / BEAD_EDGE_PX, 0, 1)

    def spectrum(self, volume: Floats, *, beads: bool = True) -> NDArray[np.complex128]:
        """Return the spectrum of a volume with soft edges, with its beads or without."""
        kept = volume - volume.mean()
        return np.asarray(np.fft.rfftn((kept if beads else kept * self.clear) * self.edge))

    def correlation(self, volume: Floats, cells: NDArray[np.bool_], *, beads: bool = True) -> float:
        """Return the correlation with the truth over some cells."""
        one, two = (self.spectrum(v, beads=beads)[cells] for v in (volume, self.truth))
        return float((one * two.conj()).real.sum() / np.sqrt((np.abs(one) ** 2).sum() * (np.abs(two) ** 2).sum()))

    def wiener(self, even: Floats, odd: Floats, through: Floats, unit: float) -> Floats:
        """Return the Wiener estimate from the true spectra of specimen and noise, by shell and direction."""
        specimen = self._binned(unit**2 * np.abs(self.spectrum(self.truth)) ** 2)
        noise = self._binned(np.abs(self.spectrum(even - odd)) ** 2 / 4)
        gain = through * specimen / (through**2 * specimen + noise)
        return np.fft.irfftn(np.fft.rfftn((even + odd) / 2) * gain).astype(np.float32)

    def linear(self, volume: Floats) -> Floats:
        """Return what the linear filter makes that lies closest to the truth: its regression on the tomogram."""
        one, two = (self.spectrum(v) for v in (volume, self.truth))
        cross, power = self._binned((two * one.conj()).real), self._binned(np.abs(one) ** 2)
        return np.fft.irfftn(np.fft.rfftn(volume) * cross / np.maximum(power, 1e-30)).astype(np.float32)

    def _binned(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the mean over each shell and 10° of direction."""
        shell = np.minimum((self.k * SIDE).astype(int), SIDE // 2)
        bins = (shell * 9 + np.minimum(self.direction // 10, 8).astype(int)).ravel()
        means = np.bincount(bins, values.ravel()) / np.maximum(np.bincount(bins), 1)
        return np.asarray(means[bins].reshape(values.shape))

    def elongation(self, volume: Floats) -> float:
        """Return how much longer than wide beads are, where they lie well inside."""
        ratios = []
        for z, y, x in self.beads:
            if min(z, y, x) >= 14 and max(z, y, x) < SIDE - 14:
                along, across = volume[z - 12 : z + 13, y, x], volume[z, y, x - 12 : x + 13]
                ratios.append(_width(along) / _width(across))
        return float(np.median(ratios)) if ratios else float("nan")

    def report(self, label: str, volume: Floats, **more: float) -> None:
        """Print one line of the table."""
        found: dict[str, object] = {
            "what": label,
            "measured": self.correlation(volume, self.measured),
            "missing": self.correlation(volume, self.missing),
            "measured_no_beads": self.correlation(volume, self.measured, beads=False),
            "missing_no_beads": self.correlation(volume, self.missing, beads=False),
            "elongation": self.elongation(volume),
            **more,
        }
        for name, cells in (
            ("flat", self.measured & (self.direction < 30)),
            ("steep", self.measured & (self.direction >= 30)),
            ("missing", self.missing),
        ):
            bands = [
                self.correlation(
                    volume, cells & (self.k > self.voxel_A / a) & (self.k <= self.voxel_A / b), beads=False
                )
                for a, b in BANDS_A
            ]
            found[f"bands_{name}"] = [round(value, 3) for value in bands]
        print(json.dumps({k: round(v, 3) if isinstance(v, float) else v for k, v in found.items()}), flush=True)

    def unit(self, volume: Floats, through: Floats) -> float:
        """Return how much of the tomogram's unit a volt makes: what it measured over what its transfer leaves of it."""
        left = np.fft.irfftn(np.fft.rfftn(self.truth - self.truth.mean()) * through)
        cells = self.measured & (self.k * SIDE > 3)
        one, two = (self.spectrum(v, beads=False)[cells] for v in (volume, left.astype(np.float32)))
        return float((one * two.conj()).real.sum() / (np.abs(two) ** 2).sum())

    def calibration(self, volume: Floats, sigma: Floats, unit: float) -> float:
        """Return the share of voxels whose stated 90 % interval holds the truth."""
        inner = (slice(16, -16),) * 3
        clear = self.clear[inner] > 0.99
        estimate, truth = (v[inner] - v[inner][clear].mean() for v in (volume, self.truth))
        return float(np.mean(np.abs(unit * truth - estimate) < 1.645 * sigma[inner]))


def _width(line: Floats) -> float:
    """Return the full width at half maximum of a profile whose peak is near its middle."""
    middle = len(line) // 2
    line = line - np.median(np.concatenate([line[:4], line[-4:]]))
    peak = middle - 2 + int(np.argmax(np.abs(line[middle - 2 : middle + 3])))
    line = line / line[peak]
    ends = []
    for step in (-1, 1):
        i = peak
        while 0 < i < len(line) - 1 and line[i + step] > 0.5:
            i += step
        below = line[min(max(i + step, 0), len(line) - 1)]
        ends.append(abs(i - peak) + (line[i] - 0.5) / max(line[i] - below, 1e-6))
    return float(sum(ends))


@dataclass
class ScoredSet:
    """A set as `make` left it: its halves as a user has them, and what they are held to."""

    folder: Path
    pair: HalfTomograms
    scoring: Scoring
    unit: float

    @classmethod
    def read(cls, folder: Path) -> "ScoredSet":
        """Read a set, and print how it does before restoration."""
        half1, half2, truth = (open_mrc(folder / f"{name}.mrc") for name in ("half1", "half2", "truth"))
        voxel_A = float(half1.pixel_A or 0)
        alignment = read_alignment(folder / "truth" / "TS_001" / "alignment.json")
        tilts = tuple(view.tilt_deg for view in alignment.used)
        beads = []
        with (folder / "truth" / "TS_001" / "particles.csv").open() as file:
            for row in csv.DictReader(file):
                if row["label"] == "gold":
                    z, y, x = (round(float(row[f"{axis}_A"]) / voxel_A) + SIDE // 2 for axis in "zyx")
                    beads.append((z, y, x))
        scoring = Scoring(np.asarray(truth.data), beads, voxel_A, tilts)
        even, odd = -np.asarray(half1.data), -np.asarray(half2.data)  # dense matter is dark in them
        agree = fourier_shell_correlation(even, odd, voxel_A, tilt_range_deg=(min(tilts), max(tilts)))
        shells = zip(agree.frequency_1_A, agree.correlation, strict=True)
        halves_agree = {round(1 / frequency): round(value, 2) for frequency, value in shells}
        print(json.dumps({"set": folder.name, "beads": len(beads), "halves_agree": halves_agree}), flush=True)
        scoring.report("wbp", (even + odd) / 2)
        with Session.create_or_open(folder) as session:
            gain = gain_of_series(session, "TS_001", alignment, SIDE * voxel_A)
        through = transfer((SIDE,) * 3, voxel_A, tilts, gain).numpy()
        unit = scoring.unit((even + odd) / 2, through)
        scoring.report("wiener, true spectra", scoring.wiener(even, odd, through, unit))
        scoring.report("linear, by the truth", scoring.linear((even + odd) / 2))
        pair = HalfTomograms(folder.name, even, odd, voxel_A, tilts, gain, field_A=SIDE * voxel_A)
        return cls(folder, replace(pair, even_views=split_views(pair)), scoring, unit)

    def score(self, trained: Trained, began_s: float) -> None:
        """Restore by a model, write the result, and print what is right."""
        restored, method = restore(self.pair, trained), trained.settings.method
        seconds = time.perf_counter() - began_s
        inside = self.scoring.calibration(restored.full, restored.sigma, self.unit)
        label = f"{self.folder.name}: {method} ({trained.looks[-1].step} steps)"
        self.scoring.report(label, restored.full, seconds=seconds, inside_90_percent=inside)
        for name, volume in (("full", restored.full), ("sigma", restored.sigma)):
            path = self.folder / f"{method}_{name}.mrc"
            write_mrc(path, volume, self.pair.voxel_A, kind="volume", label=f"{method} {name}")


def score_sets(sets: list[ScoredSet], methods: dict[str, float], most_steps: int, seed: int) -> None:
    """Learn one model from all sets by each method, and score each set."""
    for method, minutes in methods.items():
        begun = time.perf_counter()
        settings = RestoreSettings.model_validate(
            {"method": method, "minutes": minutes, "most_steps": most_steps, "seed": seed}
        )
        trained = train([one.pair for one in sets], settings)
        for one in sets:
            one.score(trained, begun)


if __name__ == "__main__":
    main()
