"""What a script did to the microscope and to the specimen: records that reports are made of."""

from typing import Annotated, Literal

from pydantic import Field

from eucentric.core import Angstrom, Degrees, ElectronsPerA2, Record

Ending = Literal["finished", "exited", "failed", "stopped"]
"""How a script ended: at its last line, by `Exit`, by an error, or by the rehearsal, which would not go on."""

Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Taken(Record):
    """An exposure that hit the specimen, beside what is true of it.

    Attributes
    ----------
    number
        Of all exposures, from 0.
    camera_set
        SerialEM's letter: R(ecord), V(iew), F(ocus), T(rial), L (Preview), S(earch).
    before
        Whether it was made before the script, when targets were picked.
    place
        The target that it was aimed at: the nearest, for images that are not Record's only where it is near; else "".
    hit
        What each target's own place received from it, by the target's name: those that its beam covered.
    tilt_deg
        As the stage said.
    exposure_e_A2, received_e_A2
        Of this exposure; and what the place in the image's centre has received with it, from all exposures.
    off_yx_A
        Where the target really lay, from the image's centre, along and across the tilt axis.
    defocus_A
        True defocus of the specimen in the image's centre, underfocus positive.
    wanted_defocus_A
        What the script asked for with SetTargetDefocus before; None if it never did.
    began_s
        By the microscope's clock, from the script's begin; below 0 before it.
    file, section
        The stack that the script saved it to, and the section there, from 0; "" and None if it did not.
    line
        Of the script.
    """

    number: Annotated[int, Field(ge=0)]
    camera_set: Literal["R", "V", "F", "T", "L", "S"]
    before: bool = False
    place: str = ""
    hit: dict[str, ElectronsPerA2] = Field(default_factory=dict)
    tilt_deg: Degrees
    exposure_e_A2: ElectronsPerA2
    received_e_A2: ElectronsPerA2
    off_yx_A: tuple[Angstrom, Angstrom] | None = None
    defocus_A: Angstrom
    wanted_defocus_A: Angstrom | None = None
    began_s: Annotated[float, Field(allow_inf_nan=False)]
    file: str = ""
    section: int | None = None
    line: int | None = None


class Asked(Record):
    """A dialog that was raised, when, and how it was answered: from the file, at the terminal, or of itself."""

    command: str
    text: str
    answer: str
    by: Literal["file", "terminal", "itself"]
    line: int | None = None
    at_s: Seconds | None = None


class Refused(Record):
    """A command that did not do what the script asked: why, and whether that is since we do not simulate it."""

    command: str
    reason: str
    line: int | None = None
    not_simulated: bool = False


class Doings(Record):
    """All that a script did.

    Attributes
    ----------
    script
        Its file.
    ending, reason, line
        How it ended, why, and at which of its lines, where that is known.
    seconds
        By the microscope's clock; those before the script are not counted.
    calls
        How often each command was called.
    taken, asked, refused
        Exposures, dialogs, and commands that failed, in order.
    struck, idle
        Faults that were asked for: those that struck, and those that never did.
    targets
        Names of the targets, the tracking target first if there is one.
    files
        Names of the stacks that were written.
    """

    script: str
    ending: Ending
    reason: str = ""
    line: int | None = None
    seconds: Seconds
    calls: dict[str, int] = Field(default_factory=dict)
    taken: tuple[Taken, ...] = ()
    asked: tuple[Asked, ...] = ()
    refused: tuple[Refused, ...] = ()
    struck: tuple[str, ...] = ()
    idle: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
