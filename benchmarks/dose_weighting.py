"""Weighting by exposure on the twin: correlation with the truth, shell by shell, with and without it.

python benchmarks/dose_weighting.py [--specimens ribosomes,cell,apoferritin] [--seeds 3] [--size 320]

Series of 41 tilts, dose-symmetric to 60 degrees, 3 e/Å² each in 8 frames, all in place: nothing moves but the ice. No
gold is in the specimens, which no exposure damages: weights that are right for molecules are wrong for it. Two truths,
since there are two questions.

Within a tilt: the frames' sum against what the lens makes of the undamaged molecules, without ice, noise or loss. Both
have the same CTF, so that its zeros turn no sign and every frequency counts as much as it can be seen: what is judged
is the weighting alone.

Over the series: tilts, phases turned by their true CTF, are back-projected in their true geometry, and the volume is
held against the specimen's own potential, where tilts have seen it. That is what a user gets.

Each line gives means over specimens and seeds, the gain by the weights with its standard error, and how often it is
negative. Both sums are of the same electrons, so that their difference is known far better than either.
"""

import argparse
import dataclasses
import math
import time
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.fft import irfft2, rfft2

from eucentric.assessment.fsc import fourier_shell_correlation
from eucentric.core import Alignment
from eucentric.design import ConstantExposure, Design, DoseSymmetric
from eucentric.microscope import ExposureRequest
from eucentric.optics import TiltCTF
from eucentric.processing.ctf.correct import correct_tilt
from eucentric.processing.dose_weighting import accumulated_e_A2
from eucentric.processing.motion.records import MotionTrack
from eucentric.processing.motion.sums import sum_movie
from eucentric.processing.reconstruction import ReconstructSettings, reconstruct
from eucentric.specimen.sample import Beads
from eucentric.specimen.samples import build
from eucentric.twin import Effects, Exposed, Twin
from eucentric.twin.field import Field
from eucentric.twin.formation import Forming
from eucentric.twin.scene import Scene, View
from eucentric.twin.volume import true_volume

PIXEL_A = 2.7
THICKNESS_A = 600.0
FRAMES, EXPOSURE = 8, 3.0
EFFECTS = "no-drift,no-burst,no-local-motion,no-doming,no-gain,no-defects"
SHELLS_A = (60, 40, 30, 25, 20, 17, 14, 12, 10, 9, 8, 7, 6.3, 5.8)
EVERY = 5  # tilts, in the order of recording, whose own sums are judged

Array = NDArray[np.float64]
Floats = NDArray[np.float32]


def undamaged(twin: Twin, exposed: Exposed) -> Floats:
    """Return what the lens makes of the undamaged molecules in the place of an exposure's frames."""
    field = Field(twin.shape_yx, twin.pixel_A, 175.0)
    view = View.of(exposed.truth.view, exposed.truth.height_A, twin.settings.hand)
    forming = Forming(Scene.of(twin.sample, twin.pixel_A), view, field, twin.lens, twin._aberrations(), 3.0)
    molecules = forming.run(False, 0, ()).molecules
    y, x = np.mean([frame.shift_yx_A for frame in exposed.truth.frames], axis=0)
    ky, kx = field.frequencies(half=True)
    moved = molecules * np.exp(-2j * np.pi * (ky * y + kx * x)).astype(np.complex64)
    return np.ascontiguousarray(irfft2(moved, field.padded_yx)[field.crop], dtype=np.float32)


def shells(image: Floats, reference: Floats) -> Array:
    """Return the correlation of two images in shells of one step, averaged over those of each band.

    In wider shells, weights that fall within a shell would count as well.
    """
    window = np.outer(*(np.hanning(n) for n in image.shape))
    one, other = (rfft2((values - values.mean()) * window) for values in (image, reference))
    k = np.hypot(np.fft.fftfreq(image.shape[0], PIXEL_A)[:, None], np.fft.rfftfreq(image.shape[1], PIXEL_A)[None])
    ring = np.rint(k * min(image.shape) * PIXEL_A).astype(int).ravel()
    cross, first, second = (
        np.bincount(ring, values.ravel())
        for values in ((one * other.conj()).real, np.abs(one) ** 2, np.abs(other) ** 2)
    )
    each = cross / np.sqrt(first * second)
    at = np.arange(len(each)) / (min(image.shape) * PIXEL_A)
    return np.array([each[(at >= 1 / low) & (at < 1 / high)].mean() for low, high in pairwise(SHELLS_A)])


def volume_shells(volume: Floats, truth: Floats) -> Array:
    """Return the correlation of two volumes in each shell, of what tilts have seen."""
    box = (volume.shape[0], volume.shape[1], volume.shape[2])
    fsc = fourier_shell_correlation(volume, truth, PIXEL_A, tilt_range_deg=(-60, 60), largest_box_zyx=box)
    k, cells = np.array(fsc.frequency_1_A), np.array(fsc.cells)
    found = []
    for low, high in pairwise(SHELLS_A):
        inside = (k >= 1 / low) & (k < 1 / high)
        weight = cells[inside]
        found.append(float((weight * np.array(fsc.correlation)[inside]).sum() / weight.sum()))
    return np.array(found)


def true_ctf(exposed: Exposed, section: int) -> TiltCTF:
    """Return what a perfect fit would find."""
    truth = exposed.truth
    return TiltCTF(
        defocus_u_A=truth.defocus_A + truth.astigmatism_A / 2,
        defocus_v_A=truth.defocus_A - truth.astigmatism_A / 2,
        azimuth_deg=truth.astigmatism_deg,
        score=1.0,
        section=section,
        tilt_deg=truth.view.tilt_deg,
    )


def corrected(image: torch.Tensor, exposed: Exposed, twin: Twin, section: int) -> torch.Tensor:
    """Return an image with the phases turned that its true CTF has reversed."""
    ctf = true_ctf(exposed, section)
    return correct_tilt(image, PIXEL_A, ctf, twin.settings.axis_deg, twin.settings.hand, twin.lens)


def series(specimen: str, seed: int, size: int) -> dict[str, tuple[Array, Array]]:
    """Record one series; return its correlations with the truth, unweighted and weighted, of tilts and volume."""
    sample = build(
        specimen, seed=seed, field_A=size * PIXEL_A, thickness_A=THICKNESS_A, max_tilt_deg=60, pre_tilt_deg=0
    )
    sample = dataclasses.replace(sample, beads=Beads())
    twin = Twin(sample, pixel_A=PIXEL_A, shape_yx=(size, size), effects=Effects.parse(EFFECTS), seed=seed)
    plan = Design(scheme=DoseSymmetric(min_deg=-60, max_deg=60), exposure=ConstantExposure(total_e_A2=123)).plan()
    of_tilts: tuple[list[Array], list[Array]] = ([], [])
    views, stacks = [], []
    for number, exposure in enumerate(plan):
        twin.tilt_to(exposure.tilt_deg)
        twin.wait(5)
        (y, x), height = twin.true_offset_A()
        twin.set_image_shift_A((y, x))
        twin.set_beam_shift_A((y, x))
        twin.set_defocus_A(3e4 - twin.settings.hand * height)
        request = ExposureRequest(exposure_e_A2=EXPOSURE, frames=FRAMES, purpose="record", order=exposure.order)
        exposed = twin.expose_and_tell(request)
        frames = torch.from_numpy(np.asarray(exposed.movie.frames, dtype=np.float32))
        received = accumulated_e_A2(exposed.truth.pre_exposure_e_A2, EXPOSURE, FRAMES)
        weighted = sum_movie(frames, MotionTrack.still(FRAMES), PIXEL_A, accumulated_e_A2=received).weighted
        both = [frames.sum(0), weighted]
        if number % EVERY == 0:
            reference = undamaged(twin, exposed)
            for image, found in zip(both, of_tilts, strict=True):
                found.append(shells(image.numpy(), reference))
        mean = float(both[0].mean())
        turned = [corrected((image - image.mean()) / mean, exposed, twin, number) for image in both]
        y, x = np.mean([frame.shift_yx_A for frame in exposed.truth.frames], axis=0)
        at_y, at_x = exposed.truth.view.shift_yx_A
        views.append(exposed.truth.view.replace(section=number, shift_yx_A=(at_y + float(y), at_x + float(x))))
        stacks.append(turned)
    alignment = Alignment(pixel_A=PIXEL_A, shape_yx=(size, size), tilts=tuple(views))
    settings = ReconstructSettings(thickness_A=THICKNESS_A, cutoff=1.0)
    of_volume = []
    truth: Floats | None = None
    for which in range(2):
        volume = reconstruct(torch.stack([pair[which] for pair in stacks]), alignment, settings).full().numpy()
        if truth is None:
            truth = true_volume(sample, (volume.shape[0], volume.shape[1], volume.shape[2]), PIXEL_A)
        of_volume.append(volume_shells(-volume, truth))
    return {
        "tilt": (np.array(of_tilts[0]), np.array(of_tilts[1])),
        "volume": (of_volume[0][None], of_volume[1][None]),
    }


def table(name: str, plain: Array, weighted: Array) -> None:
    """Print means over series, and the gain with its standard error."""
    gain = weighted - plain
    error = gain.std(0, ddof=1) / math.sqrt(len(gain)) if len(gain) > 1 else np.full(gain.shape[1], np.nan)
    print(f"{name}: {len(gain)} comparisons")
    print("   shell, Å     plain  weighted      gain   its error  below")
    for at, (low, high) in enumerate(pairwise(SHELLS_A)):
        means = f"{plain[:, at].mean():8.4f}  {weighted[:, at].mean():8.4f}  {gain[:, at].mean():+8.5f}"
        print(f"  {low:>4}-{high:<4}  {means}   {error[at]:.5f}   {int((gain[:, at] < 0).sum())}")


def main() -> None:
    """Run as the module says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--specimens", default="ribosomes,cell,apoferritin")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--size", type=int, default=320)
    options = parser.parse_args()
    found: dict[str, tuple[list[Array], list[Array]]] = {"tilt": ([], []), "volume": ([], [])}
    for seed in range(options.seeds):
        for specimen in options.specimens.split(","):
            began = time.process_time()
            for name, pair in series(specimen, seed, options.size).items():
                for values, kept in zip(pair, found[name], strict=True):
                    kept.extend(values)
            gain = found["volume"][1][-1] - found["volume"][0][-1]
            print(f"{specimen} {seed}: {time.process_time() - began:.0f} s; gain of the volume "
                  + " ".join(f"{value:+.4f}" for value in gain), flush=True)  # fmt: skip
    for name, title in (("tilt", "Within a tilt"), ("volume", "The tomogram of the series")):
        table(title, np.array(found[name][0]), np.array(found[name][1]))


if __name__ == "__main__":
    main()
