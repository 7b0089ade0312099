"""The certificate says what is known, from where, and no more than images can tell."""

import json
from pathlib import Path

import numpy as np
import pytest

from eucentric.assessment import OrderVerdict
from eucentric.core import Alignment, TiltAlignment
from eucentric.io import LoadedSeries
from eucentric.optics import HandVerdict
from eucentric.processing.alignment import AlignmentResult
from eucentric.processing.alignment.records import AxisSearch, TiltResidual
from eucentric.report.certificate import Convention
from eucentric.workflow.certifying import certify
from eucentric.workflow.certifying_images import pixel_told
from eucentric.workflow.convention_checks import defocus_ratios
from eucentric.workflow.records import ImageChecks, ProcessOutcome
from phantoms.ctf_images import LENS, grainy_image
from phantoms.processed import processed_series

SERIES = processed_series().series


def loaded(**changes: object) -> LoadedSeries:
    notes = ("Tilt angles are from ts.rawtlt.",)
    sources = (Path("ts.mrc"), Path("ts.mrc.mdoc"))
    return LoadedSeries(SERIES.replace(**changes), np.zeros((11, 4, 4)), sources, notes)


def result(axis_deg: float = 84.5, spread_deg: float | None = 0.2) -> AlignmentResult:
    views = tuple(TiltAlignment(section=t.section, tilt_deg=t.tilt_deg, axis_deg=axis_deg) for t in SERIES.tilts)
    search = None
    if spread_deg is not None:
        search = AxisSearch(axes_deg=(80.0, 90.0), scores=(0.1, 0.1), best_deg=axis_deg, uncertainty_deg=spread_deg)
    return AlignmentResult(
        alignment=Alignment(pixel_A=SERIES.pixel_A, shape_yx=SERIES.shape_yx, tilts=views),
        axis_search=search,
        specimen_depth_A=1000,
        tilts=tuple(
            TiltResidual(section=t.section, correlation=0.5, residual_A=1, coarse_shift_yx_A=(0, 0))
            for t in SERIES.tilts
        ),
        rounds_rms_A=(1.0,),
    )


def by_name(conventions: tuple[Convention, ...]) -> dict[str, Convention]:
    return {one.name: one for one in conventions}


def test_a_series_that_says_all_is_certified_as_far_as_images_go() -> None:
    found = by_name(certify(loaded(), result(), processed_series(hand=-1).ctf))
    assert {name: one.sureness for name, one in found.items()} == {
        "tilt sign": "unchecked",
        "tilt axis": "sure",
        "defocus hand": "sure",
        "hand of the volume": "unchecked",
        "exposure order": "unchecked",
        "pixel size": "likely",
    }
    assert found["tilt sign"].known_from == "ts.rawtlt"
    assert found["tilt axis"].known_from == "ts.mrc.mdoc"
    assert found["defocus hand"].value.startswith("-1")
    assert all(one.advice for one in found.values() if one.sureness == "unchecked")


@pytest.mark.parametrize(("axis_deg", "sureness"), [(84.5, "sure"), (-95.4, "contradicted"), (60.0, "contradicted")])
def test_the_images_axis_is_held_against_the_files(axis_deg: float, sureness: str) -> None:
    found = by_name(certify(loaded(), result(axis_deg), None))
    assert found["tilt axis"].sureness == sureness
    assert found["hand of the volume"].sureness == ("contradicted" if sureness == "contradicted" else "unchecked")


def test_what_nobody_said_is_not_sure() -> None:
    found = by_name(certify(loaded(tilt_axis_deg=None, order_known=False), result(), None))
    assert (found["tilt axis"].known_from, found["tilt axis"].sureness) == ("nobody", "likely")
    assert found["exposure order"].known_from == "nobody"
    assert found["defocus hand"].value == "not known"
    given = by_name(certify(loaded(), result(spread_deg=None), None, axis_given_deg=84.5))
    assert (given["tilt axis"].known_from, given["tilt axis"].sureness) == ("the user", "unchecked")


def test_a_weak_ramp_is_only_likely() -> None:
    ctf = processed_series().ctf
    assert ctf is not None
    weak = ctf.replace(hand=HandVerdict(hand=1, log_odds=1.0))
    assert by_name(certify(loaded(), result(), weak))["defocus hand"].sureness == "likely"


def test_exposures_off_by_one_tilt_are_contradicted() -> None:
    shifted = [t.replace(pre_exposure_e_A2=3.0 * max(0, t.order - 1)) for t in SERIES.tilts]
    assert by_name(certify(loaded(tilts=tuple(shifted)), result(), None))["exposure order"].sureness == "contradicted"
    overview = [t.replace(pre_exposure_e_A2=3.0 * t.order + 2) for t in SERIES.tilts]
    assert by_name(certify(loaded(tilts=tuple(overview)), result(), None))["exposure order"].sureness == "unchecked"


@pytest.mark.parametrize(
    ("word", "name"),
    [("pixel-size", "pixel size"), ("pre-exposure", "exposure order"), ("order-lost", "exposure order")],
)
def test_warnings_of_the_loading_count(word: str, name: str) -> None:
    found = by_name(certify(loaded(), result(), None, noticed=(f"ts.mdoc: they differ. [{word}]",)))
    assert found[name].sureness == "contradicted"


def checked(odds: float) -> ImageChecks:
    return ImageChecks(order=OrderVerdict(rival="by rising angle", log_odds=odds, expected=6.0, power=0.9))


@pytest.mark.parametrize(
    ("odds", "sureness"),
    [(7.0, "sure"), (4.0, "likely"), (0.5, "unchecked"), (-3.0, "unchecked"), (-7.0, "contradicted")],
)
def test_images_that_fade_in_the_order_bear_it_out(odds: float, sureness: str) -> None:
    order = by_name(certify(loaded(), result(), None, checks=checked(odds)))["exposure order"]
    assert order.sureness == sureness
    assert "by rising angle" in order.checked
    assert "is the sum of those earlier" in order.checked
    assert bool(order.advice) == (sureness in ("unchecked", "contradicted"))


def test_fading_does_not_mend_exposures_that_do_not_add_up() -> None:
    shifted = [t.replace(pre_exposure_e_A2=3.0 * max(0, t.order - 1)) for t in SERIES.tilts]
    found = by_name(certify(loaded(tilts=tuple(shifted)), result(), None, checks=checked(9.0)))
    assert found["exposure order"].sureness == "contradicted"


@pytest.mark.parametrize(
    ("said", "off_A", "sureness"),
    [
        (1.0, 0.0, "likely"),
        (1.0, 8000.0, "likely"),  # as far off as users set it
        (1.05, 0.0, "likely"),  # which it says it cannot tell
        (2.0, 0.0, "contradicted"),
        (0.5, 0.0, "contradicted"),
        (2.0, -5000.0, "contradicted"),
        (1.5, 0.0, "unchecked"),
        (4.0, 0.0, "unchecked"),
    ],
)
def test_rings_beside_the_defocus_asked_for_tell_a_forgotten_binning(said: float, off_A: float, sureness: str) -> None:
    ratio = said**2 * (30_000 + off_A) / 30_000
    told = pixel_told(ImageChecks(defocus_ratios=(0.7 * ratio, ratio, 1.4 * ratio)))
    assert told.sureness == sureness
    assert f"{ratio:.2f} times" in told.words
    assert pixel_told(ImageChecks(defocus_ratios=(ratio, ratio))).sureness == "unchecked"


@pytest.mark.parametrize("said", [1.0, 2.0, 0.5])
def test_images_whose_pixels_are_said_too_large_seem_further_from_focus(said: float) -> None:
    images = [(grainy_image(512, 2.0, 20_000.0, 20_000.0, seed=seed), 20_000.0) for seed in range(3)]
    ratios = defocus_ratios(images, said * 2.0, LENS)
    assert len(ratios) == 3
    assert ratios == pytest.approx([said**2] * 3, rel=0.1)


def test_what_images_were_not_asked_is_said() -> None:
    found = by_name(certify(loaded(), result(), None, checks=ImageChecks(order_reason="there are no halves")))
    assert "there are no halves" in found["exposure order"].checked
    assert found["pixel size"].sureness == "likely"  # by its files


def test_a_processed_series_has_its_certificate(processed_movies: ProcessOutcome) -> None:
    told = json.loads((processed_movies.folder / "certificate.json").read_text())
    assert len(told) == 6
    page = processed_movies.report.read_text()
    assert 'id="conventions"' in page
    assert all(one["name"] in page for one in told)
