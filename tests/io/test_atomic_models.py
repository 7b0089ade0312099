import gzip
import warnings
from functools import cache
from itertools import takewhile
from pathlib import Path
from typing import Any

import gemmi
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eucentric.core import DataWarning, EucentricWarning, FormatError, InputError
from eucentric.io.atomic_models import AtomicModel, read_atoms

ATOM = (
    "{kind:<6}{serial:>5} {name:<4}{alt:1}{residue:>3} {chain:1}{number:>4}    "
    "{x:8.3f}{y:8.3f}{z:8.3f}{occ:6.2f}{b:6.2f}          {element:>2}"
)


def line(serial: int, **changes: Any) -> str:
    values: dict[str, Any] = {
        "kind": "ATOM",
        "serial": serial,
        "name": " CA ",
        "alt": "",
        "residue": "ALA",
        "chain": "A",
        "number": serial,
        "x": 1.0 * serial,
        "y": 10.0 * serial,
        "z": 100.0 * serial,
        "occ": 1.0,
        "b": 20.0 + serial,
        "element": "C",
    }
    return ATOM.format(**{**values, **changes}).rstrip()


def read_lines(folder: Path, *lines: str, name: str = "1abc.pdb", assembly: str | None = None) -> AtomicModel:
    (folder / name).write_text("\n".join([*lines, "END", ""]))
    return read_atoms(folder / name, assembly=assembly)


def test_positions_are_zyx_and_everything_else_beside_them(tmp_path: Path) -> None:
    oxygen = line(2, name=" O  ", element="O", chain="B")
    model = read_lines(tmp_path, line(1), oxygen, line(3, name=" H1 ", element="H"), line(4, name=" D1 ", element="D"))
    np.testing.assert_array_equal(model.positions_A[0], [100, 10, 1])
    by_b = {float(b): i for i, b in enumerate(model.b_factors_A2)}
    assert sorted(by_b) == [21, 22, 23, 24]
    assert [int(model.elements[by_b[b]]) for b in (21, 22, 23, 24)] == [6, 8, 1, 1]  # hydrogens are kept
    assert [str(model.chains[by_b[b]]) for b in (21, 22, 23, 24)] == ["A", "B", "A", "A"]
    assert (model.name, len(model)) == ("1abc", 4)
    assert (model.positions_A.dtype, model.positions_A.shape) == (np.dtype("float32"), (4, 3))
    assert (model.elements.dtype, model.b_factors_A2.dtype) == (np.dtype("uint8"), np.dtype("float32"))


def test_waters_and_absent_atoms_are_left_out(tmp_path: Path) -> None:
    model = read_lines(
        tmp_path,
        line(1),
        line(2, occ=0.0),
        line(3, kind="HETATM", residue="HOH", name=" O  ", element="O"),
        line(4, kind="HETATM", residue="DOD", name=" O  ", element="O"),
        line(5, kind="HETATM", residue="ZN", name="ZN  ", element="ZN"),
    )
    assert sorted(model.elements.tolist()) == [6, 30]


@pytest.mark.parametrize(("occupancies", "kept"), [((0.6, 0.4), 0), ((0.0, 1.0), 1)])
def test_one_conformation_is_kept(tmp_path: Path, occupancies: tuple[float, float], kept: int) -> None:
    both = [line(i + 1, alt="AB"[i], number=1, occ=occupancies[i]) for i in range(2)]
    model = read_lines(tmp_path, *both, line(3, number=2, alt="B", occ=0.5))
    assert sorted(model.b_factors_A2.tolist()) == [
        21 + kept,
        23,
    ]  # an atom with one conformation stays, whatever its name


def test_only_the_first_model_is_read(tmp_path: Path) -> None:
    model = read_lines(tmp_path, "MODEL        1", line(1), "ENDMDL", "MODEL        2", line(2), "ENDMDL")
    assert model.b_factors_A2.tolist() == [21]


BIOMT = """REMARK 350 BIOMOLECULE: 1
REMARK 350 APPLY THE FOLLOWING TO CHAINS: A
REMARK 350   BIOMT1   1  1.000000  0.000000  0.000000        0.00000
REMARK 350   BIOMT2   1  0.000000  1.000000  0.000000        0.00000
REMARK 350   BIOMT3   1  0.000000  0.000000  1.000000        0.00000
REMARK 350   BIOMT1   2  0.000000 -1.000000  0.000000        5.00000
REMARK 350   BIOMT2   2  1.000000  0.000000  0.000000        0.00000
REMARK 350   BIOMT3   2  0.000000  0.000000  1.000000        7.00000"""


def test_an_assembly_is_built_from_its_operators(tmp_path: Path) -> None:
    model = read_lines(tmp_path, BIOMT, line(1), line(2), assembly="1")
    assert sorted(set(model.chains.tolist())) == ["A1", "A2"]
    np.testing.assert_array_equal(model.positions_A[model.chains == "A1"], [[100, 10, 1], [200, 20, 2]])
    # A quarter turn about z takes x to y, y to -x; then 5 Å along x and 7 Å along z.
    np.testing.assert_allclose(model.positions_A[model.chains == "A2"], [[107, 1, -5], [207, 2, -15]], atol=1e-4)
    assert len(read_atoms(tmp_path / "1abc.pdb")) == 2
    with pytest.raises(InputError, match="it has 1"):
        read_atoms(tmp_path / "1abc.pdb", assembly="2")
    with pytest.raises(InputError, match="describes none"):
        read_lines(tmp_path, line(1), assembly="1")


def test_an_ion_on_the_axis_of_symmetry_is_one(tmp_path: Path) -> None:
    half_turn = BIOMT.replace(
        "0.000000 -1.000000  0.000000        5.00000", "-1.00000  0.000000  0.000000        0.00000"
    )
    half_turn = half_turn.replace("2   2  1.000000  0.000000", "2   2  0.000000 -1.000000").replace(
        "7.00000", "0.00000"
    )
    ion = line(2, kind="HETATM", residue=" ZN", name="ZN  ", element="ZN", x=0.0, y=0.05, z=3.0)
    model = read_lines(tmp_path, half_turn, line(1), ion, assembly="1")
    assert sorted(model.elements.tolist()) == [6, 6, 30]


@pytest.mark.parametrize("name", ["4v5d.cif.gz", "6z6u.pdb.gz"])
def test_assemblies_are_those_that_gemmi_builds(real_data: Path, tmp_path: Path, name: str) -> None:
    structure = gemmi.read_structure(str(real_data / "specimens" / name))
    structure.setup_entities()
    for unwanted in [chain.name for chain in structure[0]][2:]:
        structure[0].remove_chain(unwanted)
    turn = gemmi.Transform()
    turn.mat.fromlist([[0, -1, 0], [1, 0, 0], [0, 0, 1]])
    turn.vec.fromlist([1, 20, 300])
    operators = [gemmi.Assembly.Operator() for _ in range(2)]
    operators[1].transform = turn
    structure.assemblies.clear()
    structure.assemblies.append(gemmi.Assembly("7"))
    structure.assemblies[0].generators.append(gemmi.Assembly.Gen())
    generator = structure.assemblies[0].generators[0]
    generator.subchains = [part.subchain_id() for part in structure[0].subchains()]
    for operator in operators:
        generator.operators.append(operator)
    structure.make_mmcif_document().write_file(str(tmp_path / "a.cif"))
    ours = read_atoms(tmp_path / "a.cif", assembly="7")
    structure.remove_waters()
    structure.transform_to_assembly("7", gemmi.HowToNameCopiedChain.AddNumber)
    theirs = sorted(tuple(atom.atom.pos.tolist()[::-1]) for atom in structure[0].all())
    np.testing.assert_allclose(sorted(map(tuple, ours.positions_A.tolist())), theirs, atol=2e-3)  # three decimals
    assert len(set(ours.chains.tolist())) == 4


def test_every_suffix_gives_the_same_atoms(tmp_path: Path) -> None:
    text = "\n".join([line(1), line(2, chain="B"), "END", ""])
    structure = gemmi.read_pdb_string(text)
    structure.setup_entities()
    cif = structure.make_mmcif_document().as_string()
    for name, content in (("a.pdb", text), ("a.ent", text), ("a.PDB", text), ("a.cif", cif)):
        (tmp_path / name).write_text(content)
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(content.encode()))
        for path in (tmp_path / name, tmp_path / f"{name}.gz"):
            model = read_atoms(path)
            np.testing.assert_allclose(model.positions_A, [[100, 10, 1], [200, 20, 2]])
            assert model.chains.tolist() == ["A", "B"]


@pytest.mark.parametrize("name", ["4v5d.cif.gz", "6z6u.pdb.gz", "3jb9.cif.gz"])
def test_real_models_against_the_file_s_own_text(real_data: Path, name: str) -> None:
    model = read_atoms(real_data / "specimens" / name)
    text = gzip.decompress((real_data / "specimens" / name).read_bytes()).decode()
    expected = sorted(cif_positions(text) if ".cif" in name else pdb_positions(text))
    # No file of these has waters, alternative conformations or empty atoms: all rows must be there.
    ours = sorted(tuple(row) for row in model.positions_A[:, ::-1].astype(np.float64).round(3).tolist())
    np.testing.assert_allclose(ours, expected, atol=2e-3)  # three decimals, in float32 at up to 400 Å
    assert set(np.unique(model.elements)) <= {6, 7, 8, 11, 12, 15, 16, 30}
    assert 0 < model.b_factors_A2.mean() < 200


def cif_positions(text: str) -> list[tuple[float, ...]]:
    """Read the columns by hand; these files have one atom a line and no blanks inside quotes."""
    lines = text.splitlines()
    keys = [entry.strip() for entry in lines if entry.startswith("_atom_site.")]
    at = [keys.index(f"_atom_site.Cartn_{axis}") for axis in "xyz"]
    first = max(i for i, entry in enumerate(lines) if entry.startswith("_atom_site.")) + 1
    rows = takewhile(lambda row: len(row) == len(keys), (entry.split() for entry in lines[first:]))
    return [tuple(float(row[i]) for i in at) for row in rows]


def pdb_positions(text: str) -> list[tuple[float, ...]]:
    rows = (entry for entry in text.splitlines() if entry.startswith(("ATOM  ", "HETATM")))
    return [tuple(float(row[i : i + 8]) for i in (30, 38, 46)) for row in rows if row[17:20] not in ("HOH", "DOD")]


def test_atoms_of_no_known_element_are_named(tmp_path: Path) -> None:
    unknown = line(2, kind="HETATM", residue="UNX", name=" X  ", element="X")
    with pytest.warns(DataWarning, match=r"1 atoms .*\[unknown-element\]"):
        model = read_lines(tmp_path, line(1), unknown)
    assert model.elements.tolist() == [6]


CIF = """data_x
loop_
_atom_site.group_PDB
_atom_site.id
_atom_site.type_symbol
_atom_site.label_atom_id
_atom_site.label_alt_id
_atom_site.label_comp_id
_atom_site.label_asym_id
_atom_site.label_seq_id
_atom_site.Cartn_x
_atom_site.Cartn_y
_atom_site.Cartn_z
_atom_site.occupancy
_atom_site.B_iso_or_equiv
ATOM 1 C CA . ALA A 1 1.0 2.0 {} 1.0 {}
"""


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.pdb", b"", "empty"),
        ("a.pdb", b"HEADER    NOTHING\nEND\n", "no atom"),
        ("a.pdb", line(1, kind="HETATM", residue="HOH").encode(), "no atom"),
        ("a.pdb", bytes(200), "no atom|cannot be parsed"),
        ("a.cif", b"data_x\n_cell.length_a 1\n", "no atom"),
        ("a.cif", b"this is no mmCIF", "cannot be parsed"),
        ("a.cif", CIF.format("3.0", "4.0")[:-12].encode(), "cannot be parsed"),
        ("a.cif", CIF.format("?", "4.0").encode(), "atom 0 has no finite"),
        ("a.cif", CIF.format("1e300", "4.0").encode(), "atom 0 has no finite"),
        ("a.cif", CIF.format("3.0", "nan").encode(), "atom 0 has no finite"),
        ("a.cif.gz", b"data_x", "cannot be unpacked"),
        ("a.cif.gz", gzip.compress(CIF.encode())[:-20], "cannot be unpacked"),
    ],
)
def test_what_holds_no_atoms_is_refused(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(FormatError, match=says):
        read_atoms(tmp_path / name)


def test_missing_and_foreign_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_atoms(tmp_path / "absent.pdb")
    for name in ("a.mrc", "a.gz", "a", "a.cif.zip"):
        with pytest.raises(InputError, match="suffix"):
            read_atoms(tmp_path / name)


@cache
def head(path: Path, size: int = 40_000) -> bytes:
    """Give a piece of a real file around its first atoms, so that many damaged copies can be read."""
    raw = gzip.decompress(path.read_bytes())
    if ".cif" not in path.name:
        return raw[max(0, raw.index(b"\nATOM ") - size // 4) :][:size]
    return b"data_x\n" + raw[raw.rindex(b"loop_", 0, raw.index(b"_atom_site.")) :][:size]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    name=st.sampled_from(["4v5d.cif.gz", "6z6u.pdb.gz", "3jb9.cif.gz"]),
    cut=st.one_of(st.just(1.0), st.floats(0, 1)),
    edits=st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=8)), max_size=4),
    assembly=st.sampled_from([None, "1"]),
)
def test_a_damaged_real_file_gives_atoms_or_a_clear_error(
    real_data: Path,
    tmp_path_factory: pytest.TempPathFactory,
    name: str,
    cut: float,
    edits: list[tuple[float, bytes]],
    assembly: str | None,
) -> None:
    raw = head(real_data / "specimens" / name)
    end = int(cut * len(raw))
    damaged = bytearray(raw[: raw.rindex(b"\n") + 1 if cut == 1 else end])
    for where, what in edits:
        at = int(where * len(damaged))
        damaged[at : at + len(what)] = what
    path = tmp_path_factory.getbasetemp() / f"damaged-{name.removesuffix('.gz')}"
    path.write_bytes(damaged)
    read_or_refuse(path, assembly)


@pytest.mark.parametrize("name", ["4v5d.cif.gz", "6z6u.pdb.gz", "3jb9.cif.gz"])
def test_the_undamaged_piece_has_atoms(real_data: Path, tmp_path: Path, name: str) -> None:
    piece = head(real_data / "specimens" / name)
    path = tmp_path / name.removesuffix(".gz")
    path.write_bytes(piece[: piece.rindex(b"\n") + 1])
    assert len(read_atoms(path)) > 100


@settings(max_examples=12, deadline=None, derandomize=True)
@given(cut=st.floats(0, 0.999))
def test_a_packed_real_file_cut_short_is_always_refused(
    real_data: Path, tmp_path_factory: pytest.TempPathFactory, cut: float
) -> None:
    raw = (real_data / "specimens" / "6z6u.pdb.gz").read_bytes()
    path = tmp_path_factory.getbasetemp() / "cut.pdb.gz"
    path.write_bytes(raw[: int(cut * len(raw))])
    with pytest.raises(FormatError, match=r"cannot be unpacked|empty"):
        read_atoms(path)


def read_or_refuse(path: Path, assembly: str | None) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EucentricWarning)
        try:
            model = read_atoms(path, assembly=assembly)
        except FormatError:
            return
        except InputError as error:
            if assembly is None or "assembly" not in str(error):
                raise
            return
    n = len(model)
    assert n > 0
    assert np.isfinite(model.positions_A).all()
    assert (model.elements > 0).all()
    assert model.positions_A.shape == (n, 3)
    assert len(model.b_factors_A2) == len(model.chains) == n
