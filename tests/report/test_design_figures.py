"""Figures of designs: what is drawn is what was predicted, every word can be read, and the same gives the same."""

import errno
import itertools
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.container import BarContainer
from matplotlib.figure import Figure
from matplotlib.text import Text
from numpy.typing import NDArray
from PIL import Image

from eucentric.core import InputError, OutputError
from eucentric.design import (
    Bidirectional,
    Camera,
    ConstantIncrement,
    Design,
    DoseSymmetric,
    Explicit,
    Hybrid,
    InverseCosineExposure,
    Prediction,
    SaxtonIncrement,
    Specimen,
    StaggeredDefocus,
    Unidirectional,
    predict,
    signal_transfer,
)
from eucentric.optics import Lens, mean_ctf2
from eucentric.report.designs import MOST_DESIGNS, compare_figure, session_ctf_figure, sweet_spot_figure, write_figure
from eucentric.report.designs.rows import IMAGE_PX, ssnr_image
from eucentric.report.designs.wording import in_two_lines, shortened, wrapped

Array = NDArray[np.float64]

LONG = "2024-03-01_grid4_lamella_pre_tilt_10_dose_symmetric_by_2_from_krios_3"


def predicted(**fields: object) -> Prediction:
    return predict(Design.model_validate(fields).plan())


FOUR = {
    "unidirectional": predicted(scheme=Unidirectional()),
    "bidirectional from 0": predicted(scheme=Bidirectional()),
    "bidirectional from -21": predicted(scheme=Bidirectional(start_deg=-21)),
    "dose-symmetric hagen": predicted(),
}
ODD = {
    "dose-symmetric": predicted(),
    "\x07c\nd": predicted(scheme=Hybrid()),
    LONG: predicted(scheme=DoseSymmetric(group=2), specimen=Specimen(pre_tilt_deg=10)),
    "_three $tilts$ & <more>": predicted(scheme=Explicit(tilts_deg=(0, -30, 30))),
    "Saxton": predicted(
        scheme=Bidirectional(increment=SaxtonIncrement(step_deg=3)), exposure=InverseCosineExposure(total_e_A2=90)
    ),
    "W" * 80: predicted(
        scheme=Unidirectional(min_deg=-50, max_deg=66, increment=ConstantIncrement(step_deg=1)),
        specimen=Specimen(thickness_A=1200),
    ),
}
ONE_TILT = {"one tilt": predicted(scheme=Explicit(tilts_deg=(0,)), camera=Camera(pixel_A=8.0))}


def compared(designs: dict[str, Prediction]) -> Figure:
    return compare_figure(list(designs.values()), list(designs))


TILTS = np.array([5.0, 10, 20, 30, 40, 50, 60, 80, 120, 240])


def swept(tilts: Array = TILTS) -> dict[str, tuple[Array, Array]]:
    """Give curves like those of a search: one peak at 40 tilts, which is 1 there and falls by the square of ln."""
    peak = 1 - 0.25 * np.log(tilts / 40) ** 2
    return {
        "everything": (tilts, peak),
        "perfect alignment": (tilts, np.where(tilts > 40, 1.4 - 16 / tilts, peak)),
        "gapless sampling": (tilts, np.where(tilts < 40, 1.4 - tilts / 100, peak)),
        "neither": (tilts, np.full(len(tilts), 1.42)),
    }


@pytest.fixture(scope="module")
def odd() -> Figure:
    return laid_out("six odd designs")


def labelled(figure: Figure, label: str) -> list[Axes]:
    return [axes for axes in figure.axes if axes.get_ylabel() == label]


def panel(figure: Figure, letter: str) -> Axes:
    (axes,) = (axes for axes in figure.axes if axes.get_title(loc="left").startswith(f"{letter}  "))
    return axes


def lines(axes: Axes) -> list[tuple[Array, Array]]:
    return [(np.asarray(line.get_xdata()), np.asarray(line.get_ydata())) for line in axes.lines]


# What is drawn


def test_bars_stand_on_the_exposure_before_at_the_tilt_of_the_stage(odd: Figure) -> None:
    for axes, prediction in zip(labelled(odd, "e/Å²"), ODD.values(), strict=True):
        before, own = (list(bars) for bars in axes.containers if isinstance(bars, BarContainer))
        for exposure, low, high in zip(prediction.plan, before, own, strict=True):
            for bar in (low, high):
                assert bar.get_x() + bar.get_width() / 2 == pytest.approx(exposure.tilt_deg, abs=1e-9)
            assert (low.get_y(), low.get_height()) == pytest.approx((0, exposure.pre_exposure_e_A2))
            assert high.get_y() == pytest.approx(exposure.pre_exposure_e_A2)
            assert high.get_height() == pytest.approx(exposure.exposure_e_A2)


def test_bars_of_one_design_do_not_lie_on_each_other(odd: Figure) -> None:
    for axes in labelled(odd, "e/Å²"):
        bars = sorted(axes.containers[0], key=lambda bar: bar.get_x())
        for one, following in itertools.pairwise(bars):
            assert one.get_x() + one.get_width() <= following.get_x() + 1e-9


def test_the_stage_is_where_it_is_when_it_exposes(odd: Figure) -> None:
    for axes, prediction in zip(labelled(odd, "tilt (°)"), ODD.values(), strict=True):
        (minutes, tilts), (marks, marked) = lines(axes)
        clock, stage_deg = prediction.clock, prediction.plan.design.slab.stage_deg
        assert minutes[0] == 0
        assert minutes[-1] == pytest.approx(clock.duration_s / 60)
        assert np.all(np.diff(minutes) > 0)
        assert np.abs(np.diff(tilts)).sum() == pytest.approx(clock.stage_travel_deg)
        np.testing.assert_allclose(marked, stage_deg)
        rate = prediction.plan.design.routine.dose_rate_e_A2_per_s
        half_s = [exposure.exposure_e_A2 / rate / 2 for exposure in prediction.plan]
        np.testing.assert_allclose(60 * marks, clock.start_s + half_s)
        np.testing.assert_allclose(np.interp(marks, minutes, tilts), stage_deg, atol=1e-9)


def test_a_move_takes_what_the_speed_of_the_stage_gives(odd: Figure) -> None:
    ((minutes, tilts), _) = lines(labelled(odd, "tilt (°)")[4])
    moves = np.flatnonzero(np.diff(tilts))
    speeds = np.abs(np.diff(tilts)[moves]) / (60 * np.diff(minutes)[moves])
    np.testing.assert_allclose(speeds, 10.0)


def test_every_design_shows_the_image_of_its_ssnr_on_one_scale(odd: Figure) -> None:
    maps = [axes.images[0] for axes in odd.axes if axes.images]
    assert len(maps) == len(ODD)
    assert len({id(drawn.norm) for drawn in maps}) == 1
    for drawn, prediction in zip(maps, ODD.values(), strict=True):
        left, right, bottom, top = drawn.get_extent()
        assert (left, bottom, top) == (-right, 0, right)
        np.testing.assert_array_equal(np.asarray(drawn.get_array()), ssnr_image(prediction, right))


def test_rows_share_their_axes(odd: Figure) -> None:
    for label, reach in (("e/Å²", (0, 120)), ("tilt (°)", (-60, 70))):
        rows = labelled(odd, label)
        assert len({(axes.get_xlim(), axes.get_ylim()) for axes in rows}) == 1
        assert rows[0].get_ylim()[0] <= reach[0] < reach[1] <= rows[0].get_ylim()[1]


def places() -> tuple[Array, Array]:
    """Return height and side of the middle of each pixel of the image, in pixels."""
    z, x = np.mgrid[:IMAGE_PX, -IMAGE_PX:IMAGE_PX] + 0.5
    return z, x


@pytest.mark.parametrize("tilt_deg", [-50.0, -20.0, 0.0, 35.0, 70.0])
def test_the_image_of_one_tilt_is_a_strip_across_the_beam(tilt_deg: float) -> None:
    diameter_A, pixel = 150.0, 0.1 / IMAGE_PX
    one = predicted(scheme=Explicit(tilts_deg=(tilt_deg,)), specimen=Specimen(diameter_A=diameter_A))
    image = ssnr_image(replace(one, information=7.0 * one.k[None, :]), 0.1)  # in a line, as it is interpolated
    z, x = (pixel * part for part in places())
    off = np.abs(z * np.cos(np.deg2rad(tilt_deg)) - x * np.sin(np.deg2rad(tilt_deg)))
    radius = np.hypot(x, z)
    inside = (off < 0.5 / diameter_A - 2 * pixel) & (radius < 0.1 - 2 * pixel)
    outside = (off > 0.5 / diameter_A + 2 * pixel) | (radius > 0.1 + pixel)
    assert inside.sum() > 5000
    assert np.all(image[outside] == 0)
    # Frequencies of a fifth of a bin are drawn as one, and what comes before the middle of the first bin is as there.
    np.testing.assert_allclose(image[inside], 7.0 * np.maximum(radius[inside], one.k[0]), atol=7.0 * one.k[0] / 2)


def test_the_mean_of_the_image_over_a_ring_is_that_of_the_prediction_over_directions() -> None:
    prediction = FOUR["dose-symmetric hagen"]
    strength = np.linspace(1, 9, len(prediction.plan))[:, None]
    prediction = replace(prediction, information=strength * prediction.k)
    image = ssnr_image(prediction, 0.11)
    radius = np.hypot(*places()) * 0.11 / IMAGE_PX
    means = prediction.ssnr(np.arange(0.005, 180, 0.01)).mean(axis=0)
    for at in range(2, 28):
        ring = np.abs(radius - prediction.k[at]) < prediction.k[0] / 2
        assert image[ring].mean() == pytest.approx(means[at], rel=0.04)


def test_the_wedge_is_empty_and_what_was_seen_first_is_known_best() -> None:
    image = ssnr_image(FOUR["unidirectional"], 0.11)
    z, x = places()
    from_normal_deg = np.rad2deg(np.arctan2(np.abs(x), z))
    assert np.all(image[(from_normal_deg < 28) & (np.hypot(x, z) > 0.2 * IMAGE_PX)] == 0)
    ring = np.abs(np.hypot(x, z) / IMAGE_PX * 0.11 - 1 / 20) < 0.003
    assert image[ring & (x < 0)].mean() > 2 * image[ring & (x > 0)].mean()  # it began at -60


def test_curves_over_frequency_are_the_predictions(odd: Figure) -> None:
    for at, prediction in enumerate(ODD.values()):
        for letter, expected in (
            ("d", signal_transfer(prediction.plan, prediction.k)),
            ("e", prediction.bits_per_A / 1e6),
            ("f", 100 * prediction.volume.measured),
        ):
            k, drawn = lines(panel(odd, letter))[at]
            np.testing.assert_array_equal(k, prediction.k)
            np.testing.assert_allclose(drawn, expected)


def test_the_legend_has_the_area_under_each_curve(odd: Figure) -> None:
    axes = panel(odd, "e")
    legend = axes.get_legend()
    assert legend is not None
    assert "Mbit/µm²" in legend.get_title().get_text()
    for (k, drawn), text in zip(lines(axes), legend.get_texts(), strict=True):
        assert float(text.get_text()) == pytest.approx(drawn.sum() * (k[1] - k[0]), rel=5e-3)


def test_the_axis_of_information_holds_nearly_all_of_it(odd: Figure) -> None:
    axes = panel(odd, "e")
    for k, drawn in lines(axes):
        assert drawn[k <= axes.get_xlim()[1] + 1e-9].sum() >= 0.99 * drawn.sum()


def test_curves_over_tilt_are_the_predictions_in_the_order_of_angles(odd: Figure) -> None:
    for at, prediction in enumerate(ODD.values()):
        by_tilt = sorted(
            zip(
                prediction.plan.design.slab.stage_deg,
                prediction.snr,
                prediction.alignment_error_A,
                100 * prediction.transmission,
                strict=True,
            )
        )
        tilts, *columns = (np.array(column) for column in zip(*by_tilt, strict=True))
        for letter, expected in zip("ghi", columns, strict=True):
            drawn_at, drawn = lines(panel(odd, letter))[at]
            np.testing.assert_allclose(drawn_at, tilts)
            np.testing.assert_allclose(drawn, expected)


def test_the_band_is_the_transmission_at_both_ends_of_the_mean_free_path_once_for_each_specimen(odd: Figure) -> None:
    bands = panel(odd, "i").collections
    assert len(bands) == 3  # three specimens: flat, on a lamella, thinner
    assert len(panel(laid_out("one tilt"), "i").collections) == 2  # a band of no width, and a line to see it
    prediction = ODD["dose-symmetric"]
    vertices = np.asarray(bands[0].get_paths()[0].vertices)
    for at, tilt in enumerate(prediction.plan.design.slab.stage_deg):
        heights = vertices[np.isclose(vertices[:, 0], tilt), 1]
        low, high = (100 * end[at] for end in prediction.transmission_range)
        assert (heights.min(), heights.max()) == pytest.approx((low, high))


def test_resolution_is_labelled_where_it_is(odd: Figure) -> None:
    found = 0
    for axes in odd.axes:
        if axes.get_xlabel() != "resolution (Å)":
            continue
        for place, text in zip(axes.get_xticks(), axes.get_xticklabels(), strict=True):
            expected = 0.0 if text.get_text() == "∞" else 1 / float(text.get_text())
            assert abs(place) == pytest.approx(expected)
            found += 1
    assert found > 20
    maps = [axes for axes in odd.axes if axes.images]
    assert {text.get_text() for text in maps[-1].get_xticklabels()} == {"40", "20", "10"}
    for axes in maps:
        radii = sorted(patch.get_width() / 2 for patch in axes.patches)  # type: ignore[attr-defined]
        assert radii[:3] == pytest.approx([1 / 40, 1 / 20, 1 / 10])


def test_every_panel_has_axes_labelled_with_units(odd: Figure) -> None:
    for letter in "defghi":
        axes = panel(odd, letter)
        assert re.search(r"\(.+\)", axes.get_xlabel())
        assert axes.get_ylabel()


# Whether it can be read

FIGURES: dict[str, Callable[[], Figure]] = {
    "six odd designs": lambda: compared(ODD),
    "one tilt": lambda: compared(ONE_TILT),
    "sweet spot": lambda: sweet_spot_figure(swept(), 40, "score, the best design being 1"),
    "session": lambda: session_ctf_figure(predicted(defocus=StaggeredDefocus())),
    "session of one defocus": lambda: session_ctf_figure(predicted()),
}


@cache
def laid_out(name: str) -> Figure:
    """Give a figure that every test may look at and none may change."""
    figure = FIGURES[name]()
    FigureCanvasAgg(figure)
    figure.draw_without_rendering()
    return figure


def words(figure: Figure) -> Iterator[Text]:
    """Give every text that is drawn: matplotlib keeps labels of ticks outside of an axis, and does not draw them."""
    kept = set()
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            inside, count = sorted(axis.get_view_interval()), len(axis.get_majorticklocs())
            for at, tick in enumerate(axis.get_major_ticks()):
                if at >= count or not axes.axison or not inside[0] - 1e-9 <= tick.get_loc() <= inside[1] + 1e-9:
                    kept.add(tick.label1)
    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        if text.get_visible() and text.get_text().strip() and text not in kept:
            yield text


@pytest.mark.parametrize("name", FIGURES)
def test_every_word_is_on_the_page_and_none_on_another(name: str) -> None:
    figure = laid_out(name)
    shown = [(text.get_text(), text.get_window_extent()) for text in words(figure)]
    assert len(shown) > 8
    width, height = figure.bbox.width, figure.bbox.height
    for words_of, box in shown:
        assert box.x0 >= 0, words_of
        assert box.y0 >= 0, words_of
        assert box.x1 <= width, words_of
        assert box.y1 <= height, words_of
    for (one, box), (other, other_box) in itertools.combinations(shown, 2):
        over_x = min(box.x1, other_box.x1) - max(box.x0, other_box.x0)
        over_y = min(box.y1, other_box.y1) - max(box.y0, other_box.y0)
        # The box of a line of text has a point of air above and below its letters.
        assert over_x <= 0.5 or over_y <= 1.0, f"{one!r} and {other!r}"


def test_panels_of_a_column_begin_at_one_place(odd: Figure) -> None:
    for letters, label in (("dg", "e/Å²"), ("eh", "tilt (°)")):
        column = [*labelled(odd, label), *(panel(odd, letter) for letter in letters)]
        assert len(column) == 8
        for end in ("x0", "x1"):
            assert np.ptp([getattr(axes.get_position(), end) for axes in column]) < 1e-9
    for rows in zip(labelled(odd, "e/Å²"), labelled(odd, "tilt (°)"), strict=True):
        assert np.ptp([axes.get_position().y0 for axes in rows]) < 1e-9


def test_names_are_shown_as_they_are_given(odd: Figure) -> None:
    shown = [text.get_text() for text in words(odd)]
    assert shown.count("_three $tilts$ & <more>") == 1  # among the curves; in its row it has two lines
    assert "_three $tilts$ &\n<more>" in shown
    assert shown.count("c d") == 2


@settings(max_examples=40, deadline=None)
@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=120), st.floats(0.6, 3))
def test_shortened_names_fit_and_keep_both_ends(name: str, width_in: float) -> None:
    short = shortened(name, width_in, 8.0)
    figure = Figure(dpi=72)
    drawn = figure.text(0, 0, short, size=8.0, parse_math=False)
    FigureCanvasAgg(figure)
    extent = drawn.get_window_extent()
    assert extent.width <= 72 * width_in + 5  # hinting to whole pixels at 72 dpi, where a letter may gain a fraction
    clean = " ".join(name.split())
    if short != clean:
        begin, end = short.split("…")[0], short.split("…")[-1]
        assert clean.startswith(begin)
        assert clean.endswith(end)
        assert len(begin) - len(end) in (0, 1)


def test_two_lines_break_where_words_end() -> None:
    assert in_two_lines("short", 1.6, 8.5) == "short"
    first, second = in_two_lines("dose symmetric by two from minus nine", 1.6, 8.5).split("\n")
    assert f"{first} {second}" == "dose symmetric by two from minus nine"
    assert in_two_lines(LONG, 1.6, 8.5).endswith("krios_3")
    assert in_two_lines(LONG, 1.6, 8.5).count("\n") == 1


def test_wrapping_keeps_every_word() -> None:
    text = "a note that is longer than one line of the column of words at the left"
    lines_of = wrapped(text, 1.0, 7.0).split("\n")
    assert len(lines_of) > 3
    assert [word for line in lines_of for word in line.split()] == text.split()


# Limits and errors


@pytest.mark.parametrize("count", [0, MOST_DESIGNS + 1, 40])
def test_other_numbers_of_designs_are_refused_by_their_number(count: int) -> None:
    with pytest.raises(InputError, match=rf"1 to 6 designs, and {count} were given"):
        compare_figure([FOUR["unidirectional"]] * count, ["a"] * count)


def test_every_design_needs_a_name() -> None:
    with pytest.raises(InputError, match="2 designs and 1 names"):
        compare_figure([FOUR["unidirectional"]] * 2, ["a"])


def test_a_coarse_camera_shows_what_it_can() -> None:
    (axes,) = (axes for axes in laid_out("one tilt").axes if axes.images)
    assert axes.images[0].get_extent()[1] == pytest.approx(1 / 16)
    assert [text.get_text() for text in axes.get_xticklabels()] == ["20", "40", "40", "20"]


def test_matplotlib_is_left_as_it_was(tmp_path: Path) -> None:
    before = dict(mpl.rcParams)
    write_figure(tmp_path / "s.svg", session_ctf_figure(ONE_TILT["one tilt"]))
    sweet_spot_figure(swept(), 40, "bits")
    assert dict(mpl.rcParams) == before


# The sweet spot


def test_curves_of_the_sweet_spot_are_those_given() -> None:
    curves = swept()
    (axes,) = sweet_spot_figure(curves, 40, "bits").axes
    drawn = {str(line.get_label()): line for line in axes.lines}
    for name, (tilts, worth) in curves.items():
        np.testing.assert_array_equal(drawn[name].get_xdata(), tilts)
        np.testing.assert_array_equal(drawn[name].get_ydata(), worth)
    assert max(curves, key=lambda name: drawn[name].get_linewidth()) == "everything"
    assert axes.get_xscale() == "log"
    assert axes.get_ylabel() == "bits"
    assert {"40 tilts", *curves} <= {text.get_text() for text in axes.texts}
    (mark,) = (line for line in axes.lines if line.get_marker() == "o")
    np.testing.assert_allclose(np.asarray(mark.get_xdata()), [40])
    np.testing.assert_allclose(np.asarray(mark.get_ydata()), [1.0])


def test_what_is_within_one_per_cent_is_shaded() -> None:
    # 1 - ln²(n / 40) / 4 is 0.99 where ln is 0.2 off, on a sweep as fine as makes a straight line a curve.
    tilts = np.arange(5.0, 241)
    (axes,) = sweet_spot_figure(swept(tilts), 40, "bits").axes
    (shade,) = axes.patches
    box = shade.get_path().get_extents(shade.get_patch_transform())
    assert (box.x0, box.x1) == pytest.approx((40 * np.exp(-0.2), 40 * np.exp(0.2)), rel=2e-3)
    assert any(text.get_text() == "within 1 %:\n33 to 48 tilts" for text in axes.texts)


def test_a_best_number_that_limits_chose_is_shaded_where_it_is() -> None:
    tilts = np.arange(5.0, 241)
    (axes,) = sweet_spot_figure(swept(tilts), 20, "bits").axes
    (shade,) = axes.patches
    box = shade.get_path().get_extents(shade.get_patch_transform())
    assert 19 < box.x0 < 20 < box.x1 < 21  # not up to the peak, which is better but not allowed


def test_a_peak_at_the_end_is_shaded_to_the_end() -> None:
    (axes,) = sweet_spot_figure({"everything": (np.array([10.0, 20, 40]), np.array([1.0, 2, 3]))}, 40, "bits").axes
    (shade,) = axes.patches
    assert shade.get_path().get_extents(shade.get_patch_transform()).x1 == pytest.approx(40)


def test_labels_stand_by_the_ends_of_their_curves() -> None:
    curves = swept()
    (axes,) = sweet_spot_figure(curves, 40, "bits").axes
    top = axes.get_ylim()[1]
    placed = {text.get_text(): text.xyann[1] * top for text in axes.texts if text.get_text() in curves}  # type: ignore[attr-defined]
    for name, (_, worth) in curves.items():
        assert placed[name] == pytest.approx(worth[-1], abs=0.1 * top)
    assert sorted(placed, key=placed.__getitem__)[-1] == "neither"


def test_the_caption_names_the_cause_of_both_flanks() -> None:
    caption = sweet_spot_figure(swept(), 40, "bits").get_supxlabel()
    assert re.search(r"left flank .*gaps.* right flank .*alignment", caption.replace("\n", " "))
    assert caption.count(".") == 1


@pytest.mark.parametrize(
    ("curves", "best", "says"),
    [
        ({"neither": swept()["neither"]}, 40, 'no curve "everything".*neither'),
        ({}, 40, "none"),
        (swept(), 4, "4 tilts .* from 5 to 240"),
        (swept(), 300, "300 tilts .* from 5 to 240"),
    ],
)
def test_a_sweet_spot_that_cannot_be_shown_is_refused(
    curves: dict[str, tuple[Array, Array]], best: int, says: str
) -> None:
    with pytest.raises(InputError, match=says):
        sweet_spot_figure(curves, best, "bits")


# The session's contrast transfer


def test_the_session_is_drawn_as_predicted() -> None:
    prediction = predicted(defocus=StaggeredDefocus(low_A=15_000, high_A=41_000, series=6, index=2))
    (axes,) = session_ctf_figure(prediction).axes
    (fine, mean), (own_at, own) = lines(axes)
    seen = prediction.k[prediction.k < 1 / 8]
    places = np.searchsorted(fine, seen - 1e-9)
    np.testing.assert_allclose(fine[places], seen)
    np.testing.assert_allclose(mean[places], prediction.session_ctf2(prediction.k)[: len(seen)], atol=1e-9)
    np.testing.assert_allclose(own, mean_ctf2(own_at, 1.5e4 * (41 / 15) ** 0.4, Lens()))
    labels = [str(line.get_label()) for line in axes.lines]
    assert labels == ["mean of 6 series, 1.5 to 4.1 µm", "this series, 2.24 µm"]


def test_one_defocus_is_one_curve() -> None:
    prediction = predicted()
    (axes,) = session_ctf_figure(prediction).axes
    ((k, own),) = lines(axes)
    np.testing.assert_allclose(own, mean_ctf2(k, 30_000.0, Lens()))
    assert not axes.collections
    # Zeros are where the phase λ z k² is whole (Cs and amplitude contrast move the first ones a little).
    first = k[:-1][(own[1:] > own[:-1]) & (own[:-1] < 0.01)][1]
    assert first == pytest.approx(np.sqrt(1 / (0.0197 * 30_000)), rel=0.03)


# Files


@pytest.mark.parametrize(
    ("name", "suffix"),
    [("one tilt", ".svg"), ("sweet spot", ".svg"), ("session", ".svg"), ("session", ".pdf"), ("session", ".png")],
)
def test_the_same_figure_gives_the_same_bytes(tmp_path: Path, name: str, suffix: str) -> None:
    first, second = (tmp_path / f"{at}{suffix}" for at in "ab")
    once, again = laid_out(name), FIGURES[name]()
    again.set_dpi(150)
    again.draw_without_rendering()  # a figure that was shown before it is saved
    write_figure(first, once)
    write_figure(second, again)
    assert first.read_bytes() == second.read_bytes()


def test_a_drawing_is_xml_whose_text_is_text_and_that_names_no_place(tmp_path: Path, odd: Figure) -> None:
    path = tmp_path / "figure.svg"
    write_figure(path, odd)
    text = path.read_text(encoding="utf-8")
    root = ElementTree.fromstring(text)
    said = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    for expected in ("Saxton", "_three $tilts$ & <more>", "stage tilt (°)", "resolution (Å)", "SSNR"):
        assert expected in said
    assert str(tmp_path) not in text
    assert not re.search(r"/(home|work|tmp|usr|root|Users)/", text)
    links = re.findall(r'href="([^"]*)"', text)
    assert all(link.startswith(("#", "data:image/png;base64,")) for link in links)
    assert "<dc:date>" not in text


def test_a_picture_has_two_hundred_dots_to_the_inch_on_white(tmp_path: Path) -> None:
    figure = session_ctf_figure(FOUR["unidirectional"])
    path = tmp_path / "new folder" / "figure.PNG"
    write_figure(path, figure)
    with Image.open(path) as picture:
        assert picture.size == tuple(round(200 * inches) for inches in figure.get_size_inches())
        assert picture.convert("RGBA").getpixel((0, 0)) == (255, 255, 255, 255)


def test_a_page_is_pdf_with_its_letters(tmp_path: Path) -> None:
    path = tmp_path / "figure.pdf"
    write_figure(path, session_ctf_figure(FOUR["unidirectional"]))
    content = path.read_bytes()
    assert content.startswith(b"%PDF-")
    assert b"/CIDFontType2" in content  # TrueType, not outlines


@pytest.mark.parametrize("name", ["figure.jpg", "figure", "figure.svgz"])
def test_other_kinds_of_file_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(OutputError, match=r"\.png, \.svg or \.pdf"):
        write_figure(tmp_path / name, Figure())
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_the_earlier_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "figure.svg"
    path.write_text("earlier")

    def save(self: Figure, to: Path, **_: object) -> None:
        Path(to).write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device", str(to))

    monkeypatch.setattr(Figure, "savefig", save)
    with pytest.raises(OutputError, match="disk is full"):
        write_figure(path, Figure())
    assert path.read_text() == "earlier"
    assert list(tmp_path.iterdir()) == [path]
