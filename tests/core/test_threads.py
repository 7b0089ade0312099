import threading

import numba
import pytest
import torch

from eucentric.core.threads import in_parts, in_threads, one_thread_of_torch


def test_items_are_done_in_their_order_on_as_many_threads_as_numba_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numba, "get_num_threads", lambda: 2)
    together = threading.Barrier(2, timeout=10)  # passed only if two are at work at once

    def work(item: int) -> int:
        together.wait()
        return item**2

    assert in_threads(work, [3, 1, 4, 1]) == [9, 1, 16, 1]
    monkeypatch.setattr(numba, "get_num_threads", lambda: 1)
    assert in_threads(lambda _: threading.get_ident(), [1, 2]) == [threading.get_ident()] * 2


def test_parts_cover_all_images_whatever_is_left_over() -> None:
    images = list(range(7))
    assert in_parts(images.__getitem__, 7, 1 << 18) == [[0, 1], [2, 3], [4, 5], [6]]
    assert in_parts(images.__getitem__, 7, 1 << 20) == [[image] for image in images]
    assert in_parts(images.__getitem__, 7, 1 << 10) == [images]
    assert in_parts(str, 0, 9) == []


@pytest.mark.parametrize("threads", [1, 2])
def test_an_error_in_a_thread_reaches_the_caller(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numba, "get_num_threads", lambda: threads)
    with pytest.raises(ZeroDivisionError):
        in_threads(lambda item: 1 / item, [1, 0, 1])


def test_torch_has_its_threads_back_afterwards() -> None:
    before = torch.get_num_threads()

    def failing() -> None:
        with one_thread_of_torch():
            assert torch.get_num_threads() == 1
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        failing()
    assert torch.get_num_threads() == before
