"""Devices: what is asked for is what one gets, or an error that says what there is."""

import pytest
import torch

from eucentric.core import InputError
from eucentric.core.devices import resolve_device


def test_the_cpu_is_always_there() -> None:
    assert resolve_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize(("present", "expected"), [(True, "cuda"), (False, "cpu")])
def test_auto_takes_a_gpu_where_there_is_one(monkeypatch: pytest.MonkeyPatch, present: bool, expected: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: present)
    assert resolve_device("auto") == torch.device(expected)


@pytest.mark.parametrize(("name", "count", "fits"), [("cuda", 1, True), ("cuda:1", 2, True), ("cuda:1", 1, False)])
def test_a_gpu_is_taken_only_where_it_exists(
    monkeypatch: pytest.MonkeyPatch, name: str, count: int, fits: bool
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    if fits:
        assert resolve_device(name) == torch.device(name)
    else:
        with pytest.raises(InputError, match=rf"--device {name}: torch sees {count} CUDA devices.*Use --device cpu"):
            resolve_device(name)


@pytest.mark.parametrize("name", ["", "gpu", "cuda:x", "tpu:0", "meta", "mps", "CPU"])
def test_anything_else_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=rf"^--device {name}: .*Use auto, cpu or cuda\.$"):
        resolve_device(name)
