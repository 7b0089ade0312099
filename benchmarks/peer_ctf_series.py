"""torch-ctf-estimation on the tilts of one series.

PEER_PYTHON benchmarks/peer_ctf_series.py FOLDER [PATCH] [FINEST] [EVERY]

Runs in the peer's own environment and prints one line of JSON; `ctf_series.py --peer VENV` calls it.
"""

import importlib
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch


def main() -> None:
    """Run as the module says."""
    folder = Path(sys.argv[1])
    patch = int(sys.argv[2]) if len(sys.argv) > 2 else 256
    finest_A = float(sys.argv[3]) if len(sys.argv) > 3 else 8.0
    every = int(sys.argv[4]) if len(sys.argv) > 4 else 1
    torch.set_num_threads(1)
    # Beside a CPU torch, torchvision misses two operators of its own, which it only needs to name.
    library: Any = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    peer: Any = importlib.import_module("torch_ctf_estimation")
    truth = json.loads((folder / "truth.json").read_text())
    stack = np.load(folder / "stack.npy", mmap_mode="r")
    pixel_A = truth["pixel"]
    optics = peer.OpticalParams(
        pixel_spacing_angstroms=pixel_A,
        amplitude_contrast_fraction=0.1,
        target_pixel_spacing_angstroms=max(2.0, pixel_A),
    )
    fitting = peer.CTFFittingParams(
        defocus_grid_resolution=(1, 1, 1),
        frequency_fit_range_angstroms=(30.0, finest_A),
        defocus_range_microns=(1.0, 6.0),
        patch_sidelength=patch,
    )
    means, astigmatisms = [], []
    wall, cpu = time.perf_counter(), time.process_time()
    for section in range(0, len(stack), every):
        image = torch.from_numpy(np.asarray(stack[section], dtype=np.float32))
        _, _, found = peer.estimate_ctf(image, optics, fitting)
        means.append(1e4 * float(torch.as_tensor(found.defocus_model.data).mean()))
        astigmatisms.append(2e4 * abs(float(found.astigmatism or 0.0)))
    seconds = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
    print(json.dumps({"defocus_A": means, "astigmatism_A": astigmatisms, "seconds": seconds}))


if __name__ == "__main__":
    main()
