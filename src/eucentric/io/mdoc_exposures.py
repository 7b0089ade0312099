"""What the specimen received for each section of an .mdoc, and before it."""

from pathlib import Path

from eucentric.io._text import warn_data
from eucentric.io.mdoc import MdocSeries

_EXPOSURES_DIFFER = 0.1


def exposures_of(
    mdoc: Path, facts: MdocSeries, given: float | None = None, notes: list[str] | None = None
) -> tuple[list[float | None], list[float | None]]:
    """Return each section's exposure, and what the specimen had received before it; None where nothing tells.

    `given` is that of one tilt, where the .mdoc does not say; `notes` are added to.

    Warns
    -----
    DataWarning
        `exposure-missing`, `pre-exposure`: values that are absent, or are not the sum of those before.
    """
    said = [] if notes is None else notes
    exposures = [section.exposure_e_A2 or given for section in facts.sections]
    lacking = [section.z_value for section, one in zip(facts.sections, exposures, strict=True) if not one]
    if lacking:
        usual = sorted(one for one in exposures if one)
        if not usual:
            warn_data(mdoc, "exposure-missing", "no section has an exposure; nothing is weighted. Give --exposure.")
            return [None] * len(exposures), [None] * len(exposures)
        middle = usual[len(usual) // 2]
        exposures = [one or middle for one in exposures]
        text = ", ".join(map(str, lacking[:8])) + (", ..." if len(lacking) > 8 else "")
        warn_data(mdoc, "exposure-missing", f"sections {text} have no exposure; {middle:g} e/Å², as others, is taken.")
    summed: list[float] = [0.0] * len(exposures)
    before = 0.0
    for index in sorted(range(len(exposures)), key=lambda index: facts.sections[index].order):
        summed[index] = before
        before += exposures[index] or 0.0
    priors = [section.pre_exposure_e_A2 for section in facts.sections]
    if all(prior is None for prior in priors):
        said.append("Pre-exposures are sums of the exposures before, in the order of acquisition.")
        return exposures, list(summed)
    off = max(
        (abs(prior - own), index)
        for index, (prior, own) in enumerate(zip(priors, summed, strict=True))
        if prior is not None
    )
    if off[0] > _EXPOSURES_DIFFER * max(before, 1e-9):
        section = facts.sections[off[1]]
        warn_data(
            mdoc,
            "pre-exposure",
            f"section {section.z_value} had received {section.pre_exposure_e_A2:g} e/Å² by its PriorRecordDose, "
            f"{summed[off[1]]:g} by the exposures before it; the first was believed.",
        )
    return exposures, [own if prior is None else prior for prior, own in zip(priors, summed, strict=True)]
