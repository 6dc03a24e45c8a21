"""What the tests that kill share: programs that start quickly, pictures whose octets are known, and who reads them.

`Nursery` starts programs, `Shelf` is a folder of containers that are replaced again and again, `Reader` a machine that
never stops fetching parts and knows what they must be.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import os
import random
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab import CHECKOUT, picture
from tests.running import ENVIRON, PATIENCE, is_free

PARTS = {"kernel": 1 << 19, "initrd": 3 << 19}
"""The parts of every container, and their lengths in octets: enough that decoding takes a moment."""

_HEAD = 17
"""Octets at the beginning of a part that no other part begins with."""

_OCTETS = random.Random("octets").randbytes(max(PARTS.values()))


class Victim:
    """A program that a `Nursery` started."""

    def __init__(self, pid: int, log: Path, nursery: Nursery) -> None:
        """It writes into the file `log`."""
        self.pid = pid
        self._log = log
        self._nursery = nursery
        self._descriptor = os.pidfd_open(pid)

    @property
    def log(self) -> str:
        """What it wrote."""
        with contextlib.suppress(FileNotFoundError):  # it was killed too early to write anything
            return self._log.read_text(encoding="utf-8")
        return ""

    def kill(self) -> None:
        """kill -9; nothing happens to one that has ended."""
        signal.pidfd_send_signal(self._descriptor, signal.SIGKILL)

    def has_ended(self, patience: float) -> bool:
        """Whether it ends within so many seconds."""
        return bool(select.select([self._descriptor], [], [], patience)[0])

    def wait(self) -> int:
        """Its exit status, negative for a signal; it must be ending."""
        if not self.has_ended(PATIENCE):
            raise AssertionError(f"process {self.pid} does not end:\n{self.log[-2000:]}")
        os.close(self._descriptor)
        self._nursery.running.remove(self)
        return self._nursery.ask("wait", self.pid)


class Nursery:
    """See `tests.installed.nursery`.  Used as a context manager it kills what still runs at the end."""

    def __init__(self, folder: Path, argv: Callable[..., list[str]] = lambda *words: [*words]) -> None:
        """Logs go to `folder`; `argv` makes a command line of one that runs somewhere else."""
        self.running: list[Victim] = []
        self._folder = folder
        self._started = 0
        self._process = subprocess.Popen(
            argv(sys.executable, "-m", "tests.installed.nursery"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=CHECKOUT,
            env={**os.environ, **ENVIRON, "OPENBLAS_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"},
            text=True,
        )
        self._answer()

    def start(self, program: str, *words: object) -> Victim:
        """Start ``twistd`` or ``pixelboot`` with these words."""
        self._started += 1
        log = self._folder / f"log-{self._started}"
        victim = Victim(self.ask("run", str(log), program, *map(str, words)), log, self)
        self.running.append(victim)
        return victim

    def ask(self, *words: object) -> int:
        """Ask for something, and return the answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(words) + "\n")
        self._process.stdin.flush()
        return int(self._answer())

    def _answer(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise AssertionError(f"the nursery ended with status {self._process.wait(PATIENCE)}")
        return line.strip()

    def close(self) -> None:
        """End everything."""
        for victim in list(self.running):
            victim.kill()
            victim.wait()
        self._process.communicate(timeout=PATIENCE)


@dataclass(frozen=True, slots=True)
class Version:
    """What a container of the shelf held at a time."""

    id: str
    """The container's."""

    number: int
    """How many there were before it, of all containers."""

    def parts(self) -> dict[str, bytes]:
        """Its parts by name."""
        mark = f"{self.number:>16}".encode("ascii")
        return {name: name[:1].encode("ascii") + (mark + _OCTETS)[: size - 1] for name, size in PARTS.items()}


class Shelf:
    """A folder of containers, each of which is replaced by other versions of itself."""

    def __init__(self, folder: Path, ids: list[str]) -> None:
        """Make the folder, empty."""
        folder.mkdir(parents=True, exist_ok=True)
        self.ids = ids
        self.now: dict[str, Version] = {}
        """What each container holds now."""
        self.digests: dict[str, str] = {}
        """By container, the SHA-256 of its picture."""
        self._folder = folder
        self._known: dict[str, tuple[str, Version]] = {}
        self._heads: dict[bytes, tuple[str, Version]] = {}

    def put(self, ids: Iterable[str]) -> None:
        """Put a new version of each of these in place, whole from its first moment, and all at once."""
        asides = {id_: self._folder / f".{id_}" for id_ in ids}
        for id_, aside in asides.items():
            version = Version(id_, len(self._known) // len(PARTS))
            parts = version.parts()
            for name, part in parts.items():
                self._known[hashlib.sha256(part).hexdigest()] = name, version
                self._heads[part[:_HEAD]] = name, version
            octets = picture.light(parts, name=f"{id_} {version.number}")
            aside.write_bytes(octets)
            self.digests[id_] = hashlib.sha256(octets).hexdigest()
            self.now[id_] = version
        for id_, aside in asides.items():
            aside.rename(self._folder / f"{id_}.rts.png")

    def whole(self, id: str, name: str, octets: bytes) -> Version | None:  # noqa: A002
        """The version that this is the whole part of; None when it is of none."""
        found, version = self._known.get(hashlib.sha256(octets).hexdigest(), ("", None))
        return version if version is not None and (found, version.id) == (name, id) else None

    def is_whole(self, name: str, octets: bytes) -> bool:
        """Whether this is the whole part of some version of some container."""
        return self._known.get(hashlib.sha256(octets).hexdigest(), ("", None))[0] == name

    def begins(self, id: str, name: str, octets: bytes) -> bool:  # noqa: A002
        """Whether a part of some version begins with these octets."""
        if len(octets) < _HEAD:
            return any(head.startswith(octets) for head in self._heads)
        found, version = self._heads.get(octets[:_HEAD], ("", None))
        return version is not None and (found, version.id) == (name, id) and version.parts()[name].startswith(octets)


class Reader(threading.Thread):
    """Fetches parts, by chance, until it is told to stop, and compares every octet."""

    def __init__(self, port: int, shelf: Shelf, seed: int) -> None:
        """The server is on this port of the loopback, when there is one."""
        super().__init__(name="reader", daemon=True)
        self.wrong: list[str] = []
        """What it was served and should not have been, as sentences."""
        self.counts = {"whole": 0, "cut": 0, "refused": 0, "nobody": 0}
        """What became of the fetches: every octet, some, an error by HTTP, no server."""
        self._port = port
        self._shelf = shelf
        self._chance = random.Random(seed)
        self._newest: dict[str, int] = {}
        self.stopped = threading.Event()
        """Set when it is to stop."""

    def run(self) -> None:
        """Fetch."""
        try:
            while not self.stopped.wait(0.02):
                name = self._chance.choice(sorted(PARTS))
                self.counts[self.fetch(self._chance.choice(self._shelf.ids), name)] += 1
        except BaseException as problem:
            self.wrong.append(f"the reader failed: {problem!r}")
            raise

    def stop(self) -> None:
        """Stop, and wait for it."""
        self.stopped.set()
        self.join(PATIENCE)

    def fetch(self, id: str, name: str) -> str:  # noqa: A002
        """Fetch a part: what became of it, one of the `counts`."""
        what, before = f"{id}/{name}", self._newest.get(id, -1)
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE)
        octets = b""
        try:
            connection.request("GET", f"/containers/{id}/{name}")
            response = connection.getresponse()
            if response.status != 200:
                response.read()
                return "refused"
            length, tag = int(response.headers["Content-Length"]), response.headers["ETag"].strip('"')
            while piece := response.read1(1 << 16):
                octets += piece
        except (OSError, http.client.HTTPException):
            pass
        else:
            if len(octets) == length:
                version = self._shelf.whole(id, name, octets)
                if version is None or tag != hashlib.sha256(octets).hexdigest():
                    self.wrong.append(f"{what}: {length} octets that nobody put there, tag {tag}")
                elif version.number < before:
                    self.wrong.append(f"{what}: version {version.number} after version {before}")
                else:
                    self._newest[id] = version.number
                return "whole"
        finally:
            connection.close()
        if not octets:
            return "nobody"
        if not self._shelf.begins(id, name, octets):
            self.wrong.append(f"{what}: {len(octets)} octets that nobody put there, before it was cut")
        return "cut"


def decoders(server: int) -> list[int]:
    """The process ids of a server's decoders."""
    try:
        children = Path(f"/proc/{server}/task/{server}/children").read_text().split()
        return [int(pid) for pid in children if b"decoding.work" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    except OSError:
        return []


def at_work(cache: Path) -> list[int]:
    """The process ids of those that are writing into the cache now."""
    try:
        return [int(name.split("-")[1]) for name in os.listdir(cache) if name.startswith("tmp-")]
    except FileNotFoundError:
        return []


def states(status: Any) -> dict[str, str]:
    """By id, the states of the containers in a server's status."""
    return {each["id"]: each["state"] for each in status["containers"]}


def free_tcp_port() -> int:
    """A TCP port that nobody has; it is none of those that the kernel gives to sockets without one."""
    while True:
        port = random.randrange(20_000, 32_000)
        if is_free(port, socket.SOCK_STREAM):
            return port
