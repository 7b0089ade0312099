"""The page of a rehearsal: that it says what the records say, and warns of what harms a specimen."""

import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_report_page import HOSTILE, Page

from eucentric.core import OutputError, stream
from eucentric.report.figures.rehearsal import clock, exposures, off_target
from eucentric.report.rehearsal import write_rehearsal_page
from eucentric.report.rehearsal_summary import (
    images_of_targets,
    merit,
    off_nm,
    rehearsal_summary,
)
from eucentric.report.rehearsal_warnings import at_lines, rehearsal_warnings
from eucentric.report.style import styled
from eucentric.twin.serialem.doings import Asked, Doings, Refused, Taken

TILTS_DEG = sorted((3.0 * i for i in range(-20, 21)), key=lambda tilt: (abs(tilt), tilt))  # 41, dose-symmetric
TARGETS = ("TS_track", "TS_02", "TS_03")


def image(number: int = 0, place: str = "TS_track", tilt_deg: float = 0.0, **changes: object) -> Taken:
    """Return a Record image of a target, saved, on target and in focus."""
    values: dict[str, object] = {
        "number": number,
        "camera_set": "R",
        "place": place,
        "tilt_deg": tilt_deg,
        "exposure_e_A2": 3.0,
        "received_e_A2": 3.0,
        "off_yx_A": (0.0, 0.0),
        "defocus_A": 40_000.0,
        "wanted_defocus_A": 40_000.0,
        "began_s": 60.0 * number,
        "file": f"{place}.mrc",
        "section": number,
        "line": 100,
    }
    told = values | changes
    beside = isinstance(off := told["off_yx_A"], tuple) and bool(np.hypot(*off) > 10_000) and told["camera_set"] != "R"
    hit = {} if not told["place"] or beside else {str(told["place"]): told["exposure_e_A2"]}
    return Taken.model_validate({"hit": hit} | told)


def series(targets: tuple[str, ...] = TARGETS, seed: int = 0) -> Doings:
    """Return a script that went well: previews before it, then targets by 41 tilts, some Views and Focus images."""
    draw = stream(seed, "rehearsal")
    taken: list[Taken] = []
    received = dict.fromkeys(targets, 0.0)

    def add(
        letter: str, place: str, tilt_deg: float, began_s: float, e_A2: float, line: int, **changes: object
    ) -> None:
        if place:
            received[place] += e_A2
        changes = {"off_yx_A": None, "file": "", "section": None, "wanted_defocus_A": None, **changes}
        base = {"camera_set": letter, "exposure_e_A2": e_A2, "received_e_A2": received.get(place, e_A2), "line": line}
        taken.append(image(len(taken), place, tilt_deg, began_s=began_s, **base, **changes))

    for i, name in enumerate(targets):
        add("L", name, 0.0, -600.0 + 60 * i, 0.4, 1, before=True)
    clock_s, drift = 30.0, {name: draw.normal(0, 150, 2) for name in targets}
    for section, tilt in enumerate(TILTS_DEG):
        clock_s += 20
        add("F", "", tilt, clock_s, 1.0, 410)
        if section % 10 == 0:
            add("V", targets[0], tilt, clock_s + 5, 0.3, 398)
        for i, name in enumerate(targets):
            clock_s += 11
            off = drift[name] * (1 + abs(tilt) / 40) + draw.normal(0, 90, 2)
            add(
                "R", name, tilt, clock_s, 3.0, 455,
                off_yx_A=tuple(off), file=f"{name}.mrc", section=section, wanted_defocus_A=40_000.0,
                defocus_A=40_000.0 + 900 * i * np.sin(np.deg2rad(tilt)) + draw.normal(0, 400),
            )  # fmt: skip
    return Doings(
        script="/home/microscope/scripts/tomo.py",
        ending="finished",
        seconds=clock_s + 15,
        calls={"TiltTo": 41, "R": 123, "S": 123, "ImageShiftByMicrons": 246, "View": 5, "Focus": 41, "ReportClock": 9},
        taken=tuple(taken),
        targets=targets,
        files=tuple(f"{name}.mrc" for name in targets),
    )


def only(*taken: Taken, **changes: object) -> Doings:
    values: dict[str, object] = {"script": "s.py", "ending": "finished", "seconds": 600.0, "targets": ("TS_track",)}
    return Doings.model_validate(values | {"taken": taken} | changes)


def written(folder: Path, doings: Doings, **shown: str) -> tuple[str, Page]:
    write_rehearsal_page(folder / "rehearsal.html", doings, settings=shown)
    text = (folder / "rehearsal.html").read_text(encoding="utf-8")
    return text, Page(text)


@pytest.fixture(scope="module")
def default(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Page]:
    doings = series().replace(
        asked=(Asked(command="YesNoBox", text="Start?", answer="yes", by="file", line=77),),
        refused=(
            Refused(command="LongOperation", reason="there is no refill here", line=300, not_simulated=True),
            Refused(command="LongOperation", reason="there is no refill here", line=301, not_simulated=True),
            Refused(command="ImageShiftByMicrons", reason="beyond the range of 15 µm", line=222),
        ),
        struck=("tilt at 30: refuse",),
        idle=("expose at 63: lose",),
    )
    return written(tmp_path_factory.mktemp("default"), doings, specimen="lamella", seed="0")


def test_the_page_is_well_formed_needs_nothing_from_outside_and_has_unique_ids(default: tuple[str, Page]) -> None:
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
    ids = Counter(values["id"] for _, values in page.tags if "id" in values)
    assert [name for name, n in ids.items() if n > 1] == []
    wanted = {v[n][1:] for _, v in page.tags for n in ("href", "xlink:href") if v.get(n, "").startswith("#")}
    assert wanted | set(re.findall(r"url\(#([^)]+)\)", text)) <= set(ids)


def test_headline_warnings_figures_and_tables_come_in_this_order(default: tuple[str, Page]) -> None:
    _, page = default
    order = [values["id"] for _, values in page.tags if "id" in values]
    names = ["summary", "warnings", "rehearsal-off", "rehearsal-defocus", "rehearsal-exposure", "rehearsal-clock"]
    names += ["targets", "dialogs", "failed", "exposed", "files", "faults", "calls", "settings"]
    assert [name for name in order if name in names] == names
    for name in names:
        assert len(page.by_id[name].strip()) > 10, name
    for name in ("rehearsal-off", "rehearsal-defocus", "rehearsal-exposure"):
        for target in TARGETS:
            assert target in page.by_id[name]
    assert page.by_tag["h1"] == "tomo.py"


def test_the_page_has_one_set_of_colours_for_light_and_dark(default: tuple[str, Page]) -> None:
    text, _ = default
    assert "prefers-color-scheme: dark" in text
    for stand_in in ("#010203", "#040506", "#070809", "#0a0b0c"):
        assert stand_in not in text


def test_the_headline_says_what_the_summary_says(default: tuple[str, Page]) -> None:
    _, page = default
    merit_of_all = rehearsal_summary(series()).merit
    assert "41" in page.by_id["number-images"]
    assert "123 in all, of 3 of 3 targets" in page.by_id["number-images"]
    within = (merit_of_all.within_50_nm or 0, merit_of_all.within_100_nm or 0)
    assert f"{100 * within[0]:.0f} % / {100 * within[1]:.0f} %" in page.by_id["number-within"]
    assert f"{merit_of_all.off_p95_nm:.0f} nm" in page.by_id["number-off"]
    assert f"worst {merit_of_all.off_worst_nm:.0f} nm, {merit_of_all.off_worst_place}" in page.by_id["number-off"]
    assert f"{merit_of_all.defocus_rms_um:.2f} µm" in page.by_id["number-defocus"]
    assert "123.0 to 124.5 e/Å²" in page.by_id["number-exposure"]  # 41 × 3, and 5 Views of 0.3
    assert "0.0 to 1.5 e/Å² by other than Record images" in page.by_id["number-exposure"]


def test_tables_hold_dialogs_failures_places_files_faults_calls_and_settings(default: tuple[str, Page]) -> None:
    _, page = default
    for section, words in {
        "dialogs": ("77", "YesNoBox", "Start?", "yes", "the file of answers"),
        "failed": ("LongOperation", "not simulated", "lines 300 and 301", "ImageShiftByMicrons", "line 222", "15 µm"),
        "exposed": ("before the script", "Preview", "0.40", "by the script", "123.00", "no target", "Focus", "41.00"),
        "files": ("TS_track.mrc", "TS_03.mrc", "41"),
        "faults": ("tilt at 30: refuse", "struck", "expose at 63: lose", "never struck"),
        "calls": ("7 commands, 588 calls", "ImageShiftByMicrons", "246"),
        "settings": ("specimen", "lamella", "/home/microscope/scripts/tomo.py", "eucentric"),
    }.items():
        for word in words:
            assert word in page.by_id[section], (section, word)
    calls = page.by_id["calls"]
    assert calls.index("ImageShiftByMicrons") < calls.index("TiltTo") < calls.index("View")


def test_the_merit_of_a_hand_computed_case() -> None:
    # 3-4-5 triangles of 30, 50, 100 and 500 nm; errors of +0.3, -0.4, 0 and unknown
    offs = ((300.0, 0.0), (300.0, 400.0), (-600.0, 800.0), (3000.0, -4000.0))
    defocus = (43_000.0, 36_000.0, 40_000.0, 99_000.0)
    taken = [
        image(i, tilt_deg=10.0 * i, off_yx_A=off, defocus_A=value, wanted_defocus_A=None if i == 3 else 40_000.0)
        for i, (off, value) in enumerate(zip(offs, defocus, strict=True))
    ]
    found = rehearsal_summary(only(*taken)).merit
    assert (found.images, found.within_50_nm, found.within_100_nm) == (4, 0.5, 0.75)
    assert found.off_p95_nm == pytest.approx(440)  # linear: 0.85 of the way from 100 to 500
    assert found.off_worst_nm == pytest.approx(500)
    assert (found.off_worst_tilt_deg, found.defocus_worst_tilt_deg) == (30, 10)
    assert found.defocus_rms_um == pytest.approx(np.sqrt((0.09 + 0.16) / 3))
    assert found.defocus_worst_um == pytest.approx(-0.4)


def test_only_record_images_of_the_script_with_a_target_count() -> None:
    far: dict[str, Any] = {"off_yx_A": (5000.0, 0.0), "defocus_A": 90_000.0}
    others = (
        image(1, before=True, **far),
        image(2, camera_set="V", **far),
        image(3, camera_set="L", **far),
        image(4, place="", **far),
    )
    doings = only(image(), *others)
    assert images_of_targets(doings) == [image()]
    summary = rehearsal_summary(doings)
    assert (summary.merit.off_worst_nm, summary.merit.defocus_worst_um) == (0, 0)
    assert (summary.images_elsewhere, summary.exposures) == (1, {"Record": 2, "View": 1, "Preview": 1})
    (target,) = summary.targets
    assert target.exposure_e_A2 == {"Record": 3, "View": 3, "Preview": 3}
    assert (target.by_records_e_A2, target.by_others_e_A2, target.before_e_A2) == (3, 6, 3)


def test_an_exposure_beside_a_target_is_not_one_of_it(tmp_path: Path) -> None:
    beside = image(1, camera_set="F", off_yx_A=(20_000.0, 0.0), exposure_e_A2=50.0)
    doings = only(image(), beside, image(2, tilt_deg=3.0, received_e_A2=6.0))
    assert rehearsal_summary(doings).targets[0].exposure_e_A2 == {"Record": 6}
    assert rehearsal_warnings(doings) == ()
    _, page = written(tmp_path, doings)
    assert "beside TS_track" in page.by_id["exposed"]
    hit = only(
        image(),
        beside.replace(off_yx_A=(200.0, 0.0), hit={"TS_track": 50.0}),
        image(2, tilt_deg=3.0, received_e_A2=56.0),
    )
    assert "50.0 e/Å² by other than Record images" in warning(hit, "other than")


@settings(max_examples=40)
@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=30), st.floats(0.1, 2))
def test_merit_orders_and_scales_as_distances_do(off_A: list[float], factor: float) -> None:
    found = merit([image(i, off_yx_A=(0.0, off)) for i, off in enumerate(off_A)])
    assert found.off_p95_nm is not None
    assert found.off_worst_nm == pytest.approx(max(off_A) / 10)
    assert found.off_p95_nm <= (found.off_worst_nm or 0) * (1 + 1e-12)
    assert (found.within_50_nm or 0) <= (found.within_100_nm or 0)
    turned = merit([image(i, off_yx_A=(factor * off, 0.0)) for i, off in enumerate(reversed(off_A))])
    assert turned.off_p95_nm == pytest.approx(factor * found.off_p95_nm)


def test_the_summary_survives_json() -> None:
    summary = rehearsal_summary(series())
    assert type(summary).model_validate_json(summary.model_dump_json()) == summary
    assert [one.name for one in summary.targets] == list(TARGETS)


def test_a_place_in_no_list_of_targets_is_kept() -> None:
    assert [one.name for one in rehearsal_summary(only(image(), image(1, "other"))).targets] == ["TS_track", "other"]


def test_a_series_that_went_well_warns_of_the_views_alone() -> None:
    (views,) = rehearsal_warnings(series())
    assert views == (
        "TS_track received 1.5 e/Å² by other than Record images, 1 % of what the script gave it: "
        "5 View images, 1.5 e/Å² (line 398)."
    )


def warning(doings: Doings, word: str) -> str:
    (found,) = [text for text in rehearsal_warnings(doings) if word in text]
    return found


def test_each_harm_is_told_in_plain_words() -> None:
    again = only(image(tilt_deg=12.0), image(1, tilt_deg=12.02, received_e_A2=6.0, line=7), image(2, tilt_deg=15.0))
    assert warning(again, "again") == "TS_track was exposed again at a tilt that it had: at 12.0°, 3.0 e/Å² (line 7)."
    lost = only(image(), image(1, tilt_deg=-54.0, off_yx_A=(0.0, 23_000.0), line=9))
    assert warning(lost, "lost") == (
        "TS_track was lost: in 1 of its 2 Record images it lay more than 1 µm from the centre, "
        "2.3 µm at −54.0° (line 9)."
    )
    trials = [image(i, camera_set="T", line=i) for i in (3, 5, 8, 13, 21)]
    told = warning(only(image(), *trials), "other than Record")
    assert "15.0 e/Å²" in told
    assert "83 % of what the script gave it: 5 Trial images, 15.0 e/Å² (lines 3, 5, 8 and 2 more)." in told
    spilt = only(image(), image(1, "TS_02", hit={"TS_02": 2.5, "TS_track": 2.5}, exposure_e_A2=2.5))
    told = warning(spilt, "aimed at other")
    assert told == "TS_track received 2.5 e/Å² by Record images that were aimed at other places (line 100)."
    unsaved = only(image(), image(1, tilt_deg=3.0, received_e_A2=6.0, file="", section=None, line=3))
    assert "1 Record image, 3.0 e/Å², not saved (line 3)" in warning(unsaved, "for nothing")
    astray = only(image(), image(1, place="", line=4))
    assert warning(astray, "No target") == "No target was near the centre of 1 Record image, 3.0 e/Å² (line 4)."
    short = only(image(), targets=("TS_track", "TS_02"))
    assert warning(short, "TS_02") == "TS_02 has no Record images, where another target has 1."
    missing = Refused(command="LongOperation", reason="no refill", line=30, not_simulated=True)
    assert "LongOperation is not simulated, and was called 2 times (line 30): no refill." in rehearsal_warnings(
        only(image(), refused=(missing, missing))
    )
    exited = only(image(), ending="exited", reason="by Exit", line=14)
    assert rehearsal_warnings(exited) == ()  # most scripts end so; the headline says it
    stopped = only(image(), ending="stopped", reason="more than\n 48 hours.")
    assert rehearsal_warnings(stopped)[0] == "The script was stopped: more than 48 hours. The rest was not tried."
    asked = Asked(command="YesNoBox", text="?", answer="yes", by="file", line=8)
    assert "A dialog was raised (line 8): at night" in warning(only(image(), asked=(asked,)), "dialog")
    assert "never struck" in warning(only(image(), idle=("tilt: refuse",)), "tilt: refuse")


def test_the_worst_comes_first() -> None:
    doings = only(
        image(),
        image(1, "TS_02"),
        image(2, "TS_02", camera_set="V", exposure_e_A2=1.0),
        image(3, camera_set="F", exposure_e_A2=20.0),
        image(4, tilt_deg=3.0, off_yx_A=(20_000.0, 0.0)),
        image(5, "TS_02", tilt_deg=3.0),
        targets=("TS_track", "TS_02"),
        ending="failed",
        reason="no beam",
        line=12,
        refused=(Refused(command="R", reason="no beam", line=12),),
        asked=(Asked(command="OKBox", text="beam lost", answer="", by="itself"),),
        idle=("tilt: refuse",),
    )
    told = rehearsal_warnings(doings)
    assert told[0] == "The script failed at line 12: no beam. The rest was not tried."
    begins = ["The script", "TS_track was lost", "TS_track received 20.0", "TS_02 received 1.0", "R failed once", "A d"]
    assert [text[: len(begin)] for text, begin in zip(told, begins, strict=False)] == begins
    assert "fault" in told[-1]


def test_warnings_of_one_kind_do_not_drown_the_others() -> None:
    names = tuple(f"TS_{i:02d}" for i in range(9))
    views = [image(i, name, camera_set="V", exposure_e_A2=1.0 + i) for i, name in enumerate(names)]
    told = rehearsal_warnings(only(*views, targets=names, idle=("tilt: refuse",)))
    assert [text[:5] for text in told[:5]] == ["TS_08", "TS_07", "TS_06", "TS_05", "TS_04"]
    assert told[5] == "So it is with 4 more targets; the tables name them."
    assert len(told) == 7


def test_lines_are_named_once_and_the_first_of_them() -> None:
    assert at_lines([]) == at_lines([None]) == ""
    assert at_lines([4, None, 4]) == "line 4"
    assert at_lines([9, 4]) == "lines 4 and 9"
    assert at_lines([1, 2, 3]) == "lines 1, 2 and 3"
    assert at_lines(range(1, 8)) == "lines 1, 2, 3 and 4 more"


FEW = {
    "no exposures": only(),
    "no targets": only(image(place=""), targets=()),
    "failed at its first line": only(ending="failed", reason="SyntaxError", line=1, seconds=0.0, targets=()),
    "one image": only(image()),
    "nothing known": only(image(off_yx_A=None, wanted_defocus_A=None, line=None, file="", section=None)),
    "no electrons": only(image(exposure_e_A2=0.0, received_e_A2=0.0), image(1, camera_set="V", exposure_e_A2=0.0)),
    "lost": only(image(off_yx_A=(0.0, 0.0)), image(1, off_yx_A=(0.0, 2e5), tilt_deg=3.0)),
}


@pytest.mark.parametrize("doings", FEW.values(), ids=list(FEW))
def test_few_data_still_give_a_whole_page(tmp_path: Path, doings: Doings) -> None:
    _, page = written(tmp_path, doings)
    assert not page.open
    assert doings.ending in page.by_id["number-ending"]
    for section in ("aim", "dose", "time", "targets", "dialogs", "failed", "exposed", "files", "faults", "calls"):
        assert len(page.by_id[section].strip()) > 10, section


def test_a_script_that_failed_at_its_first_line_says_so(tmp_path: Path) -> None:
    _, page = written(tmp_path, FEW["failed at its first line"])
    assert "at line 1: SyntaxError" in page.by_id["number-ending"]
    assert "The script failed at line 1: SyntaxError." in page.by_id["warnings"]
    assert "no Record image of a target" in page.by_id["aim"]
    assert not {"rehearsal-off", "rehearsal-clock"} & set(page.by_id)


def test_many_targets_stay_readable() -> None:
    names = tuple(f"TS_{i:02d}" for i in range(10))
    doings = series(names)
    doings = doings.replace(taken=tuple(one for one in doings.taken if abs(one.tilt_deg) < 5))
    with styled():
        (off,), (exposed,) = off_target(doings), exposures(doings)
    assert "5 more" in off.drawing
    assert max(images_of_targets(doings), key=lambda one: off_nm(one) or 0.0).place in off.drawing
    assert "Of the 10 targets the 5 that were missed by most are named" in off.caption
    assert "Shown are the 9 of 10 places" in exposed.caption
    assert sum(name in exposed.drawing for name in names) == 9


def test_a_hostile_name_stays_text(tmp_path: Path) -> None:
    name = HOSTILE + "$x_{$ _"
    doings = only(
        image(place=name, file=HOSTILE),
        script=HOSTILE.replace("/", ""),
        ending="failed",
        reason=HOSTILE,
        targets=(name, "_hidden"),
        calls={HOSTILE: 1},
        asked=(Asked(command=HOSTILE, text=HOSTILE, answer=HOSTILE, by="terminal"),),
        refused=(Refused(command=HOSTILE, reason=HOSTILE),),
        files=(HOSTILE,),
        struck=(HOSTILE,),
        idle=(HOSTILE,),
    )
    _, page = written(tmp_path, doings, **{HOSTILE: HOSTILE})
    assert page.by_tag["h1"] == HOSTILE
    for section in ("warnings", "targets", "dialogs", "failed", "exposed", "files", "faults", "calls", "settings"):
        assert HOSTILE in page.by_id[section], section
    assert not any("onerror" in values or values.get("src") == "x" for _, values in page.tags)


def test_the_same_doings_give_the_same_page(tmp_path: Path) -> None:
    first, _ = written(tmp_path, only())
    assert written(tmp_path, only())[0] == first
    doings = only(image(), image(1, tilt_deg=3.0))
    with styled():
        assert clock(doings) == clock(doings)


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="file"):
        write_rehearsal_page(tmp_path / "file" / "rehearsal.html", only())
