"""Particles of a Warp project: pixels from the corner of the volume, and RELION's angles."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from eucentric.core import EucentricError, FormatError
from eucentric.io.exchange.records import Particle, ProcessedSeries
from eucentric.io.exchange.star import numbers, read_star, unread, write_star

_MAX_PARTICLES = 200_000  # of one file; a particle costs 700 bytes here
_PLACES = ("rlnCoordinateX", "rlnCoordinateY", "rlnCoordinateZ")
_ANGLES = ("rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi")


def write_particles(folder: Path, series: Sequence[ProcessedSeries], size_xyz_px: Sequence[int]) -> list[Path]:
    """Write a file for each kind of particle, and return their paths; the volume has `size_xyz_px`.

    Raises
    ------
    OutputError
        If a file cannot be written.
    """
    rows, labels = list[tuple[object, ...]](), sorted({p.label for one in series for p in one.particles})
    for one in series:
        pixel_A = one.series.pixel_A
        for particle in one.particles:
            xyz = np.array(particle.position_zyx_A[::-1]) / pixel_A + np.array(size_xyz_px) / 2
            angles = (particle.rot_deg, particle.tilt_deg, particle.psi_deg)
            star_name = f"{one.series.name}.tomostar"
            rows.append((particle.label, star_name, *map(float, xyz), *angles, pixel_A, particle.half or 0))
    names = ("rlnMicrographName", *_PLACES, *_ANGLES, "rlnPixelSize", "rlnRandomSubset")
    written = []
    for label in labels:
        # WarpTools takes a file for each kind: `ts_export_particles --input_star FILE --coordinate_angpix PIXEL`.
        plain = "".join(letter if letter.isalnum() or letter in "-." else "-" for letter in label) or "unnamed"
        path = folder / f"particles_{plain}.star"
        chosen = [row[1:] for row in rows if row[0] == label]
        keep = range(len(names) if all(row[-1] for row in chosen) else len(names) - 1)
        write_star(path, {"particles": {names[i]: [row[i] for row in chosen] for i in keep}})
        written.append(path)
    return written


def with_particles(
    folder: Path, series: list[ProcessedSeries], sizes_xyz_A: Mapping[str, Sequence[float] | None]
) -> tuple[list[ProcessedSeries], list[str]]:
    """Return the series with the particles of the STAR files in the project's folder, and what was not read.

    Places are counted from a corner of the volume, of which `sizes_xyz_A` are by series.
    """
    found: dict[str, list[Particle]] = {one.series.name: [] for one in series}
    dropped = []
    for path in sorted(folder.glob("*.star")):
        try:
            blocks = read_star(path)
            block = blocks.get("particles") or next(iter(blocks.values()))
            names = block.columns.get("rlnMicrographName", block.columns.get("rlnTomoName", ()))
            if "rlnPixelSize" not in block.columns or not all(label in block.columns for label in _PLACES):
                dropped.append(f"{path}: not read as particles; it has no rlnCoordinateX, Y and Z with rlnPixelSize.")
                continue
            if len(block) > _MAX_PARTICLES or len(names) != len(block):
                raise FormatError(f"{path}: too many particles, or no rlnMicrographName.")
            pixels = np.array(numbers(path, block, "rlnPixelSize"))
            places = np.array([numbers(path, block, label) for label in _PLACES]).T * pixels[:, None]
            angles = np.array([numbers(path, block, label, 0.0) for label in _ANGLES]).T
            halves = numbers(path, block, "rlnRandomSubset", 0.0)
        except EucentricError as error:
            dropped.append(f"{path}: not read as particles ({error.what})")
            continue
        label = path.stem.removeprefix("particles").lstrip("_") if path.stem.startswith("particles") else ""
        outside = 0
        for micrograph, place, turn, half in zip(names, places, angles, halves, strict=True):
            name = micrograph.removesuffix(".tomostar")
            size = sizes_xyz_A.get(name)
            if name not in found or size is None or min(size) <= 0:
                outside += 1
                continue
            x, y, z = (float(value) for value in place - np.array(size) / 2)
            rot, tilt, psi = (float(value) for value in turn)
            subset = 1 if half == 1 else 2 if half == 2 else None
            found[name].append(
                Particle(position_zyx_A=(z, y, x), rot_deg=rot, tilt_deg=tilt, psi_deg=psi, label=label, half=subset)
            )
        if outside:
            dropped.append(f"{path}: {outside} particles of series whose volume's size is not known, or not here.")
        dropped += unread(path, blocks)
    return [one.replace(particles=tuple(found[one.series.name])) for one in series], dropped
