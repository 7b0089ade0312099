"""Where the time of a simulated series goes, stage by stage, beside the floor of each: transforms, draws, compression.

python benchmarks/twin_speed.py [--size 1024] [--frames 8] [--specimen ribosomes] [--thickness 2000]

Whole-process time and memory: /usr/bin/time -v eucentric simulate plan.yaml --size 1024 --frames 8 --specimen ribosomes
"""

import argparse
import cProfile
import pstats
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.fft import fft2, irfft2

from eucentric.core.counter import stream_key
from eucentric.design import ConstantExposure, Design, DoseSymmetric, FrameCount, Specimen
from eucentric.detector import DETECTORS, Sensor
from eucentric.io.movies import write_movie
from eucentric.session import Session
from eucentric.specimen.solvent import draw_layer
from eucentric.twin.field import Field
from eucentric.workflow.simulate import SimulateSettings, simulate

STAGES = {
    "points put into slices": ("_deposit",),
    "grain of the ice drawn": ("draw_layer",),
    "Fourier transforms": ("c2c", "r2c", "c2r", "pypocketfft"),
    "sums through the lens": ("_add_sine", "_march", "_separated", "_spectra", "__init__"),
    "frames: damage, motion, blur": (
        "expected_frames",
        "_warp",
        "_surviving",
        "_lit",
        "resized",
        "ice_memory",
        "warped",
    ),
    "counting": ("count_merged", "count", "read"),
    "packing and writing": (
        "write_movie",
        "_write_tiff",
        "write",
        "fsync",
        "wait",
        "acquire",
        "write_mrc",
        "_write_pixels",
    ),
}


def timed(work: Callable[[], object], times: int = 5) -> float:
    """Return the least seconds of some runs, the first one left out."""
    work()
    least = np.inf
    for _ in range(times):
        begun = time.perf_counter()
        work()
        least = min(least, time.perf_counter() - begun)
    return float(least)


def main() -> None:
    """Run as the module says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--frames", type=int, default=8)
    parser.add_argument("--specimen", default="ribosomes")
    parser.add_argument("--thickness", type=float, default=2000.0)
    parser.add_argument("--pixel", type=float, default=1.35)
    options = parser.parse_args()
    design = Design(
        scheme=DoseSymmetric(),
        exposure=ConstantExposure(total_e_A2=120),
        frames=FrameCount(frames=options.frames),
        specimen=Specimen(thickness_A=options.thickness),
    )
    plan = design.plan()
    settings = SimulateSettings(specimen=options.specimen, size=options.size, pixel_A=options.pixel)
    with tempfile.TemporaryDirectory() as folder:
        for warm in (True, False):
            profile = cProfile.Profile()
            small = settings.replace(size=64) if warm else settings
            with Session.create_or_open(Path(folder) / f"{warm}") as session:
                begun = time.perf_counter()
                profile.enable()
                outcome = simulate(session, plan, small)
                profile.disable()
                seconds = time.perf_counter() - begun
        packed = sum(path.stat().st_size for path in (Path(folder) / "False" / "frames").glob("*.tif"))
    print(
        f"{outcome.tilts} tilts x {options.frames} frames x {options.size}², "
        f"{outcome.molecules} molecules: {seconds:.0f} s"
    )
    stats = pstats.Stats(profile).stats  # type: ignore[attr-defined]  # typeshed leaves it out
    left = seconds
    calls = {
        key: sum(row[1] for (_, _, name), row in stats.items() if key in name)
        for key in ("pypocketfft.c2c", "draw_layer")
    }
    for stage, names in STAGES.items():
        spent = 0.0
        for (_, _, name), (_, _, own, _, _) in stats.items():
            short = name.strip("<>").split(".")[-1].split(" ")[-1].rstrip(">")
            if any(short == wanted or (wanted in ("c2c", "c2r", "r2c") and wanted in name) for wanted in names):
                spent += own
        left -= spent
        print(f"  {stage:<32}{spent:7.1f} s")
    print(f"  {'all else':<32}{left:7.1f} s")
    floors(options.size, options.frames * outcome.tilts, options.pixel, calls, packed)


def floors(size: int, frames: int, pixel_A: float, calls: dict[str, int], packed: int) -> None:
    """Print what the transforms, draws and packing alone would take."""
    field = Field((size, size), pixel_A, 100.0)
    shape = field.padded_yx
    whole = np.zeros(shape, np.complex64)
    half = np.zeros((shape[0], shape[1] // 2 + 1), np.complex64)
    path = np.full((shape[0] // 8 + 3, shape[1] // 8 + 3), 100.0, np.float32)
    noise = np.empty(shape, np.float32)
    each_fft = timed(lambda: fft2(whole, workers=-1))
    each_back = timed(lambda: irfft2(half, shape, workers=-1))
    each_draw = timed(lambda: draw_layer(stream_key(0, "x"), path, 8, noise))
    sensor = Sensor(DETECTORS["k2"], (size, size), 0)
    expected = np.full((size, size), 0.35, np.float32)
    each_count = timed(lambda: sensor.read(expected, 0.12, "x"))
    counts = np.stack([sensor.read(expected, 0.12, "x", i).astype(np.uint8) for i in range(8)])
    with tempfile.TemporaryDirectory() as folder:
        each_pack = timed(lambda: write_movie(Path(folder) / "x.tif", counts, 1.0), 3) / 8
    print("floor:")
    transforms = calls["pypocketfft.c2c"]
    print(
        f"  {transforms} transforms of {shape[0]} x {shape[1]}: {transforms * each_fft:.1f} s, "
        f"{each_fft * 1e3:.1f} ms each"
    )
    print(f"  {frames} back to frames: {frames * each_back:.1f} s")
    print(f"  {calls['draw_layer']} layers of random bits: {calls['draw_layer'] * each_draw:.1f} s")
    print(f"  {frames} frames counted: {frames * each_count:.1f} s")
    print(f"  {frames} frames packed: {frames * each_pack:.1f} s, {frames * size * size / packed:.1f}-fold")


if __name__ == "__main__":
    main()
