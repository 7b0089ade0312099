"""What the views of a series let through of its specimen, told from how its tomogram was made."""

import math
from typing import Annotated

import numpy as np
import torch
from pydantic import Field, ValidationError
from torch import Tensor

from eucentric.core import Alignment, FormatError, Record
from eucentric.optics import Lens, SeriesCTF, mean_ctf2, surviving_amplitude
from eucentric.session import RunStatus, Session
from eucentric.workflow.records import ReconstructStage, Sums, SumsStage
from eucentric.workflow.stages import read_record


class ViewDefocus(Record):
    """Defocus of a view in the middle of the tomogram, and the range of it over the tomogram's width."""

    defocus_A: float
    range_A: Annotated[float, Field(ge=0)]
    phase_shift_deg: float


class ViewsGain(Record):
    """What each view lets through, at any frequency: a function of them (see `processing.restoration.transfer`).

    Attributes
    ----------
    lens, defocus
        Of views whose phases were flipped, which leaves the size of the CTF. Absent where that was not corrected: what
        a restoration then gives is the specimen under its CTF, as the tomogram is.
    exposures_e_A2
        Received by the middle of each view; empty where they are not known.
    weighted
        Whether views were weighted by what exposure leaves of the signal, which then counts twice.
    voltage_kV
        Of the beam: damage goes with it.
    """

    lens: Lens | None = None
    defocus: tuple[ViewDefocus, ...] = ()
    exposures_e_A2: tuple[float, ...] = ()
    weighted: bool = False
    voltage_kV: float = 300.0

    def __call__(self, k_1_A: Tensor) -> Tensor:
        """Return the share of the amplitude (views, *k.shape) at frequencies in 1/Å."""
        k = k_1_A.detach().cpu().numpy().astype(float)
        left = np.ones((max(len(self.defocus), len(self.exposures_e_A2)), *k.shape))
        for view, at in enumerate(self.defocus):
            lens = (self.lens or Lens()).replace(phase_shift_deg=at.phase_shift_deg)
            left[view] *= np.sqrt(np.maximum(mean_ctf2(k, at.defocus_A, lens, spread_A=at.range_A), 0))
        for view, exposure in enumerate(self.exposures_e_A2):
            left[view] *= surviving_amplitude(k, exposure, self.voltage_kV) ** (2 if self.weighted else 1)
        return torch.from_numpy(left).to(k_1_A)


def gain_of_series(session: Session, series: str, alignment: Alignment, width_A: float) -> ViewsGain | None:
    """Return what the views in use let through, or nothing where nobody knows, as of a stack that came as it was.

    Parameters
    ----------
    session, series
        Whose journal says how the tomogram was made.
    alignment
        Of the series.
    width_A
        Of the tomogram, across the tilt axis.

    Raises
    ------
    FormatError
        If the journal or a file has it from another version.
    """
    made, summed = (session.last(series, stage, RunStatus.FINISHED) for stage in ("reconstruct", "sums"))
    if made is None or summed is None:  # of a stack, of which nobody knows how it was weighted
        return None
    try:
        correction = ReconstructStage.model_validate(made.settings).ctf_correction
        settings = SumsStage.model_validate(summed.settings)
    except ValidationError as error:
        raise FormatError(
            f"{session.folder}: series {series} was processed by another version ({error.errors()[0]['msg']}).",
            "Process it again.",
        ) from error
    folder = session.series_folder(series)
    sections = [view.section for view in alignment.used]
    received = read_record(folder / "sums.json", Sums).series.mid_exposures_e_A2
    ctf = read_record(folder / "ctf.json", SeriesCTF) if correction != "none" else None
    if received is None and ctf is None:
        return None
    return ViewsGain(
        lens=ctf.lens if ctf else None,
        defocus=_defocus(ctf, alignment, width_A) if ctf else (),
        exposures_e_A2=tuple(received[section] for section in sections) if received else (),
        weighted=settings.dose_weighting,
        voltage_kV=settings.voltage_kV,
    )


def _defocus(ctf: SeriesCTF, alignment: Alignment, width_A: float) -> tuple[ViewDefocus, ...]:
    """Return the defocus of the views in use; a place across the axis lies ``x sin(tilt)`` higher than the middle."""
    return tuple(
        ViewDefocus(
            defocus_A=ctf.tilts[view.section].mean_A,
            range_A=width_A * abs(math.sin(math.radians(view.tilt_deg))),
            phase_shift_deg=ctf.tilts[view.section].phase_shift_deg,
        )
        for view in alignment.used
    )
