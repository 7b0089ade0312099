"""Movement within exposures: ours beside torch-motion-correction and RELION's own, in one run, against the truth.

Run: python benchmarks/motion_sets.py SETS
     python benchmarks/motion.py SETS [--peers VENV] [--relion relion_run_motioncorr]
         [--workload BENCH --score SCORE.py]

All read the same MRC stacks of float32, corrected for gain and defects before the clock starts, series by series in
turn, with the same number of threads. Error: rms over tilts and frames of estimated less true shift, the mean over a
tilt's frames removed, in either sign; `places` is the same over a grid of places, local movement included. Seconds are
for the series, reading included; RELION always makes a dose-weighted sum, hence ours with and without.
"""

import argparse
import importlib.util
import itertools
import json
import math
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numba
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import median_filter

from eucentric.io import open_mrc, write_mrc
from eucentric.io.movies import open_movie
from eucentric.processing.dose_weighting import accumulated_e_A2
from eucentric.processing.motion import (
    KeptTransforms,
    MotionSettings,
    MotionTrack,
    estimate_movie,
    estimate_series,
    sum_movie,
)

Array = NDArray[np.float64]
DEFECT_SIGMAS = 7.0  # of a pixel's counts over the series from its neighbourhood's: Poisson gives none in 1e6 pixels
VOLTAGE_KV = 300.0
PEER_WORKER = Path(__file__).with_name("peer_motion.py")


@dataclass(frozen=True)
class Found:
    """What a program says of a series.

    Attributes
    ----------
    shifts_yx_A
        For each tilt, (frames, 2): how the field moved as a whole, as the program has it.
    at_places_yx_A
        For each tilt, (frames, rows, columns, 2): the movement of its places, whole and local; or nothing.
    seconds, cpu_s
        On the wall, and of all cores; reading included.
    """

    shifts_yx_A: list[Array]
    seconds: float
    cpu_s: float
    at_places_yx_A: list[Array] | None = None


@dataclass(frozen=True)
class Series:
    """A series that is ready to be read by anybody."""

    folder: Path
    name: str
    pixel_A: float
    truth: dict[str, Any]

    @property
    def tilts(self) -> list[dict[str, Any]]:
        """What is true of each."""
        return list(self.truth["tilts"])

    def stack(self, tilt: dict[str, Any]) -> Path:
        """Return where the corrected frames of a tilt are, by a name without a point, at which RELION would cut it."""
        return self.folder / f"tilt{tilt['order']:02d}.mrcs"

    def frames(self, tilt: dict[str, Any]) -> Callable[[], Iterator[torch.Tensor]]:
        """Return what reads the frames of a tilt."""
        return lambda: frames_of(self.stack(tilt))


def frames_of(path: Path) -> Iterator[torch.Tensor]:
    """Give the sections of an MRC stack of float32 in turn: mapped, not copied."""
    n, *shape_yx = open_mrc(path).data.shape
    offset = path.stat().st_size - 4 * n * math.prod(shape_yx)
    for section in np.memmap(path, np.float32, "c", offset, (n, *shape_yx)):
        yield torch.from_numpy(section)


def prepared(source: Path, folder: Path, every: int = 1) -> Series:
    """Write the series' movies as float32, corrected for gain and defects, and return what there is."""
    truth = json.loads((source / "truth.json").read_text(encoding="utf-8"))
    truth["tilts"] = [tilt for tilt in truth["tilts"] if tilt["order"] % every == 0]
    gain = np.asarray(open_mrc(source / "gain.mrc").data[0], dtype=np.float32)
    series = Series(folder, source.name, float(truth["pixel_A"]), truth)
    total = np.zeros(gain.shape)
    for tilt in series.tilts:
        total += open_movie(source / tilt["movie"]).read().sum(axis=0, dtype=np.float64)
    total *= gain
    around = median_filter(total, 5)
    # A counter misses electrons, so that counts scatter less than Poisson's: the bound errs on the side of keeping.
    sigma = np.sqrt(np.maximum(around, 1)) * np.maximum(gain, 0.5)
    bad = (gain <= 0) | (np.abs(total - around) > DEFECT_SIGMAS * sigma)
    for tilt in series.tilts:
        frames = open_movie(source / tilt["movie"]).read() * gain
        for frame in frames:
            # A neighbour's own count keeps the noise what it is; a mean of several would be a quiet spot that stays.
            frame[bad] = frame[_neighbours(bad)]
        write_mrc(series.stack(tilt), frames.astype(np.float32), series.pixel_A, kind="stack", label="Corrected movie")
    return series


def _neighbours(bad: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the places of the nearest good pixels of the bad ones."""
    from scipy.ndimage import distance_transform_edt

    nearest = distance_transform_edt(bad, return_distances=False, return_indices=True)
    return nearest[0][bad], nearest[1][bad]


class Clock:
    """Seconds since it was made, on the wall and of all cores, with what ended child processes took."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), _cpu_s()

    def read(self) -> tuple[float, float]:
        """Return wall and CPU seconds."""
        return time.perf_counter() - self._wall, _cpu_s() - self._cpu


def _cpu_s() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def ours(series: Series) -> dict[str, Found]:
    """Estimate with Eucentric, and then sum; the sums' time counts in the second result of each."""
    whole = _ours(series, MotionSettings(local=False), "ours")
    return {**whole, **_ours(series, MotionSettings(), "ours local")}


def _ours(series: Series, settings: MotionSettings, name: str) -> dict[str, Found]:
    clock = Clock()
    kept = KeptTransforms()
    readers = [kept.of(which, series.frames(tilt)) for which, tilt in enumerate(series.tilts)]
    motion = estimate_series(readers, series.pixel_A, settings)
    estimated = clock.read()
    tracks = [
        track or MotionTrack.still(len(tilt["shifts_yx_A"]))
        for track, tilt in zip(motion.tracks, series.tilts, strict=True)
    ]
    for track, tilt, reader in zip(tracks, series.tilts, readers, strict=True):
        received = accumulated_e_A2(tilt["pre_exposure_e_A2"], tilt["exposure_e_A2"], len(tilt["shifts_yx_A"]))
        each = [received[frame] for frame in track.frames]
        sum_movie(reader(), track, series.pixel_A, accumulated_e_A2=each)
    summed = clock.read()
    shifts = [np.array(track.shifts_yx_A) for track in tracks]
    at_places = []
    for track, shift, tilt in zip(tracks, shifts, series.tilts, strict=True):
        places = np.array(tilt["places_yx_A"])
        moved = np.broadcast_to(shift[:, None, None], (len(shift), *places.shape)).copy()
        if track.local is not None:
            moved += np.array([track.local.displacement_yx_A(places, frame) for frame in range(len(shift))])
        at_places.append(moved)
    return {name: Found(shifts, *estimated, at_places), f"{name}+sum": Found(shifts, *summed, at_places)}


class TorchPeer:
    """torch-motion-correction, kept running in its own environment."""

    def __init__(self, environment: Path, variant: str, threads: int) -> None:
        self._process = subprocess.Popen(
            [environment / "bin" / "python", PEER_WORKER, "--variant", variant, "--threads", str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def movie(self, path: Path, pixel_A: float) -> tuple[Array, float, float]:
        """Return the shifts (frames, 2) in Å, and the seconds on the wall and of all cores."""
        if self._process.stdin is None or self._process.stdout is None:
            raise SystemExit("The worker of torch-motion-correction has no pipes.")
        self._process.stdin.write(json.dumps({"path": str(path), "pixel_A": pixel_A}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("The worker of torch-motion-correction ended; its reason is above.")
        answer = json.loads(line)
        return np.array(answer["shifts_yx_A"]), float(answer["seconds"]), float(answer["cpu_s"])

    def __call__(self, series: Series) -> dict[str, Found]:
        """Estimate movie by movie."""
        answers = [self.movie(series.stack(tilt), series.pixel_A) for tilt in series.tilts]
        shifts = [one[0] for one in answers]
        return {"torch": Found(shifts, sum(one[1] for one in answers), sum(one[2] for one in answers))}

    def close(self) -> None:
        """End the worker."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait()


def relion(
    program: str,
    stacks: Sequence[Path],
    pixel_A: float,
    frame_e_A2: float,
    *,
    patches: int = 1,
    b_px2: float = 150.0,
    threads: int = 1,
    places: Sequence[Array] | None = None,
) -> Found:
    """Run RELION's own implementation on movies of one folder, in one process, with a dose-weighted sum of each."""
    folder = stacks[0].parent
    with tempfile.TemporaryDirectory(dir=folder) as out:
        star = Path(out) / "movies.star"
        optics = f"_rlnOpticsGroupName #1\n_rlnOpticsGroup #2\n_rlnMicrographOriginalPixelSize #3\n_rlnVoltage #4\n\
_rlnSphericalAberration #5\n_rlnAmplitudeContrast #6\nog1 1 {pixel_A} {VOLTAGE_KV} 2.7 0.07\n"
        movies = "".join(f"{stack.name} 1\n" for stack in stacks)
        star.write_text(
            f"# version 30001\ndata_optics\nloop_\n{optics}\n# version 30001\ndata_movies\nloop_\n"
            f"_rlnMicrographMovieName #1\n_rlnOpticsGroup #2\n{movies}",
            encoding="utf-8",
        )
        command = [program, "--i", str(star), "--o", f"{Path(out).name}/", "--use_own", "--bfactor", f"{b_px2:g}"]
        command += ["--patch_x", str(patches), "--patch_y", str(patches), "--j", str(threads), "--angpix", str(pixel_A)]
        command += ["--voltage", f"{VOLTAGE_KV:g}", "--dose_per_frame", str(frame_e_A2), "--dose_weighting"]
        clock = Clock()
        ran = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        seconds, cpu_s = clock.read()
        shifts, at_places = [], []
        for at, stack in enumerate(stacks):
            told = Path(out) / f"{stack.stem}.star"
            if not told.exists():
                raise SystemExit(f"RELION left no result for {stack.name}.\n{ran.stdout[-2000:]}{ran.stderr[-2000:]}")
            blocks = star_blocks(told)
            # RELION lists what it moves frames by, whole and local alike: the opposite of where the specimen is seen.
            whole = -np.array([[float(row[2]), float(row[1])] for row in blocks["global_shift"]]) * pixel_A
            shifts.append(whole)
            if places is not None:
                moved = np.broadcast_to(whole[:, None, None], (len(whole), *places[at].shape)).copy()
                model = [float(row[1]) for row in blocks.get("local_motion_model", [])]
                if model:
                    shape = open_mrc(stack).data.shape
                    side = np.array(shape[1:]) * pixel_A
                    moved -= relion_local(np.array(model), places[at] / side, len(whole)) * pixel_A
                at_places.append(moved)
    return Found(shifts, seconds, cpu_s, at_places if places is not None else None)


def relion_local(model: Array, places: Array, frames: int) -> Array:
    """Return RELION's local movement in pixels, (frames, rows, columns, 2).

    A polynomial of third order in time without a constant, and of second order in place, x and y from -1/2 to 1/2:
    Zivanov et al. 2019 (10.1107/S205225251801463X). Of its 36 numbers 18 are for x, then 18 for y; of each the three
    powers of time for 1, x, x², y, y², xy in turn.
    """
    y, x = places[..., 0], places[..., 1]
    space = np.stack([np.ones_like(x), x, x * x, y, y * y, x * y])
    time_powers = np.arange(frames)[:, None] ** np.arange(1, 4)[None]
    per_axis = model.reshape(2, 6, 3)
    moved = np.einsum("asp,fp,syx->fyxa", per_axis, time_powers.astype(float), space)
    return np.asarray(moved[..., ::-1])


def star_blocks(path: Path) -> dict[str, list[list[str]]]:
    """Return the rows of the loops of a STAR file, by the names of their blocks."""
    blocks: dict[str, list[list[str]]] = {}
    rows: list[list[str]] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        words = line.split()
        if line.startswith("data_"):
            rows = blocks.setdefault(line.removeprefix("data_").strip(), [])
        elif words and not line.startswith(("#", "_", "loop_")):
            rows.append(words)
    return blocks


def shift_error_A(found: Found, series: Series) -> float:
    """Return the rms of the error of frame shifts over tilts and frames, in Å, in the better sign."""
    true = [np.array(tilt["shifts_yx_A"]) for tilt in series.tilts]
    return min(_rms([sign * one - at for one, at in zip(found.shifts_yx_A, true, strict=True)]) for sign in (1, -1))


def place_error_A(found: Found, series: Series) -> float:
    """Return the rms of the error of how places moved, over tilts, frames and places, in Å, in the better sign."""
    true = [np.array(tilt["shifts_yx_A"])[:, None, None] + np.array(tilt["local_yx_A"]) for tilt in series.tilts]
    moved = found.at_places_yx_A or [
        np.broadcast_to(one[:, None, None], at.shape) for one, at in zip(found.shifts_yx_A, true, strict=True)
    ]
    return min(_rms([sign * one - at for one, at in zip(moved, true, strict=True)]) for sign in (1, -1))


def _rms(errors: Sequence[Array]) -> float:
    """Return the rms length of errors (frames, ..., 2), each less its mean over frames."""
    squares = [float(np.square(one - one.mean(axis=0)).sum(axis=-1).mean()) for one in errors]
    return float(np.sqrt(np.mean(squares)))


Program = Callable[[Series], dict[str, Found]]


def programs_of(options: argparse.Namespace) -> tuple[list[Program], list[TorchPeer]]:
    """Return what runs, ours first, and the workers to be closed at the end."""
    programs: list[Program] = [] if options.peers_only else [ours]
    workers = []
    if options.peers:
        workers.append(TorchPeer(options.peers, options.variant, options.threads))
        programs.append(workers[0])
    for patches, b_px2 in itertools.product(options.patches, options.b) if options.relion else ():

        def run(series: Series, patches: int = patches, b_px2: float = b_px2) -> dict[str, Found]:
            stacks = [series.stack(tilt) for tilt in series.tilts]
            places = [np.array(tilt["places_yx_A"]) for tilt in series.tilts]
            frame_e_A2 = series.tilts[0]["exposure_e_A2"] / len(series.tilts[0]["shifts_yx_A"])
            found = relion(
                options.relion,
                stacks,
                series.pixel_A,
                frame_e_A2,
                patches=patches,
                b_px2=b_px2,
                threads=options.threads,
                places=places,
            )
            return {f"relion{patches}x{patches} B{b_px2:g}": found}

        programs.append(run)
    return programs, workers


Row = dict[str, tuple[float, float, float, float]]


def run_sets(options: argparse.Namespace, programs: list[Program]) -> None:
    """Print a block for each set, and then what follows from all of them."""
    print(f"{'set':<18}{'program':<17}{'shift Å':>9}{'places Å':>10}{'wall s':>8}{'CPU s':>8}")
    rows: list[Row] = []
    for source in sorted(path.parent for path in options.sets.glob("*/truth.json")):
        if options.only and not any(word in source.name for word in options.only):
            continue
        with tempfile.TemporaryDirectory(dir=options.scratch) as scratch:
            series = prepared(source, Path(scratch), options.every)
            row: Row = {}
            for program in [program for _ in range(options.repeats) for program in programs]:
                for name, found in program(series).items():
                    wall_s, cpu_s = row[name][2:] if name in row else (np.inf, np.inf)
                    errors = shift_error_A(found, series), place_error_A(found, series)
                    row[name] = (*errors, min(wall_s, found.seconds), min(cpu_s, found.cpu_s))
        rows.append(row)
        print_row(source.name, row)
    if rows:
        report(rows)


def print_row(title: str, row: Row) -> None:
    """Print what each program has of one set."""
    for name, (shift_A, places_A, wall_s, cpu_s) in row.items():
        print(f"{title:<18}{name:<17}{shift_A:>9.3f}{places_A:>10.3f}{wall_s:>8.1f}{cpu_s:>8.1f}", flush=True)


def report(rows: list[Row]) -> None:
    """Print medians over the sets, and the ratios of the peers to ours."""
    names = list(rows[0])
    middle = {name: np.median([row[name] for row in rows], axis=0).tolist() for name in names}
    print_row("median", {name: (one[0], one[1], one[2], one[3]) for name, one in middle.items()})
    if "ours" not in names:
        return
    for name in names:
        if name.startswith("ours"):
            continue
        # RELION cannot be told to make no sum; torch-motion-correction makes none unless it is asked to.
        whole = name == "torch" or name.startswith("relion1x1")
        base = ("ours" if whole else "ours local") + ("" if name == "torch" else "+sum")
        error = [row["ours"][0] / row[name][0] for row in rows]
        place = [row[base][1] / row[name][1] for row in rows]
        wall, cpu = (np.median([row[name][at] / row[base][at] for row in rows]) for at in (2, 3))
        print(
            f"ours / {name}: shift error {np.median(error):.2f} in the median, {max(error):.2f} at worst, no worse on "
            f"{sum(one <= 1 for one in error)} of {len(rows)}; places {np.median(place):.2f} and {max(place):.2f}; "
            f"{base} is {wall:.1f} times as fast on the wall, {cpu:.1f} times by CPU"
        )


def run_workload(options: argparse.Namespace) -> None:
    """Print errors (px) and seconds for the three movies of the shared workload, weighted sum included where made."""
    spec = importlib.util.spec_from_file_location("score", options.score)
    if spec is None or spec.loader is None:
        raise SystemExit(f"{options.score} cannot be loaded: give score.py of the workloads with --score.")
    score = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(score)
    worker = TorchPeer(options.peers, options.variant, options.threads) if options.peers else None
    print("workload movie: rms error, least seconds")
    pixel_A, frame_e_A2 = 1.5, 0.3
    for movie in range(3):
        path = options.workload / f"movie{movie}.mrc"
        stack = options.workload / f"movie{movie}.mrcs"  # a name that RELION takes for a stack
        cells = []
        if not options.peers_only:
            own = [_ours_movie(path, pixel_A, frame_e_A2) for _ in range(5)]
            error = score.score_motion(np.array(own[0][0].shifts_yx_A) / pixel_A, options.workload, movie)
            cells.append(_cell("ours+sum", error, [one[1] for one in own]))
        if worker:
            answers = [worker.movie(path, pixel_A) for _ in range(3)]
            error = score.score_motion(answers[0][0] / pixel_A, options.workload, movie)
            cells.append(_cell("torch", error, [one[1:] for one in answers]))
        if options.relion:
            found = [relion(options.relion, [stack], pixel_A, frame_e_A2, threads=options.threads) for _ in range(3)]
            error = score.score_motion(found[0].shifts_yx_A[0] / pixel_A, options.workload, movie)
            cells.append(_cell("relion", error, [(one.seconds, one.cpu_s) for one in found]))
        print(f"  {movie}: " + "   ".join(cells), flush=True)
    if worker:
        worker.close()


def _cell(name: str, error_px: float, times: Sequence[tuple[float, float]]) -> str:
    wall_s, cpu_s = np.min(times, axis=0)
    return f"{name} {error_px:.3f} px, {wall_s:.2f} s, CPU {cpu_s:.2f}"


def _ours_movie(path: Path, pixel_A: float, frame_e_A2: float) -> tuple[MotionTrack, tuple[float, float]]:
    clock = Clock()
    track = estimate_movie(frames_of(path), pixel_A)
    received = accumulated_e_A2(0.0, frame_e_A2 * len(track.frames), len(track.frames))
    sum_movie(frames_of(path), track, pixel_A, accumulated_e_A2=received)
    return track, clock.read()


def main() -> None:
    """Run as the module says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", type=Path)
    parser.add_argument("--only", nargs="+", help="sets whose names hold one of these")
    parser.add_argument("--peers", type=Path, help="environment with torch-motion-correction")
    parser.add_argument("--variant", default="patches384-b2000", help="of torch-motion-correction: see peer_motion.py")
    parser.add_argument("--relion", help="relion_run_motioncorr, or its path")
    parser.add_argument("--patches", type=int, nargs="+", default=[1], help="of RELION, along each side")
    parser.add_argument("--b", type=float, nargs="+", default=[150.0, 25.0], help="B of RELION's correlation, px²")
    parser.add_argument("--threads", type=int, default=1, help="of each program")
    parser.add_argument("--every", type=int, default=1, help="use each so many-th tilt, in order of acquisition")
    parser.add_argument("--peers-only", action="store_true")
    parser.add_argument("--repeats", type=int, default=1, help="of each, of which the fastest counts")
    parser.add_argument("--scratch", type=Path, help="where corrected movies go meanwhile")
    parser.add_argument("--workload", type=Path, help="folder with the movies of workloads.py --what movie")
    parser.add_argument("--score", type=Path, help="score.py, beside workloads.py")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    numba.set_num_threads(options.threads)
    os.environ["OMP_NUM_THREADS"] = str(options.threads)
    if options.relion and shutil.which(options.relion) is None:
        raise SystemExit(f"{options.relion}: there is no such program. Debian's package is relion.")
    if options.workload and options.score:
        run_workload(options)
    programs, workers = programs_of(options)
    run_sets(options, programs)
    for worker in workers:
        worker.close()


if __name__ == "__main__":
    main()
