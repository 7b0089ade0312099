"""What the extended header of an MRC file says of each section: four layouts, none of them to be trusted."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

import mrcfile.dtypes
import numpy as np

HeaderKind = Literal["none", "SERI", "AGAR", "FEI1", "FEI2", "unknown"]

_AGAR_PIXEL_M = 11  # which float of a section; the tilt is float 0
_SERI_FIELDS = {1: 2, 2: 6, 4: 4, 8: 2, 16: 2, 32: 4}  # flag: bytes, in their order within a section
_FEI_HAS_DOSE, _FEI_HAS_TILT, _FEI_HAS_PIXEL = 1 << 6, 1 << 7, 1 << 14  # of "Bitmask 1"
_A_PER_M = 1e10


@dataclass(frozen=True)
class SectionHeader:
    """What the extended header says of one section: tilt (°), exposure (e/Å²), pixel (Å); None where it is silent."""

    tilt_deg: float | None = None
    exposure_e_A2: float | None = None
    pixel_A: float | None = None


def read_sections(
    header: np.ndarray[Any, np.dtype[np.void]], raw: bytes, n: int, order: Literal["<", ">"]
) -> tuple[HeaderKind, tuple[SectionHeader, ...], str]:
    """Read the extended header `raw` of `n` sections in a file of byte order `order`.

    Returns
    -------
    tuple
        The kind; one entry a section, or none where nothing is said; and why tilts were dropped, or "".

    Notes
    -----
    SERI and AGAR follow IMOD's description (https://bio3d.colorado.edu/imod/doc/mrc_format.txt), FEI1 and FEI2
    mrcfile's. Files of FEI from before 2014 carry no type; their layout is AGAR's with 32 floats a section.
    """
    kind, found = _parse(header, raw, n, order)
    if not found:
        return kind, (), ""
    complaint = _distrust([section.tilt_deg for section in found], n)
    if complaint:
        found = [replace(section, tilt_deg=None) for section in found]
    is_whole = len(found) == n and any(section != SectionHeader() for section in found)
    return kind, tuple(found) if is_whole else (), complaint


def _parse(
    header: np.ndarray[Any, np.dtype[np.void]], raw: bytes, n: int, order: str
) -> tuple[HeaderKind, list[SectionHeader]]:
    if not raw:
        return "none", []
    typ = bytes(header["exttyp"].item())
    # The two counts stand at byte 128 of the file, which is byte 16 of mrcfile's field "extra2".
    n_int, n_real = (int(v) for v in np.frombuffer(header["extra2"].tobytes()[16:20], f"{order}i2"))
    if typ in (b"FEI1", b"FEI2"):
        return ("FEI1" if typ == b"FEI1" else "FEI2"), list(_fei(typ, raw, n, order))
    if typ in (b"SERI", b"") and n_int > 0 and n_int == sum(b for flag, b in _SERI_FIELDS.items() if n_real & flag):
        return "SERI", list(_serialem(raw, n, n_int, n_real, order))
    if typ in (b"AGAR", b"") and n_int >= 0 and n_real > 0:
        return "AGAR", list(_agard(raw, n, n_int, n_real, order))
    return "unknown", []


def _serialem(raw: bytes, n: int, n_bytes: int, flags: int, order: str) -> Iterator[SectionHeader]:
    dose_at = sum(size for flag, size in _SERI_FIELDS.items() if flag < 32 and flags & flag)
    for block in _blocks(raw, n, n_bytes):
        tilt = int(np.frombuffer(block[:2], f"{order}i2")[0]) / 100 if flags & 1 else None
        dose = None
        if flags & 32:
            a, b = (int(v) for v in np.frombuffer(block[dose_at : dose_at + 4], f"{order}i2"))
            # IMOD packs a float into two shorts: mantissa in a and the low byte of b, exponent in the rest of b.
            mantissa = np.copysign(abs(a) * 256 + abs(b) % 256, a)
            dose = _positive(float(np.ldexp(mantissa, int(np.copysign(abs(b) // 256, b)))))
        yield SectionHeader(tilt, dose)


def _agard(raw: bytes, n: int, n_int: int, n_real: int, order: str) -> Iterator[SectionHeader]:
    for block in _blocks(raw, n, 4 * (n_int + n_real)):
        floats = np.frombuffer(block[4 * n_int :], f"{order}f4")
        pixel_m = float(floats[_AGAR_PIXEL_M]) if n_real > _AGAR_PIXEL_M else 0.0
        yield SectionHeader(float(floats[0]), None, _positive(pixel_m * _A_PER_M))


def _fei(typ: bytes, raw: bytes, n: int, order: str) -> Iterator[SectionHeader]:
    layout = mrcfile.dtypes.get_ext_header_dtype(typ, order)
    size = int(np.frombuffer(raw[:4].ljust(4, b"\0"), f"{order}i4")[0])
    for block in _blocks(raw, n, size if size >= layout.itemsize else layout.itemsize):
        fields = np.frombuffer(block[: layout.itemsize], layout)[0]
        has = int(fields["Bitmask 1"])
        yield SectionHeader(
            float(fields["Alpha tilt"]) if has & _FEI_HAS_TILT else None,
            _positive(float(fields["Dose"]) / _A_PER_M**2) if has & _FEI_HAS_DOSE else None,
            _positive(float(fields["Pixel size X"]) * _A_PER_M) if has & _FEI_HAS_PIXEL else None,
        )


def _blocks(raw: bytes, n: int, size: int) -> Iterator[bytes]:
    """Cut `raw` into the blocks of the first `n` sections, as far as it goes."""
    for i in range(min(n, len(raw) // size)):
        yield raw[i * size : (i + 1) * size]


def _positive(value: float) -> float | None:
    return value if np.isfinite(value) and value > 0 else None


def _distrust(tilts: list[float | None], n: int) -> str:
    """Say why these tilts cannot be those of a series of `n` sections, or "" if they can, or none are given."""
    given = [tilt for tilt in tilts if tilt is not None]
    if not given:
        return ""
    if len(given) < n:
        return f"it gives tilts for {len(given)} of {n} sections"
    if not np.isfinite(given).all() or max(abs(tilt) for tilt in given) > 180:
        return "some tilts are not angles between -180° and 180°"
    if n > 1 and len(set(given)) == 1:
        return f"every section has the same tilt, {given[0]:g}°"
    return ""
