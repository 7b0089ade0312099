"""The table of particles: nothing lost on the way, and every error with its line."""

from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eucentric.core import EucentricError, FormatError, FormatWarning
from eucentric.io.exchange import Particle
from eucentric.io.exchange.particle_table import read_particles, write_particles
from eucentric.io.places import read_places
from phantoms.processed import processed_series

Numbers = st.floats(-1e6, 1e6, allow_nan=False)


def test_a_table_gives_its_particles_back_and_their_places_to_reconstruct(tmp_path: Path) -> None:
    particles = processed_series().particles
    write_particles(tmp_path / "p.csv", particles)
    assert read_particles(tmp_path / "p.csv") == particles
    assert read_places(tmp_path / "p.csv") == [one.position_zyx_A for one in particles]


def test_only_the_place_is_needed(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("y_A,z_A,x_A,score\n1,2,3,0.5\n")
    with pytest.warns(FormatWarning, match="score"):
        assert read_particles(tmp_path / "p.csv") == (Particle(position_zyx_A=(2, 1, 3)),)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("z_A,y_A\n1,2\n", "line 2"),
        ("z_A,y_A,x_A\n1,2,3\n1,2,far\n", "line 3"),
        ("z_A,y_A,x_A\n1,2,nan\n", "line 2"),
        ("z_A,y_A,x_A,half\n1,2,3,7\n", "line 2"),
        ("z_A,y_A,x_A\n", "no particle"),
    ],
)
def test_what_cannot_be_read_is_said_with_its_line(tmp_path: Path, text: str, why: str) -> None:
    (tmp_path / "p.csv").write_text(text)
    with pytest.raises(FormatError, match=why):
        read_particles(tmp_path / "p.csv")


@given(st.text(max_size=200))
def test_no_text_is_a_crash(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("t") / "p.csv"
    path.write_bytes(("z_A,y_A,x_A\n" + text).encode("utf-8", "replace"))
    with suppress(EucentricError):
        read_particles(path)


@given(Numbers, Numbers, Numbers)
def test_the_orientation_is_a_rotation_with_relions_angles(rot: float, tilt: float, psi: float) -> None:
    rot, tilt, psi = rot % 360, tilt % 180, psi % 360
    matrix = Particle(position_zyx_A=(0, 0, 0), rot_deg=rot, tilt_deg=tilt, psi_deg=psi).reference2sample()
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(matrix) == pytest.approx(1)
    r, t = np.radians([rot, tilt])  # the third row of RELION's Euler_angles2matrix is the direction of view
    np.testing.assert_allclose(matrix[2], [np.sin(t) * np.cos(r), np.sin(t) * np.sin(r), np.cos(t)], atol=1e-12)
