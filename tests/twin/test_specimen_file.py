import gzip
import re
import warnings
from pathlib import Path
from typing import Any

import gemmi
import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.sparse import csgraph
from scipy.spatial import cKDTree

from eucentric.core import DataWarning, EucentricWarning, FormatError, InputError
from eucentric.core.frames import rotation_about_x, rotation_about_y, rotation_about_z
from eucentric.io import write_mrc
from eucentric.io.mrc import open_mrc
from eucentric.specimen.library import molecule
from eucentric.specimen.sample import Placed, Sample
from eucentric.specimen.samples import extent_A
from eucentric.twin import find_sample
from eucentric.twin.specimen_file import read_specimen
from eucentric.twin.specimen_models import molecule_of_map
from eucentric.twin.specimen_records import Actin, Gold, Ice, Microtubule, Molecules, Sheet, SpecimenFile, Vesicle

EXAMPLE = Path(__file__).parents[2] / "docs" / "specimen-example.yaml"
FIELD_A = 1500.0
ICE = "ice: {thickness_A: 800}\n"


def written(folder: Path, text: str) -> Path:
    path = folder / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def read(folder: Path, text: str, *, seed: int = 5, field_A: float = FIELD_A, max_tilt_deg: float = 40.0) -> Sample:
    return read_specimen(written(folder, text), seed=seed, field_A=field_A, max_tilt_deg=max_tilt_deg)


def part_of(sample: Sample, label: str) -> Placed:
    (part,) = (part for part in sample.parts if part.label == label)
    return part


def refused(
    folder: Path, text: str, error: type[FormatError | InputError] = FormatError, field_A: float = FIELD_A
) -> str:
    path = written(folder, text)
    with pytest.raises(error) as caught:
        read_specimen(path, seed=5, field_A=field_A, max_tilt_deg=40)
    assert str(caught.value).startswith(str(path))
    assert caught.value.fix
    return caught.value.what


def up(by_A: float) -> Any:
    return np.array([by_A, 0.0, 0.0])


def nearest_A(centres_A: Any) -> Any:
    """Give how far from each place the nearest other is."""
    return np.asarray(cKDTree(centres_A).query(centres_A, 2)[0])[:, 1]


def in_field(centres_A: Any) -> int:
    return int(np.all(np.abs(centres_A[:, 1:]) <= FIELD_A / 2, axis=1).sum())


# The example


def test_the_example_is_read_and_shows_every_field() -> None:
    sample = find_sample(str(EXAMPLE), seed=1, field_A=FIELD_A, thickness_A=1, max_tilt_deg=60.0, pre_tilt_deg=0.0)
    assert sample.name == "example"
    assert sample.pre_tilt_deg == 8
    labels = {part.label for part in sample.parts}
    assert labels == {"ribosome", "ferritin", "", "protein-102kDa", "actin", "microtubule"}
    text = EXAMPLE.read_text(encoding="utf-8")
    for record in (SpecimenFile, Ice, Molecules, Vesicle, Sheet, Actin, Microtubule, Gold):
        missing = [name for name in record.model_fields if not re.search(rf"\b{name}\b", text)]
        assert not missing, f"the example shows no {missing} of {record.__name__}"


def test_what_the_example_has_in_comments_is_right_too(tmp_path: Path) -> None:
    text = re.sub(r"^  # (- |  )", r"  \1", EXAMPLE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert text.count("- model:") == 6
    what = refused(tmp_path, text, InputError)  # everything but the files is there
    assert re.search(r"molecules\[4\].model: .*models/1abc.cif.gz: no such file", what)


# Placed where said


def test_molecules_are_where_and_how_the_file_says(tmp_path: Path) -> None:
    text = f"""
{ICE}
molecules:
- {{model: protein-39kDa, places_zyx_A: [[10, 20, -30], [-100, 0, 2000]], rotations_zyx_deg: [[30, 40, 50], [0, 0, 0]]}}
"""
    part = part_of(read(tmp_path, text), "protein-39kDa")
    np.testing.assert_array_equal(part.centres_A, [[10, 20, -30], [-100, 0, 2000]])
    turned = rotation_about_z(30) @ rotation_about_y(40) @ rotation_about_x(50)  # about x first
    np.testing.assert_allclose(part.rotations, [turned, np.eye(3)], atol=1e-12)
    assert part.molecule is molecule("protein-39kDa")


def test_a_pre_tilt_turns_ice_and_contents_together(tmp_path: Path) -> None:
    text = (
        "ice: {{thickness_A: 800, pre_tilt_deg: {}}}\nmolecules: [{{model: actin, places_zyx_A: [[300, 50, -700]]}}]\n"
    )
    flat, turned = (read(tmp_path, text.format(angle)) for angle in (0, 20))
    turn = rotation_about_y(-20)
    np.testing.assert_allclose(turned.parts[0].centres_A, flat.parts[0].centres_A @ turn.T)
    np.testing.assert_allclose(turned.parts[0].rotations, turn @ flat.parts[0].rotations)
    assert turned.pre_tilt_deg == 20
    assert turned.matrix.inside(turned.parts[0].centres_A).all()
    assert not turned.matrix.inside(flat.parts[0].centres_A).any()  # 300 cos 20° + 700 sin 20° above its middle


@pytest.mark.parametrize(("kind", "radius_A"), [("actin", 16.0), ("microtubule", 112.0)])
def test_filaments_go_through_their_place_along_their_heading(tmp_path: Path, kind: str, radius_A: float) -> None:
    text = f"{ICE}filaments: [{{kind: {kind}, places_zyx_A: [[50, 10, 20]], heading_deg: 30, length_A: 1000}}]\n"
    away = part_of(read(tmp_path, text), kind).centres_A - (50, 10, 20)
    ahead = np.array([0, np.sin(np.pi / 6), np.cos(np.pi / 6)])
    along = away @ ahead
    np.testing.assert_allclose(np.linalg.norm(away - along[:, None] * ahead, axis=1), radius_A, rtol=1e-6)
    assert np.ptp(along) == pytest.approx(1000, abs=60)  # two monomers at most
    assert abs(along.mean()) < 30


def test_filaments_bend_to_the_left_of_their_heading(tmp_path: Path) -> None:
    text = f"{ICE}filaments: [{{kind: microtubule, places_zyx_A: [[0, 0, 0]], heading_deg: 0, length_A: 4000, BEND}}]\n"
    monomers = part_of(read(tmp_path, text.replace("BEND", "bend_per_um: 2")), "microtubule").centres_A
    # A circle of 5000 Å through the origin: its middle is at y = 5000 for a heading along x.
    from_axis = np.hypot(np.hypot(monomers[:, 1] - 5000, monomers[:, 2]) - 5000, monomers[:, 0])
    np.testing.assert_allclose(from_axis, 112, atol=2)


def test_filaments_that_are_counted_have_their_middles_in_the_field_and_end_with_the_ice(tmp_path: Path) -> None:
    sample = read(tmp_path, f"{ICE}filaments: [{{kind: microtubule, count: 3, climb_deg: 30, length_A: 4000}}]\n")
    monomers = part_of(sample, "microtubule").centres_A
    assert sample.matrix.inside(monomers).all()
    # What climbs at 30° leaves 800 Å of ice after at most 1600 Å, of the 4000.
    assert 300 < len(monomers) < 3 * 1600 / (40 / 13)


def test_vesicles_are_spheres_about_their_places(tmp_path: Path) -> None:
    sample = read(tmp_path, f"{ICE}membranes: [{{kind: vesicle, radius_A: 200, places_zyx_A: [[20, -300, 100]]}}]\n")
    centres = np.concatenate([part.centres_A for part in sample.parts])
    np.testing.assert_allclose(np.linalg.norm(centres - (20, -300, 100), axis=1), 200)
    assert len(centres) == pytest.approx(4 * np.pi * 200**2 / (12 * 64), rel=0.01)  # 12 lipids of 64 Å² each
    outward = np.concatenate([part.rotations for part in sample.parts])[:, :, 0]
    np.testing.assert_allclose(outward * 200, centres - (20, -300, 100), atol=1e-6)


def test_vesicles_that_are_counted_do_not_touch(tmp_path: Path) -> None:
    sample = read(tmp_path, f"{ICE}membranes: [{{kind: vesicle, radius_A: 100, count: 4, proteins: some}}]\n")
    assert {part.molecule.name for part in sample.parts} == {"lipids", "protein-39kDa", "protein-24kDa"}
    patches = np.concatenate([part.centres_A for part in sample.parts if part.molecule.name == "lipids"])
    vesicles = cKDTree(patches).query_pairs(50, output_type="ndarray")
    graph = sparse.coo_array((np.ones(len(vesicles)), vesicles.T), shape=(len(patches),) * 2)
    n, which = csgraph.connected_components(graph, directed=False)
    middles = np.array([patches[which == i].mean(axis=0) for i in range(n)])
    assert in_field(middles) == 4
    assert n > 4
    for i in range(n):
        # None is cut by a face, and walls keep to the 30 Å that a patch takes to either side.
        np.testing.assert_allclose(np.linalg.norm(patches[which == i] - middles[i], axis=1), 100, atol=1)
    assert min(np.linalg.norm(middles[i] - middles[j]) for i in range(n) for j in range(i)) > 250


def test_a_sheet_lies_in_its_plane_and_ends_where_it_should(tmp_path: Path) -> None:
    text = f"{ICE}membranes: [{{kind: sheet, centre_zyx_A: [10, 50, 60], normal_zyx: [0, 2, 1]}}]\n"
    sample = read(tmp_path, text)
    away = np.concatenate([part.centres_A for part in sample.parts]) - (10, 50, 60)
    np.testing.assert_allclose(away @ (0, 2, 1), 0, atol=1e-9)
    half_y, half_x = extent_A(FIELD_A, 800, 40)
    assert np.abs(away[:, 0] + 10).max() == pytest.approx(400 - 30, abs=28)  # patches take 30 Å; they are 28 Å apart
    assert np.abs(away[:, 2] + 60).max() == pytest.approx(min(half_x, 2 * half_y), abs=60)
    part = next(part for part in sample.parts if len(part))
    np.testing.assert_allclose(part.rotations[:, :, 0], np.tile(np.array([0, 2, 1]) / np.sqrt(5), (len(part), 1)))
    small = read(tmp_path, text.replace("[0, 2, 1]", "[1, 0, 0], side_A: 300"))
    flat = np.concatenate([part.centres_A for part in small.parts]) - (10, 50, 60)
    assert len(flat) == round(300 / np.sqrt(768)) ** 2
    assert np.abs(flat[:, 0]).max() < 1e-9
    assert nearest_A(flat) == pytest.approx(np.sqrt(768))


@pytest.mark.parametrize("faces", ["upper", "lower", "both", "anywhere"])
def test_gold_lies_at_the_faces_that_were_named(tmp_path: Path, faces: str) -> None:
    sample = read(tmp_path, f"{ICE}gold: {{diameter_A: 60, count: 12, faces: {faces}}}\n")
    z = sample.beads.centres_A[:, 0]
    assert in_field(sample.beads.centres_A) == 12
    assert np.all(sample.beads.radii_A == 30)
    assert np.all(np.abs(z) <= 370)
    at_face = np.abs(z) >= 360 - 1e-9  # up to 10 Å below it
    assert at_face.mean() < 0.5 if faces == "anywhere" else at_face.all()
    assert {"upper": {1}, "lower": {-1}}.get(faces, {-1, 1}) == set(np.sign(z))
    assert nearest_A(sample.beads.centres_A).min() >= 60


def test_gold_is_where_the_file_says(tmp_path: Path) -> None:
    sample = read(tmp_path, f"{ICE}gold: {{places_zyx_A: [[1, 2, 3], [-300, 0, 9]]}}\n")
    np.testing.assert_array_equal(sample.beads.centres_A, [[1, 2, 3], [-300, 0, 9]])
    np.testing.assert_array_equal(sample.beads.radii_A, 50)


# How many


def test_a_count_is_that_of_the_field_and_it_goes_on_as_densely_around_it(tmp_path: Path) -> None:
    part = part_of(read(tmp_path, f"{ICE}molecules: [{{model: protein-39kDa, count: 40}}]\n"), "protein-39kDa")
    assert in_field(part.centres_A) == 40
    half_y, half_x = extent_A(FIELD_A, 800, 40)
    assert len(part) == round(40 * 4 * half_y * half_x / FIELD_A**2)


def test_concentrations_are_those_of_the_ice(tmp_path: Path) -> None:
    text = """
ice: {thickness_A: 800}
molecules:
- {model: protein-39kDa, concentration_per_um3: 1000, label: by number}
- {model: protein-39kDa, mg_mL: 20, label: by mass}
"""
    sample = read(tmp_path, text)
    half_y, half_x = extent_A(FIELD_A, 800, 40)
    volume_A3 = 4 * half_y * half_x * 800
    assert len(part_of(sample, "by number")) == round(1000 * volume_A3 / 1e12)
    mass_kDa = len(part_of(sample, "by mass")) * molecule("protein-39kDa").mass_kDa
    # 1 mg/mL is 1e-21 mg/Å3 of 6.022e17 kDa/mg; half a molecule of rounding is 0.5 % of them.
    assert mass_kDa / volume_A3 == pytest.approx(20 * 6.022e17 * 1e-24, rel=0.005)


@pytest.mark.parametrize("apart_A", [10.0, 400.0])
@settings(max_examples=3, deadline=None, derandomize=True)
@given(seed=st.integers(0, 1000))
def test_what_is_strewn_keeps_its_distance_and_overlaps_nothing(
    tmp_path_factory: pytest.TempPathFactory, apart_A: float, seed: int
) -> None:
    text = f"""
{ICE}
molecules:
- {{model: apoferritin, count: 6, min_distance_A: {apart_A}}}
- {{model: protein-39kDa, mg_mL: 100, label: crowd}}
- {{model: ribosome, places_zyx_A: [[0, 0, 0]]}}
gold: {{count: 3}}
"""
    sample = read(tmp_path_factory.mktemp("apart"), text, seed=seed)
    centres, crowd = part_of(sample, "apoferritin").centres_A, part_of(sample, "crowd").centres_A
    # A shell of 120 Å outer diameter: bodies of a few balls keep centres at least 100 Å apart.
    assert nearest_A(centres).min() >= max(apart_A, 100)
    assert np.abs(centres[:, 0]).max() <= 400 - 50
    # A protein of this mass is 20 Å in radius: no atom of what came before it is near its middle.
    ribosome = part_of(sample, "ribosome")
    for part, at in ((ribosome, 0), (part_of(sample, "apoferritin"), 0)):
        atoms = cKDTree(part.molecule.positions_A[::5] @ part.rotations[at].T + part.centres_A[at])
        assert 10 < np.min(atoms.query(crowd)[0]) < 60
    assert nearest_A(crowd).min() >= 40
    for others in (centres, crowd):
        assert np.min(cKDTree(sample.beads.centres_A).query(others)[0]) >= 50


def test_the_same_seed_gives_the_same_and_a_later_entry_changes_no_earlier_one(tmp_path: Path) -> None:
    text = f"{ICE}molecules:\n- {{model: apoferritin, count: 4}}\n"
    one, same, other = (part_of(read(tmp_path, text, seed=seed), "apoferritin") for seed in (3, 3, 4))
    np.testing.assert_array_equal(one.centres_A, same.centres_A)
    np.testing.assert_array_equal(one.rotations, same.rotations)
    assert not np.isin(other.centres_A, one.centres_A).any()
    more = read(tmp_path, f"{text}- {{model: protein-39kDa, count: 9}}\n", seed=3)
    np.testing.assert_array_equal(part_of(more, "apoferritin").centres_A, one.centres_A)
    twice = read(tmp_path, f"{text}- {{model: apoferritin, count: 4, label: again}}\n", seed=3)
    assert not np.isin(part_of(twice, "again").centres_A, one.centres_A).any()


def test_too_many_are_refused_and_some_too_many_are_said(tmp_path: Path) -> None:
    text = "ice: {{thickness_A: 400}}\n\nmolecules:\n- {{model: apoferritin, concentration_per_um3: {}}}\n"
    said = refused(tmp_path, text.format(3e6), InputError, 300)
    assert re.search(r"line 4: molecules\[0\]: \d+ copies of apoferritin are too many: there is room for \d+ at", said)
    said = refused(tmp_path, text.format(6e5), InputError, 300)  # thinner than two of them, much of it cannot be filled
    found, wanted = map(int, re.findall(r"room for (\d+) of (\d+) copies of apoferritin, fewer than half", said)[0])
    assert 10 < found < wanted / 2
    with pytest.warns(DataWarning, match=r"mine.yaml, line 4.*room for \d+ of \d+ copies of apo") as warned:
        sample = read(tmp_path, text.format(found / wanted * 6e5 * 1.3), field_A=300)
    assert len(warned) == 1
    assert f"for {sample.molecules} of" in str(warned[0].message)


def test_less_than_one_is_said(tmp_path: Path) -> None:
    with pytest.warns(DataWarning, match="less than one of copies of ribosome in all of the specimen"):
        sample = read(tmp_path, f"{ICE}molecules: [{{model: ribosome, concentration_per_um3: 0.001}}]\n")
    assert sample.molecules == 0


# Ice


def test_rough_wedged_ice_on_carbon_is_as_the_file_says(tmp_path: Path) -> None:
    text = """
ice: {thickness_A: 900, roughness_A: 30, roughness_length_A: 200, wedge: 0.05, hole_radius_A: 1000, carbon_A: 150,
      hole_centre_yx_A: [100, 200]}
molecules: [{model: protein-102kDa, mg_mL: 60}]
gold: {count: 20, faces: both}
filaments: [{kind: actin, count: 2}]
"""
    sample = read(tmp_path, text)
    matrix = sample.matrix
    assert (matrix.hole_radius_A, matrix.hole_centre_yx_A, matrix.carbon_A) == (1000, (100, 200), 150)
    rms = matrix.lower_A.std()
    assert rms == pytest.approx(30, rel=0.25)  # some 400 independent patches of a face, smoothed
    x_A = (np.arange(matrix.upper_A.shape[1]) - matrix.upper_A.shape[1] // 2) * matrix.grid_A
    slope = np.polyfit(x_A, matrix.upper_A.mean(axis=0), 1)[0]
    assert slope == pytest.approx(0.05, abs=0.01)
    for part in sample.parts:
        for up_A in (-20, 20):
            assert matrix.inside(part.centres_A + up(up_A)).all()
    for up_A in (-49, 49):
        assert matrix.inside(sample.beads.centres_A + up(up_A)).all()
    above, below = (matrix.inside(sample.beads.centres_A + up(up_A)) for up_A in (62, -62))
    assert np.all(above != below)  # each is at one face, to 10 Å


def test_without_ice_what_has_places_is_where_it_is(tmp_path: Path) -> None:
    text = """
ice: {thickness_A: 0}
molecules: [{model: actin, places_zyx_A: [[5000, 0, 0]]}]
membranes: [{kind: sheet, side_A: 200}, {kind: vesicle, radius_A: 80, places_zyx_A: [[900, 0, 0]]}]
filaments: [{kind: actin, length_A: 500, places_zyx_A: [[-700, 0, 0]], climb_deg: 45}]
gold: {places_zyx_A: [[-1000, 0, 0]]}
"""
    sample = read(tmp_path, text)
    assert sample.matrix.thickness_A == 0
    assert part_of(sample, "actin").centres_A[0].tolist() == [5000, 0, 0]
    assert len(part_of(sample, "actin")) == 1 + int(500 / 27.5)
    for entry in ("molecules: [{model: actin, count: 3}]", "gold: {count: 3}", "filaments: [{kind: actin, count: 1}]"):
        said = refused(tmp_path, f"ice: {{thickness_A: 0}}\n{entry}\n", InputError)
        assert "line 2" in said
        assert "no ice" in said


# Models from files


def pdb(folder: Path, name: str = "mine.pdb", turn: bool = False) -> Path:
    lines = []
    if turn:
        lines += ["REMARK 350 BIOMOLECULE: 1", "REMARK 350 APPLY THE FOLLOWING TO CHAINS: A"]
        for number, sign in ((1, 1), (2, -1)):
            rows = ((sign, 0, 0), (0, sign, 0), (0, 0, 1))
            lines += [
                f"REMARK 350   BIOMT{axis}{number:4d}{a:10.6f}{b:10.6f}{c:10.6f}{0:15.5f}"
                for axis, (a, b, c) in enumerate(rows, 1)
            ]
    for i in range(5):
        x, y, z = 10 + i, 20 + 2 * i, 30 + 3 * i
        lines.append(f"ATOM  {i + 1:5d}  CA  ALA A{i + 1:4d}    {x:8.3f}{y:8.3f}{z:8.3f}  1.00 20.00           C  ")
    path = folder / name
    path.write_text("\n".join([*lines, "END", ""]))
    return path


def test_atomic_models_are_read_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    pdb(tmp_path / "models", turn=True)
    text = f"""
{ICE}
molecules:
- {{model: models/mine.pdb, places_zyx_A: [[0, 0, 0]]}}
- {{model: models/mine.pdb, places_zyx_A: [[0, 0, 90]], label: same}}
- {{model: models/mine.pdb, assembly: 1, places_zyx_A: [[0, 90, 0]], label: both}}
"""
    sample = read(tmp_path, text)
    mine = part_of(sample, "mine").molecule
    np.testing.assert_allclose(mine.positions_A, np.outer(np.arange(5) - 2, [3, 2, 1]), atol=1e-5)  # zyx, centred
    assert part_of(sample, "same").molecule is mine
    assert len(part_of(sample, "both").molecule) == 10


def test_a_cif_packed_or_not_is_the_same(tmp_path: Path) -> None:
    structure = gemmi.read_pdb(str(pdb(tmp_path)))
    structure.setup_entities()
    text = structure.make_mmcif_document().as_string()
    (tmp_path / "a.cif").write_text(text)
    (tmp_path / "b.CIF.gz").write_bytes(gzip.compress(text.encode()))
    entries = "".join(f"- {{model: {name}, places_zyx_A: [[0, 0, 0]]}}\n" for name in ("mine.pdb", "a.cif", "b.CIF.gz"))
    sample = read(tmp_path, f"{ICE}molecules:\n{entries}")
    assert [part.label for part in sample.parts] == ["mine", "a", "b"]
    for part in sample.parts:
        np.testing.assert_allclose(part.molecule.positions_A, sample.parts[0].molecule.positions_A, atol=1e-5)


def density() -> Any:
    """Give two blobs of unlike sizes and heights, in a noise that is below any threshold of these tests."""
    z, y, x = np.indices((24, 32, 40)) - np.array([12, 16, 20])[:, None, None, None]
    large = 3 * np.exp(-((z / 2) ** 2 + (y / 3) ** 2 + ((x + 8) / 4) ** 2) / 2)
    small = np.exp(-(z**2 + y**2 + (x - 10) ** 2) / 8)
    noise = np.random.default_rng(0).normal(0, 0.01, z.shape)
    return (large + small + noise).astype(np.float32)


def test_a_map_becomes_protein_of_its_mass_and_shape(tmp_path: Path) -> None:
    voxels = density()
    write_mrc(tmp_path / "mine.mrc", voxels, 2.5, kind="volume")
    text = f"""
{ICE}
molecules:
- {{model: mine.mrc, threshold: 0.1, mass_kDa: 600, places_zyx_A: [[0, 0, 0]], rotations_zyx_deg: [[0, 0, 0]]}}
"""
    mine = part_of(read(tmp_path, text), "mine").molecule
    assert mine.mass_kDa == pytest.approx(600, rel=2e-3)  # of 42,640 atoms; their masses are rounded to three digits
    assert set(mine.elements.tolist()) == {6, 7, 8}
    inside = np.where(voxels > 0.1, voxels, 0).astype(float)
    places = (np.moveaxis(np.indices(voxels.shape), 0, -1) - np.array(voxels.shape) // 2).reshape(-1, 3) * 2.5
    share = inside.ravel() / inside.sum()
    middle = share @ places
    spread = (places - middle).T @ (share[:, None] * (places - middle))
    # The standard error of a variance of so many draws is 0.7 % of it; a voxel's own 0.5 Å² comes on top.
    np.testing.assert_allclose(np.cov(mine.positions_A.T), spread + np.eye(3) * 2.5**2 / 12, rtol=0.03, atol=2)
    # Third moments tell the map from its mirror images.
    third = share @ (places - middle) ** 3
    assert np.mean(mine.positions_A[:, 2].astype(float) ** 3) == pytest.approx(third[2], rel=0.1)
    assert abs(third[2]) > 1e3
    # Each voxel has what is its due, and less grain than independent draws would leave.
    found = np.floor((mine.positions_A + middle) / 2.5 + 0.5).astype(int) + np.array(voxels.shape) // 2
    counts = np.zeros(voxels.shape)
    np.add.at(counts, tuple(found.T), 1)
    due = inside / inside.sum() * len(mine)
    assert counts[due == 0].sum() < 0.01 * len(mine)  # float32 at a voxel's border
    filled = due > 5
    assert np.mean((counts - due)[filled] ** 2 / due[filled]) < 0.7


def test_a_map_is_chosen_by_the_seed(tmp_path: Path) -> None:
    write_mrc(tmp_path / "mine.mrc", density(), 2.5, kind="volume")
    one, same, other = (molecule_of_map(tmp_path / "mine.mrc", 0.1, 10.0, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.positions_A, same.positions_A)
    assert not np.array_equal(one.positions_A, other.positions_A)


@pytest.mark.parametrize(
    ("model", "error", "said"),
    [
        ("model: ribosom", InputError, 'neither a molecule of the package.*Did you mean "ribosome"'),
        ("model: absent.cif", InputError, "absent.cif: no such file"),
        ("model: mine.cif", FormatError, "mine.cif: cannot be parsed"),
        ("model: mine.cif.gz", FormatError, "mine.cif.gz: cannot be unpacked"),
        ("model: waters.pdb", FormatError, "waters.pdb: there is no atom in it"),
        ("model: odd.pdb", FormatError, "odd.pdb: no electron scattering factor is known"),
        ("model: folder.pdb", InputError, "folder.pdb: this is a folder"),
        ("model: mine.pdb, assembly: 7", InputError, "there is no assembly '7'"),
        ("model: mine.pdb, mass_kDa: 7", InputError, "mine.pdb: threshold and mass_kDa are for maps"),
        ("model: ribosome, assembly: 1", InputError, "ribosome: only an atomic model"),
        ("model: mine.mrc", InputError, "mine.mrc: a map does not say what is molecule in it"),
        ("model: mine.mrc, threshold: 0.1", InputError, "a map does not say"),
        (
            "model: mine.mrc, threshold: 9, mass_kDa: 5",
            InputError,
            r"no voxel is above the threshold of 9; they go from",
        ),
        ("model: infinite.mrc, threshold: 0, mass_kDa: 5", FormatError, "not finite"),
        ("model: short.mrc, threshold: 0, mass_kDa: 5", FormatError, "the header promises"),
        (f"model: {'a' * 300}.pdb", InputError, "cannot be read|no such file"),
        ('model: "a\\0.pdb"', FormatError, r"molecules\[0\].model is 'a.*should match pattern"),
        ('model: "\\ud800.pdb"', FormatError, r"molecules\[0\]\.model|not YAML"),
    ],
)
def test_models_that_cannot_be_read_are_named_with_their_line(
    tmp_path: Path, model: str, error: type[FormatError | InputError], said: str
) -> None:
    text = pdb(tmp_path).read_text()
    (tmp_path / "mine.cif").write_text("data_\nloop_\n_atom_site.Cartn_x\n1 2 '")
    (tmp_path / "mine.cif.gz").write_bytes(b"\x1f\x8bnothing")
    (tmp_path / "waters.pdb").write_text(text.replace("ALA", "HOH"))
    (tmp_path / "odd.pdb").write_text(text.replace(" C  \n", "OG  \n"))
    (tmp_path / "folder.pdb").mkdir()
    voxels = density()
    write_mrc(tmp_path / "mine.mrc", voxels, 2.5, kind="volume")
    raw = (tmp_path / "mine.mrc").read_bytes()
    (tmp_path / "short.mrc").write_bytes(raw[: len(raw) // 2])
    (tmp_path / "infinite.mrc").write_bytes(raw[:-4] + np.float32(np.inf).tobytes())
    what = refused(tmp_path, f"{ICE}\nmolecules:\n- {{{model}, count: 1}}\n", error)
    assert re.search(said, what), what
    assert ", line 4: molecules[0].model" in what or "not YAML" in what


def test_a_map_without_a_pixel_size_is_refused(tmp_path: Path) -> None:
    write_mrc(tmp_path / "mine.mrc", density(), 2.5, kind="volume")
    raw = bytearray((tmp_path / "mine.mrc").read_bytes())
    raw[40:52] = bytes(12)
    (tmp_path / "mine.mrc").write_bytes(raw)
    with pytest.warns(EucentricWarning, match="pixel-size"):
        assert open_mrc(tmp_path / "mine.mrc").pixel_A is None
    with pytest.warns(EucentricWarning, match="pixel-size"):
        what = refused(
            tmp_path, f"{ICE}molecules: [{{model: mine.mrc, threshold: 0, mass_kDa: 5, count: 1}}]\n", FormatError
        )
    assert "the map has no pixel size" in what


# What is no specimen


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{}\n", "yaml: ice is absent, and needed"),
        ("- ice\n", "this is a list"),
        ("# nothing\n", "this is empty"),
        ("ice: {thickness_A: 0}\n", "the specimen is empty"),
        ("ice: {thickness_A: 0}\nmolecules: []\n", "the specimen is empty"),
        ("ice: 800\n", "line 1: ice should be a mapping of fields"),
        ("ice: {}\n", "line 1: ice.thickness_A is absent"),
        ("ice: {thickness_A: -3}\n", "line 1: ice.thickness_A is -3: should be greater than or equal to 0"),
        ("ice: {thickness_A: .inf}\n", "line 1: ice.thickness_A is inf"),
        ("ice: {thickness_A: yes}\n", "line 1: ice.thickness_A is true"),
        ("ice:\n  thickness_A: 9\n  thicknes_A: 9\n", 'line 3: ice: there is no field.*mean "thickness_A"'),
        ("ice:\n  thickness_A: 9\n  thickness_A: 9\n", "line 3: the key 'thickness_A' stands twice"),
        ("ice: {thickness_A: 90, roughness_A: 16}\n", "line 1: ice: roughness_A should be at most .*thickness_A, 15"),
        ("ice: {thickness_A: 90, carbon_A: 16}\n", "ice: hole_radius_A and carbon_A belong together"),
        (f"{ICE}molecule: []\n", 'line 2: there is no field .*Did you mean "molecules"'),
        (f"{ICE}molecules:\n", "line 2: molecules should be a list"),
        (f"{ICE}molecules:\n- actin\n", r"line 3: molecules\[0\] should be a mapping"),
        (f"{ICE}molecules:\n- model: actin\n", r"line 3: molecules\[0\]: there should be exactly one .*it has none"),
        (f"{ICE}molecules:\n- model: actin\n  count: 1\n  mg_mL: 2\n", "exactly one of .*it has mg_mL and count"),
        (f"{ICE}molecules:\n- model: actin\n  count: 0\n", r"line 4: molecules\[0\].count is 0: should be greater"),
        (f"{ICE}molecules:\n- count: 3\n", r"line 3: molecules\[0\].model is absent"),
        (f"{ICE}molecules:\n- {{model: actin, places_zyx_A: [[0, 0]]}}\n", r"places_zyx_A\[0\]"),
        (
            f"{ICE}molecules:\n- {{model: actin, places_zyx_A: [[0, 0, 0]], rotations_zyx_deg: [[0, 0, 0], [9, 9, 9]]}}"
            "\n",
            "there are 2 rotations_zyx_deg for 1 places_zyx_A",
        ),
        (
            f"{ICE}molecules:\n- {{model: actin, count: 1, rotations_zyx_deg: [[0, 0, 0]]}}\n",
            "1 rotations.* for 0 places",
        ),
        (
            f"{ICE}molecules:\n- {{model: actin, places_zyx_A: [[0, 0, 0]], min_distance_A: 9}}\n",
            "min_distance_A is for",
        ),
        (f"{ICE}membranes:\n- {{radius_A: 9}}\n", r"line 3: membranes\[0\].kind is absent; there are vesicle, sheet"),
        (
            f"{ICE}membranes:\n- kind: vesicel\n",
            r"""line 3: membranes\[0\].kind is 'vesicel'; there are vesicle, sheet. Did you mean "vesicle"\?""",
        ),
        (f"{ICE}membranes:\n- {{kind: vesicle, radius_A: 1, count: 1}}\n", r"membranes\[0\].radius_A is 1"),
        (f"{ICE}membranes:\n- 5\n", r"line 3: membranes\[0\] should be a mapping"),
        (f"{ICE}membranes:\n- {{kind: sheet, normal_zyx: [0, 0, 0]}}\n", "normal_zyx should have a length"),
        (f"{ICE}filaments:\n- {{kind: [], count: 1}}\n", r"line 3: filaments\[0\].kind is '\[\]'; there are actin"),
        (
            f"{ICE}filaments:\n- {{kind: actin, cuont: 1}}\n",
            r'line 3: filaments\[0\]: there is no.*Did you mean "count"',
        ),
        (f"{ICE}gold: {{count: 3, faces: top}}\n", "line 2: gold.faces is 'top': should be 'upper', 'lower'"),
        (f"{ICE}gold: {{}}\n", "line 2: gold: there should be exactly one of count, places_zyx_A; it has none"),
    ],
)
def test_what_is_no_specimen_is_refused_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    what = refused(tmp_path, text)
    assert re.search(said, what), what
    assert "vesicle.radius_A" not in what  # pydantic's path, not the file's


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            f"{ICE}molecules:\n- {{model: actin, places_zyx_A: [[0, 0, 0], [401, 0, 0]]}}\n",
            r"places_zyx_A\[1\] is not in",
        ),
        (f"{ICE}gold: {{places_zyx_A: [[-500, 0, 0]]}}\n", r"line 2: gold.places_zyx_A\[0\] is not in.*-400 to 400 Å"),
        (f"{ICE}membranes:\n- {{kind: sheet, centre_zyx_A: [0, 9000, 0]}}\n", "no tilt brings it into view"),
        (
            f"{ICE}membranes:\n- {{kind: sheet, centre_zyx_A: [390, 0, 0], normal_zyx: [1, 0, 0]}}\n",
            "none of the membr",
        ),
        (
            f"{ICE}membranes:\n- {{kind: vesicle, radius_A: 390, count: 1}}\n",
            "vesicles would not fit .* 840 Å would be",
        ),
        (f"{ICE}membranes:\n- {{kind: vesicle, radius_A: 360, count: 30}}\n", r"room for \d+ of \d+ vesicles, fewer"),
        ("ice: {thickness_A: 100}\ngold: {diameter_A: 150, count: 1}\n", "gold beads would not fit"),
        ("ice: {thickness_A: 100}\nmolecules:\n- {model: ribosome, count: 1}\n", "copies of ribosome would not fit"),
        ("ice: {thickness_A: 200}\nfilaments: [{kind: microtubule, count: 1}]\n", "microtubules would not fit"),
        ("ice: {thickness_A: 800, wedge: 0.5}\n", "line 1: ice.wedge is 0.5: the ice would end within view"),
        (
            "ice: {thickness_A: 9}\nfilaments: [{kind: microtubule, places_zyx_A: [[0, 0, 0]]}]\n",
            "none of the microtubule would be in the ice",
        ),
        ("ice: {thickness_A: 0}\nmembranes: [{kind: sheet}]\n", "without ice a sheet has no end"),
    ],
)
def test_what_cannot_be_placed_is_refused_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    what = refused(tmp_path, text, InputError)
    assert re.search(said, what), what
    assert ", line " in what


def test_a_missing_file_and_a_field_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent.yaml: no such file"):
        read_specimen(tmp_path / "absent.yaml", seed=1, field_A=100)
    with pytest.raises(InputError, match="cannot be filled"):
        read(tmp_path, ICE, field_A=-3)
    with pytest.raises(InputError, match="Stay within"):
        read(tmp_path, "ice: {thickness_A: 800, pre_tilt_deg: 60}\n", max_tilt_deg=60)


# Damage

WHOLE: dict[str, Any] = {
    "name": "whole",
    "ice": {"thickness_A": 400, "pre_tilt_deg": 5, "roughness_A": 5, "wedge": 0.01},
    "molecules": [
        {"model": "protein-39kDa", "count": 3, "min_distance_A": 90, "label": "a"},
        {"model": "protein-24kDa", "mg_mL": 1.5},
        {"model": "actin", "places_zyx_A": [[0, 0, 0]], "rotations_zyx_deg": [[1, 2, 3]]},
    ],
    "membranes": [
        {"kind": "vesicle", "radius_A": 70, "count": 1, "proteins": "some"},
        {"kind": "sheet", "centre_zyx_A": [0, 200, 0], "side_A": 100},
    ],
    "filaments": [{"kind": "actin", "count": 1, "length_A": 300}],
    "gold": {"diameter_A": 50, "count": 2, "faces": "both"},
}
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**6), 10**6),
    st.just(10**400),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(["actin", "sheet", "vesicle", "x.mrc", "x.cif.gz", "..", "/", "2020-01-01", "some", "upper"]),
    st.lists(st.integers(-500, 500), max_size=4),
    st.dictionaries(st.sampled_from(["kind", "count", "model", 1]), st.integers(0, 9), max_size=3),
)


def places_of(values: Any, above: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inside = values.items() if isinstance(values, dict) else enumerate(values) if isinstance(values, list) else ()
    return [above, *(place for key, value in inside for place in places_of(value, (*above, key)))]


def outcome(path: Path) -> str:
    """Read what may be no specimen; any other error than ours fails the test."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EucentricWarning)
        try:
            sample = read_specimen(path, seed=1, field_A=400.0, max_tilt_deg=20.0)
        except (FormatError, InputError) as error:
            assert error.fix, error  # noqa: PT017  # every error says what to do
            return str(error)
    assert all(np.isfinite(part.centres_A).all() for part in sample.parts)
    return ""


@settings(max_examples=60, deadline=None, derandomize=True)
@given(data=st.data())
def test_any_value_in_any_place_is_read_or_refused_by_name(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.getbasetemp() / "odd.yaml"
    values = yaml.safe_load(yaml.safe_dump(WHOLE))
    *above, last = data.draw(st.sampled_from(places_of(WHOLE)[1:]))
    into = values
    for part in above:
        into = into[part]
    into[last] = data.draw(ODD)
    if isinstance(into, dict) and data.draw(st.booleans()):
        into[data.draw(st.text(max_size=5))] = into.pop(last)
    path.write_text(yaml.safe_dump(values, allow_unicode=False), encoding="utf-8")
    said = outcome(path)
    assert not said or "odd.yaml" in said


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    start=st.floats(0, 1),
    length=st.integers(0, 30),
    text=st.one_of(
        st.text(max_size=5), st.sampled_from(["- ", ": ", "{", "]", "&a", "*a", "!!binary", "? ", "\n", "'"])
    ),
)
def test_any_damage_to_the_text_is_read_or_refused_by_name(
    tmp_path_factory: pytest.TempPathFactory, start: float, length: int, text: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "torn.yaml"
    whole = yaml.safe_dump(WHOLE)
    at = int(start * len(whole))
    path.write_bytes((whole[:at] + text + whole[at + length :]).encode("utf-8", "surrogatepass"))
    said = outcome(path)
    assert not said or "torn.yaml" in said


def test_the_specimen_that_is_damaged_is_one(tmp_path: Path) -> None:
    path = written(tmp_path, yaml.safe_dump(WHOLE))
    sample = read_specimen(path, seed=1, field_A=400.0, max_tilt_deg=20.0)
    assert {part.label for part in sample.parts} == {"a", "protein-24kDa", "actin", ""}
    assert len(sample.beads) > 2
