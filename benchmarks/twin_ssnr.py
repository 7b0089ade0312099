"""Predicted beside simulated: the SSNR of tilts as `design` has it, and as two noise realisations of the twin show it.

python benchmarks/twin_ssnr.py [--specimen ribosomes] [--thickness 2000] [--size 512] [--solvent]

At each tilt the signal is the cross-spectrum of noise realisations where it stands out of its own error by forty times,
and marked so (*); elsewhere it is the power of the noise-free image, which that cross-spectrum tends to.

The particles' own power spectrum is taken from the undamaged projection that each tilt sees; everything else of the
prediction (exposure, damage, transmission, CTF over depth and field, DQE, plural scattering) is `design`'s.
"""

import argparse
import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.fft import rfft2

from eucentric.design import ConstantExposure, Design, DoseSymmetric, Specimen, Terms, predict
from eucentric.design.signal import signal_A2
from eucentric.detector import DETECTORS
from eucentric.microscope import ExposureRequest
from eucentric.optics import elastic_mean_free_path_A, interaction_rad_per_VA
from eucentric.specimen.sample import Beads
from eucentric.specimen.samples import build
from eucentric.twin import Effects, Exposed, Twin, TwinSettings
from eucentric.twin.field import Field
from eucentric.twin.formation import Forming
from eucentric.twin.scene import Scene, View

BANDS_A = ((40, 30), (30, 22), (22, 17), (17, 13), (13, 10), (10, 8))
REALISATIONS = 100
EFFECTS = "none,damage,inelastic,energy-filter,plural-scattering,noise,detection,mtf,incoherence,focus-error"

Array = NDArray[np.float64]


def particle_power(twin: Twin, exposed: Exposed, field: Field) -> Array:
    """Return the power of the undamaged contrast, (2 sigma V)² per frequency and area (Å²), on the half transform."""
    view = View.of(exposed.truth.view, exposed.truth.height_A)
    scene = Scene.of(twin.sample, twin.pixel_A)
    aberrations = twin._aberrations()
    forming = Forming(scene, view, field, twin.lens, aberrations, 3.0)
    total = np.zeros(field.padded_yx, np.float32)
    for index in range(forming.count):
        total += forming.potential(index, solvent=False, seed=0, names=())
    image = 2 * interaction_rad_per_VA(twin.lens.voltage_kV) * total[field.crop]
    return transformed(image - image.mean(), twin.pixel_A)


def window(shape: tuple[int, int]) -> Array:
    """Return a window that lets no border through, of mean square 1."""
    one = np.outer(*(np.hanning(n) for n in shape))
    return np.asarray(one / np.sqrt(np.mean(one**2)))


def transformed(image: Array, pixel_A: float) -> Array:
    """Return the power of an image per frequency and area."""
    return np.asarray(np.abs(rfft2(image * window(image.shape))) ** 2 * pixel_A**2 / image.size)


def main() -> None:
    """Run as the module says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--specimen", default="ribosomes")
    parser.add_argument("--thickness", type=float, default=2000.0)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--pixel", type=float, default=1.7)
    parser.add_argument("--solvent", action="store_true")
    options = parser.parse_args()
    size, pixel_A = options.size, options.pixel
    effects = Effects.parse(EFFECTS + (",solvent,ice-motion" if options.solvent else ""))
    sample = build(
        options.specimen, seed=1, field_A=size * pixel_A, thickness_A=options.thickness, max_tilt_deg=60, pre_tilt_deg=0
    )
    twin = Twin(
        replace(sample, beads=Beads()),  # gold is no particle
        pixel_A=pixel_A,
        shape_yx=(size, size),
        settings=TwinSettings(detector=DETECTORS["k2"].replace(coincidence=False)),
        effects=effects,
        seed=1,
    )
    design = Design(
        scheme=DoseSymmetric(min_deg=-60, max_deg=60),
        exposure=ConstantExposure(total_e_A2=120),
        specimen=Specimen(
            thickness_A=options.thickness, elastic_mean_free_path_A=elastic_mean_free_path_A(twin.lens.voltage_kV)
        ),
        camera=twin.camera(),
    )
    plan = design.plan()
    prediction = predict(plan, Terms(alignment=False, motion=False))
    bare = signal_A2(prediction.k, design.specimen, 300.0)
    field = Field(twin.shape_yx, pixel_A, twin._margin_A())
    shown = [0, 1, 9, 10, 19, 20, 29, 30, 39, 40]
    print(
        "tilt   before  " + "  ".join(f"{a}-{b} Å".rjust(8) for a, b in BANDS_A) + "   (simulated over predicted SSNR)"
    )
    ratios = []
    for exposure in plan:
        twin.pixels = exposure.order in shown
        twin.tilt_to(exposure.tilt_deg)
        twin.set_defocus_A(exposure.defocus_A)
        exposed = twin.expose_and_tell(
            ExposureRequest(exposure_e_A2=exposure.exposure_e_A2, frames=exposure.frames, order=exposure.order)
        )
        if exposure.order not in shown:
            continue
        power = particle_power(twin, exposed, field)
        ky, kx = np.fft.fftfreq(size, pixel_A)[:, None], np.fft.rfftfreq(size, pixel_A)[None]
        k = np.hypot(ky, kx)
        per_signal = np.interp(k, prediction.k, prediction.information[exposure.order] / bare)
        sums = np.zeros_like(k, dtype=complex)
        squares = np.zeros_like(k)
        shape = window(twin.shape_yx)
        for again in range(REALISATIONS):
            counts = twin.sensor.read(exposed.expected_e_px, exposed.truth.seconds, "ssnr", exposure.order, again)
            counted = counts * twin.sensor.gain_reference
            spectrum = rfft2((counted - counted.mean()) * shape)
            sums += spectrum
            squares += np.abs(spectrum) ** 2
        n = REALISATIONS
        # Cross-spectra of all pairs of realisations: their mean is the signal; what is left of the power is noise.
        signal = (np.abs(sums) ** 2 - squares) / (n * (n - 1))
        noise = squares / n - signal
        quiet = exposed.expected_e_px * np.float32(twin.settings.detector.detection)
        limit = np.abs(rfft2((quiet - quiet.mean()) * shape)) ** 2
        row, cells = [], []
        for low, high in BANDS_A:
            band = (k >= 1 / low) & (k < 1 / high)
            error = noise[band].sum() / n / math.sqrt(band.sum())
            seen = signal[band].sum() > 40 * error
            simulated = (signal if seen else limit)[band].sum() / noise[band].sum()
            row.append(float(simulated / (per_signal * power)[band].mean()))
            cells.append(f"{row[-1]:7.3f}{'*' if seen else ' '}")
        ratios.append(row)
        print(f"{exposure.tilt_deg:+5.0f}  {exposure.pre_exposure_e_A2:6.1f}  {'  '.join(cells)}", flush=True)
    apart = np.array(ratios)
    rms = math.sqrt(((apart - 1) ** 2).mean())
    print(f"all: {apart.min():.3f} to {apart.max():.3f}, mean {apart.mean():.3f}; rms off 1: {rms:.3f}")


if __name__ == "__main__":
    main()
