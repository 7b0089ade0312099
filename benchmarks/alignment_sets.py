"""Align series of the twin's cells and lamellae, with and without beads, and score each against the truth.

Run: python benchmarks/alignment_sets.py FOLDER [--only 'cell-*'] [--seeds 3] [--peers VENV/bin/python]

Series are made in FOLDER where they are not there yet (41 x 512² of 10 Å, 3 e/Å² a tilt, all effects of the twin on,
tracked to 8 % of the field, axis anywhere and unknown, local motion of 15 Å rms, a dome of 40, 80 or 60 Å with a radius
of the field); that takes 2 to 5 minutes each. Errors are those of places of the specimen: 98 of them, near both faces,
move as the truth has it; each is given the best place that the alignment allows, and what it still misses by is split
into the mean of each view (shift) and the rest (local).

With an interpreter that has torch-tiltxcorr and torch-refine-tilt-axis-angle, these align each series too, of which
they are told the true tilts: with the true axis given, and with the axis that they find.
"""

import argparse
import dataclasses
import fnmatch
import json
import re
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eucentric.assessment import score_alignment
from eucentric.core import Alignment, stream
from eucentric.core.frames import rotation_about_y
from eucentric.design import ConstantExposure, Design, DoseSymmetric, Specimen
from eucentric.microscope import ExposureRequest
from eucentric.processing.alignment import AlignSettings, align_series, prepare_images
from eucentric.specimen.motion import TYPICAL, BeamMotion, MotionField
from eucentric.specimen.sample import Beads, Sample
from eucentric.specimen.samples import SPECIMENS, build, slab_for
from eucentric.specimen.samples.filling import gold_beads
from eucentric.specimen.samples.packing import Packing
from eucentric.twin import Twin, TwinSettings
from eucentric.workflow.bench.scripts import TORCH_AXIS_AND_SHIFTS, TORCH_TILTXCORR

SIZE, PIXEL_A, THICKNESS_A = 512, 10.0, 1500.0
FIELD_A = SIZE * PIXEL_A
MISSED = 0.08  # of the field, by which tracking misses each view
DOMES_A = (40.0, 80.0, 60.0)

Array = NDArray[np.float64]


def main() -> None:
    """Print a row for each series."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", default="*")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--peers", type=Path, help="a Python that has them")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    print("series           by      shift (px)  local (px)  of       axis (°)  tilt (°), true  depth (Å)  seconds")
    for seed in range(arguments.seeds):
        for kind in ("cell", "lamella"):
            for gold in (True, False):
                name = f"{kind}-{'gold' if gold else 'bare'}-{seed}"
                if not fnmatch.fnmatch(name, arguments.only):
                    continue
                path = arguments.folder / f"{name}.npz"
                if not path.exists():
                    _make(path, kind, gold, seed)
                _score(name, path, arguments.peers)


def _make(path: Path, kind: str, gold: bool, seed: int) -> None:
    sample = build(kind, seed=seed, field_A=FIELD_A, thickness_A=THICKNESS_A)
    sample = dataclasses.replace(sample, beads=_gold(kind, sample, seed) if gold else Beads())
    motion = TYPICAL.replace(
        doming_A=DOMES_A[seed % 3], dome_radius_A=FIELD_A, dome_centre_yx_A=(800.0 * (seed % 3 - 1), -600.0)
    )
    axis_deg = float(stream(seed, "axis").uniform(-90, 90))
    settings = TwinSettings(axis_deg=axis_deg, motion=motion)
    twin = Twin(sample, pixel_A=PIXEL_A, shape_yx=(SIZE, SIZE), settings=settings, seed=seed)
    specimen = Specimen(thickness_A=THICKNESS_A)
    plan = list(Design(scheme=DoseSymmetric(), exposure=ConstantExposure(total_e_A2=123), specimen=specimen).plan())
    images, views, exposures = [], [], []
    for exposure in plan:
        twin.tilt_to(exposure.tilt_deg)
        twin.wait(20)
        place, height_A = twin.true_offset_A()
        missed = stream(seed, "missed", exposure.order).uniform(-1, 1, 2) * MISSED * FIELD_A * (exposure.order > 0)
        twin.set_image_shift_A((place[0] + float(missed[0]), place[1] + float(missed[1])))
        twin.set_beam_shift_A(twin.image_shift_A())
        twin.set_defocus_A(exposure.defocus_A - settings.hand * height_A)
        exposed = twin.expose_and_tell(ExposureRequest(exposure_e_A2=exposure.exposure_e_A2, frames=4))
        images.append(exposed.movie.frames.sum(axis=0, dtype=np.float32) * twin.sensor.gain_reference)
        views.append(exposed.truth.view.replace(section=exposure.order))
        exposures.append(exposed.truth.pre_exposure_e_A2 + 0.5 * exposed.truth.exposure_e_A2)
    truth = Alignment(pixel_A=PIXEL_A, shape_yx=(SIZE, SIZE), tilts=tuple(views))
    np.savez(
        path,
        images=np.array(images, np.float32),
        tilts_deg=[exposure.tilt_deg for exposure in plan],
        exposures_e_A2=exposures,
        truth=truth.model_dump_json(),
        motion=motion.model_dump_json(),
        seed=seed,
        pre_tilt_deg=SPECIMENS[kind].pre_tilt_deg,
    )


def _gold(kind: str, sample: Sample, seed: int) -> Beads:
    """Return the sample's beads, or else some at both faces of it, turned as it is."""
    if len(sample.beads):
        return sample.beads
    pre_tilt_deg = SPECIMENS[kind].pre_tilt_deg
    slab = slab_for(seed=seed, field_A=FIELD_A, thickness_A=THICKNESS_A, pre_tilt_deg=pre_tilt_deg)
    beads = gold_beads(Packing(slab.half_A), slab, 16)
    return Beads(beads.centres_A @ rotation_about_y(-pre_tilt_deg).T, beads.diameters_A)


def _score(name: str, path: Path, peers: Path | None) -> None:
    with np.load(path) as file:
        images, tilts_deg = file["images"], file["tilts_deg"].tolist()
        exposures = file["exposures_e_A2"]
        truth = Alignment.model_validate_json(str(file["truth"]))
        motion = BeamMotion.model_validate_json(str(file["motion"]))
        seed, pre_tilt_deg = int(file["seed"]), float(file["pre_tilt_deg"])
    begun = time.perf_counter()
    prepared = prepare_images(images, tilts_deg)
    result = align_series(prepared, tilts_deg, PIXEL_A, AlignSettings(), exposures_e_A2=exposures.tolist())
    seconds = time.perf_counter() - begun
    seen = _true_places(truth, MotionField(motion, seed, FIELD_A), exposures, pre_tilt_deg)
    shift, local = missed_px(result.alignment, seen)
    _, without = missed_px(truth, seen)
    axis = score_alignment(result.alignment, truth).axis_error_deg
    print(
        f"{name:15s}  {result.method:6s}  {shift:10.2f}  {local:10.2f}  {without:4.2f}  {axis:10.2f}"
        f"  {result.tilt_offset_deg:8.1f}, {-pre_tilt_deg:4.1f}  {result.specimen_depth_A:9.0f}  {seconds:7.1f}",
        flush=True,
    )
    for title, script in (("axis given", TORCH_TILTXCORR), ("axis found", TORCH_AXIS_AND_SHIFTS)) if peers else ():
        found, seconds = _by_torch(peers, script, images, truth)
        shift, _ = missed_px(found, seen)
        axis = score_alignment(found, truth).axis_error_deg
        print(f"  torch-tiltxcorr, {title}: {shift:.2f} px, axis {axis:.2f}°, {seconds:.1f} s", flush=True)


def _by_torch(python: Path | None, script: str, images: Array, truth: Alignment) -> tuple[Alignment, float]:
    """Return what another program makes of images, standardised and in the order of their tilts; and its seconds."""
    images = (images - images.mean(axis=(1, 2), keepdims=True)) / images.std(axis=(1, 2), keepdims=True)
    order = np.argsort([view.tilt_deg for view in truth.tilts])
    views = [truth.tilts[section] for section in order]
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder) / "images.npy", images[order].astype(np.float32))
        task = {"tilts_deg": [view.tilt_deg for view in views], "axis_deg": truth.tilts[0].axis_deg}
        (Path(folder) / "task.json").write_text(json.dumps(task))
        command = [str(python), "-c", script, folder]
        ended = subprocess.run(command, capture_output=True, text=True, check=True)
        seconds = re.search(r"^seconds: (\S+)$", ended.stdout, re.MULTILINE)
        with np.load(Path(folder) / "result.npz") as told:
            shifts_yx_A, axis_deg = told["shifts_yx_px"] * truth.pixel_A, float(told["axis_deg"])
    tilts = list(truth.tilts)
    for view, (y, x) in zip(views, shifts_yx_A, strict=True):
        tilts[view.section] = view.replace(axis_deg=axis_deg, shift_yx_A=(float(y), float(x)))
    return truth.replace(tilts=tuple(tilts)), float(seconds[1]) if seconds else float("nan")


def _true_places(truth: Alignment, motion: MotionField, exposures: Array, pre_tilt_deg: float) -> Array:
    """Return where places of the specimen are seen, (views, places, 2) in Å from the images' middles."""
    sides = np.linspace(-0.36, 0.36, 7) * FIELD_A
    faces = [-THICKNESS_A / 3, THICKNESS_A / 3]
    places = np.stack(np.meshgrid(faces, sides, sides, indexing="ij"), axis=-1).reshape(-1, 3)
    turn = rotation_about_y(-pre_tilt_deg)
    seen = []
    for view, exposure in zip(truth.tilts, exposures, strict=True):
        moved = (places + motion.displacement_zyx_A(places[:, 1:], float(exposure))) @ turn.T
        seen.append(view.sample2image()(moved)[:, 1:])
    return np.array(seen)


def missed_px(alignment: Alignment, seen: Array) -> tuple[float, float]:
    """Return by how many pixels, rms, views as a whole and places in them are missed."""
    used = [view.section for view in alignment.used]
    linear = np.array([alignment.tilts[section].sample2image().linear[1:] for section in used])
    left = []
    for section in used:
        view = alignment.tilts[section]
        still = seen[section]
        for _ in range(2):  # the motion is told where a place would be seen without it
            still = seen[section] - alignment.local_shift_yx_A(section, still)
        left.append(still - view.shift_yx_A)
    rows, columns = linear.reshape(-1, 3), np.array(left).transpose(0, 2, 1).reshape(2 * len(used), -1)
    missed = columns - rows @ (np.linalg.pinv(rows) @ columns)
    missed = missed.reshape(len(used), 2, -1).transpose(0, 2, 1) / alignment.pixel_A
    shift = missed.mean(axis=1, keepdims=True)
    return (
        float(np.sqrt((shift**2).sum(-1).mean())),
        float(np.sqrt(((missed - shift) ** 2).sum(-1).mean())),
    )


if __name__ == "__main__":
    main()
