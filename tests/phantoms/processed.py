"""A processed series without pixels: what exports are made from, with places of the specimen to project."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from eucentric.core import Alignment, Tilt, TiltAlignment, TiltSeries, stream
from eucentric.io.exchange import Particle, ProcessedSeries, Volume
from eucentric.optics import HandVerdict, Lens, SeriesCTF, TiltCTF

EXPOSURE_e_A2 = 3.0


def processed_series(
    *,
    axis_deg: float = 84.7,
    hand: Literal[1, -1] = 1,
    tilt_sign: Literal[1, -1] = 1,
    shape_yx: tuple[int, int] = (410, 377),
    pixel_A: float = 2.7,
    n: int = 11,
    x_tilt_deg: float = 0.0,
    name: str = "TS_001",
    seed: int = 0,
) -> ProcessedSeries:
    """Return a dose-symmetric series whose views are all different, with two left out, its CTF and particles.

    The sides differ and one is odd, so that no centre is right by chance; a `tilt_sign` of -1 is the other hand of the
    volume, as a stage that turns the other way would give.
    """
    draw = stream(seed, "test", "processed")
    tilts_deg = tilt_sign * 12.0 * (np.arange(n) - n // 2)
    order = np.empty(n, dtype=int)
    order[np.argsort(np.abs(tilts_deg) - 0.1 * np.sign(tilts_deg), kind="stable")] = np.arange(n)
    series = TiltSeries(
        name=name,
        pixel_A=pixel_A,
        shape_yx=shape_yx,
        tilts=tuple(
            Tilt(
                section=i,
                tilt_deg=float(tilts_deg[i]),
                order=int(order[i]),
                exposure_e_A2=EXPOSURE_e_A2,
                pre_exposure_e_A2=float(EXPOSURE_e_A2 * order[i]),
                movie=f"{name}_{order[i]:03d}.tif",
            )
            for i in range(n)
        ),
        order_known=True,
        tilt_axis_deg=axis_deg,
        voltage_kV=300.0,
    )
    shifts_A = draw.normal(0, 12 * pixel_A, (n, 2))
    views = tuple(
        TiltAlignment(
            section=i,
            tilt_deg=float(tilts_deg[i] + draw.normal(0, 0.2) + 1.3),
            x_tilt_deg=x_tilt_deg,
            axis_deg=axis_deg + float(draw.normal(0, 0.1)),
            shift_yx_A=(float(shifts_A[i, 0]), float(shifts_A[i, 1])),
            used=i not in (1, n - 1),
            reason="" if i not in (1, n - 1) else "blank",
        )
        for i in range(n)
    )
    ctf = SeriesCTF(
        lens=Lens(voltage_kV=300, cs_mm=2.7, amplitude_contrast=0.07),
        pixel_A=pixel_A,
        axis_deg=axis_deg,
        tilts=tuple(
            TiltCTF(
                section=i,
                tilt_deg=views[i].tilt_deg,
                defocus_u_A=30_000 + 211.0 * i,
                defocus_v_A=29_400 + 187.0 * i,
                azimuth_deg=-37.0 + 3 * i,
                fit_resolution_A=6.0 + 0.5 * i,
                score=0.5 - 0.01 * i,
                used=i not in (1, n - 1),
                reason="" if i not in (1, n - 1) else "blank",
            )
            for i in range(n)
        ),
        hand=HandVerdict(hand=hand, log_odds=12.0),
    )
    places = points(shape_yx, pixel_A)
    return ProcessedSeries(
        series=series,
        movie_pixel_A=pixel_A / 2,
        frames=(8,) * n,
        target_defocus_A=(30_000.0,) * n,
        alignment=Alignment(pixel_A=pixel_A, shape_yx=shape_yx, tilts=views),
        ctf=ctf,
        volume=Volume(shape_zyx=(61, 102, 95), voxel_A=4 * pixel_A),
        particles=tuple(
            Particle(
                position_zyx_A=(float(z), float(y), float(x)),
                rot_deg=float(draw.uniform(-180, 180)),
                tilt_deg=float(draw.uniform(5, 175)),
                psi_deg=float(draw.uniform(-180, 180)),
                label="ribosome",
                half=1 if k % 2 else 2,
            )
            for k, (z, y, x) in enumerate(places)
        ),
    )


def points(shape_yx: tuple[int, int] = (410, 377), pixel_A: float = 2.7) -> NDArray[np.float64]:
    """Return places (7, 3), zyx from the specimen's origin: no two alike, no mirror image among them."""
    y, x = shape_yx[0] * pixel_A / 2, shape_yx[1] * pixel_A / 2
    return np.array(
        [
            [0, 0, 0],
            [150, 0, 0],
            [0, 0.6 * y, 0],
            [0, 0, 0.7 * x],
            [-120, 0.3 * y, -0.5 * x],
            [90, -0.7 * y, 0.2 * x],
            [200, 0.5 * y, 0.6 * x],
        ]
    )


def seen_xy_px(processed: ProcessedSeries, places_zyx_A: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return where each view sees places, (views, n, 2), x (column) and y (row) counted as array indices."""
    alignment = processed.alignment
    if alignment is None:
        raise ValueError("no alignment")
    rows, columns = alignment.shape_yx
    seen = [view.sample2image()(places_zyx_A)[:, [2, 1]] for view in alignment.tilts]
    return np.array(seen) / alignment.pixel_A + (columns // 2, rows // 2)
