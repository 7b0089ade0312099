"""What a restoration did: figures that are known beforehand, from volumes whose power was put where it is."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from eucentric.core import InputError, stream
from eucentric.processing.restoration import HalfTomograms, Restored, examining, transfer
from eucentric.processing.restoration.examining import examine
from phantoms.halves import seen_halves_of_tilts

SIDE, VOXEL_A = 48, 10.0
SHAPE = (SIDE, SIDE, SIDE)
TILTS_DEG = tuple(range(-60, 61, 3))
ALL = (slice(None),) * 3
NOWHERE = (slice(0, 0),) * 3

Volume = NDArray[np.float32]


def noise(*names: str | int, shape: tuple[int, int, int] = SHAPE) -> Volume:
    return stream(0, *names).standard_normal(shape).astype(np.float32)


def specimen(falloff: float = 0.1) -> Volume:
    """Draw one whose power falls off over frequency, in cycles per voxel."""
    k_sq = sum(k**2 for k in np.meshgrid(*[np.fft.fftfreq(n) for n in SHAPE], indexing="ij"))
    spectrum = np.fft.fftn(noise("specimen")) * np.exp(-k_sq / (4 * falloff**2))
    return np.asarray(np.fft.ifftn(spectrum).real, dtype=np.float32)


def gain(k: torch.Tensor) -> torch.Tensor:
    """Let each view through less at high frequency, those of high tilt least."""
    steepness = torch.linspace(5, 20, len(TILTS_DEG), dtype=k.dtype)
    return torch.exp(-k * steepness.reshape(-1, *[1] * k.ndim))


def seen(x: Volume, through: bool = False) -> Volume:
    let = transfer(SHAPE, VOXEL_A, TILTS_DEG, gain if through else None)
    shown: Volume = torch.fft.irfftn(torch.fft.rfftn(torch.from_numpy(x)) * let, SHAPE).numpy()
    return shown


def halves(signal: Volume, sigma: float = 1.0, through: bool = False) -> HalfTomograms:
    even, odd = (signal + np.float32(sigma) * noise(name) for name in ("even", "odd"))
    for half in (even, odd):
        half.flags.writeable = False
    return HalfTomograms("TS_01", even, odd, VOXEL_A, TILTS_DEG, gain if through else None)


def restored(full: Volume, even: Volume | None = None, odd: Volume | None = None) -> Restored:
    even = full if even is None else even
    odd = full if odd is None else odd
    return Restored(full, even, odd, np.zeros_like(full), VOXEL_A, NOWHERE)


def wave(kz: int, kx: int, ky: int = 0) -> Volume:
    """Lay waves in the middle of the box, so many periods in each axis; their power lies within two cells."""
    z, y, x = (np.arange(SIDE) - SIDE // 2 for _ in range(3))
    z, y, x = z[:, None, None], y[:, None], x
    envelope = np.exp(-(z**2 + y**2 + x**2) / (2 * 6.0**2))
    return np.asarray(envelope * np.cos(2 * np.pi * (kz * z + ky * y + kx * x) / SIDE), dtype=np.float32)


def figures(values: tuple[float | None, ...]) -> NDArray[np.float64]:
    return np.array([np.nan if value is None else value for value in values])


def errors(frequency_1_A: tuple[float, ...]) -> NDArray[np.float64]:
    """Return the standard error of a correlation of noise: over coefficients of a shell, half of them mates."""
    k = np.array(frequency_1_A) * VOXEL_A * SIDE
    return np.asarray(1 / np.sqrt(4 * np.pi * k**2 * 0.65 * 0.35))  # 2/3 were measured, soft edges leave a third


def test_of_noise_nothing_agrees_and_nothing_is_supported() -> None:
    found = examine(halves(np.zeros(SHAPE, np.float32)), restored(noise("even"), noise("a"), noise("b")))
    for fsc in (found.fsc_before, found.fsc_after):
        scores = figures(fsc) / errors(found.frequency_1_A)
        assert np.nanmax(np.abs(scores)) < 4.5
        assert 0.6 < np.nanstd(scores) < 1.4
    assert found.supported_A is None


def test_frequencies_reach_from_the_box_to_nyquist() -> None:
    found = examine(halves(specimen()), restored(specimen()))
    assert 0 < found.frequency_1_A[0] < 4 / (SIDE * VOXEL_A)
    assert found.frequency_1_A[-1] == pytest.approx(1 / (2 * VOXEL_A), rel=0.05)
    assert len({len(value) for value in found.model_dump().values() if isinstance(value, tuple)}) == 1


@pytest.mark.parametrize("through", [False, True])
def test_the_true_specimen_leaves_what_noise_leaves(through: bool) -> None:
    x = 30 * specimen()
    found = examine(halves(seen(x, through), through=through), restored(x))
    scores = (np.array(found.misfit) - 1) / (2 * errors(found.frequency_1_A))  # a ratio of two mean squares
    assert np.abs(scores).max() < 4.5
    assert np.mean(found.misfit[8:]) == pytest.approx(1, abs=0.03)


def test_what_views_let_through_is_counted_in() -> None:
    x = 30 * specimen()
    pair = halves(seen(x, through=True), through=True)
    assert max(examine(replace(pair, gain=None), restored(x)).misfit) > 3


def test_halves_of_tilts_are_compared_where_they_can_agree() -> None:
    coarse_deg = tuple(float(tilt) for tilt in range(-60, 61, 10))  # planes lie apart in a box as small as this
    shown = seen_halves_of_tilts(30 * specimen(), 7.0, 5, coarse_deg)
    found, taken_for_frames = (
        examine(pair, restored(shown.truth)) for pair in (shown.pair, replace(shown.pair, even_views=None))
    )
    agreement, taken = (
        float(np.nanmean(figures(one.fsc_before)[np.array(one.frequency_1_A) > 0.5 / (2 * VOXEL_A)]))
        for one in (found, taken_for_frames)
    )
    assert agreement > taken + 0.2


def test_a_restoration_that_is_all_but_empty_leaves_the_signal_too() -> None:
    x = 30 * specimen()
    pair = halves(seen(x))
    found = examine(pair, restored(np.zeros(SHAPE, np.float32)))
    # Of the mean of halves, signal and noise are to noise as 1 + FSC to 1 - FSC.
    fsc = figures(found.fsc_before)
    expected = (1 + fsc) / (1 - fsc)
    assert expected.max() > 10
    np.testing.assert_allclose(np.array(found.misfit), expected, rtol=0.1)
    assert found.missing_share == 0


@given(st.floats(1e-3, 1e3), st.floats(-1e2, 1e2))
@settings(max_examples=5, deadline=None)
def test_figures_do_not_depend_on_the_units_of_the_specimen(scale: float, offset: float) -> None:
    x = 30 * specimen()
    pair = halves(seen(x))
    one = examine(pair, restored(x))
    other = examine(pair, restored(np.float32(scale) * x + np.float32(offset * scale)))
    np.testing.assert_allclose(one.misfit, other.misfit, rtol=0.02)
    np.testing.assert_allclose(np.array(one.power_after) * scale**2, other.power_after, rtol=0.02)
    assert one.missing_share == pytest.approx(other.missing_share, rel=0.01)


@given(st.floats(0.02, 0.98))
@settings(max_examples=5, deadline=None)
def test_the_share_of_the_missing_wedge_is_what_was_put_there(share: float) -> None:
    there, elsewhere = wave(kz=16, kx=2), wave(kz=3, kx=16)
    both = np.float32(share**0.5) * there + np.float32((1 - share) ** 0.5) * elsewhere
    found = examine(halves(noise("a")), restored(both))
    assert found.missing_share == pytest.approx(share, abs=1e-3)
    shell = int(np.argmax(found.missing_after))
    assert found.frequency_1_A[shell] * VOXEL_A * SIDE == pytest.approx(np.hypot(16, 2), abs=1)


def test_a_wave_is_missing_by_its_tilt_about_y_and_not_by_its_height() -> None:
    pair = halves(noise("a"))
    for kz, ky, kx, missing in ((16, 0, 2, 1), (16, 10, -2, 1), (16, 0, 16, 0), (0, 20, 0, 0), (2, 0, 20, 0)):
        share = examine(pair, restored(wave(kz, kx, ky))).missing_share
        assert share == pytest.approx(missing, abs=2e-3), (kz, ky, kx)


def test_one_sided_tilts_leave_the_other_side_missing() -> None:
    pair = replace(halves(noise("a")), tilts_deg=tuple(range(0, 61, 3)))
    shares = [examine(pair, restored(wave(kz, 14))).missing_share for kz in (10, -10)]
    assert shares == [pytest.approx(0, abs=2e-3), pytest.approx(1, abs=2e-3)]


def test_power_before_is_that_of_the_data_and_its_wedge_is_empty() -> None:
    found = examine(halves(seen(30 * specimen()), sigma=0.01), restored(30 * specimen()))
    assert (np.array(found.missing_before) < 1e-2 * np.array(found.power_before)).all()
    middle = slice(3, 10)
    ratio = np.array(found.missing_after[middle]) / np.array(found.power_after[middle])
    assert np.mean(ratio) == pytest.approx(1, abs=0.15)


def test_detail_is_supported_to_where_the_halves_agree() -> None:
    falloff, ssnr = 0.1, 20.0
    found = examine(halves(np.float32(ssnr**0.5) * specimen(falloff)), restored(specimen()))
    # SSNR falls as exp(-k² / 2 falloff²), and correlation is SSNR / (1 + SSNR).
    k = falloff * np.sqrt(2 * np.log(ssnr * (1 - 0.143) / 0.143))
    assert found.supported_A == pytest.approx(VOXEL_A / k, rel=0.05)
    sharp = examine(halves(noise("signal"), sigma=0.1), restored(noise("signal")))
    assert sharp.supported_A == 2 * VOXEL_A


def test_only_the_part_that_was_not_trained_on_counts_as_unseen() -> None:
    even, odd = noise("a"), noise("b")
    part = (ALL[0], slice(20, None), ALL[2])
    odd[part] = even[part]
    pair = halves(specimen())
    found = examine(pair, replace(restored(even, even, odd), unseen=part))
    assert np.nanmin(figures(found.fsc_unseen)) > 0.999
    assert np.nanmean(figures(found.fsc_after)) < 0.8
    other = (ALL[0], slice(None, 20), ALL[2])
    apart = examine(pair, replace(restored(even, even, odd), unseen=other))
    assert abs(np.nanmean(figures(apart.fsc_unseen))) < 0.1


def test_a_part_too_small_has_no_correlation_rather_than_a_wild_one() -> None:
    pair = halves(specimen())
    for part in (NOWHERE, (slice(0, 3),) * 3):
        found = examine(pair, replace(restored(noise("a")), unseen=part))
        assert set(found.fsc_unseen) == {None}
    small = examine(pair, replace(restored(noise("a")), unseen=(slice(0, 16),) * 3))
    assert small.fsc_unseen[0] is None
    assert small.fsc_unseen[-1] == pytest.approx(1)


def test_large_volumes_are_examined_in_their_central_box(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examining, "LARGEST_BOX_ZYX", (32, 32, 32))
    pair, volume = halves(specimen()), noise("a")
    found = examine(pair, restored(volume))
    box = (slice(8, 40),) * 3
    cut = replace(pair, even=pair.even[box], odd=pair.odd[box])
    assert found == examine(cut, restored(volume[box]))


def test_what_cannot_be_examined_is_refused() -> None:
    pair = halves(specimen())
    with pytest.raises(InputError, match="differ in shape"):
        examine(pair, restored(noise("a")[1:]))
    with pytest.raises(InputError, match="noise of their own"):
        examine(replace(pair, odd=pair.even), restored(noise("a")))
    tiny = replace(pair, even=pair.even[:3, :3, :3], odd=pair.odd[:3, :3, :3])
    with pytest.raises(InputError, match="enough measured coefficients"):
        examine(tiny, restored(noise("a")[:3, :3, :3]))
