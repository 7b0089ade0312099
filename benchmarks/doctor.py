"""Time `eucentric doctor` on a thousand .mdoc files: copies of real ones, most of them with something wrong.

python benchmarks/doctor.py DATA [--files 1000] [--keep FOLDER]

DATA is the folder of real files (`mdoc` in that of EUCENTRIC_DATA). The whole process is timed, start-up and printing
included; then the same with --fix.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path


def _unchanged(text: str) -> str:
    return text


def _cut(text: str) -> str:
    return text[: text.rindex("NumSubFrames")]


def _twice(text: str) -> str:
    return text + text[text.rindex("[ZValue") :]


VARIATIONS: tuple[Callable[[str], str], ...] = (
    _unchanged,
    _cut,
    _twice,
    lambda text: text.replace(" = ", "=", 40),
    lambda text: re.sub(r"-(15|23)  ", r"-20\1  ", text, count=20),
    lambda text: text.replace("Tilt axis angle", "Nothing"),
    lambda text: re.sub(r"SubFramePath = .*", "SubFramePath = ..\\\\..\\\\same.mrc", text),
    lambda text: re.sub(r"DateTime = .*\n", "", text, count=3),
    lambda text: text.replace("TiltAngle = -4", "TiltAngle = NaN"),
    lambda text: text.replace("\n\n[ZValue", "\n[ZValue"),
)


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--keep", type=Path)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = chosen.keep or Path(temporary) / "mdocs"
        folder.mkdir(parents=True, exist_ok=True)
        texts = [(chosen.data / name).read_text() for name in ("tilt_series.mdoc", "ts_017.mdoc")]
        for number in range(chosen.files):
            text = VARIATIONS[number // 2 % len(VARIATIONS)](texts[number % 2])
            (folder / f"TS_{number:04d}.mdoc").write_text(text)
        size_MB = sum(path.stat().st_size for path in folder.iterdir()) / 1e6
        print(f"{chosen.files} files, {size_MB:.0f} MB")
        for what, options in (("doctor", []), ("doctor --fix", ["--fix", str(Path(temporary) / "mended")])):
            command = [sys.executable, "-c", "import sys; from eucentric.cli import main; sys.exit(main())"]
            began, cpu_s = time.perf_counter(), os.times().children_user
            ran = subprocess.run(
                [*command, "doctor", str(folder), *options], capture_output=True, text=True, check=False
            )
            if ran.returncode not in (0, 1):
                raise SystemExit(ran.stderr)
            took = f"{time.perf_counter() - began:.1f} s of clock, {os.times().children_user - cpu_s:.1f} s of CPU"
            print(f"{what}: {took}; {ran.stderr.strip().splitlines()[-1]}")


if __name__ == "__main__":
    main()
