"""A server on a control socket that answers with octets a test has chosen."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

STATUS: Mapping[str, object] = {
    "version": "0.1.0",
    "pid": 1,
    "state": "/s",
    "uptime": 1.5,
    "counts": {},
    "services": [],
    "containers": [],
    "container_counts": {},
    "leases": [],
    "lease_counts": {},
    "neighbours": [],
}
"""The status of a server that does nothing."""


def answer(body: object, status: str = "200 OK") -> bytes:
    """A response with this body as JSON."""
    octets = json.dumps(body).encode()
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(octets)}\r\n\r\n".encode() + octets


def _whole(asked: bytes) -> bool:
    """Whether these octets are a request with all of its body."""
    head, end, body = asked.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
    return bool(end) and len(body) >= (int(length[1]) if length else 0)


class Canned:
    """Gives one answer to each connection, and notes the first line of what was asked; None is no answer at all."""

    def __init__(self, state: Path, answers: Sequence[bytes | None], cleanup: Callable[..., object]) -> None:
        state.mkdir(exist_ok=True)
        self.asked: list[str] = []
        self._answers = answers
        self._held: list[socket.socket] = []
        self._listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listening.bind(str(state / "control"))
        self._listening.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        cleanup(self.close)

    def _serve(self) -> None:
        for octets in self._answers:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return  # The test is over.
            asked = b""
            while not _whole(asked) and (more := connection.recv(4096)):
                asked += more
            self.asked.append(asked.split(b"\r\n")[0].decode())
            if octets is None:
                self._held.append(connection)
            else:
                connection.sendall(octets)
                connection.close()

    def close(self) -> None:
        """End it."""
        self._listening.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        for each in (self._listening, *self._held):
            each.close()
