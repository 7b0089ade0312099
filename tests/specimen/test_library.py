import importlib.util
from importlib.resources import files
from pathlib import Path
from types import ModuleType

import gemmi
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d
from scipy.spatial import cKDTree

from eucentric.core import InputError
from eucentric.specimen.library import MOLECULES, PATCH_A, lipid_patch, molecule, read_table
from eucentric.specimen.molecule import Molecule
from eucentric.specimen.scattering import Basis

TOOL = Path(__file__).parents[2] / "tools" / "make_atom_tables.py"


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_atom_tables", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def a_model(shift_A: float = 0.0) -> gemmi.Model:
    """Two chains, 900 Å apart, with what is to be left out between the rest."""
    draw = np.random.default_rng(5)
    model = gemmi.Model(1)
    for name, where in (("A", -400.0), ("b2", 500.0)):
        chain = gemmi.Chain(name)
        for number in range(30):
            residue = gemmi.Residue()
            residue.name, residue.seqid = "HOH" if number % 10 == 9 else "GLY", gemmi.SeqId(str(number + 1))
            for element, altloc in (("N", "\0"), ("H", "\0"), ("C", "A"), ("C", "B"), ("ZN", "\0")):
                atom = gemmi.Atom()
                atom.name, atom.element, atom.altloc = element, gemmi.Element(element), altloc
                x, y, z = draw.normal(where, 40, 3) + shift_A
                atom.pos = gemmi.Position(x, y, z)
                residue.add_atom(atom)
            chain.add_residue(residue)
        model.add_chain(chain)
    return model


def test_a_table_gives_back_the_heavy_atoms_of_a_model(tool: ModuleType) -> None:
    model = a_model()
    table = read_table(tool.table(model))
    kept = [
        (atom.element.atomic_number, atom.pos.z, atom.pos.y, atom.pos.x)
        for chain in model
        for residue in chain
        for atom in residue
        if residue.name == "GLY" and atom.element.name != "H" and atom.altloc != "B"
    ]
    numbers, *zyx = np.array(kept).T
    np.testing.assert_array_equal(table.elements, numbers)
    expected = np.array(zyx).T
    # Rounded to 0.1 Å.
    np.testing.assert_allclose(table.positions_A, expected - expected.mean(axis=0), atol=0.0501)
    assert table.chains == {"A": slice(0, 81), "b2": slice(81, 162)}


def test_the_same_model_gives_the_same_bytes_wherever_it_is(tool: ModuleType) -> None:
    assert tool.table(a_model()) == tool.table(a_model())
    moved = read_table(tool.table(a_model(200.0)))
    np.testing.assert_allclose(moved.positions_A, read_table(tool.table(a_model())).positions_A, atol=0.1001)


def test_the_tables_are_small_and_say_where_they_are_from() -> None:
    data = files("eucentric.specimen").joinpath("data")
    sizes = {file.name: len(file.read_bytes()) for file in data.iterdir()}
    assert sum(sizes.values()) < 3e6
    readme = data.joinpath("README.md").read_text(encoding="utf-8")
    assert "CC0" in readme
    assert all(name in readme for name in sizes if name.endswith(".xz"))


# With hydrogens. The ribosome's parts that are not in the model are the flexible ones, stalks above all.
@pytest.mark.parametrize(
    ("name", "least_kDa", "most_kDa", "radius_A"),
    [("ribosome", 2200, 2500, 150), ("apoferritin", 450, 490, 65), ("spliceosome", 1100, 1400, 160)],
)
def test_complexes_have_their_mass_and_size(name: str, least_kDa: float, most_kDa: float, radius_A: float) -> None:
    assert least_kDa < molecule(name).mass_kDa < most_kDa
    assert molecule(name).radius_A == pytest.approx(radius_A, rel=0.05)


@pytest.mark.parametrize("name", [name for name in MOLECULES if name.startswith("protein-")])
def test_proteins_have_the_mass_of_their_name(name: str) -> None:
    stated = float(name.removeprefix("protein-").removesuffix("kDa"))
    assert molecule(name).mass_kDa == pytest.approx(stated, abs=0.5)


@pytest.mark.parametrize(("name", "mass_kDa", "axes_A"), [("actin", 42, (55, 55, 35)), ("tubulin", 50, (40, 54, 65))])
def test_monomers_have_the_mass_and_shape_asked_for(name: str, mass_kDa: float, axes_A: tuple[float, ...]) -> None:
    monomer = molecule(name)
    assert monomer.mass_kDa == pytest.approx(mass_kDa, rel=0.02)
    # Axes of the ellipsoid with these second moments; 15 %, as gaps in the protein have to be made up for outside.
    np.testing.assert_allclose(2 * np.sqrt(5 * monomer.positions_A.var(axis=0)), axes_A, rtol=0.15)


@pytest.mark.parametrize("name", MOLECULES)
def test_atoms_are_as_far_apart_as_bonds_are_long(name: str) -> None:
    whole = molecule(name)
    near = np.asarray(cKDTree(whole.positions_A).query(whole.positions_A, k=2)[0])[:, 1]
    # Bonds of C, N, O, P and S: 1.2 to 1.85 Å, rounded. Metals, and atoms at a cut, have none.
    assert np.mean((near > 1.1) & (near < 1.95)) > 0.98
    assert np.median(near) == pytest.approx(1.35, abs=0.1)


def test_proteins_are_not_their_mirror_images() -> None:
    ferritin = molecule("apoferritin")
    pattern = np.lib.stride_tricks.sliding_window_view(ferritin.elements, 5)
    starts = np.flatnonzero((pattern == (7, 6, 6, 8, 6)).all(axis=1))  # N, CA, C, O, CB
    nitrogen, alpha, carbonyl, _, beta = (ferritin.positions_A[starts + i, ::-1].astype(float) for i in range(5))
    bonded = (np.linalg.norm(nitrogen - alpha, axis=1) < 1.7) & (np.linalg.norm(beta - alpha, axis=1) < 1.8)
    assert bonded.sum() > 3000
    # The CORN rule of L-amino acids: seen from the hydrogen, CO, R and N are clockwise.
    hand = np.einsum("ni,ni->n", beta - alpha, np.cross(nitrogen - alpha, carbonyl - alpha))[bonded]
    assert np.mean(hand > 0) > 0.999


def test_a_molecule_is_read_once_and_a_wrong_name_is_told_the_right_one() -> None:
    assert molecule("ribosome") is molecule("ribosome")
    with pytest.raises(InputError, match='mean "ribosome"'):
        molecule("ribosom")


@pytest.fixture(scope="module")
def patches() -> list[Molecule]:
    return [lipid_patch(np.random.default_rng(seed)) for seed in range(8)]


def test_a_patch_is_made_of_24_lipids(patches: list[Molecule]) -> None:
    assert pytest.approx(64) == PATCH_A**2 / 12  # Å² a lipid
    for patch in patches:
        found, numbers = np.unique(patch.elements, return_counts=True)
        assert dict(zip(found.tolist(), (numbers / 24).tolist(), strict=True)) == {6: 42, 7: 1, 8: 8, 15: 1}
        assert (np.abs(patch.positions_A[:, 1:]) <= PATCH_A / 2 + 1e-4).all()
        assert (patch.positions_A[:, 0] > 0).sum() == len(patch) / 2
    assert not np.array_equal(patches[0].positions_A, patches[1].positions_A)


def test_a_patch_is_even_all_over_its_square(patches: list[Molecule]) -> None:
    yx = np.concatenate([patch.positions_A[:, 1:] for patch in patches])
    tiles = np.clip((yx / PATCH_A + 0.5) * 4, 0, 3.99).astype(int)
    counts = np.bincount(4 * tiles[:, 0] + tiles[:, 1], minlength=16)
    # Atoms strewn at random would vary by 4 % here, whole lipids by 27 %.
    assert counts.std() < 0.12 * counts.mean()
    border = (np.abs(yx) > 0.375 * PATCH_A).any(axis=1).mean()
    assert border == pytest.approx(1 - 0.75**2, rel=0.05)


def test_the_potential_of_a_patch_has_two_peaks_and_a_trough(patches: list[Molecule]) -> None:
    basis = Basis.up_to(0.25)
    z = np.concatenate([patch.positions_A[:, 0] for patch in patches])
    potential = np.concatenate([basis.weights(patch.elements) @ basis.at(0.0) for patch in patches])
    profile, edges = np.histogram(z, bins=np.arange(-60.5, 61), weights=potential)
    profile = gaussian_filter1d(profile, 1.5)  # as at 4 Å or so
    heights = (edges[1:] + edges[:-1]) / 2
    upper, lower = (heights[np.where(side, profile, -np.inf).argmax()] for side in (heights > 0, heights < 0))
    # X-rays and neutrons have head groups 36 to 39 Å apart; 1 Å is a bin.
    assert upper - lower == pytest.approx(38, abs=3)
    tails = profile[(np.abs(heights) > 4) & (np.abs(heights) < 10)].mean()
    assert profile[heights == 0].item() < 0.75 * tails < 0.75 * profile.max() / 1.2
    assert profile[np.abs(heights) > 40].max() < 0.01 * profile.max()
