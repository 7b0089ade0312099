"""Particles as RELION-5 has them, both ways.

RELION turns a particle by the product of the matrices of rlnTomoSubtomogramRot/Tilt/Psi, the box it was cut out in,
and of rlnAngleRot/Tilt/Psi, what refinement changes (`ParticleSet::getMatrix3x3`); where the first are absent they are
the identity. We write the second alone: boxes that lie along the specimen's axes, and orientations where every program
that reads RELION's particles looks for them. rlnCenteredCoordinate is ours, in xyz: Å from the middle of the tomogram.
"""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote, unquote

import numpy as np
from numpy.typing import NDArray

from eucentric.core import FormatError
from eucentric.io.exchange.records import Particle, ProcessedSeries
from eucentric.io.exchange.star import StarBlock, numbers, read_star, texts, unread, write_star

MAX_PARTICLES = 150_000  # of one file: a particle costs 700 bytes here, beside what its columns do
_CENTRED = ("rlnCenteredCoordinateXAngst", "rlnCenteredCoordinateYAngst", "rlnCenteredCoordinateZAngst")
_PIXELS = ("rlnCoordinateX", "rlnCoordinateY", "rlnCoordinateZ")  # RELION 4: unbinned, from the tomogram's corner
_ORIGINS = ("rlnOriginXAngst", "rlnOriginYAngst", "rlnOriginZAngst")
_ANGLES = ("rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi")
_BOX = ("rlnTomoSubtomogramRot", "rlnTomoSubtomogramTilt", "rlnTomoSubtomogramPsi")

Rotation = NDArray[np.float64]


def labels_of(series: Sequence[ProcessedSeries]) -> list[str]:
    """Return what particles there are, in the order of their names."""
    return sorted({particle.label for one in series for particle in one.particles})


def particles_file(label: str, of: Sequence[str]) -> str:
    """Return the name of the file for one kind of particle; RELION's jobs take one kind at a time."""
    return "particles.star" if len(of) == 1 else f"particles_{_plain(label) or 'unnamed'}.star"


def write_particles(
    path: Path, series: Sequence[ProcessedSeries], label: str, optics: Sequence[tuple[int, dict[str, object]]]
) -> list[str]:
    """Write the particles of one kind, and return what could not be said of them; `optics` is by series.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    names = ("rlnTomoName", "rlnTomoParticleName", *_CENTRED, *_ANGLES, "rlnRandomSubset", "rlnOpticsGroup")
    rows: list[tuple[object, ...]] = []
    groups: dict[int, tuple[int, dict[str, object]]] = {}
    chosen = [p for one in series for p in one.particles if p.label == label]
    halves = all(particle.half is not None for particle in chosen)
    for one, (group, values) in zip(series, optics, strict=True):
        for number, particle in enumerate((p for p in one.particles if p.label == label), start=1):
            # Numbered anew: RELION takes an optics group's number for its row in this file's own table.
            number_here, _ = groups.setdefault(group, (len(groups) + 1, values))
            z, y, x = particle.position_zyx_A
            name = f"{one.series.name}/{_plain(label)}_{number}" if label else f"{one.series.name}/{number}"
            angles = (particle.rot_deg, particle.tilt_deg, particle.psi_deg)
            rows.append((one.series.name, name, x, y, z, *angles, particle.half, number_here))
    table = {name: [row[i] for row in rows] for i, name in enumerate(names) if halves or name != "rlnRandomSubset"}
    optics_table: dict[str, list[object]] = {}
    for group, values in groups.values():
        for key, value in {"rlnOpticsGroup": group, **values}.items():
            optics_table.setdefault(key, []).append(value)
    # As RELION-5's extraction writes by default, and what its refinement expects: stacks of the tilts' own images.
    general = StarBlock({"rlnTomoSubTomosAre2DStacks": ("1",)}, looped=False)
    write_star(path, {"general": general, "optics": optics_table, "particles": table})
    if halves or all(particle.half is None for particle in chosen):
        return []
    return [f"{path}: not all particles have a half set, so none was written; RELION divides them anew."]


def read_particles(
    path: Path, pixels_A: dict[str, float], sizes_xyz: dict[str, tuple[float, float, float] | None]
) -> tuple[dict[str, list[Particle]], list[str]]:
    """Read particles by the series they lie in, and what was not read; pixel and tomogram size are by series.

    Raises
    ------
    InputError
        If the file cannot be opened.
    FormatError
        If it holds no particles, too many, or values that cannot be.
    """
    blocks = read_star(path)
    block = blocks.get("particles") or (next(iter(blocks.values())) if len(blocks) == 1 else None)
    if block is None or "rlnTomoName" not in block.columns:
        raise FormatError(f"{path}: there is no data_particles with rlnTomoName in it.", "Name a particles.star.")
    if len(block) > MAX_PARTICLES:
        raise FormatError(f"{path}: {len(block)} particles, more than {MAX_PARTICLES}.", "Split it by tomogram.")
    names = block.columns["rlnTomoName"]
    unknown = Counter(name for name in names if name not in pixels_A)
    others = ", ".join(list(unknown)[:10]) + (" and others" if len(unknown) > 10 else "")
    dropped = [f"{path}: {unknown.total()} particles of {others}, not among the series read."] if unknown else []
    places, turns = _places_A(path, block, names, pixels_A, sizes_xyz), _angles_deg(path, block)
    halves = [int(half) for half in numbers(path, block, "rlnRandomSubset", 0)]
    kinds = [_label(name) for name in texts(path, block, "rlnTomoParticleName", "")]
    dropped += unread(path, blocks)
    del blocks, block  # before as much again is made of them
    found: dict[str, list[Particle]] = {}
    for name, place, angles, half, label in zip(names, places, turns, halves, kinds, strict=True):
        if name not in pixels_A:
            continue
        x, y, z = (float(value) for value in place)
        rot, tilt, psi = (float(value) for value in angles)
        particle = Particle(
            position_zyx_A=(z, y, x),
            rot_deg=rot,
            tilt_deg=tilt,
            psi_deg=psi,
            label=label,
            half=1 if half == 1 else 2 if half == 2 else None,
        )
        found.setdefault(name, []).append(particle)
    return found, dropped


def _places_A(
    path: Path,
    block: StarBlock,
    names: Sequence[str],
    pixels_A: dict[str, float],
    sizes_xyz: dict[str, tuple[float, float, float] | None],
) -> Rotation:
    """Return places (n, 3), xyz in Å from the specimen's origin, as RELION's `getPosition` finds them."""
    if all(label in block.columns for label in _CENTRED):
        places = np.array([numbers(path, block, label) for label in _CENTRED]).T
    else:
        places = np.array([numbers(path, block, label) for label in _PIXELS]).T
        for i, name in enumerate(names):
            size = sizes_xyz.get(name)
            if name in pixels_A and size is None:
                raise FormatError(
                    f"{path}: places in pixels of {name}, whose rlnTomoSizeX, Y and Z are not known.",
                    "Read it with its tomograms.star.",
                )
            # The middle is half the size, halves of a pixel kept, as RELION has it for particles.
            places[i] = (places[i] - np.array(size or (0, 0, 0)) / 2) * pixels_A.get(name, 1.0)
    if all(label in block.columns for label in _ORIGINS):
        offsets = np.array([numbers(path, block, label) for label in _ORIGINS]).T
        boxes = np.array([numbers(path, block, label, 0.0) for label in _BOX]).T
        places = places - np.einsum("nij,nj->ni", _turns(boxes), offsets)
    return places


def _angles_deg(path: Path, block: StarBlock) -> Rotation:
    angles = np.array([numbers(path, block, label, 0.0) for label in _ANGLES]).T
    if _BOX[0] not in block.columns:
        return angles
    boxes = np.array([numbers(path, block, label, 0.0) for label in _BOX]).T
    return _euler_deg(_turns(boxes) @ _turns(angles))


def _turns(angles_deg: Rotation) -> Rotation:
    """Return the matrices (n, 3, 3) of angles (n, 3), as `Particle.reference2sample` has them one by one."""
    rot, tilt, psi = np.radians(angles_deg.T)
    turns: Rotation = _about(psi, 0, 1) @ _about(tilt, 2, 0) @ _about(rot, 0, 1)
    return turns


def _about(angle: Rotation, a: int, b: int) -> Rotation:
    matrix = np.tile(np.eye(3), (len(angle), 1, 1))
    matrix[:, a, a] = matrix[:, b, b] = np.cos(angle)
    matrix[:, a, b], matrix[:, b, a] = np.sin(angle), -np.sin(angle)
    return matrix


def _euler_deg(turns: Rotation) -> Rotation:
    """Return the angles (n, 3) of matrices (n, 3, 3)."""
    tilt = np.arccos(np.clip(turns[:, 2, 2], -1, 1))
    pole = np.abs(np.sin(tilt)) < 1e-6  # rot and psi turn about the same axis there: only one of them is free
    rot = np.where(pole, 0, np.arctan2(turns[:, 2, 1], turns[:, 2, 0]))
    psi = np.where(pole, np.arctan2(turns[:, 0, 1], turns[:, 1, 1]), np.arctan2(turns[:, 1, 2], -turns[:, 0, 2]))
    angles: Rotation = np.degrees(np.stack([rot, tilt, psi], axis=1))
    return angles


def _plain(label: str) -> str:
    """Return a label that can stand in a file's name and in a STAR file; `_label` takes it back."""
    return quote(label, safe=" ").replace(" ", "%20")


def _label(particle: str) -> str:
    """Return what we wrote into the name of a particle; RELION's own names have only a number there."""
    found = re.fullmatch(r"[^/]*/(.+)_\d+", particle)
    return unquote(found[1]) if found else ""
