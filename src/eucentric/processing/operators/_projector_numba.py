"""CPU form of the projector pair.

Each thread takes a strip of rows, so that one number of a projection or a voxel is a vector of rows whatever the tilt.
Voxels are done in blocks small in x and z, which see few columns of each projection: these stay in the second-level
cache while the block is done, and the sums of a voxel over all projections in registers. Projections that show nothing
of a block are left out.
"""

import numpy as np
from numpy.typing import NDArray

from eucentric.core.jit import compiled, parallel_range
from eucentric.processing.operators._vectors import ROWS, add_rays, spread_line

Doubles = NDArray[np.float64]
Floats = NDArray[np.float32]
Integers = NDArray[np.int32]

_DEEP, _WIDE = 16, 64  # voxels of a block along z and x: 41 projections show it in 200 to 450 KB
_TURNED = 16  # columns turned into vectors of rows at a time: one line of the cache of each row


@compiled()
def _seeing(
    corners: tuple[int, int, int, int], cos: Doubles, sin: Doubles, offset: Doubles, width: int, seeing: Integers
) -> int:
    """Write down the projections that show any voxel between two corners (z, x), and return how many do."""
    low_z, low_x, high_z, high_x = corners
    n = 0
    for i in range(len(cos)):
        a, b, c, d = low_z * sin[i], high_z * sin[i], low_x * cos[i], high_x * cos[i]
        if offset[i] + max(a, b) + max(c, d) > -1 and offset[i] + min(a, b) + min(c, d) < width:
            seeing[n] = i
            n += 1
    return n


@compiled()
def _columns(
    zx: tuple[int, int],
    cos: Doubles,
    sin: Doubles,
    offset: Doubles,
    width: int,
    seeing: Integers,
    columns: Integers,
    shares: Floats,
) -> None:
    """Tabulate where the rays through voxels (z, x), (z, x + 1) ... meet the detectors that see them.

    A voxel lies between the column that begins at number `columns` of a thread's rays and the next, `shares` of the way
    to it. One off the detector is given the two columns of zeros beyond its end.
    """
    empty, end = np.float32(width), np.float32(width - 1)
    for at in range(len(seeing)):
        i = seeing[at]
        start = zx[0] * sin[i] + offset[i] + zx[1] * cos[i]
        whole = np.floor(start)
        base, part, step = np.float32(whole), np.float32(start - whole), np.float32(cos[i])
        first = np.int32(i * (width + 2) * ROWS)
        for j in range(columns.shape[1]):
            u = part + np.float32(j) * step
            below = np.floor(u)
            shares[at, j] = u - below
            k = base + below
            columns[at, j] = first + np.int32(k if (k >= np.float32(0)) & (k < end) else empty) * np.int32(ROWS)


@compiled()
def _turn(projections: Floats, top: int, height: int, rays: Floats) -> None:
    """Copy rows of `projections` (n, y, u) from `top` on to `rays` (n, u, ROWS)."""
    n, _, width = projections.shape
    for i in range(n):
        for left in range(0, width, _TURNED):
            for row in range(height):
                for u in range(left, min(left + _TURNED, width)):
                    rays[i, u, row] = projections[i, top + row, u]


@compiled(parallel=True)
def backproject(projections: Floats, cos: Doubles, sin: Doubles, offset: Doubles, volume: Floats) -> None:
    """Add the rays of `projections` (n, y, u) to `volume` (z, y, x)."""
    n, rows, width = projections.shape
    depth, _, across = volume.shape
    for strip in parallel_range((rows + ROWS - 1) // ROWS):
        top = strip * ROWS
        height = min(ROWS, rows - top)
        rays = np.zeros((n, width + 2, ROWS), np.float32)
        _turn(projections, top, height, rays)
        seeing = np.empty(n, np.int32)
        columns = np.empty((n, _WIDE), np.int32)
        shares = np.empty((n, _WIDE), np.float32)
        line = np.empty((_WIDE, ROWS), np.float32)
        for block in range(0, depth, _DEEP):
            for left in range(0, across, _WIDE):
                wide, end = min(_WIDE, across - left), min(block + _DEEP, depth)
                top_z, left_x = block - depth // 2, left - across // 2
                corners = (top_z, left_x, top_z + end - block, left_x + wide)
                these = seeing[: _seeing(corners, cos, sin, offset, width, seeing)]
                for z in range(block, end):
                    place = (z - depth // 2, left - across // 2)
                    _columns(place, cos, sin, offset, width, these, columns, shares)
                    for x in range(wide):
                        add_rays(rays, columns, shares, x, _WIDE, len(these), line)
                    for row in range(height):
                        for x in range(wide):
                            volume[z, top + row, left + x] += line[x, row]


@compiled(parallel=True)
def project(volume: Floats, cos: Doubles, sin: Doubles, offset: Doubles, projections: Floats) -> None:
    """Add the sums of `volume` (z, y, x) along the beam to `projections` (n, y, u)."""
    n, rows, width = projections.shape
    depth, _, across = volume.shape
    for strip in parallel_range((rows + ROWS - 1) // ROWS):
        top = strip * ROWS
        height = min(ROWS, rows - top)
        rays = np.zeros((n, width + 2, ROWS), np.float32)
        seeing = np.empty(n, np.int32)
        columns = np.empty((n, _WIDE), np.int32)
        shares = np.empty((n, _WIDE), np.float32)
        line = np.zeros((_WIDE, ROWS), np.float32)
        for block in range(0, depth, _DEEP):
            for left in range(0, across, _WIDE):
                wide, end = min(_WIDE, across - left), min(block + _DEEP, depth)
                top_z, left_x = block - depth // 2, left - across // 2
                corners = (top_z, left_x, top_z + end - block, left_x + wide)
                these = seeing[: _seeing(corners, cos, sin, offset, width, seeing)]
                for z in range(block, end):
                    place = (z - depth // 2, left - across // 2)
                    _columns(place, cos, sin, offset, width, these, columns, shares)
                    for row in range(height):
                        for x in range(wide):
                            line[x, row] = volume[z, top + row, left + x]
                    for at in range(len(these)):
                        spread_line(line, wide, columns, shares, at, rays)
        for i in range(n):
            for left in range(0, width, _TURNED):
                for row in range(height):
                    for u in range(left, min(left + _TURNED, width)):
                        projections[i, top + row, u] += rays[i, u, row]


@compiled(parallel=True)
def reproject(
    projections: Floats,
    views: tuple[Doubles, Doubles, Doubles],
    depth_across: tuple[int, int],
    first: int,
    block_views: int,
    parts: int,
    out: Floats,
) -> None:
    """Fill `out` with what views from number `first` on see of the volume of all of `projections` (n, y, u).

    Both ways with one look at where rays meet the detectors, and with no volume in memory: its voxels are spread as
    soon as they are summed. `views` are cosine, sine and offset of all views, those of the projections first. With
    `block_views`, which `first` 0 goes with, each block of so many sees the volume of the projections outside it.
    """
    cos, sin, offset = views
    depth, across = depth_across
    n, rows, width = projections.shape
    n_views = len(cos)
    for part in parallel_range(parts):
        rays = np.zeros((n, width + 2, ROWS), np.float32)
        seen = np.zeros((n_views, width + 2, ROWS), np.float32)
        seeing = np.empty(n_views, np.int32)
        columns = np.empty((n_views, _WIDE), np.int32)
        shares = np.empty((n_views, _WIDE), np.float32)
        line, others = np.empty((_WIDE, ROWS), np.float32), np.empty((_WIDE, ROWS), np.float32)
        for top in range(part * ROWS, rows, parts * ROWS):
            height = min(ROWS, rows - top)
            _turn(projections, top, height, rays)
            seen[first:] = 0
            for block in range(0, depth, _DEEP):
                for left in range(0, across, _WIDE):
                    wide, end = min(_WIDE, across - left), min(block + _DEEP, depth)
                    top_z, left_x = block - depth // 2, left - across // 2
                    corners = (top_z, left_x, top_z + end - block, left_x + wide)
                    these = seeing[: _seeing(corners, cos, sin, offset, width, seeing)]
                    n_adding, spreading = np.searchsorted(these, n), np.searchsorted(these, first)
                    if n_adding == 0 or spreading == len(these):
                        continue
                    for z in range(block, end):
                        place = (z - depth // 2, left - across // 2)
                        _columns(place, cos, sin, offset, width, these, columns, shares)
                        for x in range(wide):
                            add_rays(rays, columns, shares, x, _WIDE, n_adding, line)
                        if block_views == 0:
                            for at in range(spreading, len(these)):
                                spread_line(line, wide, columns, shares, at, seen)
                            continue
                        begin = 0
                        while begin < len(these):
                            beyond = (these[begin] // block_views + 1) * block_views
                            stop = np.searchsorted(these, beyond)
                            own, own_shares = columns[begin:stop], shares[begin:stop]
                            for x in range(wide):
                                add_rays(rays, own, own_shares, x, _WIDE, stop - begin, others)
                                for row in range(ROWS):
                                    others[x, row] = line[x, row] - others[x, row]
                            for at in range(begin, stop):
                                spread_line(others, wide, columns, shares, at, seen)
                            begin = stop
            for i in range(first, n_views):
                for left in range(0, width, _TURNED):
                    for row in range(height):
                        for u in range(left, min(left + _TURNED, width)):
                            out[i - first, top + row, u] = seen[i, u, row]
