"""CTF of tilt series of the twin against their truth: fit, hand, thickness, correction by place, and time.

python benchmarks/ctf_series.py SETS --make 8 [--first 1] [--size 512] [--pixel 2.7] [--specimens cell,ribosomes]:
series that are not there yet, of 8 seeds from the first; --twice: two of each specimen, in half of the time
python benchmarks/ctf_series.py SETS --fit [--pixel 2.7] [--peer VENV [--every 5]]: errors, hand, thickness; with a
peer, at every fifth tilt
python benchmarks/ctf_series.py SETS --calibrate: how often verdicts on the hand from few tilts are right
python benchmarks/ctf_series.py SETS --correct: correlation with the CTF-free projection, by place or with one CTF
python benchmarks/ctf_series.py SETS --time [--size 4096]: time of 41 tilts
python benchmarks/ctf_series.py SETS --values ctffind.txt gctf.star: what the prior makes of two programs' values

A series: 41 tilts, dose-symmetric to 60 degrees, 3 e/Å² each, fields of 1382 Å unless --size says another; defocus 2
to 5 µm with 500 Å rms from tilt to tilt, astigmatism to 800 Å, 1000 to 2200 Å thick, either hand, four directions of
the axis.
"""

import argparse
import json
import math
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from eucentric.design import ConstantExposure, Design, DoseSymmetric
from eucentric.microscope import ExposureRequest
from eucentric.optics import Lens, SeriesCTF, TiltCTF
from eucentric.processing.ctf.correct import correct_tilt
from eucentric.processing.ctf.hand import judge_hand
from eucentric.processing.ctf.series import fit_series
from eucentric.processing.ctf.series_evidence import SeriesEvidence, TiltEvidence, tilt_evidence
from eucentric.processing.ctf.series_fit import SeriesFit
from eucentric.processing.ctf.series_prior import DefocusPrior
from eucentric.processing.ctf.tilted import RingGrid, field_rings
from eucentric.specimen.samples import build
from eucentric.twin import Effects, Exposed, Twin, TwinSettings
from eucentric.twin.field import Field
from eucentric.twin.formation import Forming
from eucentric.twin.scene import Scene, View

SPECIMENS = ("cell", "ribosomes", "lamella", "apoferritin")
EFFECTS = "no-drift,no-burst,no-local-motion,no-gain,no-defects"
FIELD_A = 512 * 2.7
WAVELENGTH_A = 0.019687
OTHER = 1000  # what a specimen's second series has more in its seed
Array = NDArray[np.float64]


def twin_of(specimen: str, seed: int, pixel_A: float, size: int, more: str = "") -> tuple[Twin, dict[str, Any]]:
    """Return a twin whose images have `size` pixels a side, and what was chosen for it."""
    kind = SPECIMENS.index(specimen)
    rng = np.random.default_rng([seed, kind])
    hand = 1 if (seed + kind) % 2 else -1
    chosen = {
        "nominal": float(rng.uniform(2e4, 5e4)),
        "thick": float(rng.uniform(1000, 2200)),
        "axis": float(rng.choice([84.3, -5.7, 175.0, 40.0])),
        "ast": float(rng.uniform(0, 800)),
        "astdeg": float(rng.uniform(-90, 90)),
        "hand": hand,
        "pixel": pixel_A,
    }
    sample = build(
        specimen, seed=seed, field_A=size * pixel_A, thickness_A=chosen["thick"], max_tilt_deg=60, pre_tilt_deg=0
    )
    settings = TwinSettings(
        hand=1 if hand == 1 else -1,
        axis_deg=chosen["axis"],
        astigmatism_A=chosen["ast"],
        astigmatism_deg=chosen["astdeg"],
    )
    effects = Effects.parse(EFFECTS + more)
    return Twin(sample, pixel_A=pixel_A, shape_yx=(size, size), settings=settings, effects=effects, seed=seed), chosen


def exposed_at(twin: Twin, tilt_deg: float, defocus_A: float, order: int) -> Exposed:
    """Expose at a tilt, on target and with the defocus asked for."""
    twin.tilt_to(tilt_deg)
    twin.wait(5)
    (y, x), height = twin.true_offset_A()
    twin.set_image_shift_A((y, x))
    twin.set_beam_shift_A((y, x))
    twin.set_defocus_A(float(defocus_A - twin.settings.hand * height))
    return twin.expose_and_tell(ExposureRequest(exposure_e_A2=3.0, frames=1, purpose="record", order=order))


def other_optics(twin: Twin, chosen: dict[str, Any]) -> tuple[Twin, dict[str, Any]]:
    """Return a second microscope that sees a specimen as a first does: with other optics, ice and counts."""
    seed = twin.seed + OTHER
    rng = np.random.default_rng([seed, len(chosen)])
    chosen = chosen | {
        "nominal": float(rng.uniform(2e4, 5e4)),
        "ast": float(rng.uniform(0, 800)),
        "astdeg": float(rng.uniform(-90, 90)),
        "hand": -chosen["hand"],
    }
    settings = twin.settings.replace(hand=chosen["hand"], astigmatism_A=chosen["ast"], astigmatism_deg=chosen["astdeg"])
    other = Twin(
        twin.sample,
        pixel_A=twin.pixel_A,
        shape_yx=twin.shape_yx,
        settings=settings,
        effects=twin.effects,
        seed=twin.seed,
    )
    other._imaging = replace(other._imaging, seed=seed)
    return other, chosen


def keep_deposits() -> None:
    """Keep what one microscope's view deposits, most of an image's time, for the other that sees the same."""
    deposit = Forming._deposit
    kept: dict[bytes, NDArray[np.complex64]] = {}
    last = [b""]

    def remembered(self: Forming, grid: NDArray[np.complex64], first: int) -> None:
        view = b"".join(one.tobytes() for one in (self.edges_A, self.view.rotation, self.view.origin_zyx_A))
        if view != last[0]:
            kept.clear()
            last[0] = view
        key = view + bytes(str((first, grid.shape)), "ascii")
        if key in kept:
            grid[:] = kept[key]
        else:
            deposit(self, grid, first)
            kept[key] = grid.copy()

    Forming._deposit = remembered  # type: ignore[method-assign]
    # Fields whose margins differ would share nothing.
    Twin._margin_A = lambda self: 175.0  # type: ignore[method-assign]


def make(folder: Path, specimen: str, seed: int, pixel_A: float, size: int, *, twice: bool) -> None:
    """Make one series, unless it is there; or two of one specimen, with other optics."""
    outs = [folder / f"{specimen}_{number}_{pixel_A}" for number in ([seed, seed + OTHER] if twice else [seed])]
    if all((out / "truth.json").exists() for out in outs):
        return
    twins = [twin_of(specimen, seed, pixel_A, size)]
    if twice:
        twins.append(other_optics(*twins[0]))
    found: list[list[tuple[float, NDArray[np.int16], dict[str, Any]]]] = [[] for _ in twins]
    plan = Design(scheme=DoseSymmetric(min_deg=-60, max_deg=60), exposure=ConstantExposure(total_e_A2=123)).plan()
    errors = [np.random.default_rng(seed + OTHER * which) for which in range(len(twins))]
    for exposure in plan:
        for (twin, chosen), rng, images in zip(twins, errors, found, strict=True):
            one = exposed_at(twin, exposure.tilt_deg, chosen["nominal"] + rng.normal(0, 500.0), exposure.order)
            image = np.asarray(one.movie.frames).sum(0).astype(np.int16)
            truth = {"tilt": exposure.tilt_deg, "order": exposure.order, "truth": one.truth.model_dump(mode="json")}
            images.append((exposure.tilt_deg, image, truth))
    for out, (_, chosen), images in zip(outs, twins, found, strict=True):
        images.sort(key=lambda one: one[0])
        out.mkdir(parents=True, exist_ok=True)
        np.save(out / "stack.npy", np.stack([one[1] for one in images]))
        (out / "truth.json").write_text(json.dumps(chosen | {"seed": seed, "tilts": [one[2] for one in images]}))
        print("made", out.name, flush=True)


def opened(folder: Path) -> tuple[NDArray[np.int16], dict[str, Any]]:
    """Return the images and the truth of a series."""
    return np.load(folder / "stack.npy", mmap_mode="r"), json.loads((folder / "truth.json").read_text())


def scores(found: SeriesCTF, truth: dict[str, Any]) -> dict[str, float]:
    """Return errors of a fitted series."""
    tilts = np.array([tilt.tilt_deg for tilt in found.tilts])
    apart = np.array([tilt.mean_A for tilt in found.tilts]) - [one["truth"]["defocus_A"] for one in truth["tilts"]]
    low = np.abs(tilts) <= 30.5
    middle = found.tilts[len(tilts) // 2]
    vector = middle.astigmatism_A * np.exp(2j * math.radians(middle.azimuth_deg))
    sigma = np.array([tilt.sigma_A for tilt in found.tilts], dtype=float)
    return {
        "low": math.sqrt((apart[low] ** 2).mean()),
        "all": math.sqrt((apart**2).mean()),
        "mean": float(apart[low].mean()),
        "astigmatism": abs(vector - truth["ast"] * np.exp(2j * math.radians(truth["astdeg"]))),
        "sigmas": math.sqrt(((apart / sigma) ** 2).mean()),
        "hand": 0.0 if found.hand is None else float(found.hand.hand * truth["hand"]),
        "odds": 0.0 if found.hand is None else found.hand.log_odds,
        "thickness": (found.thickness_A or math.nan) / truth["thick"],
        "used": float(sum(tilt.used for tilt in found.tilts)),
    }


def peer_errors(
    folder: Path, truth: dict[str, Any], venv: Path, every: int, found: SeriesCTF
) -> tuple[dict[str, float], dict[str, float]]:
    """Return the errors of torch-ctf-estimation at every so many tilts, which it sees one by one; and ours there."""
    script = Path(__file__).with_name("peer_ctf_series.py")
    command = [str(one) for one in (venv / "bin/python", script, folder, 256, 8.0, every)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode:
        sys.exit(f"The peer stopped: {run.stderr[-500:]}")
    answer = json.loads(run.stdout.splitlines()[-1])
    some = truth["tilts"][::every]
    low = np.abs([one["tilt"] for one in some]) <= 30.5
    rows = []
    for means in (answer["defocus_A"], [tilt.mean_A for tilt in found.tilts[::every]]):
        apart = np.array(means) - [one["truth"]["defocus_A"] for one in some]
        rows.append(
            {
                "low": math.sqrt((apart[low] ** 2).mean()),
                "all": math.sqrt((apart**2).mean()),
                "median_low": float(np.median(np.abs(apart[low]))),
                "median": float(np.median(np.abs(apart))),
            }
        )
    theirs, ours = rows
    return theirs | {"seconds_a_tilt": answer["seconds"]["cpu"] / len(some)}, ours


def fit_all(folders: list[Path], *, nominal: bool, peer: Path | None, every: int) -> None:
    """Fit every series and print its errors, then what they come to."""
    rows = []
    versus: dict[str, list[dict[str, float]]] = {}
    for folder in folders:
        stack, truth = opened(folder)
        began = time.process_time()
        found = fit_series(
            lambda section, stack=stack: torch.from_numpy(np.asarray(stack[section], dtype=np.float32)),  # type: ignore[misc]
            truth["pixel"],
            [one["tilt"] for one in truth["tilts"]],
            truth["axis"],
            Lens(),
            nominal_defocus_A=[truth["nominal"]] * len(stack) if nominal else None,
        )
        row = scores(found, truth) | {"seconds": time.process_time() - began}
        rows.append(row)
        print(f"{folder.name:20s} " + " ".join(f"{name} {value:.3g}" for name, value in row.items()), flush=True)
        if peer:
            theirs, ours = peer_errors(folder, truth, peer, every, found)
            ours["seconds_a_tilt"] = row["seconds"] / len(found.tilts)
            for name, values in (("peer", theirs), ("ours", ours)):
                print(f"{name:>20s} " + " ".join(f"{key} {value:.4g}" for key, value in values.items()), flush=True)
                versus.setdefault(name, []).append(values)
    for name, found_by in versus.items():
        summed = {key: math.sqrt(np.mean([values[key] ** 2 for values in found_by])) for key in found_by[0]}
        print(f"{name}, rms over series: " + " ".join(f"{key} {value:.4g}" for key, value in summed.items()))
    print(f"{len(rows)} series; hand right in {sum(row['hand'] > 0 for row in rows)}")
    for name in rows[0]:
        column = np.array([row[name] for row in rows])
        print(f"{name:12s} median {np.nanmedian(column):.4g} rms {math.sqrt(np.nanmean(column**2)):.4g} "
              f"from {np.nanmin(column):.4g} to {np.nanmax(column):.4g}")  # fmt: skip


def calibrate(folders: list[Path], few: int = 3, times: int = 12) -> None:
    """Judge the hand from few tilts at a time; print how often verdicts of each confidence are right."""
    rng = np.random.default_rng(0)
    verdicts = []
    for folder in folders:
        stack, truth = opened(folder)
        pixel_A = truth["pixel"]
        grid = RingGrid.spanning(30.0, max(4.0, 2 * pixel_A / 0.95), 90_000.0, WAVELENGTH_A)
        tilts = np.array([one["tilt"] for one in truth["tilts"]])
        evidence: dict[int, TiltEvidence] = {}
        for _ in range(times):
            some = np.sort(rng.choice(len(tilts), few, replace=False))
            for at in some.tolist():
                if at not in evidence:
                    image = torch.from_numpy(np.asarray(stack[at], dtype=np.float32))
                    evidence[at] = tilt_evidence(
                        field_rings(image, pixel_A, tilts[at], truth["axis"], 300.0, grid), grid
                    )
            together = SeriesEvidence([evidence[at] for at in some.tolist()], grid, Lens())
            nominal = np.full(few, truth["nominal"])
            fit = SeriesFit(together, tilts[some], None, nominal, np.arange(3000.0, 90_000.0, 200.0))
            prior = DefocusPrior(nominal)
            verdict = judge_hand(fit, fit.solve(1, prior, 0.0), fit.solve(-1, prior, 0.0))
            verdicts.append((verdict.log_odds, verdict.hand * truth["hand"] > 0))
    for low, high in ((0, 0.25), (0.25, 0.5), (0.5, 1), (1, 2), (2, 3), (3, 5), (5, 1000)):
        inside = [right for odds, right in verdicts if low <= odds < high]
        if inside:
            said = np.mean([1 / (1 + math.exp(-odds)) for odds, _ in verdicts if low <= odds < high])
            print(f"log odds {low} to {high}: {np.mean(inside):.3f} of {len(inside)} are right; they say {said:.3f}")


def projection(twin: Twin, exposed: Exposed) -> Array:
    """Return the undamaged projection that a tilt sees: no CTF, no noise."""
    field = Field(twin.shape_yx, twin.pixel_A, twin._margin_A())
    view = View.of(exposed.truth.view, exposed.truth.height_A)
    forming = Forming(Scene.of(twin.sample, twin.pixel_A), view, field, twin.lens, twin._aberrations(), 3.0)
    total = np.zeros(field.padded_yx, np.float32)
    for index in range(forming.count):
        total += forming.potential(index, solvent=False, seed=0, names=())
    image = total[field.crop]
    # Where the only frame saw the specimen, against the exposure's view.
    y, x = (one / twin.pixel_A for one in exposed.truth.frames[0].shift_yx_A)
    phase = np.fft.fftfreq(image.shape[0])[:, None] * y + np.fft.rfftfreq(image.shape[1])[None] * x
    return np.asarray(np.fft.irfft2(np.fft.rfft2(image) * np.exp(-2j * np.pi * phase), s=image.shape))


BANDS_A = ((30, 20), (20, 15), (15, 12), (12, 10), (10, 8), (8, 7), (7, 6))


def correlations(image: Array, reference: Array, pixel_A: float) -> list[float]:
    """Return the correlation with a reference in each band; contrast is dark, so its sign is turned."""
    window = np.outer(np.hanning(image.shape[0]), np.hanning(image.shape[1]))
    one, other = (np.fft.rfft2((values - values.mean()) * window) for values in (image, reference))
    k = np.hypot(np.fft.fftfreq(image.shape[0], pixel_A)[:, None], np.fft.rfftfreq(image.shape[1], pixel_A)[None])
    found = []
    for low, high in BANDS_A:
        band = (k >= 1 / low) & (k < 1 / high)
        norm = math.sqrt(float((np.abs(one[band]) ** 2).sum() * (np.abs(other[band]) ** 2).sum()))
        found.append(-float((one[band] * other[band].conj()).real.sum()) / norm)
    return found


def correct_all(pixel_A: float, size: int, specimens: list[str], seed: int = 1) -> None:
    """Print the correlation with the CTF-free projection, corrected by place and with one CTF for the tilt."""
    print("specimen tilt  what       " + " ".join(f"{low}-{high} Å".rjust(7) for low, high in BANDS_A))
    worst = math.inf
    for specimen in specimens:
        # Places that move by themselves would lie elsewhere than in the projection.
        twin, chosen = twin_of(specimen, seed, pixel_A, size, ",no-doming,no-ice-motion")
        for order, tilt in enumerate((0.0, 30.0, -45.0, 60.0)):
            exposed = exposed_at(twin, tilt, chosen["nominal"], order)
            truth = exposed.truth
            ctf = TiltCTF(
                defocus_u_A=truth.defocus_A + truth.astigmatism_A / 2,
                defocus_v_A=truth.defocus_A - truth.astigmatism_A / 2,
                azimuth_deg=truth.astigmatism_deg,
                score=1.0,
                section=order,
                tilt_deg=truth.view.tilt_deg,
            )
            reference = projection(twin, exposed)
            counted = np.asarray(exposed.movie.frames).sum(0)
            for what, image in (("expected", exposed.expected_e_px), ("counted", counted)):
                rows = {}
                for local in (False, True):
                    began = time.process_time()
                    corrected = correct_tilt(
                        torch.from_numpy(np.asarray(image, dtype=np.float32)),
                        pixel_A,
                        ctf,
                        chosen["axis"],
                        1 if chosen["hand"] == 1 else -1,
                        Lens(),
                        local=local,
                    )
                    seconds = time.process_time() - began
                    rows[local] = correlations(corrected.numpy(), reference, pixel_A)
                    name = f"{specimen[:8]:8s} {tilt:+4.0f}  {what[:8]} {'place' if local else 'one  '}"
                    print(name + " ".join(f"{value:7.3f}" for value in rows[local]) + f"  {seconds:.2f} s", flush=True)
                if what == "expected":
                    worst = min(worst, float(np.min(np.subtract(rows[True], rows[False]))))
    print(f"smallest gain by place in any band of any noise-free tilt: {worst:+.4f}")


def timed(size: int, pixel_A: float) -> None:
    """Print the time of 41 tilts of noise."""
    image = torch.randn(size, size, generator=torch.Generator().manual_seed(0))
    tilts = np.arange(-60.0, 61.0, 3.0)
    for tilt in (0.0, 30.0, 60.0):
        began, cpu = time.perf_counter(), time.process_time()
        grid = RingGrid.spanning(30.0, max(4.0, 2 * pixel_A / 0.95), 90_000.0, WAVELENGTH_A)
        field_rings(image, pixel_A, tilt, 84.3, 300.0, grid)
        print(f"spectra at {tilt:.0f}: {time.perf_counter() - began:.2f} s, {time.process_time() - cpu:.2f} s of CPU")
        ctf = TiltCTF(defocus_u_A=3e4, defocus_v_A=3e4, azimuth_deg=0, score=1, section=0, tilt_deg=tilt)
        began = time.perf_counter()
        correct_tilt(image, pixel_A, ctf, 84.3, 1, Lens())
        print(f"correction at {tilt:.0f}: {time.perf_counter() - began:.2f} s")
    began, cpu = time.perf_counter(), time.process_time()
    fit_series(lambda section: image.roll(section * 7, 0), pixel_A, list(tilts), 84.3, Lens())
    wall, spent = time.perf_counter() - began, time.process_time() - cpu
    print(f"41 tilts of {size}² at {pixel_A} Å: {wall:.1f} s, {spent:.1f} s of CPU")


def values_of(ctffind: Path, gctf: Path) -> None:
    """Print how two programs' values scatter, and what the prior makes of those of the first."""
    first = np.loadtxt(ctffind)
    rows = [
        line.split() for line in gctf.read_text().splitlines() if line.split() and line.split()[0].startswith("split")
    ]
    second = np.array([[float(row[2]), float(row[3])] for row in rows]).mean(1)
    mean = first[:, 1:3].mean(1)
    n = min(len(mean), len(second))
    mean, second = mean[:n], second[:n]
    along = np.linspace(-1, 1, n)
    terms = np.column_stack([along, along**2 - np.mean(along**2)])
    for name, values in (("CTFFIND", mean), ("Gctf", second)):
        prior = DefocusPrior(np.full(n, np.median(values)))
        for _ in range(8):
            prior = prior.learned(values, np.full(n, 100.0), terms, np.zeros(n))
        away = values - prior.centre_A
        robust = 1.4826 * float(np.median(np.abs(away)))
        spans = [float((np.abs(away) < factor * prior.width_A).mean()) for factor in (1, 2, 3)]
        shown = " ".join(f"{span:.2f}" for span in spans)
        print(f"{name}: median {np.median(values):.0f} Å; about its trend rms {away.std():.0f}, robust {robust:.0f}; "
              f"width learned {prior.width_A:.0f}; within 1, 2, 3 widths {shown}")  # fmt: skip
    apart = mean - second
    print(f"{n} views: difference median {np.median(apart):.0f}, robust spread "
          f"{1.4826 * np.median(np.abs(apart - np.median(apart))):.0f}, rms {apart.std():.0f} Å")  # fmt: skip
    prior = DefocusPrior(np.full(n, np.median(mean)))
    for _ in range(8):
        prior = prior.learned(mean, np.full(n, 100.0), terms, np.zeros(n))
    for sigma in (100.0, 200.0, 400.0, 800.0):
        share = prior.width_A**2 / (prior.width_A**2 + sigma**2)
        near = np.exp(-0.5 * (mean - prior.centre_A) ** 2 / (prior.width_A**2 + sigma**2)) / np.hypot(
            prior.width_A, sigma
        )
        stray = 0.003 / 6000 * (1 + ((mean - prior.centre_A) / 3000) ** 2) ** -1.5 * math.sqrt(2 * math.pi)
        trust = share * near / (near + stray) + stray / (near + stray)
        drawn = prior.centre_A + trust * (mean - prior.centre_A) - second
        print(f"sigma {sigma:.0f}: difference from Gctf after the prior: rms {drawn.std():.0f} Å "
              f"robust {1.4826 * np.median(np.abs(drawn - np.median(drawn))):.0f}")  # fmt: skip


def main() -> None:
    """Run as the module says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", type=Path)
    parser.add_argument("--make", type=int, default=0, metavar="SEEDS")
    parser.add_argument("--first", type=int, default=1, metavar="SEED")
    parser.add_argument("--pixel", type=float, default=2.7)
    parser.add_argument("--specimens", default=",".join(SPECIMENS))
    parser.add_argument("--twice", action="store_true", help="two series of each specimen, with other optics")
    parser.add_argument("--nominal", action="store_true", help="tell the fit what the microscope was asked for")
    for name in ("fit", "calibrate", "correct", "time"):
        parser.add_argument(f"--{name}", action="store_true")
    parser.add_argument("--peer", type=Path, metavar="VENV", help="where torch-ctf-estimation is installed")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="of the tilts that the peer is given")
    parser.add_argument("--size", type=int, help="pixels; else a field of 1382 Å, and 4096 for --time")
    parser.add_argument("--values", type=Path, nargs=2)
    options = parser.parse_args()
    specimens = options.specimens.split(",")
    size = options.size or round(FIELD_A / options.pixel)
    if options.make and options.twice:
        keep_deposits()
    for seed in range(options.first, options.first + options.make):
        for specimen in specimens:
            make(options.sets, specimen, seed, options.pixel, size, twice=options.twice)
    folders = sorted(one.parent for one in options.sets.glob(f"*_{options.pixel}/truth.json"))
    folders = [one for one in folders if one.name.split("_")[0] in specimens]
    if options.fit:
        fit_all(folders, nominal=options.nominal, peer=options.peer, every=options.every)
    if options.calibrate:
        calibrate(folders)
    if options.correct:
        correct_all(options.pixel, size, specimens)
    if options.time:
        timed(options.size or 4096, options.pixel)
    if options.values:
        values_of(*options.values)


if __name__ == "__main__":
    main()
