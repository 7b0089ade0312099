"""What a rehearsed script did, in figures of merit: for the page, for the terminal, and for machines."""

from collections.abc import Sequence
from typing import Annotated

import numpy as np
from pydantic import Field

from eucentric.core import Degrees, ElectronsPerA2, Record
from eucentric.twin.serialem.doings import Doings, Ending, Seconds, Taken

KINDS = {"R": "Record", "V": "View", "F": "Focus", "T": "Trial", "L": "Preview", "S": "Search"}
"""SerialEM's names of its camera sets, by letter."""

GOOD_NM, FAIR_NM = 50.0, 100.0
"""Tracking error of beam-shift acquisition (PACEtomo, 10.1038/s41592-022-01690-1), and twice it."""

LOST_NM = 1000.0
"""A target farther off counts as lost: 4096 pixels of 1 to 3 Å show 0.4 to 1.2 µm, so that it is out of the image."""

_A_PER_NM, _A_PER_UM = 10.0, 1e4


Share = Annotated[float, Field(ge=0, le=1)]
Real = Annotated[float, Field(allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0)]


class Merit(Record):
    """How well images hit their target and their defocus; None where nothing tells.

    Attributes
    ----------
    images
        Record images that the script took of a target.
    within_50_nm, within_100_nm
        Share of those whose target lay that near the image's centre.
    off_p95_nm, off_worst_nm
        Distance of the target from the image's centre: 95th percentile, and the largest.
    off_worst_place, off_worst_tilt_deg
        Where that was.
    defocus_rms_um, defocus_worst_um
        True defocus less what the script asked for: root mean square about 0, and the one farthest from 0; positive
        is more underfocus.
    defocus_worst_place, defocus_worst_tilt_deg
        Where that was.
    """

    images: Count
    within_50_nm: Share | None = None
    within_100_nm: Share | None = None
    off_p95_nm: Real | None = None
    off_worst_nm: Real | None = None
    off_worst_place: str | None = None
    off_worst_tilt_deg: Degrees | None = None
    defocus_rms_um: Real | None = None
    defocus_worst_um: Real | None = None
    defocus_worst_place: str | None = None
    defocus_worst_tilt_deg: Degrees | None = None


class TargetSummary(Record):
    """What was done to one target.

    Attributes
    ----------
    name
        Of the target.
    merit
        Of its Record images.
    exposure_e_A2
        By kind of exposure ("Record", "View", ...), of the script.
    before_e_A2
        Of all kinds, before the script, when targets were picked.
    received_e_A2
        By all exposures, wherever they were aimed.
    """

    name: str
    merit: Merit
    exposure_e_A2: dict[str, ElectronsPerA2]
    before_e_A2: ElectronsPerA2 = 0.0
    received_e_A2: ElectronsPerA2 = 0.0

    @property
    def by_records_e_A2(self) -> float:
        """Exposure by the script's Record images."""
        return self.exposure_e_A2.get(KINDS["R"], 0.0)

    @property
    def by_others_e_A2(self) -> float:
        """Exposure by all else that the script did."""
        return sum(value for kind, value in self.exposure_e_A2.items() if kind != KINDS["R"])


class RehearsalSummary(Record):
    """A rehearsal in figures of merit.

    Attributes
    ----------
    script, ending, reason, line, seconds
        As in `Doings`.
    targets
        Each target, in order; after them places that were exposed and are in no list of targets.
    merit
        Over the Record images of all targets.
    images_elsewhere
        Record images of the script with no target near: figures of merit leave them out.
    exposures
        How many the script made, by kind.
    dialogs, errors, not_simulated
        How many dialogs were raised, how often a command failed, and how often one was called that is not simulated.
    """

    script: str
    ending: Ending
    reason: str = ""
    line: int | None = None
    seconds: Seconds
    targets: tuple[TargetSummary, ...] = ()
    merit: Merit
    images_elsewhere: Count = 0
    exposures: dict[str, Count]
    dialogs: Count = 0
    errors: Count = 0
    not_simulated: Count = 0


def rehearsal_summary(doings: Doings) -> RehearsalSummary:
    """Return the figures of merit of a rehearsal."""
    made = [one for one in doings.taken if not one.before]
    not_simulated = sum(one.not_simulated for one in doings.refused)
    return RehearsalSummary(
        script=doings.script,
        ending=doings.ending,
        reason=doings.reason,
        line=doings.line,
        seconds=doings.seconds,
        targets=tuple(
            _target(name, taken, [one for one in images_of_targets(doings) if one.place == name])
            for name, taken in exposures_by_target(doings).items()
        ),
        merit=merit(images_of_targets(doings)),
        images_elsewhere=sum(one.camera_set == "R" and not one.place for one in made),
        exposures=_counted(made),
        dialogs=len(doings.asked),
        errors=len(doings.refused) - not_simulated,
        not_simulated=not_simulated,
    )


def places(doings: Doings) -> tuple[str, ...]:
    """Return the targets in order, and after them places that were exposed and are in no list of targets."""
    exposed = (name for one in doings.taken for name in (one.place, *one.hit) if name)
    return tuple(dict.fromkeys([*doings.targets, *exposed]))


def on_target(one: Taken) -> bool:
    """Return whether an exposure hit the target that it was aimed at."""
    return one.place in one.hit


def exposures_by_target(doings: Doings) -> dict[str, list[Taken]]:
    """Return all exposures that hit each of `places`, wherever they were aimed, in order of time."""
    found: dict[str, list[Taken]] = {name: [] for name in places(doings)}
    for one in sorted(doings.taken, key=lambda one: (not one.before, one.began_s, one.number)):
        for name in one.hit:
            found[name].append(one)
    return found


def images_of_targets(doings: Doings) -> list[Taken]:
    """Return the images that figures of merit are of: Record, by the script, with a target in them."""
    return [one for one in doings.taken if one.camera_set == "R" and one.place and not one.before]


def off_nm(image: Taken) -> float | None:
    """Return how far the target lay from the image's centre; None where that is not known."""
    return None if image.off_yx_A is None else float(np.hypot(*image.off_yx_A)) / _A_PER_NM


def defocus_error_um(image: Taken) -> float | None:
    """Return true defocus less that asked for, positive for more underfocus; None where the script asked for none."""
    return None if image.wanted_defocus_A is None else (image.defocus_A - image.wanted_defocus_A) / _A_PER_UM


def merit(images: Sequence[Taken]) -> Merit:
    """Return how well Record images hit their target and their defocus.

    Parameters
    ----------
    images
        All with a target, as `images_of_targets` gives them.
    """
    found: dict[str, float | str] = {}
    off = [(distance, one) for one in images if (distance := off_nm(one)) is not None]
    if off:
        distances = np.array([distance for distance, _ in off])
        worst, image = max(off, key=lambda pair: pair[0])
        found |= {
            "within_50_nm": float(np.mean(distances <= GOOD_NM)),
            "within_100_nm": float(np.mean(distances <= FAIR_NM)),
            "off_p95_nm": float(np.percentile(distances, 95)),
            "off_worst_nm": worst,
            "off_worst_place": image.place,
            "off_worst_tilt_deg": image.tilt_deg,
        }
    errors = [(error, one) for one in images if (error := defocus_error_um(one)) is not None]
    if errors:
        worst, image = max(errors, key=lambda pair: abs(pair[0]))
        found |= {
            "defocus_rms_um": float(np.sqrt(np.mean(np.square([error for error, _ in errors])))),
            "defocus_worst_um": worst,
            "defocus_worst_place": image.place,
            "defocus_worst_tilt_deg": image.tilt_deg,
        }
    return Merit.model_validate({"images": len(images), **found})


def _target(name: str, taken: Sequence[Taken], records: Sequence[Taken]) -> TargetSummary:
    made = [one for one in taken if not one.before]
    exposure_e_A2: dict[str, float] = {}
    for one in made:
        kind = KINDS[one.camera_set]
        exposure_e_A2[kind] = exposure_e_A2.get(kind, 0.0) + one.hit[name]
    return TargetSummary(
        name=name,
        merit=merit(records),
        exposure_e_A2={kind: exposure_e_A2[kind] for kind in KINDS.values() if kind in exposure_e_A2},
        before_e_A2=sum(one.hit[name] for one in taken if one.before),
        received_e_A2=sum(one.hit[name] for one in taken),
    )


def _counted(made: Sequence[Taken]) -> dict[str, int]:
    counts = {kind: sum(one.camera_set == letter for one in made) for letter, kind in KINDS.items()}
    return {kind: count for kind, count in counts.items() if count}
