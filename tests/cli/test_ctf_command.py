"""`eucentric ctf`: values as JSON, a picture, and refusals that name the file and say what to do."""

from pathlib import Path

import mrcfile
import numpy as np
import pytest
from command_line import Run
from command_line import run as run
from numpy.typing import NDArray
from PIL import Image

from eucentric.io import write_mrc
from phantoms.ctf_images import grainy_image

PIXEL_A = 1.5
KEYS = ["defocus_u_A", "defocus_v_A", "azimuth_deg", "phase_shift_deg", "fit_resolution_A"]


@pytest.fixture(scope="module")
def micrograph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ctf") / "micrograph.mrc"
    write_mrc(path, grainy_image(384, PIXEL_A, 18_300, 17_700, 30).numpy()[None], PIXEL_A, kind="stack")
    return path


def test_values_and_picture(run: Run, micrograph: Path, tmp_path: Path) -> None:
    picture = tmp_path / "new" / "picture.png"
    ran = run("ctf", micrograph, "--output", picture, "--json")
    assert ran.status == 0
    assert list(ran.json)[:5] == KEYS
    assert ran.json["defocus_u_A"] == pytest.approx(18_300, abs=400)
    assert ran.json["defocus_v_A"] == pytest.approx(17_700, abs=400)
    assert ran.json["phase_shift_deg"] == 0
    assert ran.json["fit_resolution_A"] < 15
    assert ran.json["pixel_A"] == PIXEL_A
    assert ran.json["written"] == [str(picture)]
    assert "Defocus 18" in ran.err
    with Image.open(picture) as drawn:
        grey = np.asarray(drawn.convert("L"), dtype=float)
    assert min(grey.shape) > 400
    assert grey.std() > 20


def test_the_pixel_given_replaces_the_headers(run: Run, micrograph: Path) -> None:
    # Half the pixel is a quarter of the defocus, as far as spherical aberration does not tell.
    ran = run("ctf", micrograph, "--pixel", 0.75, "--cs", 0, "--low", 15, "--high", 3, "--min-defocus", 1000, "--json")
    assert ran.json["defocus_u_A"] == pytest.approx(18_300 / 4, abs=300)


def test_one_section_of_a_stack(run: Run, micrograph: Path, tmp_path: Path) -> None:
    stack = tmp_path / "stack.mrc"
    sections = np.stack([np.zeros((384, 384), np.float32), grainy_image(384, PIXEL_A, 18_300, 17_700, 30).numpy()])
    write_mrc(stack, sections, PIXEL_A, kind="stack")
    many = run("ctf", stack)
    assert many.status == 1
    assert str(stack) in many.err
    assert "2 sections" in many.err
    assert "--section" in many.err
    assert run("ctf", stack, "--section", 2).status == 1
    ran = run("ctf", stack, "--section", 1, "--json")
    assert ran.json["section"] == 1
    assert ran.json["defocus_u_A"] == run("ctf", micrograph, "--json").json["defocus_u_A"]


@pytest.mark.parametrize(
    ("pixels", "options", "words"),
    [
        (np.zeros((128, 128)), (), "All pixels of the image are 0"),
        (np.full((128, 128), np.nan), (), "no numbers"),
        (np.eye(40), (), "too small"),
        (np.eye(128), ("--pixel", 40), "Nyquist is 80 Å"),
    ],
)
def test_what_has_no_rings_is_named(
    run: Run, tmp_path: Path, pixels: NDArray[np.float64], options: tuple[object, ...], words: str
) -> None:
    path = tmp_path / "odd.mrc"
    write_mrc(path, np.zeros((1, *pixels.shape), np.float32), PIXEL_A, kind="stack")
    with path.open("r+b") as file:  # our own writer refuses what is not finite
        file.seek(1024)
        file.write(pixels.astype(np.float32).tobytes())
    ran = run("ctf", path, *options, "--json")
    assert ran.status == 1
    assert ran.json is None
    assert str(path) in ran.err.replace("\n", "")
    assert words in ran.err


def test_noise_is_not_sold_as_a_fit(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "noise.mrc"
    noise = np.random.default_rng(0).poisson(5.0, (1, 256, 256)).astype(np.float32)
    write_mrc(path, noise, PIXEL_A, kind="stack")
    ran = run("ctf", path, "--json")
    assert ran.status == 0
    assert ran.json["fit_resolution_A"] is None
    assert "do not rely" in ran.err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--high", 40), "not finer than --low"),
        (("--min-defocus", 1e5), "not less than --max-defocus"),
        (("--voltage", 3), "--voltage 3"),
        (("--output", "picture.jpg"), "ends in .png"),
    ],
)
def test_wrong_usage(run: Run, micrograph: Path, options: tuple[object, ...], words: str) -> None:
    ran = run("ctf", micrograph, *options)
    assert ran.status == 2
    assert words in ran.err


def test_a_file_without_a_pixel_size_asks_for_it(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "plain.mrc"
    with mrcfile.new(path) as file:
        file.set_data(np.eye(128, dtype=np.float32))
    ran = run("ctf", path)
    assert ran.status == 1
    assert "--pixel" in ran.err


def test_a_missing_file_is_named(run: Run, tmp_path: Path) -> None:
    ran = run("ctf", tmp_path / "nothing.mrc")
    assert ran.status == 1
    assert "nothing.mrc" in ran.err
