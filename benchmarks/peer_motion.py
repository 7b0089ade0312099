"""torch-motion-correction as a worker, in an environment of its own: `motion.py` starts it and sends it movies.

Run: VENV/bin/python benchmarks/peer_motion.py [--variant patches384-b2000]

Reads a line of JSON from standard input for each movie, ``{"path": MRC, "pixel_A": 2.7}``: a stack of float32,
corrected. Answers with a line, ``{"shifts_yx_A": [[y, x], ...], "seconds": 0.3, "cpu_s": 0.5}``, reading included. It
knows nothing of Eucentric.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch_motion_correction import (
    FourierFilterConfig,
    PatchSamplingConfig,
    XCRefinementConfig,
    estimate_global_motion,
    estimate_motion_cross_correlation_patches,
)

HEADER_BYTES = 1024


def read_stack(path: Path) -> torch.Tensor:
    """Return the sections of an MRC stack of float32 without an extended header."""
    columns, rows, sections, mode = np.fromfile(path, "<i4", 4)
    extended = int(np.fromfile(path, "<i4", 24)[23])
    if mode != 2:
        raise ValueError(f"{path}: its mode is {mode}, not 2")
    pixels = np.fromfile(path, "<f4", int(columns) * int(rows) * int(sections), offset=HEADER_BYTES + extended)
    return torch.from_numpy(pixels.reshape(int(sections), int(rows), int(columns)))


def whole(
    movie: torch.Tensor, pixel_A: float, filters: FourierFilterConfig, *, smooth: int, rounds: int
) -> torch.Tensor:
    """Return shifts (2, frames) in Å: whole frames against the mean of the others, from the global estimate on."""
    found = estimate_global_motion(movie, pixel_A, fourier_filter=filters)
    rows, columns = movie.shape[-2:]
    for _ in range(rounds):
        refinement = XCRefinementConfig(
            temporal_smoothing=smooth > 0, smoothing_window_size=max(smooth, 3), outlier_rejection=False
        )
        found, _ = estimate_motion_cross_correlation_patches(
            movie,
            pixel_A,
            PatchSamplingConfig(patch_shape=(rows, columns), overlap=0.0),
            fourier_filter=filters,
            refinement=refinement,
            initial_deformation_field=found,
        )
    return torch.as_tensor(found.data).mean(dim=(-1, -2))


def patches(movie: torch.Tensor, pixel_A: float, side: int, filters: FourierFilterConfig | None = None) -> torch.Tensor:
    """Return shifts (2, frames) in Å: the mean over patches, otherwise as its defaults have them."""
    found, _ = estimate_motion_cross_correlation_patches(
        movie, pixel_A, PatchSamplingConfig(patch_shape=(side, side), overlap=0.5), fourier_filter=filters
    )
    return torch.as_tensor(found.data).mean(dim=(-1, -2))


Estimate = Callable[[torch.Tensor, float], torch.Tensor]
DEFAULT = FourierFilterConfig()


def _whole(filters: FourierFilterConfig, *, smooth: int, rounds: int) -> Estimate:
    return lambda movie, pixel_A: whole(movie, pixel_A, filters, smooth=smooth, rounds=rounds)


VARIANTS: dict[str, Estimate] = {
    # As its documents recommend for whole frames, and what else its own functions allow.
    "global": lambda movie, pixel_A: torch.as_tensor(estimate_global_motion(movie, pixel_A).data).mean(dim=(-1, -2)),
    "whole": _whole(DEFAULT, smooth=5, rounds=1),
    "whole2": _whole(DEFAULT, smooth=5, rounds=2),
    "whole2-rough": _whole(DEFAULT, smooth=0, rounds=2),
    "whole2-20A": _whole(FourierFilterConfig(b_factor=500, frequency_range=(300, 20)), smooth=5, rounds=2),
    "whole2-b2000": _whole(FourierFilterConfig(b_factor=2000, frequency_range=(300, 10)), smooth=5, rounds=2),
    "whole2-b100": _whole(FourierFilterConfig(b_factor=100, frequency_range=(300, 6)), smooth=5, rounds=2),
    "whole3-s7": _whole(DEFAULT, smooth=7, rounds=3),
    "patches": lambda movie, pixel_A: patches(movie, pixel_A, 256),
    "patches384": lambda movie, pixel_A: patches(movie, pixel_A, 384),
    "patches384-b2000": lambda movie, pixel_A: patches(
        movie, pixel_A, 384, FourierFilterConfig(b_factor=2000, frequency_range=(300, 10))
    ),
    "patches-b2000": lambda movie, pixel_A: patches(
        movie, pixel_A, 256, FourierFilterConfig(b_factor=2000, frequency_range=(300, 10))
    ),
    "patches-b100": lambda movie, pixel_A: patches(
        movie, pixel_A, 256, FourierFilterConfig(b_factor=100, frequency_range=(300, 6))
    ),
}


def main() -> None:
    """Answer until the input ends."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variant", choices=VARIANTS, default="patches384-b2000")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    for line in sys.stdin:
        job: dict[str, Any] = json.loads(line)
        begun, cpu = time.perf_counter(), time.process_time()
        movie = read_stack(Path(job["path"]))
        with torch.no_grad():
            shifts = VARIANTS[job.get("variant", options.variant)](movie, float(job["pixel_A"]))
        seconds, cpu_s = time.perf_counter() - begun, time.process_time() - cpu
        answer = {"shifts_yx_A": shifts.T.tolist(), "seconds": seconds, "cpu_s": cpu_s}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
