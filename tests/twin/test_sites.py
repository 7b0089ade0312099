"""A specimen of several sites, the beam tilted, and the twin's own record, by which another process takes it up."""

from pathlib import Path

import numpy as np
import pytest
from twin_cases import at, atom_at, ball, in_ice, in_vacuum, quiet_twin

from eucentric.core import FormatError
from eucentric.core.frames import rotation_about_y
from eucentric.microscope import ExposureRequest
from eucentric.twin import Effects, ExposureTruth, Twin, TwinSettings
from eucentric.twin.log import LoggedExposure, TwinLog, read_log, read_truths
from eucentric.twin.mechanics import REALISTIC
from eucentric.twin.sites import Site

REQUEST = ExposureRequest(exposure_e_A2=2.0, frames=2, target="TS_002", order=3)
PLACES = {"left": np.array([500.0, 0.0, -20_000.0]), "right": np.array([-800.0, 3000.0, 20_000.0])}
ICE = in_ice(500.0)


def sites() -> list[Site]:
    balls = {name: in_vacuum(at(ball(200, 40.0, seed), (0.0, 0.0, 0.0))) for seed, name in enumerate(PLACES)}
    return [Site(name, place, balls[name]) for name, place in PLACES.items()]


@pytest.mark.parametrize("tilt_deg", [0.0, 40.0])
@pytest.mark.parametrize("name", PLACES)
def test_the_site_under_the_image_is_seen_as_it_would_be_alone(name: str, tilt_deg: float) -> None:
    """To the bit, but for a defocus that goes with its height."""
    twin = quiet_twin(ICE, sites=sites())
    twin.tilt_to(tilt_deg)
    place = rotation_about_y(tilt_deg) @ PLACES[name]
    twin.set_image_shift_A((float(place[1]), float(place[2])))
    seen = twin.expose_and_tell(REQUEST)
    assert seen.truth.site == name
    assert seen.truth.defocus_A == pytest.approx(twin.defocus_A() + place[0])
    alone = quiet_twin(next(site.sample for site in sites() if site.name == name))
    alone.tilt_to(tilt_deg)
    alone.set_defocus_A(twin.defocus_A() + float(place[0]))
    assert np.allclose(seen.expected_e_px, alone.expose_and_tell(REQUEST).expected_e_px, rtol=1e-5)


def test_each_site_has_what_was_delivered_there() -> None:
    twin = quiet_twin(ICE, sites=sites(), pixels=False)
    for name in ("left", "left", "right", "left"):
        shift = (float(PLACES[name][1]), float(PLACES[name][2]))
        twin.set_image_shift_A(shift)
        twin.set_beam_shift_A(shift)
        last = twin.expose_and_tell(REQUEST).truth
    assert last.pre_exposure_e_A2 == 4.0


def test_a_tilted_beam_moves_what_is_out_of_focus() -> None:
    """By tilt times defocus; the difference of two opposite tilts measures it."""
    seen = {}
    for tilt_mrad in (5.0, -5.0):
        twin = quiet_twin(in_vacuum(atom_at((1000.0, 0.0, 0.0))), settings=TwinSettings(axis_deg=0.0))
        twin.set_defocus_A(20_000.0)
        twin.set_beam_tilt_mrad((0.0, tilt_mrad))
        view = twin.expose_and_tell(REQUEST).truth.view
        seen[tilt_mrad] = view.shift_yx_A
    difference = np.subtract(seen[5.0], seen[-5.0])
    assert difference == pytest.approx([0.0, 2 * 5e-3 * 20_000.0])


def test_the_log_has_what_hit_the_specimen(tmp_path: Path) -> None:
    twin = quiet_twin(ICE, pixels=False, log=TwinLog(tmp_path))
    twin.tilt_to(12.0)
    twin.expose(REQUEST)
    twin.expose(ExposureRequest(exposure_e_A2=0.5, purpose="track", target="tracking", order=3))
    assert read_log(tmp_path) == (
        LoggedExposure(target="TS_002", order=3, tilt_deg=12.0, exposure_e_A2=2.0, purpose="record"),
        LoggedExposure(target="tracking", order=3, tilt_deg=12.0, exposure_e_A2=0.5, purpose="track"),
    )
    assert [truth.target for truth in read_truths(tmp_path)] == ["TS_002", "tracking"]


def test_a_twin_that_is_taken_up_goes_on_as_if_nothing_had_happened(tmp_path: Path) -> None:
    """Stage errors, drift, exposures received, clock: all as in one that was never interrupted."""
    settings = TwinSettings(stage=REALISTIC)

    def make(log: TwinLog | None) -> Twin:
        return quiet_twin(ICE, on=("stage_error", "drift", "tilt_error"), settings=settings, pixels=False, log=log)

    def acquire(twin: Twin, tilts: tuple[float, ...]) -> list[ExposureTruth]:
        truths: list[ExposureTruth] = []
        for tilt_deg in tilts:
            twin.tilt_to(tilt_deg)
            twin.set_image_shift_A((10.0 * tilt_deg, 5.0))
            truths.append(twin.expose_and_tell(REQUEST).truth)
        return truths

    whole = acquire(make(None), (3.0, -3.0, 6.0, 9.0))
    first = acquire(make(TwinLog(tmp_path)), (3.0, -3.0))
    rest = acquire(make(TwinLog(tmp_path)), (6.0, 9.0))
    assert first + rest == whole


def test_an_exposure_that_was_armed_and_never_fired_did_not_happen(tmp_path: Path) -> None:
    log = TwinLog(tmp_path)
    twin = quiet_twin(ICE, pixels=False, log=log)
    twin.expose(REQUEST)
    lines = (tmp_path / "exposures.jsonl").read_bytes()
    twin.expose(REQUEST)
    (tmp_path / "exposures.jsonl").write_bytes(lines)  # as if killed between the two files
    again = quiet_twin(ICE, pixels=False, log=TwinLog(tmp_path))
    assert again.exposures == 1
    assert again.expose_and_tell(REQUEST).truth.pre_exposure_e_A2 == 2.0
    assert len(read_log(tmp_path)) == 2
    assert quiet_twin(ICE, pixels=False, log=TwinLog(tmp_path)).exposures == 2


def test_a_line_that_power_loss_cut_is_passed_over(tmp_path: Path) -> None:
    quiet_twin(ICE, pixels=False, log=TwinLog(tmp_path)).expose(REQUEST)
    with (tmp_path / "exposures.jsonl").open("ab") as file:
        file.write(b'{"target": "TS_0')
    quiet_twin(ICE, pixels=False, log=TwinLog(tmp_path)).expose(REQUEST)
    assert len(read_log(tmp_path)) == 2


def test_a_lost_state_is_told_and_not_guessed(tmp_path: Path) -> None:
    quiet_twin(ICE, pixels=False, log=TwinLog(tmp_path)).expose(REQUEST)
    (tmp_path / "twin.jsonl").unlink()
    with pytest.raises(FormatError, match="0 of 1 exposures"):
        quiet_twin(ICE, pixels=False, log=TwinLog(tmp_path))


def test_reading_out_takes_its_time() -> None:
    twin = quiet_twin(ICE, pixels=False, settings=TwinSettings(readout_s=4.0))
    before = twin.now()
    readback = twin.expose(REQUEST).readback
    assert (twin.now() - before).total_seconds() == pytest.approx(readback.seconds + 4.0, abs=1e-5)


def test_effects_are_what_they_were() -> None:
    """The sites are no effect: without any a twin is the same as before."""
    one, other = (quiet_twin(ICE, pixels=False, sites=places) for places in ((), [Site("", np.zeros(3), ICE)]))
    assert one.expose_and_tell(REQUEST).truth == other.expose_and_tell(REQUEST).truth
    assert Effects.none() == Effects.parse("none")
