"""Movies of electron events, written from the format's description."""

import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SHAPE = (24, 40)
COMPRESSIONS = {65000: (8, 2, 2), 65001: (7, 2, 2), 65002: (6, 3, 3)}
"""Bits of a run length, and of the place within the pixel along x and y."""

Events = list[tuple[NDArray[np.intp], NDArray[np.intp]]]


def encode(hits: NDArray[np.intp], subs: NDArray[np.intp], run_bits: int, sub_bits: int) -> bytes:
    """Return electrons as run lengths and sub-pixel places: a full run says that there is none at its end."""
    full, code, at = (1 << run_bits) - 1, 0, 0

    def put(value: int, bits: int) -> None:
        nonlocal code, at
        code |= value << at
        at += bits

    last = -1
    for hit, sub in [*zip(hits.tolist(), subs.tolist(), strict=True), (SHAPE[0] * SHAPE[1], 0)]:
        gap = hit - last - 1
        while gap >= full:
            put(full, run_bits)
            gap -= full
        put(gap, run_bits)
        put(sub, sub_bits)
        last = hit
    return code.to_bytes((at + 7) // 8 + 8, "little")


def write_eer(path: Path, frames: Events, compression: int = 65001, extra: bool = False) -> list[int]:
    """Write a BigTIFF with a page for each frame, and return where their electrons begin."""
    run, x, y = COMPRESSIONS[compression]
    said = b'<metadata><item name="sensorPixelSize.width" unit="m">1.5e-10</item></metadata>'
    raw, links = bytearray(struct.pack("<2sHHHQ", b"II", 43, 8, 0, 16)), [8]
    starts = []
    pages = [(encode(hits, subs, run, x + y), compression, 1) for hits, subs in frames]
    if extra:
        pages.append((bytes(SHAPE[0] * SHAPE[1]), 1, 8))
    for data, packing, depth in pages:
        starts.append(len(raw))
        raw += data
        metadata = len(raw)
        raw += said
        tags = [
            (256, 4, 1, SHAPE[1]),
            (257, 4, 1, SHAPE[0]),
            (258, 3, 1, depth),
            (259, 3, 1, packing),
            (262, 3, 1, 1),
            (273, 16, 1, starts[-1]),
            (277, 3, 1, 1),
            (278, 4, 1, SHAPE[0]),
            (279, 16, 1, len(data)),
            (65001, 7, len(said), metadata),
        ]
        if compression == 65002:
            tags += [(65007, 3, 1, run), (65008, 3, 1, x), (65009, 3, 1, y)]
        raw[links[-1] : links[-1] + 8] = struct.pack("<Q", len(raw))
        raw += struct.pack("<Q", len(tags)) + b"".join(struct.pack("<HHQQ", *tag) for tag in tags)
        links.append(len(raw))
        raw += bytes(8)
    path.write_bytes(raw)
    return starts
