"""Our driver of SerialEM on the simulated SerialEM: two sides of one interface, written apart, on a twin's truth."""

import math
import sys
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from eucentric.design import Camera, ConstantExposure, Design, DoseSymmetric, Plan, Target, Targets
from eucentric.design.increments import ConstantIncrement
from eucentric.detector import DETECTORS
from eucentric.microscope import ExposureRequest, Microscope, Purpose
from eucentric.microscope.contract import MicroscopeContract
from eucentric.microscope.serialem import SerialEM
from eucentric.session import Session, read_exposures
from eucentric.specimen.matrix import Matrix
from eucentric.specimen.sample import Beads, Sample
from eucentric.twin.mechanics import StageErrors
from eucentric.twin.serialem.answers import Answers
from eucentric.twin.serialem.bench import Bench
from eucentric.twin.serialem.log import ScriptLog
from eucentric.twin.serialem.module import SimulatedSerialEM
from eucentric.twin.serialem.setting_up import usual_sets
from eucentric.twin.settings import Effects, TwinSettings
from eucentric.twin.sites import Site
from eucentric.twin.twin import Twin
from eucentric.workflow.acquire import acquire, begin
from eucentric.workflow.acquire_records import AcquireSettings, Beginning

RATE = 3.0  # e/Å² a second: the twin's
SIDE, PIXEL_A = 80, 8.0
VIEW_COARSER = 80.0  # of its pixels: a View of 5 µm
ONE = ExposureRequest(exposure_e_A2=1.0, frames=1)


def on_bench(folder: Path, twin: Twin) -> Bench:
    for name in ("mdoc", "frames"):
        (folder / name).mkdir(exist_ok=True)
    bench = Bench(
        scope=twin,
        twin=twin,
        folder=folder / "mdoc",
        frames_folder=folder / "frames",
        sets=usual_sets(1.0, 4),
        answers=Answers(),
        log=ScriptLog(folder / "mdoc" / "serialem.log"),
    )
    bench.areas["V"] = bench.areas["V"].replace(coarser=VIEW_COARSER)
    return bench


def a_twin(sample: Sample, hand: Literal[1, -1] = 1, **more: Any) -> Twin:
    return Twin(
        sample,
        pixel_A=PIXEL_A,
        shape_yx=(SIDE, SIDE),
        settings=TwinSettings(detector=DETECTORS["ideal"], stage=StageErrors(), hand=hand),
        effects=Effects.none(),
        **more,
    )


def made(folder: Path, **more: Any) -> tuple[SerialEM, Twin]:
    """Give our driver, and the twin that is underneath it."""
    twin = a_twin(Sample("ice", Matrix.slab(1000.0)), -1, **more)
    module = SimulatedSerialEM(on_bench(folder, twin)).module()
    return SerialEM(module, dose_rate_e_A2_per_s=RATE, view_dose_rate_e_A2_per_s=0.05), twin


class TestSerialEMOnTheTwin(MicroscopeContract):
    request = ONE

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path

    def make(self) -> Microscope:
        return made(self.folder)[0]


def test_each_side_says_the_same_of_stage_lenses_and_beam(tmp_path: Path) -> None:
    """The driver's frame is the twin's, through SerialEM's units and axes and back."""
    scope, twin = made(tmp_path, pixels=False)
    scope.tilt_to(24.0)
    scope.move_stage(y_A=30_000.0, x_A=-12_000.0, z_A=5_000.0)
    scope.set_image_shift_A((4_000.0, -7_000.0))
    scope.set_beam_shift_A((4_500.0, -6_000.0))
    scope.set_beam_tilt_mrad((1.5, -2.5))
    scope.set_defocus_A(31_000.0)
    state = twin.state()
    assert (state.stage.position.y_A, state.stage.position.x_A) == pytest.approx((30_000.0, -12_000.0))
    assert (state.stage.position.z_A, state.stage.position.tilt_deg) == pytest.approx((5_000.0, 24.0))
    assert state.image_shift_yx_A == pytest.approx((4_000.0, -7_000.0))
    assert state.beam_shift_yx_A == pytest.approx((4_500.0, -6_000.0))
    assert state.beam_tilt_yx_mrad == pytest.approx((1.5, -2.5))
    assert state.defocus_A == pytest.approx(31_000.0)


@pytest.mark.parametrize("purpose", ["record", "track", "focus", "preview"])
def test_exposures_are_what_was_asked_for_and_are_told_as_they_were(tmp_path: Path, purpose: Purpose) -> None:
    scope, twin = made(tmp_path)
    scope.set_image_shift_A((2_000.0, 1_000.0))
    movie = scope.expose(ExposureRequest(exposure_e_A2=2.4, frames=3, purpose=purpose))
    assert twin.last is not None
    assert (twin.last.purpose, twin.exposures) == (purpose, 1)
    assert twin.last.exposure_e_A2 == pytest.approx(2.4)
    readback = movie.readback
    assert readback.exposure_e_A2 == pytest.approx(2.4)
    assert readback.dose_rate_e_px_s == pytest.approx(twin.last.expected_e_px / twin.last.seconds, rel=0.02)
    assert readback.axis_deg == pytest.approx(twin.told_axis_deg)
    assert readback.defocus_A == pytest.approx(twin.last.defocus_A)
    assert (movie.frames.shape, movie.pixel_A) == ((1, SIDE, SIDE), pytest.approx(PIXEL_A))  # type: ignore[comparison-overlap]
    np.testing.assert_allclose(twin.centre_zyx_A(twin.last), (0.0, 2_000.0, 1_000.0), atol=1e-3)


def test_the_beam_can_be_put_beside_the_image_and_exposes_there(tmp_path: Path) -> None:
    scope, twin = made(tmp_path, pixels=False)
    scope.set_beam_shift_A((20_000.0, 0.0))
    scope.expose(ONE)
    scope.set_image_shift_A((20_000.0, 0.0))
    scope.expose(ONE)
    assert twin.last is not None
    assert twin.last.pre_exposure_e_A2 == pytest.approx(1.0)


def test_control_is_given_back_without_an_error(tmp_path: Path) -> None:
    """The help of Exit: with 1, as from outside, it raises nothing."""
    scope, _ = made(tmp_path, pixels=False)
    scope.close()


def test_a_plan_runs_to_its_end_through_serialem_on_the_twin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Plan, engine, driver, simulated SerialEM, twin: each target at each tilt is where it is, and in focus."""
    design = Design(
        scheme=DoseSymmetric(min_deg=-20, max_deg=20, increment=ConstantIncrement(step_deg=10)),
        exposure=ConstantExposure(total_e_A2=10.0),
        camera=Camera(pixel_A=PIXEL_A, columns=SIDE, rows=SIDE),
    )
    plan = Plan(design=design)
    targets = Targets(targets=(Target(name="TS_001"), Target(name="TS_002", y_A=3_000.0, x_A=2_000.0)))
    draw = np.random.default_rng(3)
    places = np.column_stack([np.zeros(300), *draw.uniform(-1_000.0, 1_000.0, (2, 300))])
    specks = Sample("specks", Matrix.slab(300.0), beads=Beads(places, 60.0))  # in its middle plane, as targets are
    twin = a_twin(specks, sites=[Site(one.name, np.array([0.0, one.y_A, one.x_A]), specks) for one in targets.targets])
    bench = on_bench(tmp_path, twin)
    monkeypatch.setitem(sys.modules, "serialem", SimulatedSerialEM(bench, connected=False).module())
    with Session.create_or_open(tmp_path / "session") as session:
        begun = Beginning(plan, targets, AcquireSettings(microscope="serialem"))
        begin(session, begun)
        outcome = acquire(session, begun)
    assert (outcome.finish, outcome.reason) == ("finished", "10 images of 10 planned")
    noted = read_exposures(tmp_path / "session")
    assert len(noted) == len(bench.taken) == twin.exposures
    records = [one for one in bench.taken if one.camera_set == "R"]
    assert [one.place for one in records] == ["TS_001", "TS_002"] * 5
    off_A = [math.hypot(*one.off_yx_A) for one in records if one.off_yx_A is not None]
    assert len(off_A) == 10
    assert max(off_A) < 2 * PIXEL_A
    assert [one.defocus_A for one in records] == pytest.approx([plan[0].defocus_A] * 10, abs=300)
    assert [one.exposure_e_A2 for one in records] == pytest.approx([2.0] * 10)
