"""The lens of a series' microscope, from all that says something of it."""

from eucentric.design import Plan
from eucentric.optics import Lens
from eucentric.workflow.records import LensSettings

_LENS_KV = (60.0, 1250.0)


def lens_of(voltage_kV: float | None, given: LensSettings, plan: Plan | None = None) -> Lens | None:
    """Return the lens: what the user says, else the plan, else what is usual; None without a voltage it could have."""
    if voltage_kV is None or not _LENS_KV[0] <= voltage_kV <= _LENS_KV[1]:
        return None
    usual = plan.design.lens if plan else Lens()
    return usual.replace(
        voltage_kV=voltage_kV,
        cs_mm=usual.cs_mm if given.cs_mm is None else given.cs_mm,
        amplitude_contrast=usual.amplitude_contrast if given.amplitude_contrast is None else given.amplitude_contrast,
    )
