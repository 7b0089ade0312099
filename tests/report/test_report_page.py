import base64
import io
import json
import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from report_case import small_report

from eucentric.assessment import ThicknessFit
from eucentric.core import InputError, OutputError
from eucentric.report import ReportInput, summarise_alignment, write_report

VOID = {"meta", "link", "img", "input", "br"}
HOSTILE = "<img src=x onerror=alert(1)>\"'&amp;"


class Page(HTMLParser):
    """A page read back: its elements, their attributes, and the text in each element that has an id."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.open: list[tuple[str, str]] = []
        self.texts: Counter[str] = Counter()
        self.by_id: dict[str, str] = {}
        self.by_tag: dict[str, str] = {}
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.tags.append((tag, values))
        if tag not in VOID:
            self.open.append((tag, values.get("id", "")))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        for tag, name in self.open:
            self.by_tag[tag] = self.by_tag.get(tag, "") + data
            if name:
                self.by_id[name] = self.by_id.get(name, "") + data


def written(path: Path, data: ReportInput) -> tuple[str, Page]:
    write_report(path / "report.html", data)
    text = (path / "report.html").read_text(encoding="utf-8")
    return text, Page(text)


def decoded(uri: str) -> Image.Image:
    head, body = uri.split(",", 1)
    assert head == "data:image/jpeg;base64"
    return Image.open(io.BytesIO(base64.b64decode(body)))


def pictures(page: Page) -> list[Image.Image]:
    sources = [
        values.get("src") or values.get("xlink:href", "") for tag, values in page.tags if tag in ("img", "image")
    ]
    return [decoded(source) for source in sources] + [decoded(frame) for frame in movie(page)["frames"]]


def movie(page: Page) -> dict[str, list[str]]:
    frames: dict[str, list[str]] = json.loads(page.by_id["movie-frames"])
    return frames


@pytest.fixture(scope="module")
def report_input() -> ReportInput:
    """Give a small series with everything that a report shows."""
    return small_report()


@pytest.fixture(scope="module")
def default(tmp_path_factory: pytest.TempPathFactory, report_input: ReportInput) -> tuple[str, Page]:
    """Give the report of everything, its text and the page read back."""
    return written(tmp_path_factory.mktemp("default"), report_input)


def test_the_page_is_well_formed_and_needs_nothing_from_outside(default: tuple[str, Page]) -> None:
    text, page = default
    assert not page.open
    for tag, values in page.tags:
        for name in ("src", "href", "xlink:href", "action", "data", "poster"):
            if name in values:
                assert values[name].startswith(("data:", "#")), (tag, values[name][:60])
    without_names = re.sub(r"""xmlns(:\w+)?=("|%27)http://www\.w3\.org/[\w/]+("|%27)""", "", text)
    assert not re.search(r"https?://", without_names)
    assert not re.search(r"@import|url\((?!#)", text)
    assert "default-src 'none'" in text


def test_ids_are_unique_and_every_reference_is_there(default: tuple[str, Page]) -> None:
    text, page = default
    ids = Counter(values["id"] for _, values in page.tags if "id" in values)
    assert [name for name, n in ids.items() if n > 1] == []
    wanted = {
        values[name][1:]
        for _, values in page.tags
        for name in ("href", "xlink:href")
        if values.get(name, "").startswith("#")
    }
    wanted |= set(re.findall(r"url\(#([^)]+)\)", text))
    assert wanted
    assert wanted <= set(ids)


def test_every_section_and_figure_is_there_with_a_caption(default: tuple[str, Page]) -> None:
    _, page = default
    sections = (
        "summary",
        "warnings",
        "tomogram",
        "resolution",
        "axis",
        "alignment",
        "thickness",
        "views",
        "settings",
        "timings",
    )
    figures = (
        "slices", "movie", "fsc", "axis-search", "shifts-tilt", "shifts-order", "residual", "correlation", "rounds",
        "counts-tilt", "counts-path", "montage",
    )  # fmt: skip
    for name in sections + figures:
        assert len(page.by_id[name].strip()) > 5, name
    for tag, values in page.tags:
        if tag == "svg":
            assert len(values["aria-label"]) > 60
        if tag == "img":
            assert values["alt"]


def test_images_decode_and_show_something(default: tuple[str, Page]) -> None:
    _, page = default
    found = pictures(page)
    assert len(found) == 7 + 3 + 1 + 30  # views, slices, the movie's still, its frames
    for picture in found:
        assert 20 < max(picture.size) <= 660
        assert np.asarray(picture).std() > 5
    slices = sorted(picture.size for picture in found[:11] if picture.size in {(110, 90), (110, 30), (30, 90)})
    assert {(110, 30), (30, 90)} <= set(slices)


def test_the_first_row_is_shown_at_the_bottom(default: tuple[str, Page]) -> None:
    _, page = default
    view = next(values["src"] for tag, values in page.tags if tag == "img")
    for uri in (view, movie(page)["frames"][-1]):
        shown = np.asarray(decoded(uri), dtype=float)
        y, x = np.array(shown.shape) // 2
        corners = {"top": shown[:y, :x].mean(), "bottom": shown[y:, :x].mean(), "right": shown[y:, x:].mean()}
        assert max(corners, key=lambda name: corners[name]) == "bottom"


def test_views_come_in_the_order_of_acquisition(default: tuple[str, Page]) -> None:
    _, page = default
    views = [values["alt"] for tag, values in page.tags if tag == "img" and values["alt"].startswith("View")]
    angles = ("0.0°", "20.0°", "−20.0°", "40.0°", "−40.0°", "60.0°", "−60.0°")
    assert views == [f"View {i} at {angle}" for i, angle in enumerate(angles, start=1)]


def test_a_movie_names_the_height_of_its_frames(default: tuple[str, Page]) -> None:
    _, page = default
    heights = [float(z.replace("−", "-")) for z in movie(page)["z_nm"]]
    assert heights == sorted(heights)
    assert heights[15] == pytest.approx(0, abs=1)
    assert (heights[0], heights[-1]) == pytest.approx((-15, 14), abs=1.5)


def test_a_deep_tomogram_is_thinned_to_a_page_that_can_be_mailed(tmp_path: Path, report_input: ReportInput) -> None:
    deep = np.repeat(report_input.tomogram, 7, axis=0)
    _, page = written(tmp_path, replace(report_input, tomogram=deep))
    assert 60 <= len(movie(page)["frames"]) <= 80


def test_the_headline_says_what_the_records_say(default: tuple[str, Page], report_input: ReportInput) -> None:
    _, page = default
    summary = summarise_alignment(report_input.result)
    assert "6 of 7" in page.by_id["number-tilts"]
    assert "1 left out" in page.by_id["number-tilts"]
    assert (summary.median_residual_A, summary.worst_residual_A, summary.worst_section) == (4.5, 7.0, 5)
    assert "4.5 Å" in page.by_id["number-residual"]
    assert "largest 7.0 Å, at 40.0°" in page.by_id["number-residual"]
    assert f"{summary.mean_correlation:.2f}" in page.by_id["number-residual"]
    assert "−86.30° ± 0.70°" in page.by_id["number-axis"]
    assert "10.00 Å" in page.by_id["number-pixel"]
    assert "30 × 90 × 110" in page.by_id["number-pixel"]
    assert "1 min 44 s" in page.by_id["number-time"]  # 103.5 s
    fsc, thickness = report_input.fsc, report_input.thickness
    assert fsc is not None
    resolution_A = fsc.resolution_A(0.143)
    assert resolution_A is not None
    assert f"{resolution_A:.0f} Å" in page.by_id["number-fsc"]
    assert thickness is not None
    assert thickness.thickness_A is not None
    assert f"{thickness.thickness_A / 10:.0f} nm" in page.by_id["number-thickness"]
    assert "170 nm deep" in page.by_id["number-thickness"]


def test_what_was_left_out_and_every_warning_are_in_plain_sight(
    tmp_path: Path, default: tuple[str, Page], report_input: ReportInput
) -> None:
    _, page = default
    assert "grid bar over most of the view" in page.by_id["montage"]
    assert "View 6 at 60.0° was left out: grid bar over most of the view." in page.by_id["warnings"]
    assert "the header's pixel size was not believed" in page.by_id["warnings"]
    _, page = written(tmp_path, replace(report_input, series=report_input.series.replace(order_known=False)))
    assert "order of acquisition was not given" in page.by_id["warnings"]


def test_results_that_need_a_look_raise_their_own_warning(tmp_path: Path, report_input: ReportInput) -> None:
    result, search = report_input.result, report_input.result.axis_search
    assert search is not None
    poor = result.replace(
        axis_search=search.replace(best_deg=-100.0),
        tilts=tuple(tilt.replace(residual_A=25.0) for tilt in result.tilts),
    )
    _, page = written(tmp_path, replace(report_input, result=poor))
    assert "end of the range" in page.by_id["warnings"]
    assert "more than two pixels" in page.by_id["warnings"]


def test_every_setting_file_and_stage_is_listed(default: tuple[str, Page]) -> None:
    _, page = default
    for word in (
        "rounds",
        "axis",
        "not set",
        "patches.size_px",
        "128",
        "ts07.mrc",
        "sha256:0123abcd",
        "no digest taken",
    ):
        assert word in page.by_id["settings"]
    for word in ("eucentric", "numpy", "torch"):
        assert word in page.by_id["settings"]
    for word in ("align", "61 s", "reconstruct", "42 s", "1 min 44 s"):
        assert word in page.by_id["timings"]


def test_what_was_not_assessed_is_said_and_not_drawn(tmp_path: Path, report_input: ReportInput) -> None:
    fit = ThicknessFit(plausible=False, reason="the counts rise with tilt", mean_free_path_A=3150)
    bare = replace(
        report_input,
        result=report_input.result.replace(axis_search=None),
        fsc=None,
        sharpness=None,
        thickness=fit,
        settings={},
        timings={},
        warnings=(),
        inputs=(),
    )
    _, page = written(tmp_path, bare)
    assert "was given (−86.30°)" in page.by_id["axis"]
    assert "as given" in page.by_id["number-axis"]
    assert "not known" in page.by_id["resolution"]
    assert "the counts rise with tilt" in page.by_id["number-thickness"]
    assert "the counts rise with tilt" in page.by_id["counts-tilt"]
    assert "not measured" in page.by_id["number-sharpness"]
    assert "not recorded" in page.by_id["number-time"]
    assert not {"fsc", "axis-search", "counts-path"} & set(page.by_id)


def test_a_hostile_name_stays_text(tmp_path: Path, report_input: ReportInput) -> None:
    views = [view.replace(reason=HOSTILE, used=i < 4) for i, view in enumerate(report_input.result.alignment.tilts)]
    alignment = report_input.result.alignment.replace(tilts=tuple(views))
    hostile = replace(
        report_input,
        series=report_input.series.replace(name=HOSTILE),
        result=report_input.result.replace(alignment=alignment),
        settings={HOSTILE: {HOSTILE: HOSTILE}},
        timings={HOSTILE: 1.0},
        warnings=(HOSTILE,),
        inputs=((HOSTILE, HOSTILE),),
    )
    _, page = written(tmp_path, hostile)
    assert page.by_tag["h1"] == HOSTILE
    assert HOSTILE in page.by_tag["title"]
    for section in ("warnings", "settings", "timings", "montage"):
        assert HOSTILE in page.by_id[section]
    assert not any("onerror" in values or values.get("src") == "x" for _, values in page.tags)


def test_a_single_view_and_a_flat_tomogram_still_give_a_page(tmp_path: Path, report_input: ReportInput) -> None:
    result = report_input.result
    one = replace(
        report_input,
        series=report_input.series.replace(tilts=(report_input.series.tilts[0].replace(order=0),)),
        images=np.zeros((1, 20, 30), dtype=np.int16),
        mean_counts=np.zeros(1),
        result=result.replace(
            alignment=result.alignment.replace(tilts=result.alignment.tilts[:1]),
            tilts=result.tilts[:1],
            rounds_rms_A=(),
        ),
        tomogram=np.zeros((3, 20, 31), dtype=np.float32),
        thickness=None,
    )
    _, page = written(tmp_path, one)
    assert "1 of 1" in page.by_id["number-tilts"]


def test_parts_that_do_not_belong_together_are_refused(report_input: ReportInput) -> None:
    with pytest.raises(InputError, match="images have 6, mean counts have 3"):
        replace(report_input, images=report_input.images[:6], mean_counts=report_input.mean_counts[:3])
    with pytest.raises(InputError, match="3D"):
        replace(report_input, tomogram=report_input.tomogram[0])


def test_an_alignment_without_views_is_refused_and_nothing_is_written(
    tmp_path: Path, report_input: ReportInput
) -> None:
    alignment = report_input.result.alignment
    none = alignment.replace(tilts=tuple(view.replace(used=False) for view in alignment.tilts))
    with pytest.raises(InputError, match="no view"):
        write_report(
            tmp_path / "report.html", replace(report_input, result=report_input.result.replace(alignment=none))
        )
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path, report_input: ReportInput) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="file"):
        write_report(tmp_path / "file" / "report.html", report_input)


def test_the_same_input_gives_the_same_page(
    tmp_path: Path, default: tuple[str, Page], report_input: ReportInput
) -> None:
    again, _ = written(tmp_path, report_input)
    assert again == default[0]


def test_one_pixel_that_is_no_number_does_not_blank_a_view(tmp_path: Path, report_input: ReportInput) -> None:
    images = np.array(report_input.images)
    images[2, 40, 40], images[3, 50, 50], images[4] = np.nan, np.inf, np.nan
    _, page = written(tmp_path, replace(report_input, images=images))
    views = [decoded(v["src"]) for _, v in page.tags if v.get("alt", "").startswith("View ")]
    spread = [float(np.asarray(views[report_input.series.tilts[section].order]).std()) for section in (2, 3, 4)]
    assert min(spread[:2]) > 10
    assert spread[2] == 0
