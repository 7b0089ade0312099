"""What views let through: the CTF as it was corrected and the exposure as it was weighted, told from the journal."""

from pathlib import Path

import numpy as np
import pytest
import torch

from eucentric.core import Alignment, Tilt, TiltAlignment, TiltSeries, write_text
from eucentric.optics import Lens, SeriesCTF, TiltCTF, ctf, surviving_amplitude
from eucentric.processing.reconstruction import ReconstructSettings
from eucentric.session import Session, StagePlan
from eucentric.workflow.records import CTFCorrection, ReconstructStage, Sums, SumsStage
from eucentric.workflow.restoration.gain import ViewsGain, gain_of_series

TILTS_DEG = (-30.0, 0.0, 30.0)
DEFOCUS_A = (30_000.0, 32_000.0, 34_000.0)
K_1_A = torch.linspace(0, 0.05, 40, dtype=torch.float64)


def gain_of(folder: Path, correction: CTFCorrection, *, weighted: bool, width_A: float = 0.0) -> ViewsGain | None:
    """Tell a session how a series of three tilts was made, and ask what the first and the last view let through."""
    series = TiltSeries(
        name="TS_1",
        pixel_A=5,
        shape_yx=(64, 64),
        tilts=tuple(
            Tilt(section=i, tilt_deg=tilt, order=i, exposure_e_A2=3, pre_exposure_e_A2=3 * i)
            for i, tilt in enumerate(TILTS_DEG)
        ),
    )
    made = ReconstructStage(reconstruct=ReconstructSettings(), ctf_correction=correction, halves="frames")
    summed = SumsStage(series=series, frames=(4, 4, 4), gain=None, dose_weighting=weighted, voltage_kV=200)
    fits = (
        TiltCTF(section=i, tilt_deg=tilt, defocus_u_A=defocus, defocus_v_A=defocus, azimuth_deg=0, score=0.5)
        for i, (tilt, defocus) in enumerate(zip(TILTS_DEG, DEFOCUS_A, strict=True))
    )
    with Session.create_or_open(folder) as session:
        for stage, settings in (("sums", summed), ("reconstruct", made)):
            with session.run(StagePlan(series="TS_1", stage=stage, version=1, settings=settings)) as run:
                run.metric("tilts", 3)
        place = session.series_folder("TS_1")
        sums = Sums(series=series, sections=(0, 1, 2), frames=(4, 4, 4), left_out={})
        write_text(place / "sums.json", sums.model_dump_json())
        series_ctf = SeriesCTF(lens=Lens(voltage_kV=200), pixel_A=5, axis_deg=0, tilts=tuple(fits))
        write_text(place / "ctf.json", series_ctf.model_dump_json())
        views = [
            TiltAlignment(section=i, tilt_deg=tilt, axis_deg=0, used=i != 1, reason="" if i != 1 else "dark")
            for i, tilt in enumerate(TILTS_DEG)
        ]
        return gain_of_series(session, "TS_1", Alignment(pixel_A=5, shape_yx=(64, 64), tilts=tuple(views)), width_A)


def test_flipped_and_weighted_views_let_the_ctf_and_twice_the_damage_through(tmp_path: Path) -> None:
    gain = gain_of(tmp_path, "phase-flip", weighted=True)
    assert gain is not None
    left = gain(K_1_A)
    assert (left.shape, left.dtype) == ((2, 40), K_1_A.dtype)
    for row, section in enumerate((0, 2)):  # the dark one is not in the tomogram
        expected = np.abs(ctf(K_1_A, DEFOCUS_A[section], Lens(voltage_kV=200)))
        expected *= surviving_amplitude(K_1_A, 3 * section + 1.5, 200) ** 2
        np.testing.assert_allclose(left[row], expected, atol=1e-7)


def test_what_was_not_corrected_is_left_as_the_tomogram_has_it(tmp_path: Path) -> None:
    gain = gain_of(tmp_path, "none", weighted=False)
    assert gain is not None
    np.testing.assert_allclose(gain(K_1_A)[1], surviving_amplitude(K_1_A, 7.5, 200))  # damage is there all the same


def test_defocus_that_varies_over_the_field_fills_the_zeros_of_the_ctf(tmp_path: Path) -> None:
    gain = gain_of(tmp_path, "phase-flip", weighted=True, width_A=8000.0)
    assert gain is not None
    k = torch.tensor([0.0389, 0.0], dtype=torch.float64)  # where 30000 Å of defocus have a zero, at 200 kV
    one = np.array([30_000.0 + 4000 * offset for offset in np.linspace(-0.5, 0.5, 401)])
    exact = np.sqrt(np.mean(ctf(float(k[0]), one, Lens(voltage_kV=200)) ** 2))
    assert float(gain(k)[0, 0]) == pytest.approx(exact * surviving_amplitude(float(k[0]), 1.5, 200) ** 2, rel=1e-3)
    assert float(gain(k)[0, 1]) == pytest.approx(0.1)  # amplitude contrast: no defocus changes that


def test_of_a_stack_that_came_as_it_was_nothing_is_known(tmp_path: Path) -> None:
    views = (TiltAlignment(section=0, tilt_deg=0, axis_deg=0),)
    with Session.create_or_open(tmp_path) as session:
        assert gain_of_series(session, "TS_1", Alignment(pixel_A=5, shape_yx=(64, 64), tilts=views), 600) is None
