"""Whose word there is on the tilt axis."""

import re
from dataclasses import dataclass

from eucentric.workflow.doctor.facts import Facts

_TITLE = re.compile(r"Tilt axis angle\s*=\s*(-?\d+(?:\.\d*)?)", re.ASCII)
_TOMOGRAPHY5 = re.compile(r"TiltAxisAngle\s*=\s*(-?\d+(?:\.\d*)?)", re.ASCII)


@dataclass(frozen=True)
class Axis:
    """What an .mdoc says of the tilt axis, in IMOD's sign; `line` is where the title stands."""

    title_deg: float | None
    tomography5_deg: float | None
    from_rotation_deg: float | None
    line: int | None

    @classmethod
    def of(cls, facts: Facts) -> "Axis":
        """Read it from the header and the sections."""
        if facts.examined is None:
            return cls(None, None, None, None)
        titled, tomography5, line = None, None, None
        for number, text in enumerate(facts.examined.raw.header, start=1):
            if titled is None and (found := _TITLE.search(text)):
                titled, line = _angle(found[1]), number
            elif tomography5 is None and (found := _TOMOGRAPHY5.search(text)):
                tomography5, line = _angle(found[1]), line or number
        rotation = next((r for s in facts.raw_sections if (r := _angle(s.get("RotationAngle", ""))) is not None), None)
        # RotationAngle counts from the image's x axis, the title from its y axis.
        turned = None if rotation is None else (rotation - 90 + 180) % 360 - 180
        return cls(titled, tomography5, turned, line)


def _angle(text: str) -> float | None:
    try:
        angle = float(text)
    except ValueError:
        return None
    return angle if abs(angle) <= 360 else None
