"""A clean .mdoc to spoil, and how to look at it."""

from collections.abc import Callable
from pathlib import Path

from eucentric.workflow.doctor import DoctorReport, DoctorSettings, SeriesReport, examine

HEADER = """PixelSpacing = 2.5
Voltage = 300
ImageFile = TS_01.mrc
ImageSize = 64 48
DataMode = 1

[T = SerialEM: Digitized on a microscope                       30-Nov-2023  15:14:20    ]

[T =     Tilt axis angle = 85.3, binning = 1  spot = 8  camera = 2]
"""
TILTS = (0.0, 3.0, -3.0, -6.0, 6.0, 9.0, -9.0, -12.0, 12.0)


def section(i: int, tilt: float, time: str = "") -> str:
    return f"""
[ZValue = {i}]
TiltAngle = {tilt}
ExposureDose = 3
ExposureTime = 0.5
RotationAngle = 175.3
TargetDefocus = -4
PriorRecordDose = {3 * i}
SubFramePath = D:\\DATA\\frames\\TS_01_{i:03d}.tif
NumSubFrames = 8
DateTime = {time or f"05-Nov-2023  15:2{i}:00"}
"""


CLEAN = HEADER + "".join(section(i, tilt) for i, tilt in enumerate(TILTS))
Change = Callable[[str], str]


def write(folder: Path, text: str | bytes, name: str = "TS_01.mdoc") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def look(path: Path, settings: DoctorSettings | None = None) -> SeriesReport:
    (one,) = examine([path], settings)[0].series
    return one


def named(report: SeriesReport | DoctorReport) -> dict[str, tuple[int, ...]]:
    """Return the lines of each finding, by name."""
    return {finding.name: finding.lines for finding in report.findings}


def line_of(text: str, what: str, nth: int = 0) -> int:
    """Return on which line `what` stands for the nth time, from 1."""
    return [number for number, line in enumerate(text.split("\n"), start=1) if what in line][nth]
