import math
from typing import Any

import pytest
from pydantic import ValidationError

from eucentric.core import InputError
from eucentric.specimen.motion import STILL
from eucentric.twin.settings import Effects, TwinSettings

NAMES = tuple(Effects.model_fields)


def settings_by_effect() -> dict[str, set[str]]:
    """Give, for each effect, the settings that switching it off changes."""
    usual, changed = flat(TwinSettings().with_effects(Effects(ice_growth=True))), {}
    for name in NAMES:
        off = flat(TwinSettings().with_effects(Effects(ice_growth=True).replace(**{name: False})))
        changed[name] = {key for key in usual if usual[key] != off[key]}
    return changed


def flat(record: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in record.model_dump().items():
        inner = value if isinstance(value, dict) else None
        found |= {f"{name}.{key}": one for key, one in inner.items()} if inner else {name: value}
    return found


@pytest.mark.parametrize(
    ("text", "off"),
    [
        ("", {"ice_growth"}),
        ("default", {"ice_growth"}),
        ("all", set()),
        ("no-drift, no-mtf", {"drift", "mtf", "ice_growth"}),
        ("NO-Ice-Motion", {"ice_motion", "ice_growth"}),
        ("all,no-noise", {"noise"}),
        ("ice_growth", set()),
        ("none,damage", {*NAMES} - {"damage", "energy_filter"}),
        ("none", {*NAMES} - {"energy_filter"}),
        ("no-drift,all", set()),
        ("no-energy-filter", {"energy_filter", "ice_growth"}),
    ],
)
def test_effects_are_named_in_a_list(text: str, off: set[str]) -> None:
    effects = Effects.parse(text)
    assert {name for name in NAMES if not getattr(effects, name)} == off


def test_none_keeps_the_filter_alone() -> None:
    """It keeps out what it is meant to: with `inelastic` on again, an image is as with everything on."""
    assert Effects.none().model_dump() == {**dict.fromkeys(NAMES, False), "energy_filter": True}


@pytest.mark.parametrize("text", ["no-drft", "drfit", "none,no-", "no"])
def test_a_word_that_is_no_effect_is_an_error_that_lists_them(text: str) -> None:
    with pytest.raises(InputError, match="no such effect") as raised:
        Effects.parse(text)
    assert "ice-growth" in raised.value.fix
    if "dr" in text:
        assert 'Did you mean "drift"' in raised.value.what


def test_with_everything_on_settings_stay_as_they_are() -> None:
    assert TwinSettings().with_effects(Effects(ice_growth=True)) == TwinSettings()
    assert TwinSettings().with_effects(Effects()) == TwinSettings(ice_growth_A_per_h=0.0)


def test_each_effect_switches_off_its_own_and_nothing_else() -> None:
    changed = settings_by_effect()
    of_stage = {"eucentric_z_A", "axis_offset_x_A", "wander_A", "cross_axis_A", "wobble_A", "backlash_A"}
    expected = {
        "drift": {"stage.drift_A_per_s", "stage.drift_floor_A_per_s"},
        "tilt_error": {"stage.tilt_offset_deg", "stage.tilt_rms_deg", "axis_error_deg"},
        "burst": {"motion.burst_A"},
        "local_motion": {"motion.local_A"},
        "doming": {"motion.doming_A"},
        "astigmatism": {"astigmatism_A"},
        "coma": {"coma_mrad_per_um"},
        "incoherence": {"illumination_mrad"},
        "tracking_error": {"tracking_error_A"},
        "focus_error": {"focus_error_A"},
        "ice_growth": {"ice_growth_A_per_h"},
        "mtf": {"detector.mtf"},
        "detection": {"detector.detection"},
        "coincidence": {"detector.coincidence"},
        "gain": {"detector.gain_rms", "detector.gain_drift_rms"},
        "defects": {"detector.hot_per_Mpx", "detector.dead_per_Mpx", "detector.flickering_per_Mpx"},
    }
    for name, settings in expected.items():
        assert changed[name] == settings, name
    assert changed["stage_error"] >= {f"stage.{one}" for one in of_stage}
    every = [one for settings in changed.values() for one in settings]
    assert len(every) == len(set(every))
    # What is no setting is asked for where it happens.
    for name in ("solvent", "ice_motion", "damage", "inelastic", "energy_filter", "beam", "noise"):
        assert not changed[name]


def test_nothing_is_left_when_all_is_off() -> None:
    still = TwinSettings().with_effects(Effects.none())
    assert (still.motion.burst_A, still.motion.local_A, still.motion.doming_A) == (0, 0, 0)
    assert still.motion.replace(dome_radius_A=STILL.dome_radius_A) == STILL
    assert (still.detector.mtf, still.detector.detection) == ("ideal", 1)
    assert all(value == 0 for name, value in still.stage.model_dump().items() if name != "drift_settle_s")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("hand", 0),
        ("mean_free_path_A", 0.0),
        ("beam_edge_A", 0.0),
        ("beam_radius_A", -1.0),
        ("astigmatism_A", -1.0),
        ("coma_mrad_per_um", math.inf),
        ("axis_deg", math.nan),
        ("axsi_deg", 3.0),
    ],
)
def test_settings_that_cannot_be(name: str, value: float) -> None:
    with pytest.raises(ValidationError, match=name):
        TwinSettings.model_validate({name: value})
