"""The ramp of defocus tells a pixel size that is said twice too large, or half as large as it is."""

import math
from functools import lru_cache

import numpy as np
import pytest
import torch
from ctf_series_cases import AXIS_DEG, LENS, tilted_image
from torch import Tensor

from eucentric.processing.ctf.ramp import weigh_ramp
from eucentric.processing.ctf.records import RampVerdict

PIXEL_A = 4.0
TILTS = [-54.0, -45.0, -36.0, 0.0, 36.0, 45.0, 54.0]


@lru_cache
def image(section: int, signal: float = 1.0) -> Tensor:
    return tilted_image(384, PIXEL_A, TILTS[section], 22_000.0, hand=-1, signal=signal, seed=section)


@lru_cache
def verdict(said: float) -> RampVerdict | None:
    return weigh_ramp(image, said * PIXEL_A, TILTS, AXIS_DEG, LENS)


@pytest.mark.parametrize("said", [1.0])
def test_the_pixel_size_is_found(said: float) -> None:
    found = verdict(said)
    assert found is not None
    assert found.hand == -1
    assert abs(math.log(found.factor / said)) < 3 * found.sigma
    assert found.sigma < 0.15


def test_without_telling_tilts_nothing_is_said() -> None:
    assert weigh_ramp(image, PIXEL_A, [0.0] * 7, AXIS_DEG, LENS) is None
    assert weigh_ramp(image, 14.0, TILTS, AXIS_DEG, LENS) is None
    assert weigh_ramp(lambda section: torch.full((96, 96), math.nan), PIXEL_A, TILTS, AXIS_DEG, LENS) is None


def test_noise_claims_nothing() -> None:
    def noise(section: int) -> Tensor:
        return torch.from_numpy(np.random.default_rng(section).normal(30, 1, (192, 192)).astype(np.float32))

    found = weigh_ramp(noise, PIXEL_A, TILTS, AXIS_DEG, LENS)
    assert found is None or found.log_odds < 3
