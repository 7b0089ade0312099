"""Particles that RELION or others wrote: boxes that are turned, offsets, places in pixels."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from eucentric.core import FormatError
from eucentric.io.exchange import Particle
from eucentric.io.exchange.relion import read_relion, write_relion
from eucentric.io.exchange.relion_particles import read_particles
from eucentric.io.exchange.star import write_star
from phantoms.processed import processed_series

CENTRED = [f"rlnCenteredCoordinate{letter}Angst" for letter in "XYZ"]
SIZES = {"TS_1": (400.0, 301.0, 200.0)}

angles = st.floats(-180, 180)


def euler(rot: float, tilt: float, psi: float) -> NDArray[np.float64]:
    """Return RELION's `Euler::anglesToMatrix3`, angles in degrees."""
    (sp, st_, sc), (cp, ct, cc) = (function(np.deg2rad([rot, tilt, psi])) for function in (np.sin, np.cos))
    return np.array(
        [
            [cc * ct * cp - sc * sp, cc * ct * sp + sc * cp, -cc * st_],
            [-sc * ct * cp - cc * sp, -sc * ct * sp + cc * cp, sc * st_],
            [st_ * cp, st_ * sp, ct],
        ]
    )


def read_one(path: Path, **columns: object) -> Particle:
    """Write a particle of TS_1 in plain columns and read it; its pixel is 2 Å."""
    write_star(path, {"particles": {"rlnTomoName": ["TS_1"], **{label: [value] for label, value in columns.items()}}})
    found, _ = read_particles(path, {"TS_1": 2.0}, dict(SIZES))
    return found["TS_1"][0]


@settings(max_examples=30)
@given(box=st.tuples(angles, angles, angles), turn=st.tuples(angles, angles, angles))
def test_boxes_and_refined_angles_come_to_one_turn(
    tmp_path_factory: pytest.TempPathFactory, box: tuple[float, ...], turn: tuple[float, ...]
) -> None:
    offset = np.array([3.0, -4.0, 7.0])
    particle = read_one(
        tmp_path_factory.mktemp("p") / "particles.star",
        **dict(zip(CENTRED, (10.0, 20.0, 30.0), strict=True)),
        **{f"rlnTomoSubtomogram{name}": angle for name, angle in zip(("Rot", "Tilt", "Psi"), box, strict=True)},
        **{f"rlnAngle{name}": angle for name, angle in zip(("Rot", "Tilt", "Psi"), turn, strict=True)},
        **{f"rlnOrigin{letter}Angst": value for letter, value in zip("XYZ", offset, strict=True)},
    )
    # `getMatrix3x3` and `getPosition` of ParticleSet.
    np.testing.assert_allclose(particle.reference2sample(), euler(*box) @ euler(*turn), atol=1e-6)
    np.testing.assert_allclose(
        particle.position_zyx_A[::-1], np.array([10.0, 20, 30]) - euler(*box) @ offset, atol=1e-5
    )


@pytest.mark.parametrize("tilt", [0.0, 180.0])
def test_turns_about_one_axis_alone_are_kept(tmp_path: Path, tilt: float) -> None:
    particle = read_one(
        tmp_path / "particles.star",
        **dict.fromkeys(CENTRED, 0.0),
        rlnTomoSubtomogramRot=20.0,
        rlnTomoSubtomogramTilt=tilt,
        rlnTomoSubtomogramPsi=-70.0,
        rlnAngleRot=15.0,
        rlnAngleTilt=0.0,
        rlnAnglePsi=5.0,
    )
    np.testing.assert_allclose(particle.reference2sample(), euler(20, tilt, -70) @ euler(15, 0, 5), atol=1e-6)


def test_places_in_pixels_are_from_the_corner(tmp_path: Path) -> None:
    particle = read_one(
        tmp_path / "particles.star", rlnCoordinateX=210.0, rlnCoordinateY=160.5, rlnCoordinateZ=90.0, rlnRandomSubset=2
    )
    # `getParticleCoordDecenteredPixel`: pixels as they are, of which half the size is the middle.
    assert particle.position_zyx_A == pytest.approx((-20, 20, 20))
    assert particle.half == 2
    assert particle.reference2sample() == pytest.approx(np.eye(3))


def test_places_in_pixels_need_the_size(tmp_path: Path) -> None:
    path = tmp_path / "particles.star"
    write_star(path, {"particles": {"rlnTomoName": ["TS_1"], **{f"rlnCoordinate{letter}": [1.0] for letter in "XYZ"}}})
    with pytest.raises(FormatError, match="rlnTomoSizeX"):
        read_particles(path, {"TS_1": 2.0}, {"TS_1": None})


def test_what_is_not_read_is_told(tmp_path: Path) -> None:
    path = tmp_path / "particles.star"
    columns: dict[str, list[object]] = {"rlnTomoName": ["TS_1", "TS_2", "TS_2"], "rlnClassNumber": [1, 2, 3]}
    columns |= {label: [0.0] * 3 for label in CENTRED}
    write_star(path, {"particles": columns, "other": {"a": [1]}})
    found, dropped = read_particles(path, {"TS_1": 2.0}, {})
    assert len(found["TS_1"]) == 1
    told = " ".join(dropped)
    assert "rlnClassNumber" in told
    assert "data_other (a)" in told
    assert "2 particles of TS_2, not among" in told


@pytest.mark.parametrize("label", ["", "80S", "ribosome 80S/A", "a_1", "ä#1", "..", "100%"])
def test_labels_go_round(tmp_path: Path, label: str) -> None:
    one = processed_series(n=3)
    one = one.replace(particles=tuple(particle.replace(label=label) for particle in one.particles))
    write_relion(tmp_path, [one])
    assert {particle.label for particle in read_relion(tmp_path).series[0].particles} == {label}


def test_names_that_relion_gave_are_no_labels(tmp_path: Path) -> None:
    columns = dict.fromkeys(CENTRED, 0.0)
    assert read_one(tmp_path / "particles.star", rlnTomoParticleName="TS_1/12", **columns).label == ""


def test_bad_particles_do_not_stop_the_series(tmp_path: Path) -> None:
    write_relion(tmp_path, [processed_series()])
    path = tmp_path / "particles.star"
    path.write_text(path.read_text().replace("332.100000", "x"))
    found = read_relion(tmp_path)
    assert len(found.series) == 1
    assert found.series[0].particles == ()
    assert "row 3" in found.failures["particles.star"]
    path.write_text("data_particles\n_rlnOther 1\n")
    assert "rlnTomoName" in read_relion(tmp_path).failures["particles.star"]
