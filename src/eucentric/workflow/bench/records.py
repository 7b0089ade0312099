"""What a bench is asked for and what it tells."""

from typing import Annotated, Literal

from pydantic import Field

from eucentric.core import Record

What = Literal["reconstruct", "align", "all"]
State = Literal["ran", "not installed", "failed"]


class BenchSettings(Record):
    """What to time.

    Images have `size` pixels along each side, and the volume a quarter as many planes; each program runs `repeat`
    times, one after the other in every round (once only where a run takes over a minute). `iterations` are those of
    SIRT, which is left out at 0; `seed` draws the specimens.
    """

    what: What = "all"
    size: Annotated[int, Field(ge=64, le=4096, multiple_of=32)] = 512
    repeat: Annotated[int, Field(ge=1, le=100)] = 3
    iterations: Annotated[int, Field(ge=0, le=1000)] = 20
    seed: Annotated[int, Field(ge=0)] = 0


class Row(Record):
    """What became of one program.

    `median_s`, `least_s` and `most_s` are of `runs` runs, without reading and writing of files by programs that are
    libraries, and with it by those that are commands; `ratio` is the median over ours. `accuracy` is by measure, and
    `peak_MB` the most memory that the process held (ours holds the truth too), where the system tells.
    """

    program: str
    state: State = "ran"
    reason: str = ""
    runs: int = 0
    median_s: float | None = None
    least_s: float | None = None
    most_s: float | None = None
    ratio: float | None = None
    accuracy: dict[str, float] = Field(default_factory=dict)
    peak_MB: float | None = None


class Floor(Record):
    """The least time that the work can take on this machine, by part, in seconds.

    `interpolations_s`: their loads and adds, `interpolations` of them, by a kernel that computes no address. `bytes_s`:
    `bytes_moved` once, at the speed of a copy. `transforms_s`: the Fourier transforms, by scipy.
    """

    interpolations: int
    interpolations_s: Annotated[float, Field(gt=0)]
    bytes_moved: int
    bytes_s: Annotated[float, Field(gt=0)]
    transforms_s: Annotated[float, Field(ge=0)]

    @property
    def seconds(self) -> float:
        """The sum of the parts."""
        return self.interpolations_s + self.bytes_s + self.transforms_s


class Case(Record):
    """One task: the floor, and a row for each program, ours first. `floors` is our median over the floor."""

    name: str
    work: str
    floor: Floor
    floors: float
    rows: tuple[Row, ...]


class Bench(Record):
    """What was measured, and on how many processors and threads."""

    settings: BenchSettings
    processors: int
    threads: int
    copy_GB_s: float
    cases: tuple[Case, ...]
