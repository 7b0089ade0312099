"""One series of AreTomo into our record: its .aln, and what lies beside it under the same name."""

import math
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eucentric.core import Alignment, EucentricError, FormatWarning, InputError, Tilt, TiltAlignment, TiltSeries
from eucentric.io._text import read_text
from eucentric.io.exchange.aretomo_aln import AlnFile, read_aln
from eucentric.io.exchange.aretomo_ctf import read_ctf
from eucentric.io.exchange.records import ProcessedSeries, SeriesFiles
from eucentric.io.mrc import MrcImage, open_mrc
from eucentric.optics import SeriesCTF

_STACKS = (".mrc", ".st", ".mrcs")
_TOMOGRAMS = ("_Vol.mrc", "_rec.mrc", "_2ND_Vol.mrc")

_SAME_DEG = 0.015  # mean of angles with two decimals, and one with two decimals


def middle_xy_px(shape_yx: tuple[int, int]) -> NDArray[np.float64]:
    """Return how far our origin, the sample n // 2, lies from AreTomo's, (n - 1) / 2, in pixels along x and y."""
    return np.array([n // 2 - (n - 1) / 2 for n in reversed(shape_yx)])


class SeriesReader:
    """Reads the series of one .aln file; `dropped` has then what was not read."""

    def __init__(self, path: Path, pixel_A: float | None) -> None:
        """Take the .aln file, and the pixel of its stack where that is known."""
        self.source, self._pixel_A = path, pixel_A
        self._folder, self.name = path.parent, path.stem
        self.dropped: list[str] = []

    def read(self) -> ProcessedSeries:
        """Return the series.

        Raises
        ------
        InputError, FormatError
            If the .aln cannot be read, or nothing tells the pixel size.
        pydantic.ValidationError
            If a number cannot be what it should.
        """
        aln = read_aln(self.source)
        self.dropped += aln.unread
        stacks = {ending: self._stack(aln, ending) for ending in ("", "_EVN", "_ODD")}
        pixel_A = self._pixel(stacks[""])
        series = self._series(aln, pixel_A)
        alignment = self._alignment(aln, series)
        ctf = self._ctf(alignment)
        if aln.thickness_px:
            self.dropped.append(f"{self.source}: Thickness {aln.thickness_px} pixels was not read.")
        for ending in _TOMOGRAMS:
            if (self._folder / f"{self.name}{ending}").is_file():
                self.dropped.append(
                    f"{self._folder / f'{self.name}{ending}'}: the tomogram was not taken;"
                    " its header does not say whether its sections are slices along z or y (-FlipVol)."
                )
        paths = {ending: stack.path if stack else None for ending, stack in stacks.items()}
        return ProcessedSeries(
            series=series,
            alignment=alignment,
            ctf=ctf,
            files=SeriesFiles(stack=paths[""], even=paths["_EVN"], odd=paths["_ODD"]),
        )

    def _stack(self, aln: AlnFile, ending: str) -> MrcImage | None:
        columns, rows, n = aln.size_xyn
        for suffix in _STACKS:
            path = self._folder / f"{self.name}{ending}{suffix}"
            if not path.is_file():
                continue
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", FormatWarning)  # whoever reads its pixels will be told
                    stack = open_mrc(path)
            except EucentricError as error:
                self.dropped.append(f"{path}: this stack was not taken ({error.what})")
                continue
            if stack.data.shape == (n, rows, columns):
                return stack
            self.dropped.append(
                f"{path}: this stack was not taken; it has {stack.data.shape} pixels,"
                f" RawSize says {(n, rows, columns)}."
            )
        return None

    def _pixel(self, stack: MrcImage | None) -> float:
        pixel_A = self._pixel_A or (stack.pixel_A if stack else None)
        if pixel_A is None:
            raise InputError(
                f"{self.source}: no pixel size; a .aln has none, and no stack with one lies beside it.",
                f"Put the stack there as {self.name}.mrc, or give its pixel size (pixel_A).",
            )
        return pixel_A

    def _series(self, aln: AlnFile, pixel_A: float) -> TiltSeries:
        columns, rows, n = aln.size_xyn
        tilts = {view.section: view.tilt_deg for view in aln.views} | aln.dark
        stage = self._stage_tilts(n)
        if stage is not None:
            self._check_offset(aln, stage)
        else:
            stage = [[tilts[section] - aln.alpha_offset_deg] for section in range(n)]
        acquired = [row[1] for row in stage if len(row) > 1]
        order_known = len(acquired) == n and len(set(acquired)) == n
        order = np.argsort(np.argsort(acquired)) if order_known else np.arange(n)
        exposures = [row[2] if len(row) > 2 and row[2] > 0 else None for row in stage]
        pre: list[float | None] = [None] * n
        before: float | None = 0.0 if order_known else None
        for section in np.argsort(order):
            pre[section] = before
            exposure = exposures[section]
            before = None if before is None or exposure is None else before + exposure
        return TiltSeries(
            name=self.name,
            pixel_A=pixel_A,
            shape_yx=(rows, columns),
            tilts=tuple(
                Tilt(
                    section=section,
                    tilt_deg=stage[section][0],
                    order=int(order[section]),
                    exposure_e_A2=exposures[section],
                    pre_exposure_e_A2=pre[section] if any(exposures) else None,
                )
                for section in range(n)
            ),
            order_known=order_known,
        )

    def _check_offset(self, aln: AlnFile, stage: list[list[float]]) -> None:
        """Tell where AlphaOffset is not what TILT has on top of the stage's tilts, which stand in a file of theirs."""
        offset_deg = float(np.mean([view.tilt_deg - stage[view.section][0] for view in aln.views]))
        if abs(offset_deg - aln.alpha_offset_deg) > _SAME_DEG:
            self.dropped.append(
                f"{self.source}: AlphaOffset {aln.alpha_offset_deg:g}° was not read; TILT is {offset_deg:.2f}° off the"
                " recorded tilts."
            )

    def _stage_tilts(self, n: int) -> list[list[float]] | None:
        """Return the rows of _TLT.txt or .rawtlt: tilts as recorded, then orders and exposures where they are told."""
        for suffix in ("_TLT.txt", ".rawtlt"):
            path = self._folder / f"{self.name}{suffix}"
            if not path.is_file():
                continue
            try:
                rows = [
                    [float(word) for word in line.split("#")[0].split()]
                    for line in read_text(path, "a list of tilts").split("\n")
                    if line.split("#")[0].strip()
                ]
            except (ValueError, EucentricError):
                self.dropped.append(f"{path}: not a list of tilts; it was not read.")
                continue
            if len(rows) == n and all(math.isfinite(value) for row in rows for value in row):
                self._tell_of_rows(path, rows)
                return rows
            self.dropped.append(f"{path}: not a list of {n} tilts; it was not read.")
        return None

    def _tell_of_rows(self, path: Path, rows: list[list[float]]) -> None:
        orders = [row[1] for row in rows if len(row) > 1]
        if orders and len(set(orders)) < len(rows):
            self.dropped.append(
                f"{path}: the order of acquisition was not read; not each image has a place of its own."
            )
        if negative := [row[2] for row in rows if len(row) > 2 and row[2] < 0]:
            self.dropped.append(f"{path}: exposures below 0 were not read, such as {negative[0]:g}.")
        if longer := [row[-1] for row in rows if len(row) > 3]:
            self.dropped.append(f"{path}: rows go on after three numbers, such as with {longer[0]:g}; it was not read.")

    def _alignment(self, aln: AlnFile, series: TiltSeries) -> Alignment:
        middle = middle_xy_px(series.shape_yx)
        views: dict[int, TiltAlignment] = {}
        for view in aln.views:
            x, y = (np.array(view.shift_xy_px) - middle) * series.pixel_A
            views[view.section] = TiltAlignment(
                section=view.section,
                tilt_deg=view.tilt_deg,
                axis_deg=view.axis_deg,
                shift_yx_A=(float(y), float(x)),
            )
        axis = float(np.mean([view.axis_deg for view in aln.views]))
        for section, tilt_deg in aln.dark.items():
            views[section] = TiltAlignment(
                section=section, tilt_deg=tilt_deg, axis_deg=axis, used=False, reason="dark frame of AreTomo"
            )
        if aln.dark:
            self.dropped.append(
                f"{self.source}: where the dark frames {sorted(aln.dark)} see the specimen is not in the file."
            )
        return Alignment(
            pixel_A=series.pixel_A, shape_yx=series.shape_yx, tilts=tuple(views[i] for i in range(len(views)))
        )

    def _ctf(self, alignment: Alignment) -> SeriesCTF | None:
        path = self._folder / f"{self.name}_CTF.txt"
        if not path.is_file():
            return None
        try:
            ctf, dropped = read_ctf(path, alignment)
        except (EucentricError, ValueError) as error:  # ValidationError is a ValueError
            what = error.what if isinstance(error, EucentricError) else "a number cannot be"
            self.dropped.append(f"{path}: the CTF was not read ({what})")
            return None
        self.dropped += dropped
        return ctf
