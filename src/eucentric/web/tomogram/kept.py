"""A cache bounded in bytes, in which what several ask for at once is made once."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class Kept(Generic[T]):
    """Keeps what was made, the latest used, up to so many bytes."""

    def __init__(self, most_bytes: int, size_of: Callable[[T], int]) -> None:
        self._most_bytes = most_bytes
        self._size_of = size_of
        self._items: OrderedDict[Hashable, T] = OrderedDict()
        self._bytes = 0
        self._making: dict[Hashable, threading.Lock] = {}
        self._lock = threading.Lock()

    @property
    def bytes(self) -> int:
        """What is kept now."""
        return self._bytes

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return what is kept under a key, made by the first who asks while others wait."""
        with self._lock:
            if key in self._items:
                self._items.move_to_end(key)
                return self._items[key]
            making = self._making.setdefault(key, threading.Lock())
        with making:
            with self._lock:
                if key in self._items:
                    return self._items[key]
            try:
                item = make()
                self._keep(key, item)
            finally:
                with self._lock:
                    self._making.pop(key, None)
        return item

    def _keep(self, key: Hashable, item: T) -> None:
        with self._lock:
            self._items[key] = item
            self._bytes += self._size_of(item)
            while self._bytes > self._most_bytes and len(self._items) > 1:
                _, old = self._items.popitem(last=False)
                self._bytes -= self._size_of(old)
