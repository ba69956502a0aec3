"""Requests from outside to end a run early but in good order."""

from __future__ import annotations

import atexit
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

STOP = (signal.SIGTERM, signal.SIGUSR1)


@dataclass
class StopRequest:
    """Which signal, by name, has asked this process to stop, if any has."""

    received: list[str] = field(default_factory=list)

    @property
    def reason(self) -> str | None:
        return self.received[0] if self.received else None


@contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Note SIGTERM and SIGUSR1 instead of ending at once; only the main thread can.

    One that has come is heard and not heeded from then on, to the end of the process: who asks
    until it has ended does not disturb its end.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return

    def note(number: int, _) -> None:
        if (name := signal.Signals(number).name) not in request.received:
            request.received.append(name)
            atexit.register(signal.signal, number, signal.SIG_IGN)

    before = {number: signal.signal(number, note) for number in STOP}
    try:
        yield request
    finally:
        for number, handler in before.items():
            if signal.Signals(number).name not in request.received:
                signal.signal(number, handler)
