"""Correction of the CTF by height, against specimens imaged point by point with the defocus of each point's place."""

import itertools
import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from eucentric.core import Alignment, InputError, TiltAlignment
from eucentric.optics import Aberrations, HandVerdict, Lens, SeriesCTF, TiltCTF, even_phase_rad, plane_frequencies
from eucentric.processing.ctf.correct import correct_tilt
from eucentric.processing.reconstruction import (
    ReconstructSettings,
    reconstruct,
    reconstruct_ctf3d,
    slab_thickness_A,
    volume_shape,
)

PIXEL_A = 3.0
SHAPE = (72, 768)  # wide enough to show the top and the bottom of the specimen at every tilt
THICKNESS_A = 3000.0
DEFOCUS_A = 9_000.0
LENS = Lens(amplitude_contrast=0.07)
TILTS_DEG = [float(tilt) for tilt in range(-50, 51, 10)]
WHOLE = ReconstructSettings(thickness_A=THICKNESS_A, cutoff=1.0, size_yx=(72, 64))


def points(n: int, seed: int) -> NDArray[np.float64]:
    half = np.array([0.45 * THICKNESS_A, 60.0, 55.0])
    return np.random.default_rng(seed).uniform(-half, half, (n, 3))


def series(axis_deg: float) -> Alignment:
    views = tuple(
        TiltAlignment(section=i, tilt_deg=tilt, axis_deg=axis_deg, shift_yx_A=(12.0 * (i % 3), -9.0 * (i % 4)))
        for i, tilt in enumerate(TILTS_DEG)
    )
    return Alignment(pixel_A=PIXEL_A, shape_yx=SHAPE, tilts=views)


def contrast_of(alignment: Alignment, hand: int, lie_A: float = 0.0) -> SeriesCTF:
    """The true CTF of `imaged`; `lie_A` is added to it."""
    tilts = []
    for view in alignment.tilts:
        defocus_A = DEFOCUS_A + lie_A
        tilts.append(
            TiltCTF(
                section=view.section,
                tilt_deg=view.tilt_deg,
                defocus_u_A=defocus_A,
                defocus_v_A=defocus_A,
                azimuth_deg=0.0,
                phase_shift_deg=0.0,
                fit_resolution_A=10.0,
                score=1.0,
            )
        )
    verdict = HandVerdict.model_validate({"hand": hand, "log_odds": 9.0})
    axis_deg = alignment.tilts[0].axis_deg
    return SeriesCTF(lens=LENS, pixel_A=PIXEL_A, axis_deg=axis_deg, tilts=tuple(tilts), hand=verdict)


def imaged(places: NDArray[np.float64], alignment: Alignment, hand: int, *, transfer: bool) -> Tensor:
    """Points as the views see them, each with the CTF of the height that it comes to when the specimen is tilted."""
    rows, columns = (2 * n for n in SHAPE)
    k_y, k_x = plane_frequencies((rows, columns), PIXEL_A, half=True)
    soft = np.exp(-0.5 * (2 * np.pi * 4.0) ** 2 * (k_y**2 + k_x**2))  # points of sigma 4 Å
    images = np.zeros((len(alignment.tilts), *SHAPE), np.float32)
    for view, image in zip(alignment.tilts, images, strict=True):
        to_image = view.sample2image()
        spectrum = np.zeros(soft.shape, np.complex128)
        # What is fitted is the defocus at the image's centre; the specimen's origin is seen beside it, and higher.
        across = view.replace(tilt_deg=0.0).sample2image().linear[1:, 2]
        off_centre_A = float(np.dot(across, view.shift_yx_A))
        at_origin_A = -off_centre_A * math.tan(math.radians(view.tilt_deg))
        for place in places:
            z, y, x = to_image(tuple(place))
            waves = np.exp(-2j * np.pi * k_y * y) * np.exp(-2j * np.pi * k_x * x)  # a column times a row
            if transfer:
                there = Aberrations(defocus_A=DEFOCUS_A + hand * (z + at_origin_A))
                waves = waves * np.sin(even_phase_rad(k_y, k_x, there, LENS))
            spectrum += waves
        full = np.fft.fftshift(np.fft.irfft2(spectrum * soft, s=(rows, columns)))
        image[:] = full[rows // 4 : rows // 4 + SHAPE[0], columns // 4 : columns // 4 + SHAPE[1]]
    return torch.from_numpy(images - images.mean((1, 2), keepdims=True))


def shells(volume: Tensor, truth: Tensor, places: NDArray[np.float64], edges_A: list[float]) -> list[float]:
    """Correlation of two volumes around the points, between the details given.

    Only around them: the streaks that few views leave through other heights are corrected for those.
    """
    side = 24
    window = torch.hann_window(side, periodic=True)
    taper = window[:, None, None] * window[None, :, None] * window[None, None, :]
    k = np.sqrt(
        np.fft.fftfreq(side, PIXEL_A)[:, None, None] ** 2
        + np.fft.fftfreq(side, PIXEL_A)[None, :, None] ** 2
        + np.fft.rfftfreq(side, PIXEL_A)[None, None, :] ** 2
    )
    cross, powers = np.zeros(len(edges_A) - 1), np.zeros((2, len(edges_A) - 1))
    for place in places:
        corner = [round(p / PIXEL_A) + n // 2 - side // 2 for p, n in zip(place, volume.shape, strict=True)]
        box = tuple(slice(c, c + side) for c in corner)
        a, b = (np.fft.rfftn((v[box] * taper).numpy()) for v in (volume, truth))
        for i, (coarse, fine) in enumerate(itertools.pairwise(edges_A)):
            band = (k >= 1 / coarse) & (k < 1 / fine)
            cross[i] += np.sum(np.real(a[band] * np.conj(b[band])))
            powers[:, i] += np.sum(np.abs(a[band]) ** 2), np.sum(np.abs(b[band]) ** 2)
    found: list[float] = (cross / np.sqrt(powers[0] * powers[1])).tolist()
    return found


@pytest.mark.parametrize(("hand", "axis_deg"), [(1, 0.0), (-1, 180.0)])
def test_slabs_are_better_than_one_plane_from_12_A_on_and_never_worse(hand: int, axis_deg: float) -> None:
    alignment = series(axis_deg)
    places = points(8, seed=3)
    truth = reconstruct(imaged(places, alignment, hand, transfer=False), alignment, WHOLE).full()
    images = imaged(places, alignment, hand, transfer=True)
    ctf = contrast_of(alignment, hand)
    by_slab = reconstruct_ctf3d(images, alignment, WHOLE, ctf, finest_A=6.0).full()
    flat = torch.stack(
        [
            correct_tilt(images[i], PIXEL_A, ctf.tilts[i], axis_deg, 1 if hand == 1 else -1, LENS)
            for i in range(len(images))
        ]
    )
    by_plane = reconstruct(flat, alignment, WHOLE).full()
    other_hand = ctf.replace(hand=HandVerdict.model_validate({"hand": -hand, "log_odds": 9.0}))
    wrong = reconstruct_ctf3d(images, alignment, WHOLE, other_hand, finest_A=10.0).full()
    edges = [30.0, 20.0, 15.0, 12.0, 10.0, 8.0, 6.5]
    slabs, plane, mirrored = (shells(volume, truth, places, edges) for volume in (by_slab, by_plane, wrong))
    assert all(s > p - 0.002 for s, p in zip(slabs, plane, strict=True))
    assert all(s > p for s, p in zip(slabs[3:], plane[3:], strict=True))  # from 12 Å on
    assert slabs[-1] > plane[-1] + 0.05
    assert slabs[-1] > mirrored[-1] + 0.2


def test_a_slab_as_thick_as_the_specimen_is_correction_for_its_plane() -> None:
    alignment = series(10.0)
    images = imaged(points(5, seed=1), alignment, 1, transfer=True)
    ctf = contrast_of(alignment, 1)
    thin = WHOLE.replace(thickness_A=400.0)
    one = reconstruct_ctf3d(images, alignment, thin, ctf, slab_A=500.0)
    height_A = -PIXEL_A / 2  # the middle of an even number of planes is half a voxel below plane n // 2
    assert volume_shape(alignment, thin)[0] % 2 == 0
    flat = torch.stack(
        [
            correct_tilt(
                images[i],
                PIXEL_A,
                ctf.tilts[i].replace(
                    defocus_u_A=DEFOCUS_A + height_A / math.cos(math.radians(TILTS_DEG[i])),
                    defocus_v_A=DEFOCUS_A + height_A / math.cos(math.radians(TILTS_DEG[i])),
                ),
                10.0,
                1,
                LENS,
            )
            for i in range(len(images))
        ]
    )
    expected = reconstruct(flat, alignment, thin).even
    torch.testing.assert_close(one.even, expected, rtol=1e-3, atol=1e-3 * float(expected.std()))


def test_slabs_are_as_thick_as_the_depth_of_field() -> None:
    # shared/physics.md section 2: 11, 32 and 127 nm for 3, 5 and 10 Å at 300 kV.
    assert [round(slab_thickness_A(d, 300.0) / 10) for d in (3.0, 5.0, 10.0)] == [11, 32, 127]


def test_what_cannot_be_corrected_by_height_is_refused() -> None:
    alignment = series(0.0)
    images, ctf = torch.zeros((len(TILTS_DEG), *SHAPE)), contrast_of(series(0.0), 1)
    unsure = ctf.replace(hand=HandVerdict(hand=1, log_odds=1.0))
    for changed, slab_A, said in (
        (ctf.replace(tilts=ctf.tilts[:-1]), None, "is of 10 tilts"),
        (unsure, None, "hand"),
        (ctf.replace(hand=None), None, "hand"),
        (ctf, 1.0, "slabs of 1 Å"),
    ):
        with pytest.raises(InputError, match=said):
            reconstruct_ctf3d(images, alignment, WHOLE, changed, slab_A=slab_A)
    with pytest.raises(InputError, match="SIRT"):
        reconstruct_ctf3d(images, alignment, WHOLE.replace(method="sirt"), ctf)
