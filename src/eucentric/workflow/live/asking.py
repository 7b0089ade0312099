"""What a worker is asked for when a tilt is to be looked at, and the stage under which the journal knows it."""

import warnings
from dataclasses import dataclass
from pathlib import Path

from eucentric.core import EucentricWarning
from eucentric.io.mdoc import MdocSeries
from eucentric.session import JournalAddress, StagePlan
from eucentric.workflow.live.look import look_plan, look_stage
from eucentric.workflow.live.records import LookRequest, SectionRequest, Source
from eucentric.workflow.live.section_look import section_plan, section_stage
from eucentric.workflow.records import ProcessSettings


@dataclass(frozen=True)
class Asked:
    """A look that is to be taken: the request for a worker, and the stage as the journal is asked for it."""

    request: LookRequest | SectionRequest
    plan: StagePlan


def ask_for_look(
    journal: JournalAddress,
    source: Source,
    series: str,
    facts: MdocSeries,
    section: int,
    image: Path,
    settings: ProcessSettings,
    device: str,
) -> Asked:
    """Return what is to be asked for: a look at a movie, or at a section where `image` is the stack of the series.

    Raises
    ------
    InputError, FormatError
        If a section of a stack cannot be read.
    """
    target_defocus_A = facts.sections[section].target_defocus_A
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EucentricWarning)  # told when the series is processed
        if image != source.stack:
            stage = look_stage(source, facts, section, settings)
            request = LookRequest(
                journal=journal,
                series=series,
                section=section,
                movie=image,
                gain=source.gain,
                stage=stage,
                target_defocus_A=target_defocus_A,
                device=device,
            )
            return Asked(request, look_plan(series, section, stage, image, source.gain))
        of_section = section_stage(source, facts, section, image, settings)
    return Asked(
        SectionRequest(
            journal=journal,
            series=series,
            section=section,
            stack=image,
            stage=of_section,
            target_defocus_A=target_defocus_A,
            device=device,
        ),
        section_plan(series, section, of_section),
    )
