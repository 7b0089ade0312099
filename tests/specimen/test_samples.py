from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from eucentric.core import InputError
from eucentric.core.errors import DataWarning
from eucentric.core.frames import rotation_about_y, rotation_about_z
from eucentric.specimen.library import PATCH_A, molecule
from eucentric.specimen.sample import Placed, Sample, random_rotations
from eucentric.specimen.samples import SPECIMENS, build, cell_edge, extent_A, slab_for
from eucentric.specimen.samples.cells import RIBOSOME_CUBE_A as CELL_RIBOSOME_CUBE_A
from eucentric.specimen.samples.cells import CROWDING_mg_mL
from eucentric.specimen.samples.filaments import ACTIN, MICROTUBULE, Helix, filament
from eucentric.specimen.samples.filling import Space, strewn
from eucentric.specimen.samples.membranes import sphere, upright
from eucentric.specimen.samples.packing import Body, Packing, body_of
from eucentric.specimen.samples.particles import APOFERRITIN_CUBE_A, RIBOSOME_CUBE_A

Doubles = NDArray[np.float64]

FIELD_A, THICKNESS_A = 1400.0, 1200.0
CONCENTRATION = 6.02214e-7  # kDa/Å³ in a mg/mL


@pytest.fixture(scope="module")
def made() -> dict[str, Sample]:
    return {name: build(name, seed=3, field_A=FIELD_A, thickness_A=THICKNESS_A) for name in SPECIMENS}


def half_A(max_tilt_deg: float = 60.0) -> Doubles:
    return np.array([THICKNESS_A / 2, *extent_A(FIELD_A, THICKNESS_A, max_tilt_deg)])


def flat(sample: Sample) -> Sample:
    return sample.turned(-sample.pre_tilt_deg)


def labelled(sample: Sample, label: str) -> Doubles:
    return np.concatenate([part.centres_A for part in sample.parts if part.label == label])


def lipids(sample: Sample) -> Doubles:
    return np.concatenate([part.centres_A for part in sample.parts if part.molecule.name == "lipids"])


def proteins(sample: Sample) -> Iterator[Placed]:
    """Ribosomes, spliceosomes, and proteins of the crowd and on membranes; not filaments."""
    for part in sample.parts:
        if part.molecule.name != "lipids" and part.label not in ("actin", "microtubule"):
            yield part


def atoms(part: Placed, every: int) -> Doubles:
    """Every so-many-th atom of all copies, (copies, atoms, 3)."""
    own = part.molecule.positions_A[::every].astype(float)
    return np.asarray(part.centres_A[:, None] + np.einsum("mij,nj->mni", part.rotations, own))


# ---- what is in it


@pytest.mark.parametrize("name", SPECIMENS)
def test_all_of_it_is_in_the_ice_and_in_the_box(name: str, made: dict[str, Sample]) -> None:
    sample = made[name]
    centres = np.concatenate([*(part.centres_A for part in sample.parts), sample.beads.centres_A])
    assert len(centres) > 100
    assert sample.matrix.inside(centres).all()
    lying = np.abs(np.concatenate([*(part.centres_A for part in flat(sample).parts), flat(sample).beads.centres_A]))
    half = half_A(60 + abs(sample.pre_tilt_deg))
    assert (lying[:, 1:] <= half[1:] + 300).all()  # vesicles may be on the border
    assert (lying[:, 1:] <= half[1:] + 1e-6).all(axis=1).mean() > 0.9
    assert (lying[:, 1:].max(axis=0) > 0.9 * half[1:]).all()


@pytest.mark.parametrize(("name", "cube_A"), [("apoferritin", APOFERRITIN_CUBE_A), ("ribosomes", RIBOSOME_CUBE_A)])
def test_particles_have_the_density_asked_for(name: str, cube_A: float, made: dict[str, Sample]) -> None:
    (part,) = made[name].parts
    # They are whole, so that centres keep off the faces by a radius, give or take what sticks out of the core.
    half = half_A() - (part.molecule.radius_A, 0, 0)
    assert len(part) / np.prod(2 * half) == pytest.approx(1 / cube_A**3, rel=0.1)
    assert (np.abs(atoms(part, 50)[..., 0]) < THICKNESS_A / 2).all()


@pytest.mark.parametrize(("name", "per_field"), [("beads", 20), ("ribosomes", 10), ("cell", 16), ("apoferritin", 0)])
def test_beads_lie_at_both_faces_in_the_number_asked_for(name: str, per_field: int, made: dict[str, Sample]) -> None:
    beads = made[name].beads
    fields = 4 * np.prod(half_A()[1:]) / FIELD_A**2
    assert len(beads) == pytest.approx(per_field * fields, rel=0.1)
    if per_field:
        z = beads.centres_A[:, 0]
        assert (np.abs(z) + beads.radii_A <= THICKNESS_A / 2).all()
        assert (np.abs(z) + beads.radii_A > THICKNESS_A / 2 - 40).all()
        assert min((z > 0).sum(), (z < 0).sum()) > 0.3 * len(beads)
        assert np.mean(beads.radii_A) == pytest.approx(50, rel=0.03)


def cytoplasm_of_lamella(sample: Sample, places: Doubles) -> NDArray[np.bool_]:
    """Places of a lamella lying flat, on the outer side of the envelope and far from all membranes."""
    far = np.asarray(cKDTree(lipids(sample)).query(places)[0]) > 300  # no vesicle has a larger radius
    outer = places[:, 1] * np.sin(np.deg2rad(50)) + places[:, 2] * np.cos(np.deg2rad(50)) > 0.5 * FIELD_A
    return np.asarray(far & outer & (np.abs(places[:, 2]) < 3000) & (np.abs(places[:, 1]) < 1200))


def test_cytoplasm_has_the_mass_and_the_ribosomes_asked_for(made: dict[str, Sample]) -> None:
    sample = flat(made["lamella"])
    half = np.array([THICKNESS_A / 2, 1200, 3000])
    places = np.random.default_rng(0).uniform(-half, half, (40_000, 3))
    volume_A3 = float(np.prod(2 * half)) * cytoplasm_of_lamella(sample, places).mean()
    mass_kDa = sum(
        part.molecule.mass_kDa * cytoplasm_of_lamella(sample, part.centres_A).sum() for part in proteins(sample)
    )
    assert mass_kDa / volume_A3 / CONCENTRATION == pytest.approx(CROWDING_mg_mL, rel=0.1)
    # Ribosomes are whole: in 170 Å at each face is no centre of one. Some 45 are counted, by chance 15 % more or less.
    ribosomes = cytoplasm_of_lamella(sample, labelled(sample, "ribosome")).sum()
    with_room = volume_A3 * (THICKNESS_A - 2 * 170) / THICKNESS_A
    assert ribosomes / with_room == pytest.approx(1 / CELL_RIBOSOME_CUBE_A**3, rel=0.2)


def test_crowding_is_what_it_is_set_to(made: dict[str, Sample]) -> None:
    slab = slab_for(seed=3, field_A=FIELD_A, thickness_A=THICKNESS_A)
    less = cell_edge(slab, crowding_mg_mL=CROWDING_mg_mL / 2)

    def crowd_kDa(sample: Sample) -> float:
        return sum(part.molecule.mass_kDa * len(part) for part in proteins(sample) if not part.label)

    bound = crowd_kDa(cell_edge(slab, crowding_mg_mL=0.0))  # to the membrane
    ribosomes = sum(part.molecule.mass_kDa * len(part) for part in proteins(less) if part.label == "ribosome")
    whole, half = (crowd_kDa(sample) - bound + ribosomes for sample in (made["cell"], less))
    assert half == pytest.approx(whole / 2, rel=0.02)
    # Other parts have streams of their own.
    for label in ("ribosome", "microtubule", "actin"):
        np.testing.assert_array_equal(labelled(less, label), labelled(made["cell"], label))
    np.testing.assert_array_equal(lipids(less), lipids(made["cell"]))


def test_a_cell_has_all_its_parts_each_on_its_side(made: dict[str, Sample]) -> None:
    cell = made["cell"]
    assert {part.label for part in cell.parts} == {"", "ribosome", "actin", "microtubule"}
    assert {part.label for part in made["lamella"].parts} == {"", "ribosome", "spliceosome", "actin", "microtubule"}
    # The cell fills the lower left of the field.
    outward = np.array([0, np.sin(np.deg2rad(50)), np.cos(np.deg2rad(50))])
    middle = np.abs(labelled(cell, "ribosome")[:, 1:] @ [np.cos(np.deg2rad(50)), -np.sin(np.deg2rad(50))]) < FIELD_A / 2
    assert (labelled(cell, "ribosome")[middle] @ outward).max() < 0.3 * FIELD_A
    assert len(labelled(cell, "actin")) > 200
    assert (lipids(cell) @ outward).max() > 0.3 * FIELD_A  # of the vesicle outside


@pytest.mark.parametrize("name", ["apoferritin", "ribosomes", "cell", "lamella"])
def test_nothing_large_is_in_anothers_way(name: str, made: dict[str, Sample]) -> None:
    """Spheres stand for molecules; by atoms, only some that stick out may be near another's."""
    sample = flat(made[name])
    large = [part for part in sample.parts if part.molecule.mass_kDa > 400]
    box = np.array([THICKNESS_A, 1000, 2500])
    near: list[Doubles] = []
    owner: list[NDArray[np.int64]] = []
    for part in large:
        part = part.chosen(np.all(np.abs(part.centres_A) < box, axis=1))
        clouds = atoms(part, 200)
        near.append(clouds.reshape(-1, 3))
        owner.append(np.repeat(np.arange(len(part)) + sum(len(known) for known in owner), clouds.shape[1]))
    places, whose = np.concatenate(near), np.concatenate(owner)
    assert len(np.unique(whose)) > 10
    # An atom of 200 is 16 Å from the next of its own molecule, and in another's midst would be from that one's.
    distances, neighbours = cKDTree(places).query(places, k=12)
    strange = (whose[np.asarray(neighbours)] != whose[:, None]) & (np.asarray(distances) < 10)
    assert strange.any(axis=1).mean() < 0.01
    if name in ("cell", "lamella"):
        others = np.concatenate([part.centres_A for part in sample.parts if part.molecule.mass_kDa < 400])
        inside = np.asarray(cKDTree(places).query(others)[0]) < 10
        within = (np.abs(others) < box).all(axis=1)
        assert within.sum() > 1000
        assert inside[within].mean() < 0.002


@pytest.mark.parametrize("name", ["cell", "lamella"])
def test_membranes_are_closed_with_64_square_angstrom_a_lipid(name: str, made: dict[str, Sample]) -> None:
    distances = np.asarray(cKDTree(lipids(made[name])).query(lipids(made[name]), k=5)[0])
    # Squares side by side have four neighbours at their side's length, those on a sphere about so.
    np.testing.assert_allclose(np.median(distances[:, 1:], axis=0), PATCH_A, rtol=0.1)
    assert distances[:, 1].min() > 0.7 * PATCH_A


# ---- view and seeds


@given(
    st.floats(500, 7000),
    st.floats(300, 4000),
    st.floats(0, 75),
    st.floats(-180, 180),
    st.sampled_from([(-1, -1), (-1, 1), (1, 1)]),
    st.sampled_from([-1, 1]),
)
def test_the_slab_fills_the_field_at_every_tilt(
    field_A: float, thickness_A: float, tilt_deg: float, axis_deg: float, corner: tuple[int, int], face: int
) -> None:
    half_y, half_x = extent_A(field_A, thickness_A, tilt_deg)
    _, y, x = rotation_about_z(axis_deg) @ np.array([0, *corner]) * field_A / 2
    for tilt in (tilt_deg, -tilt_deg):
        # Where the ray through the field's corner meets a face: sample = turn.T @ (z, y, x), its z given.
        turn = rotation_about_y(tilt)
        z = (face * thickness_A / 2 - turn[2, 0] * x) / turn[0, 0]
        place = turn.T @ (z, y, x)
        assert place[0] == pytest.approx(face * thickness_A / 2)
        assert abs(place[1]) <= half_y - 190
        assert abs(place[2]) <= half_x - 190


@pytest.mark.parametrize("tilt_deg", [0, 60, -60])
def test_particles_are_in_every_part_of_the_view(tilt_deg: float, made: dict[str, Sample]) -> None:
    _, y, x = rotation_about_y(tilt_deg) @ labelled(made["apoferritin"], "apoferritin").T
    counts, *_ = np.histogram2d(y, x, bins=3, range=[[-FIELD_A / 2, FIELD_A / 2]] * 2)
    paths_A = THICKNESS_A - 2 * 75, THICKNESS_A
    assert counts.min() > 0.3 * (FIELD_A / 3) ** 2 * paths_A[0] / APOFERRITIN_CUBE_A**3
    # Within the Poisson error of some 90 to 180 molecules, as those that keep apart are.
    expected = FIELD_A**2 * paths_A[0] / np.cos(np.deg2rad(tilt_deg)) / APOFERRITIN_CUBE_A**3
    assert counts.sum() == pytest.approx(expected, rel=0.3)


def test_a_lamella_lies_flat_at_its_pre_tilt(made: dict[str, Sample]) -> None:
    lamella = made["lamella"]
    assert lamella.pre_tilt_deg == 8
    centres = labelled(lamella, "ribosome")
    at_pre_tilt = centres @ rotation_about_y(8).T
    assert np.abs(at_pre_tilt[:, 0]).max() < THICKNESS_A / 2
    assert np.abs(centres[:, 0]).max() > 1.1 * THICKNESS_A / 2
    other = build("lamella", seed=3, field_A=600.0, thickness_A=500.0, pre_tilt_deg=-5.0)
    assert other.pre_tilt_deg == -5
    assert np.ptp(flat(other).matrix.upper_A) > 40  # rough


@pytest.mark.parametrize("name", SPECIMENS)
def test_the_seed_chooses_the_specimen(name: str) -> None:
    first, again, other = (build(name, seed=seed, field_A=500.0, thickness_A=600.0) for seed in (1, 1, 2))
    assert len(first.parts) == len(again.parts)
    for part, same in zip(first.parts, again.parts, strict=True):
        np.testing.assert_array_equal(part.centres_A, same.centres_A)
        np.testing.assert_array_equal(part.rotations, same.rotations)
        assert part.molecule is same.molecule
    np.testing.assert_array_equal(first.beads.centres_A, again.beads.centres_A)
    every = [np.concatenate([*(part.centres_A for part in s.parts), s.beads.centres_A]) for s in (first, other)]
    # Some 10,000 coordinates; those of patches' rows and of filaments on an axis need not depend on the seed.
    assert np.isin(every[0][:, 2], every[1][:, 2]).mean() < 0.01


@pytest.mark.parametrize("name", SPECIMENS)
@pytest.mark.parametrize(("field_A", "thickness_A"), [(300.0, 300.0), (3000.0, 300.0), (200.0, 1500.0)])
def test_small_and_thin_specimens_can_be_made(name: str, field_A: float, thickness_A: float) -> None:
    sample = build(name, seed=1, field_A=field_A, thickness_A=thickness_A)
    assert sample.molecules + len(sample.beads) > 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "ribosome"}, 'mean "ribosomes"'),
        ({"field_A": 0.0}, "field of 0"),
        ({"field_A": np.nan}, "field of nan"),
        ({"thickness_A": 200.0}, "300 Å or more"),
        ({"thickness_A": np.inf}, "holds no specimen"),
        ({"max_tilt_deg": 75.0, "pre_tilt_deg": -10.0}, "85°"),
    ],
)
def test_what_cannot_be_made_is_said(changes: dict[str, float], message: str) -> None:
    asked: dict[str, object] = {"name": "beads", "seed": 0, "field_A": 1000.0, "thickness_A": 1000.0, **changes}
    with pytest.raises(InputError, match=message):
        build(**asked)  # type: ignore[arg-type]


# ---- packing


@settings(max_examples=30)
@given(st.integers(0, 2**32), st.floats(5, 60), st.integers(1, 4))
def test_bodies_settle_as_one_by_one_comparison_says(seed: int, radius_A: float, spheres: int) -> None:
    draw = np.random.default_rng(seed)
    half = np.array([100.0, 150, 200])
    packing, taken, radii = Packing(half), np.empty((0, 3)), np.empty(0)
    for size in (radius_A, radius_A / 2):
        body = Body(draw.normal(0, 20, (spheres, 3)), draw.uniform(0.5, 1, spheres) * size)
        centres = draw.uniform(-1.3 * half, 1.3 * half, (40, 3))  # some beyond the box
        rotations = random_rotations(40, draw)
        free = packing.free(body, centres, rotations)
        kept = packing.settle(body, centres, rotations, 30)
        expected = np.zeros(40, bool)
        for i in range(40):
            places = centres[i] + body.offsets_A @ rotations[i].T
            gaps = np.linalg.norm(places[:, None] - taken, axis=2) - body.radii_A[:, None] - radii
            if size == radius_A and i == 0:
                assert free.all()
            # Places are kept in single precision: what touches to a thousandth of an Å may be judged either way.
            assume(not (np.abs(gaps) < 2e-3).any())
            if expected.sum() < 30 and (gaps >= 0).all():
                expected[i] = True
                taken, radii = np.concatenate([taken, places]), np.concatenate([radii, body.radii_A])
        np.testing.assert_array_equal(kept, expected)
        assert free[kept].all()


def test_what_has_no_room_is_said_and_what_has_is_all_there() -> None:
    draw = np.random.default_rng(0)
    space = Space(np.full(3, 100.0))
    with pytest.warns(DataWarning, match="of 100 copies of balls"):
        centres, rotations = strewn(
            Packing(space.half_A), Body.ball(40), 100, lambda m: space.places(m, 0, draw), draw, "balls"
        )
    assert 4 < len(centres) == len(rotations) < 40
    centres, _ = strewn(Packing(space.half_A), Body.ball(5), 100, lambda m: space.places(m, 0, draw), draw, "balls")
    assert len(centres) == 100


def test_a_space_knows_its_volume() -> None:
    ball = Space(np.array([50.0, 60, 80]), lambda places, margin: np.linalg.norm(places, axis=1) < 50)
    assert ball.volume_A3() == pytest.approx(4 / 3 * np.pi * 50**3, rel=0.01)
    assert Space(np.array([50.0, 60, 80])).volume_A3(10) == pytest.approx(80 * 120 * 160)


@pytest.mark.parametrize("name", ["ribosome", "apoferritin", "protein-102kDa"])
def test_a_body_covers_its_molecule_and_little_more(name: str) -> None:
    whole = molecule(name)
    body = body_of(whole)
    tree = cKDTree(body.offsets_A)
    covered = np.asarray(tree.query(whole.positions_A)[0]) < body.radii_A[0]
    assert covered.mean() > 0.8
    # Protein has 1.21 Å³ a dalton, nucleic acid less; the rest is water in clefts.
    half = np.full(3, whole.radius_A + 20)
    trial = np.random.default_rng(0).uniform(-half, half, (50_000, 3))
    volume_A3 = float(np.prod(2 * half)) * np.mean(np.asarray(tree.query(trial)[0]) < body.radii_A[0])
    assert 0.9 < volume_A3 / (1210 * whole.mass_kDa) < 2.2


# ---- shapes


def straight(lattice: Helix, heading_deg: float = 90.0) -> Placed:
    return filament(lattice, (0.0, 0.0, 0.0), heading_deg, 1000.0, slope=0.0, bend_per_A=0.0)


def test_actin_rises_and_turns_as_it_should() -> None:
    z, y, x = straight(ACTIN).centres_A.T  # along +y
    np.testing.assert_allclose(np.diff(y), 27.5)
    np.testing.assert_allclose(np.hypot(z, x), 16.0)
    # Right-handed about +y turns z towards x; the short-pitch helix of actin is left-handed, 166.6 degrees a subunit.
    np.testing.assert_allclose(np.rad2deg(np.diff(np.unwrap(np.arctan2(x, z)))), -166.6)


def test_a_microtubule_has_thirteen_protofilaments_and_a_left_handed_start() -> None:
    z, y, x = straight(MICROTUBULE).centres_A.T
    rows = np.round((np.rad2deg(np.arctan2(x, z)) - np.rad2deg(np.arctan2(x[0], z[0]))) / (360 / 13)) % 13
    assert set(rows) == set(range(13))
    for row in range(13):
        np.testing.assert_allclose(np.diff(np.sort(y[rows == row])), 40.0)
    # The neighbour 9.2 Å further along y is turned from x towards z.
    start = len(y) // 2
    (neighbour,) = np.flatnonzero(np.isclose(y - y[start], 120 / 13))
    assert rows[neighbour] == (rows[start] - 1) % 13


@pytest.mark.parametrize("lattice", [ACTIN, MICROTUBULE])
@pytest.mark.parametrize("heading_deg", [0.0, 35.0, 200.0])
def test_monomers_turn_with_their_filament(lattice: Helix, heading_deg: float) -> None:
    whole = straight(lattice, heading_deg)
    ahead = np.array([0, np.sin(np.deg2rad(heading_deg)), np.cos(np.deg2rad(heading_deg))])
    np.testing.assert_allclose(np.linalg.det(whole.rotations), 1)
    np.testing.assert_allclose(whole.rotations[:, :, 0], np.broadcast_to(ahead, (len(whole), 3)), atol=1e-9)
    from_axis = whole.centres_A - np.outer(whole.centres_A @ ahead, ahead)
    np.testing.assert_allclose(whole.rotations[:, :, 2] * lattice.radius_A, from_axis, atol=1e-6)
    # Every monomer sees the next one at the same place: the lattice is a helix of equal surroundings.
    steps = np.einsum("mji,mj->mi", whole.rotations[:-1], np.diff(whole.centres_A, axis=0))
    np.testing.assert_allclose(steps, np.broadcast_to(steps[0], steps.shape), atol=1e-6)


def test_a_filament_goes_where_it_is_headed() -> None:
    climbing = filament(ACTIN, (5.0, 6.0, 7.0), 30.0, 2000.0, slope=0.1, bend_per_A=0.0).centres_A
    ahead = climbing[-13] - climbing[12]
    np.testing.assert_allclose(
        ahead / np.linalg.norm(ahead), np.array([0.1, 0.5, np.sqrt(0.75)]) / np.hypot(1, 0.1), atol=0.03
    )
    np.testing.assert_allclose(climbing.mean(axis=0), (5, 6, 7), atol=30)
    bent = filament(ACTIN, (0.0, 0.0, 0.0), 0.0, 2000.0, slope=0.0, bend_per_A=1e-4).centres_A
    # The ends of an arc of 2000 Å with a radius of 1e4 Å lie 50 Å off the tangent at its middle.
    np.testing.assert_allclose(bent[[0, -1], 1], 50, atol=20)


@given(st.integers(0, 2**32))
def test_patches_stand_on_their_normals(seed: int) -> None:
    draw = np.random.default_rng(seed)
    normals = np.concatenate([draw.normal(size=(20, 3)), [(1, 0, 0), (-1, 0, 0), (0, 1, 0)]])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    rotations = upright(normals, draw.uniform(0, 7, len(normals)))
    np.testing.assert_allclose(rotations @ (1, 0, 0), normals, atol=1e-12)
    np.testing.assert_allclose(rotations @ rotations.transpose(0, 2, 1), np.eye(3)[None].repeat(23, 0), atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(rotations), 1)


def test_a_vesicle_is_a_sphere_of_patches() -> None:
    places, normals = sphere((10.0, 20.0, 30.0), 300.0)
    np.testing.assert_allclose(places, (10.0, 20.0, 30.0) + 300 * normals)
    assert len(places) * PATCH_A**2 == pytest.approx(4 * np.pi * 300**2, rel=0.01)
    np.testing.assert_allclose(normals.mean(axis=0), 0, atol=0.01)
