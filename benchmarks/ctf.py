"""CTF of single images of known defocus: ours beside torch-ctf-estimation, image by image in one run.

python benchmarks/ctf.py OUT --workloads WORKLOADS.py [--seeds 0 1 2] [--peer PYTHON] [--micrograph FILE.mrc]

OUT takes the images (made once), six of each kind and seed: `ctf`, and `ctf_hard` with a third of the rings' amplitude.
PYTHON is the interpreter of an environment that has torch-ctf-estimation; it is kept running, and told one
file after another, so that only reading and fitting count on both sides. The same settings serve both kinds. For each
side the time is wall time and, as other work may share the machine, CPU time, both the median over images.
`--micrograph` fits a recorded image of 0.6666 Å a pixel and both halves of its field.
"""

import argparse
import json
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

KINDS = {"ctf": "ctf", "ctf_hard": "ctfhard"}
PIXEL_A, AMPLITUDE_CONTRAST = 1.5, 0.07
PEER_RANGE_A, PEER_PIXEL_A = (30.0, 5.0), 2.0
PEER_PATCH_PX = 256
"""Its own default. On seeds 2 and 3, 30-4 Å at 1.5 Å a pixel erred by .0047 µm and not .0033 (`ctf`, six images); 512
pixels a patch, on seeds 0 and 1, by .0086 and .0498 (`ctf`, `ctf_hard`). Other settings were not tried."""


def main() -> None:
    """Make the images, fit them, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, nargs="?")
    parser.add_argument("--workloads", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--peer", type=Path, help="an interpreter that has torch-ctf-estimation")
    parser.add_argument("--micrograph", type=Path)
    parser.add_argument("--threads", type=int, default=2, help="of each side; more than there are free slow both")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve(arguments.threads)
        return
    if arguments.out is None:
        parser.error("OUT is missing")
    for seed in arguments.seeds:
        make(arguments.out / f"seed{seed}", seed, arguments.workloads)
    compare(arguments.out, arguments.seeds, arguments.peer, arguments.threads)
    if arguments.micrograph:
        fit_micrograph(arguments.micrograph)


def make(folder: Path, seed: int, workloads: Path | None) -> None:
    """Make the images of a seed, if they are not there."""
    if (folder / "ctfhard_truth.json").exists():
        return
    if workloads is None:
        sys.exit(f"{folder} has no images: give --workloads.")
    command = [sys.executable, str(workloads), str(folder), "--seed", str(seed), "--what", *KINDS]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def compare(out: Path, seeds: list[int], peer: Path | None, threads: int) -> None:
    """Fit all images with both programs, one after the other, and print errors and times."""
    import torch

    torch.set_num_threads(threads)
    server = Peer(peer, threads) if peer else None
    rows: dict[tuple[str, str], list[tuple[float, float, float, float]]] = defaultdict(list)
    by_seed: dict[tuple[str, str, int], list[float]] = defaultdict(list)
    first = out / f"seed{seeds[0]}" / "ctf0.mrc"
    fit_ours(first)  # compiles
    if server:
        server.fit(first)
    for seed in seeds:
        for kind, prefix in KINDS.items():
            truths = json.loads((out / f"seed{seed}" / f"{prefix}_truth.json").read_text())
            for i, truth in enumerate(truths):
                path = out / f"seed{seed}" / f"{prefix}{i}.mrc"
                for name, fit in (("ours", fit_ours), ("torch-ctf-estimation", server.fit if server else None)):
                    if fit is None:
                        continue
                    found = fit(path)
                    row = (*errors_um(found, truth), found["wall_s"], found["cpu_s"])
                    rows[name, kind].append(row)
                    by_seed[name, kind, seed].append(row[0])
    print(f"{'':22}{'kind':10}{'defocus':>9}{'worst':>8}{'astigm.':>9}{'wall s':>8}{'CPU s':>7}  per seed (um)")
    for (name, kind), measured in rows.items():
        table = np.array(measured)
        seen = " ".join(f"{np.mean(by_seed[name, kind, seed]):.4f}" for seed in seeds)
        mean, (_, _, wall, cpu) = table.mean(axis=0), np.median(table, axis=0)
        print(f"{name:22}{kind:10}{mean[0]:9.4f}{table[:, 0].max():8.4f}{mean[1]:9.4f}{wall:8.2f}{cpu:7.2f}  {seen}")
    if server:
        server.close()


def errors_um(found: dict[str, float], truth: dict[str, float]) -> tuple[float, float]:
    """Return the error of the mean defocus, and that of the astigmatism as a vector of twice the azimuth, in um."""
    vector = found["astigmatism_um"] * np.exp(2j * np.deg2rad(found["azimuth_deg"]))
    true = truth["ast"] * np.exp(2j * np.deg2rad(truth["ang"]))
    return abs(found["mean_um"] - truth["mean"]), float(abs(vector - true))


def fit_ours(path: Path) -> dict[str, float]:
    """Read and fit an image."""
    import torch

    from eucentric.io import open_mrc
    from eucentric.optics import Lens
    from eucentric.processing.ctf import fit_image

    wall, cpu = time.perf_counter(), time.process_time()
    image = torch.tensor(open_mrc(path).data[0].astype("float32"))
    fit = fit_image(image, PIXEL_A, Lens(amplitude_contrast=AMPLITUDE_CONTRAST))
    return {
        "mean_um": fit.mean_A / 1e4,
        "astigmatism_um": fit.astigmatism_A / 1e4,
        "azimuth_deg": fit.azimuth_deg,
        "wall_s": time.perf_counter() - wall,
        "cpu_s": time.process_time() - cpu,
    }


class Peer:
    """An interpreter with torch-ctf-estimation, which fits one file after another."""

    def __init__(self, python: Path, threads: int) -> None:
        command = [str(python), str(Path(__file__).resolve()), "--serve", "--threads", str(threads)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def fit(self, path: Path) -> dict[str, float]:
        """Read and fit an image."""
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("The peer has no streams.")
        self._process.stdin.write(f"{path.resolve()}\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            sys.exit("The peer has ended: see its message above.")
        answer: dict[str, float] = json.loads(line)
        return answer

    def close(self) -> None:
        """End it."""
        if self._process.stdin:
            self._process.stdin.close()
        self._process.wait(timeout=30)


def serve(threads: int) -> None:
    """Fit the files named on standard input with torch-ctf-estimation; runs in the peer's own environment."""
    import importlib

    import torch

    torch.set_num_threads(threads)
    try:
        estimation: Any = importlib.import_module("torch_ctf_estimation")
    except RuntimeError:  # beside a CPU torch, torchvision misses two operators of its own, which it only needs to name
        library: Any = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
        library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        for name in [name for name in sys.modules if name.split(".")[0] in {"torchvision", "torch_ctf_estimation"}]:
            del sys.modules[name]
        estimation = importlib.import_module("torch_ctf_estimation")
    for line in sys.stdin:
        wall, cpu = time.perf_counter(), time.process_time()
        image = torch.tensor(np.load(Path(line.strip()).with_suffix(".npy")).astype(np.float32))
        optics = estimation.OpticalParams(
            pixel_spacing_angstroms=PIXEL_A,
            amplitude_contrast_fraction=AMPLITUDE_CONTRAST,
            target_pixel_spacing_angstroms=PEER_PIXEL_A,
        )
        fitting = estimation.CTFFittingParams(
            defocus_grid_resolution=(1, 1, 1),
            frequency_fit_range_angstroms=PEER_RANGE_A,
            defocus_range_microns=(0.5, 6.0),
            patch_sidelength=PEER_PATCH_PX,
        )
        _, _, found = estimation.estimate_ctf(image, optics, fitting)
        answer = {
            "mean_um": float(torch.as_tensor(found.defocus_model.data).mean()),
            "astigmatism_um": 2 * abs(float(found.astigmatism or 0.0)),
            "azimuth_deg": float(found.astigmatism_angle or 0.0),
            "wall_s": time.perf_counter() - wall,
            "cpu_s": time.process_time() - cpu,
        }
        print(json.dumps(answer), flush=True)


def fit_micrograph(path: Path) -> None:
    """Fit a recorded image and the halves of its field."""
    import torch

    from eucentric.io import open_mrc
    from eucentric.optics import Lens
    from eucentric.processing.ctf import fit_image

    image = torch.tensor(open_mrc(path).data[0].astype("float32"))
    rows, columns = image.shape
    parts = {
        "whole": image,
        "lower rows": image[: rows // 2],
        "upper rows": image[rows // 2 :],
        "left": image[:, : columns // 2],
        "right": image[:, columns // 2 :],
    }
    for name, part in parts.items():
        wall = time.perf_counter()
        fit = fit_image(part, 0.6666, Lens(amplitude_contrast=AMPLITUDE_CONTRAST))
        resolution = f"{fit.fit_resolution_A:.2f}" if fit.fit_resolution_A else "none"
        values = f"{fit.defocus_u_A:8.0f}{fit.defocus_v_A:8.0f} A at {fit.azimuth_deg:6.1f} deg, to {resolution} A"
        print(f"{name:12}{values}, sigma {fit.sigma_A or 0:.0f} A, {time.perf_counter() - wall:.2f} s")


if __name__ == "__main__":
    main()
