"""What the tests of HTTP against a whole process share: what is served, and a client that sees every octet."""

from __future__ import annotations

import os
import random
import re
import select
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from lab.process import Process, wait_until
from pixelboot.container import writer
from pixelboot.container.manifest import Labels
from tests.running import PATIENCE, ServerCase

SECRET = b"what nobody may have who asks by HTTP"

_HEAD_END = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer."""

    status: int
    fields: dict[str, str]
    """By their names in lower-case letters; none comes twice."""
    body: bytes


class Client:
    """A connection to the server, from any address of loopback."""

    def __init__(self, port: int, source: str = "127.0.0.1", receive_buffer: int = 0) -> None:
        """`receive_buffer` octets are what the kernel takes for a client that reads nothing; 0 leaves it to it."""
        self.socket = socket.socket()
        self.socket.settimeout(PATIENCE)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.bind((source, 0))
        self.socket.connect(("127.0.0.1", port))
        self._buffer = bytearray()

    def __enter__(self) -> Self:
        """The client itself."""
        return self

    def __exit__(self, *problem: object) -> None:
        """Close."""
        self.close()

    def close(self) -> None:
        """Close in order."""
        self.socket.close()

    def reset(self) -> None:
        """Close with a reset (RST) instead."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def send(self, octets: bytes) -> None:
        """Send these octets."""
        self.socket.sendall(octets)

    def ask(self, path: str, *fields: str, method: str = "GET") -> None:
        """Send a request."""
        self.send("\r\n".join((f"{method} {path} HTTP/1.1", "Host: test", *fields, "", "")).encode("latin-1"))

    def get(self, path: str, *fields: str, method: str = "GET") -> Answer:
        """Send a request and read its answer."""
        self.ask(path, *fields, method=method)
        return self.answer(method)

    def answer(self, method: str = "GET") -> Answer:
        """Read an answer to a request with this method."""
        status, fields = self.head()
        return Answer(status, fields, b"" if method == "HEAD" else self.read(int(fields.get("content-length", 0))))

    def head(self) -> tuple[int, dict[str, str]]:
        """Read the head of an answer."""
        while (end := self._buffer.find(_HEAD_END)) < 0:
            self._receive()
        first, *lines = self._buffer[:end].decode("latin-1").split("\r\n")
        del self._buffer[: end + 4]
        pairs = [line.split(": ", 1) for line in lines]
        return int(first.split(" ")[1]), {name.lower(): value for name, value in pairs}

    def read(self, size: int) -> bytes:
        """Read so many octets."""
        while len(self._buffer) < size:
            self._receive()
        octets = bytes(self._buffer[:size])
        del self._buffer[:size]
        return octets

    def _receive(self) -> None:
        octets = self.socket.recv(1 << 16)
        if not octets:
            raise ConnectionError(f"the server closed behind {bytes(self._buffer[:200])!r}")
        self._buffer += octets

    def rest(self) -> bytes:
        """What comes until the server closes, which it has to."""
        while True:
            try:
                octets = self.socket.recv(1 << 16)
            except ConnectionResetError:
                break
            if not octets:
                break
            self._buffer += octets
        rest, self._buffer = bytes(self._buffer), bytearray()
        return rest

    def is_open(self) -> bool:
        """Whether the server has not closed, by what has come until now; what has come else is thrown away."""
        while select.select([self.socket], [], [], 0)[0]:
            try:
                if not self.socket.recv(1 << 16):
                    return False
            except ConnectionResetError:
                return False
        return True


def octets_of(seed: int, size: int) -> bytes:
    """Octets that are always the same."""
    return random.Random(seed).randbytes(size)


class HttpCase(ServerCase):
    """A whole server on loopback, with a tree of files and a folder of containers."""

    def setUp(self) -> None:
        """The folders, still empty."""
        super().setUp()
        self.tree = self.folder / "tree"
        self.pictures = self.folder / "pictures"
        self.tree.mkdir()
        self.pictures.mkdir()

    def pack(self, name: str, **parts: bytes) -> bytes:
        """Make a container with pixelboot's own writer; the octets of its file."""
        path = self.pictures / f"{name}.rts.png"
        sources = []
        for part, octets in parts.items():
            source = self.folder / part
            source.write_bytes(octets)
            sources.append(writer.Source(part, len(octets), self.enterContext(source.open("rb"))))
        with path.open("w+b") as file:
            writer.pack(file, sources, Labels(name=name))
        return path.read_bytes()

    def serve(self, **limits: object) -> Process:
        """Start the server, with these limits."""
        lines = [f'state = "{self.state}"', "[dhcp]", 'mode = "off"', "[tftp]", "enabled = false"]
        lines += [f'root = "{self.tree}"', "[http]", 'listen = "tcp:0:interface=127.0.0.1"']
        lines += [f'root = "{self.pictures}"', "[http.limits]"]
        lines += [f"{name} = {value}" for name, value in limits.items()]
        file = self.folder / "site.toml"
        file.write_text("\n".join([*lines, ""]), encoding="utf-8")
        self.process = self.start("--config", file)
        self.http = self.port("http")
        return self.process

    def client(self, source: str = "127.0.0.1", receive_buffer: int = 0) -> Client:
        """A connection, closed at the test's end."""
        client = Client(self.http, source, receive_buffer)
        self.addCleanup(client.close)
        return client

    def get(self, path: str, *fields: str, method: str = "GET") -> Answer:
        """One exchange on a connection of its own."""
        with Client(self.http) as client:
            return client.get(path, *fields, method=method)

    def settled(self) -> tuple[int, int]:
        """The same as `descriptors`, when the server has seen that nobody is connected any more."""

        def is_alone() -> bool:
            table = Path(f"/proc/{self.process.pid}/net/tcp").read_text(encoding="ascii")
            rows = [line.split() for line in table.splitlines()[1:]]
            # Local port, state (01 is established, 08 half closed by the client), inode: 0 of what is nobody's.
            return not any(row[1].endswith(f":{self.http:04X}") and row[3] != "0A" and row[9] != "0" for row in rows)

        wait_until(is_alone, PATIENCE, "somebody stays connected")
        return self.descriptors()

    def descriptors(self) -> tuple[int, int]:
        """How many sockets the server has open, and how many files and other things."""
        found = []
        folder = Path(f"/proc/{self.process.pid}/fd")
        for name in os.listdir(folder):
            try:
                found.append(os.readlink(folder / name))
            except FileNotFoundError:
                continue
        sockets = sum(target.startswith("socket:") for target in found)
        return sockets, len(found) - sockets

    def resident(self) -> int:
        """Octets of memory that the server has."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        found = re.search(r"(?m)^VmRSS:\s+(\d+) kB$", status)
        assert found
        return int(found[1]) << 10

    def assert_as_before(self, before: tuple[int, int], within: float = 20.0) -> None:
        """The server comes to have no more open than it had; files may have been closed since."""

        def is_so() -> bool:
            sockets, others = self.descriptors()
            return sockets <= before[0] and others <= before[1]

        wait_until(is_so, within, f"the server has {self.descriptors()} descriptors open instead of {before}")

    def assert_same(self, got: bytes, expected: bytes, about: object = "") -> None:
        """The same octets; nobody wants to read the difference."""
        self.assertTrue(got == expected, f"{about}: {len(got)} octets that are not the {len(expected)} expected")

    def timed(self, work: Callable[[], object]) -> float:
        """The seconds that something takes."""
        began_at = time.monotonic()
        work()
        return time.monotonic() - began_at
