"""The page of a restoration: complete, self-contained, and saying what the figures say."""

import io
import re
from base64 import b64decode
from collections import Counter
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from test_report_page import HOSTILE, Page

from eucentric.core import InputError, OutputError, stream
from eucentric.processing.restoration import Examination, HalfTomograms, Look, Restored, RestoreSettings, Trained
from eucentric.report import RestorationShown, restoration, write_restoration_report
from eucentric.report.figures.restoration import training
from eucentric.report.headline import Number
from eucentric.report.restoration_words import (
    departures,
    filled_A,
    how_it_ended,
    mean_misfit,
    numbers,
    reach_A,
    statement,
    warnings,
)

SHAPE = (20, 44, 36)
SHELLS = 24
K = np.linspace(1.5, SHELLS + 0.5, SHELLS) / (SHELLS + 1) / 20  # 1/Å, of voxels of 10 Å
FALLING: NDArray[np.float64] = np.exp(-((K / 0.02) ** 2))


def curve(values: NDArray[np.floating] | float) -> tuple[float, ...]:
    return tuple((np.zeros(SHELLS) + values).tolist())


def found(**changes: Any) -> Examination:
    """Halves that agree to 30 Å, a wedge that is filled to 40 % of the rest, and data that are kept to."""
    values: dict[str, Any] = {
        "frequency_1_A": curve(K),
        "power_before": curve(FALLING + 0.1),
        "power_after": curve(1e6 * FALLING),
        "missing_before": curve(1e-4 * (K > 0.008)),
        "missing_after": curve(0.4e6 * FALLING * (K > 0.008)),
        "misfit": curve(1.02),
        "fsc_before": curve(np.where(K < 1 / 30, 0.9, 0.05)),
        "fsc_after": curve(np.where(K < 1 / 28, 0.95, 0.1)),
        "fsc_unseen": (None, *curve(0.9)[1:]),
        "supported_A": 30.0,
        "missing_share": 0.123,
    }
    return Examination(**{**values, **changes})


def shown(examination: Examination | None = None, **changes: Any) -> RestorationShown:
    draw = stream(0, "restored")
    volumes = [draw.normal(0, 1, SHAPE).astype(np.float32) for _ in range(5)]
    volumes[2][12:, 18:, :] -= 8  # dark density
    looks = tuple(
        Look(step=200 * (i + 1), seconds=30.0 * (i + 1), loss=1 + 2.0**-i, held_out=1.1 + 8.0**-i) for i in range(8)
    )
    values: dict[str, Any] = {
        "pair": HalfTomograms("TS_03", volumes[0], volumes[1], 10.0, tuple(range(-60, 61, 3))),
        "restored": Restored(volumes[2], volumes[3], volumes[4], np.abs(volumes[3]), 10.0, (slice(0, 0),) * 3),
        "trained": Trained(RestoreSettings(), 10.0, {}, {}, looks, "held-out data were not explained better any more"),
        "examination": examination or found(),
    }
    return RestorationShown(**{**values, **changes})


def written(path: Path, data: RestorationShown) -> tuple[str, Page]:
    write_restoration_report(path / "restored.html", data)
    text = (path / "restored.html").read_text(encoding="utf-8")
    return text, Page(text)


def number(data: RestorationShown, key: str) -> Number:
    return next(one for one in numbers(data) if one.key == key)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Page]:
    data = shown(
        timings={"train": 240.0, "restore": 3.0},
        warnings=("the tilts were not in the header",),
        inputs=(("TS_03_even.mrc", "sha256:0123abcd"), ("TS_03_odd.mrc", "")),
        written=datetime(2024, 5, 6, 7, 8),
        learned_from=("TS_01", "TS_03"),
    )
    return written(tmp_path_factory.mktemp("restored"), data)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw the training only, which is quick."""
    monkeypatch.setattr(restoration, "_SUBJECTS", restoration._SUBJECTS[-1:])


def test_the_page_is_well_formed_and_needs_nothing_from_outside(page: tuple[str, Page]) -> None:
    text, read = page
    assert not read.open
    for tag, values in read.tags:
        for name in ("src", "href", "xlink:href", "action", "data", "poster"):
            if name in values:
                assert values[name].startswith(("data:", "#")), (tag, values[name][:60])
    without_names = re.sub(r"""xmlns(:\w+)?=("|%27)http://www\.w3\.org/[\w/]+("|%27)""", "", text)
    assert not re.search(r"https?://", without_names)
    assert "default-src 'none'" in text


def test_ids_are_unique_and_every_reference_is_there(page: tuple[str, Page]) -> None:
    text, read = page
    ids = Counter(values["id"] for _, values in read.tags if "id" in values)
    assert [name for name, n in ids.items() if n > 1] == []
    wanted = {v[name][1:] for _, v in read.tags for name in ("href", "xlink:href") if v.get(name, "").startswith("#")}
    wanted |= set(re.findall(r"url\(#([^)]+)\)", text))
    assert wanted
    assert wanted <= set(ids)


def test_every_section_and_picture_is_there_with_a_caption(page: tuple[str, Page]) -> None:
    _, read = page
    for name in ("summary", "warnings", "supported", "slices", "data", "agreement", "wedge", "training", "settings"):
        assert len(read.by_id[name].strip()) > 5, name
    for name in ("restored-slices", "misfit", "halves-agreement", "power", "filled", "training-loss"):
        assert len(read.by_id[name].strip()) > 60, name
    for tag, values in read.tags:
        if tag == "svg":
            assert len(values["aria-label"]) > 60
    for word in ("TS_01, TS_03", "the tilts were not in the header"):
        assert word in page[0]
    for word in ("sha256:0123abcd", "no digest taken", "4 min 00 s", "cube_px", "20 × 44 × 36", "−60° to 60°", "torch"):
        assert word in read.by_id["settings"], word
    assert "2024-05-06 07:08" in page[0]


def test_nine_slices_are_shown_and_dark_density_stays_dark(page: tuple[str, Page]) -> None:
    _, read = page
    drawn = [values for tag, values in read.tags if tag == "image"]
    assert len(drawn) == 9
    pictures = []
    for values in drawn:
        stored = Image.open(io.BytesIO(b64decode(values["xlink:href"].split(",", 1)[1])))
        rows = -1 if float(values["transform"].split()[3]) < 0 else 1  # matrix(x 0 0 y ...): turned over where y < 0
        pictures.append(np.asarray(stored, dtype=float)[::rows])
    nz, ny, nx = SHAPE
    assert [picture.shape for picture in pictures] == [(ny, nx), (nz, nx), (nz, ny)] * 3
    for i in (4, 5):  # restored, xz and yz: dense at high z, which is drawn above (and at high y, to the right)
        upper, lower = pictures[i][: nz // 2 - 3], pictures[i][nz // 2 :]
        dense = upper[:, upper.shape[1] * 2 // 3 :] if i == 5 else upper
        assert dense.mean() + 60 < lower.mean()


def test_what_is_supported_is_said_from_the_figures() -> None:
    support, wedge, kept = statement(shown())
    assert "agree to 30 Å" in support
    assert "supplied by the model alone" in support
    assert "At least 12 %" in wedge
    assert "nowhere filled" in wedge
    assert "1.02 times" in kept
    assert "keeps to them" in kept
    assert warnings(shown()) == ()
    assert number(shown(), "supported").value == "to 30 Å"
    assert number(shown(), "missing").value == "12 %"
    assert "1600 steps in 4 min 00 s" in number(shown(), "method").note


def test_of_halves_of_tilts_it_is_said_that_less_can_be_trusted() -> None:
    data = shown()
    (said,) = warnings(replace(data, pair=replace(data.pair, even_views=tuple(range(0, 41, 2)))))
    assert "stated uncertainty is too small" in said


def test_of_halves_that_do_not_agree_nothing_is_supported() -> None:
    data = shown(found(supported_A=None, fsc_before=curve(0.01)))
    assert any("nothing in the restored tomogram is supported" in said for said in warnings(data))
    assert "nothing" in statement(data)[0]
    assert number(data, "supported").value == "–"
    assert "those before agree nowhere" in statement(data)[-1]


def test_halves_that_agree_to_the_end_leave_nothing_to_the_model() -> None:
    support = statement(shown(found(supported_A=20.0, fsc_before=curve(0.9))))[0]
    assert "as fine as these voxels can show" in support
    assert "model" not in support


@pytest.mark.parametrize(
    ("share", "missing", "words"),
    [(0.004, 1e-3, "was not filled (it has 0.4 %"), (0.2, 0.8, "20 % of the restored"), (0.2, 0.8, "down to 20 Å")],
)
def test_how_full_the_wedge_is_decides_what_is_said_of_it(share: float, missing: float, words: str) -> None:
    after = curve(missing * 1e6 * FALLING * (K > 0.008))
    assert words in statement(shown(found(missing_share=share, missing_after=after)))[1]


def test_a_wedge_is_filled_to_where_it_first_is_half_empty() -> None:
    after = 1e6 * FALLING * np.where(K < 1 / 50, 0.9, 0.1) * (K > 0.008)
    filled = filled_A(found(missing_after=curve(after)))
    assert filled == pytest.approx(1 / K[K < 1 / 50][-1])


def test_where_the_data_are_not_kept_to_is_warned_of() -> None:
    data = shown(found(misfit=curve(np.where(K < 0.01, 6.0, 0.98))))
    (band,) = departures(data.examination)
    assert band.coarse_A == pytest.approx(1 / K[0])
    assert band.fine_A == pytest.approx(1 / 0.01, rel=0.2)
    assert band.most == pytest.approx(6)
    (warning,) = warnings(data)
    assert "From 333 to" in warning
    assert "6.0 times what noise would leave (32 % of the data's power)" in warning  # 6 x 0.1 / 1.9
    said = statement(data)[2]
    assert "but 6.0 times from 333 to" in said
    assert "Å: there it does not keep to them" in said
    assert "still holds some" in statement(shown(found(misfit=curve(0.3))))[2]


def test_what_the_halves_share_beyond_their_detail_may_be_left_out() -> None:
    shared = curve(np.where(K < 1 / 30, 0.9, 0.14))  # what is left of the data is then (1 + .14) / (1 - .14)
    left = found(fsc_before=shared, misfit=curve(np.where(K < 1 / 30, 1.0, 1.33)))
    assert departures(left) == ()
    assert departures(left.replace(misfit=curve(np.where(K < 1 / 30, 1.0, 2.0))))
    assert departures(left.replace(misfit=curve(1.33)))


def test_the_misfit_is_that_of_a_coefficient_the_data_support() -> None:
    assert mean_misfit(found(misfit=curve(np.where(K <= 1 / 30, 1.0, 9.0)))) == pytest.approx(1)
    fine = curve(np.where(K < 1 / 60, 0.0, 1.0))
    shells = K[K <= 1 / 30]
    expected = np.sum(shells[shells >= 1 / 60] ** 2) / np.sum(shells**2)
    assert mean_misfit(found(misfit=fine)) == pytest.approx(expected)


def test_agreement_that_only_the_model_made_is_called_so() -> None:
    assert len(statement(shown())) == 3  # to 28 Å, and 30 Å before
    data = shown(found(fsc_after=curve(0.99)))
    said = statement(data)[3]
    assert "agree to 20 Å (to 20 Å where it was not trained)" in said
    assert "while those before agree to 30 Å" in said
    assert "not evidence" in said
    none = shown(found(fsc_after=curve(0.99), fsc_unseen=(None,) * SHELLS))
    assert "not trained" not in statement(none)[3]


def test_a_correlation_reaches_to_where_it_first_falls() -> None:
    assert reach_A((0.01, 0.02, 0.03, 0.04), (None, 0.5, 0.1, 0.9)) == 50
    assert reach_A((0.01, 0.02), (0.1, 0.9)) is None
    assert reach_A((0.01,), (None,)) is None


def test_training_that_was_cut_short_is_said_to_be() -> None:
    data = shown()
    short = tuple(look.replace(held_out=3 - 0.2 * i) for i, look in enumerate(data.trained.looks))
    (warning,) = warnings(replace(data, trained=replace(data.trained, looks=short, ended="10 minutes were over")))
    assert "train it for longer" in warning
    assert warnings(replace(data, trained=replace(data.trained, looks=short, ended=""))) == ()


def test_without_looks_no_curve_is_drawn_and_that_is_said() -> None:
    data = shown()
    untold = replace(data, trained=replace(data.trained, looks=()))
    assert training(untold) == ()
    assert how_it_ended(untold.trained) == "No look was taken at held-out data."
    assert number(untold, "method").note == "no looks"


def test_a_page_is_drawn_of_what_has_no_figures(tmp_path: Path) -> None:
    bare = found(
        missing_after=curve(0), missing_before=curve(0), fsc_after=(None,) * SHELLS, fsc_unseen=(None,) * SHELLS,
        supported_A=None, missing_share=0.0, misfit=curve(0),
    )  # fmt: skip
    data = shown(bare)
    lost = replace(data.trained, looks=(Look(step=1, seconds=0, loss=float("nan"), held_out=float("nan")),))
    empty = replace(data.restored, full=np.zeros(SHAPE, np.float32), sigma=np.full(SHAPE, np.nan, np.float32))
    _, read = written(tmp_path, replace(data, trained=lost, restored=empty))
    assert read.by_id["halves-agreement"]


def test_a_hostile_or_foreign_name_stays_text(tmp_path: Path, few: None) -> None:
    data = shown()
    name = f"Zellkörper 細胞 {HOSTILE}"
    hostile = replace(
        data,
        pair=replace(data.pair, name=name),
        trained=replace(data.trained, ended=HOSTILE),
        learned_from=(name,),
        warnings=(HOSTILE,),
        timings={HOSTILE: 1.0},
        inputs=((HOSTILE, HOSTILE),),
    )
    _, read = written(tmp_path, hostile)
    assert read.by_tag["h1"] == name
    assert name in read.by_tag["title"]
    for section in ("warnings", "settings", "training"):
        assert HOSTILE in read.by_id[section]
    assert not any("onerror" in values for _, values in read.tags)


def test_volumes_that_do_not_belong_together_are_refused() -> None:
    data = shown()
    with pytest.raises(InputError, match="uncertainty"):
        replace(data, restored=replace(data.restored, sigma=data.restored.sigma[1:]))


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path, few: None) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="file"):
        write_restoration_report(tmp_path / "file" / "restored.html", shown())
