"""A simulated SerialEM on a small twin, and small scripts to run on it."""

from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eucentric.detector import DETECTORS
from eucentric.io.navigator import NavItem
from eucentric.microscope import Microscope
from eucentric.specimen.matrix import Matrix
from eucentric.specimen.sample import Beads, Sample
from eucentric.twin.faulty import Faulty
from eucentric.twin.mechanics import StageErrors
from eucentric.twin.serialem.answers import Answer, Answers
from eucentric.twin.serialem.bench import Bench
from eucentric.twin.serialem.failing import CommandFaults, parse_faults
from eucentric.twin.serialem.log import ScriptLog
from eucentric.twin.serialem.module import SimulatedSerialEM
from eucentric.twin.serialem.runner import Ended, run_script
from eucentric.twin.serialem.setting_up import usual_sets
from eucentric.twin.settings import Effects, TwinSettings
from eucentric.twin.sites import Site
from eucentric.twin.truth import ExposureTruth
from eucentric.twin.twin import Twin

Array = NDArray[np.float64]

UM = 1e4
PIXEL_A, SIDE = 20.0, 64  # of Record; View's pixels are three times as large
RECORD_S, FRAMES = 1.0, 4


@dataclass(frozen=True, eq=False)
class Rig:
    """SerialEM on a twin: `sem` is the module that a script imports, `bench` and `twin` are for looking behind it."""

    folder: Path
    twin: Twin
    bench: Bench
    serialem: SimulatedSerialEM
    sem: Any

    @property
    def last(self) -> ExposureTruth:
        """What is true of the last exposure."""
        assert self.twin.last is not None
        return self.twin.last

    def centre_A(self) -> Array:
        """Take a Record, and give the place of the specimen (z, y, x) that lay in its centre."""
        self.sem.Record()
        return self.twin.centre_zyx_A(self.last)

    def run(self, text: str, *, silent_s: float = 60.0) -> Ended:
        """Run a script of this text."""
        path = self.folder / "script.py"
        path.write_text(text, encoding="utf-8")
        return run_script(path, self.serialem, silent_s=silent_s)

    def log(self) -> str:
        return self.bench.log.path.read_text(encoding="utf-8") if self.bench.log.path.exists() else ""


def dotted(seed: int = 4, span_A: float = 4000.0) -> Sample:
    """Give ice with gold beads all over it, so that every part of it looks like no other."""
    draw = np.random.default_rng(seed)
    places = np.column_stack([np.zeros(160), *draw.uniform(-span_A, span_A, (2, 160))])
    return Sample("dotted", Matrix.slab(300.0), (), beads=Beads(places, 150.0))


def make(
    folder: Path,
    *,
    pixels: bool = False,
    sample: Sample | None = None,
    places_A: dict[str, tuple[float, float, float]] | None = None,
    errors: StageErrors | None = None,
    on: tuple[str, ...] = (),
    faults: tuple[str, ...] = (),
    answers: tuple[Answer, ...] = (),
    items: tuple[NavItem, ...] = (),
    connected: bool = True,
    axis_offset_um: float = 0.0,
    max_s: float = 48 * 3600.0,
    shape_yx: tuple[int, int] = (SIDE, SIDE),
    pixel_A: float = PIXEL_A,
) -> Rig:
    """Give a SerialEM on which nothing goes wrong but what is named; the twin has PACEtomo's hand."""
    sample = sample or Sample("ice", Matrix.slab(1000.0))
    settings = TwinSettings(stage=errors or StageErrors(), hand=-1, detector=DETECTORS["ideal"], coma_mrad_per_um=0.05)
    effects = Effects.none().replace(**dict.fromkeys(on, True))
    if errors is not None:
        effects = effects.replace(stage_error=True, tilt_error=True, drift=True)
    sites = tuple(Site(name, np.array(place), sample) for name, place in (places_A or {}).items())
    twin = Twin(
        sample, pixel_A=pixel_A, shape_yx=shape_yx, settings=settings, effects=effects, pixels=pixels, sites=sites
    )
    of_commands, of_microscope = parse_faults(faults)
    scope: Microscope = Faulty(twin, of_microscope) if of_microscope else twin
    for name in ("mdoc", "frames"):
        (folder / name).mkdir(exist_ok=True)
    bench = Bench(
        scope=scope,
        twin=twin,
        folder=folder / "mdoc",
        frames_folder=folder / "frames",
        sets=usual_sets(RECORD_S, FRAMES),
        answers=Answers(answers),
        log=ScriptLog(folder / "mdoc" / "serialem.log"),
        tilt_axis_offset_um=axis_offset_um,
        max_s=max_s,
    )
    bench.set_specimen_um(np.zeros(2))  # with the tilt-axis offset in it, as SerialEM leaves it
    serialem = SimulatedSerialEM(
        bench, items, folder / "mdoc" / "targets.nav", CommandFaults(of_commands), connected=connected
    )
    module: ModuleType = serialem.module()
    return Rig(folder, twin, bench, serialem, module)


def matrix(values: tuple[float, ...]) -> Array:
    """Give a matrix of what one of SerialEM's commands reports, row by row."""
    return np.reshape(values, (2, 2))
