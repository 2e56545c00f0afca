"""What can be switched on and off at a camera while it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from threading import Lock

Listener = Callable[[str, bool], None]


class Switches:
    """Named switches of one camera, read by its threads and set by whoever may. Thread-safe; reading takes no lock.

    Those in `absent` have nothing to switch: they are off, and stay so.
    """

    def __init__(
        self, *, detect: bool = True, recordings: bool = True, snapshots: bool = True, absent: Iterable[str] = ()
    ) -> None:
        self._absent = frozenset(absent)
        given = {"detect": detect, "recordings": recordings, "snapshots": snapshots}
        self._states = {name: on and name not in self._absent for name, on in given.items()}
        self._listeners: list[Listener] = []
        self._lock = Lock()

    def __getitem__(self, name: str) -> bool:
        """How a switch stands. Raises KeyError for one that does not exist."""
        return self._states[name]

    def states(self) -> dict[str, bool]:
        """How they all stand."""
        return dict(self._states)

    def set(self, name: str, on: bool) -> None:  # noqa: FBT001 (a switch is what a boolean is)
        """Set a switch and tell the listeners, in this thread, also where it stood so already.
        An absent one stays off.

        Raises KeyError for one that does not exist.
        """
        with self._lock:
            if name not in self._states:
                raise KeyError(name)
            self._states[name] = on = on and name not in self._absent
            for listener in self._listeners:
                listener(name, on)

    def listen(self, listener: Listener) -> None:
        """Have `listener` called with each switch as it stands, now and whenever one is set."""
        with self._lock:
            self._listeners.append(listener)
            for name, on in self._states.items():
                listener(name, on)
