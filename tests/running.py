"""Real servers for tests: ``twistd`` in a process of its own, on loopback, waited for by what it says and does."""

from __future__ import annotations

import http.client
import io
import os
import random
import select
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from twisted.trial.unittest import SynchronousTestCase

from lab import CHECKOUT
from lab.process import Process
from lab.servers.pixelboot import helpers
from pixelboot.cli import channel, main
from pixelboot.site import load
from pixelboot.state.lock import StateLock

PATIENCE = 60.0
"""Seconds that anything may take on a machine that has much else to do."""

# A shell that starts tests in the background makes them ignore SIGINT, and a program that ignores it stays so.
_PYTHON = [sys.executable, "-c"]
_SETUP = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
TWISTD = [*_PYTHON, _SETUP + "sys.argv[0] = 'twistd'; from twisted.scripts.twistd import run; run()"]
FOREGROUND = [*TWISTD, "-n", "--pidfile="]
PIXELBOOT = [*_PYTHON, _SETUP + "sys.argv[0] = 'pixelboot'; from pixelboot.cli import main; sys.exit(main())"]

ENVIRON = {"PYTHONPATH": str(CHECKOUT)}


def folder_for(cleanup: Callable[..., object]) -> Path:
    """An empty folder with a name short enough for the path of a Unix socket; removed by `cleanup`."""
    folder = tempfile.mkdtemp(prefix="pixelboot-")
    cleanup(shutil.rmtree, folder)
    return Path(folder)


def free_udp_port() -> int:
    """A UDP port that nobody has.  It is none of those that the kernel gives to sockets without one."""
    while True:
        port = random.randrange(20_000, 32_000)
        if is_free(port, socket.SOCK_DGRAM):
            return port


def is_free(port: int, kind: socket.SocketKind) -> bool:
    """Whether the port can be bound on every address."""
    with socket.socket(socket.AF_INET, kind) as opened:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, int(kind is socket.SOCK_STREAM))
        try:
            opened.bind(("", port))
        except OSError:
            return False
    return True


def settings(
    folder: Path,
    dhcp_port: int | None = None,
    listen: str = "tcp:0:interface=127.0.0.1",
    tftp_port: int | None = None,
) -> Path:
    """A settings file in `folder`, with the state in ``folder/state``; what has no port is off."""
    lines = [f'state = "{folder}/state"', "[http]", f'listen = "{listen}"', "[tftp]"]
    lines += ["enabled = false"] if tftp_port is None else [f"port = {tftp_port}", 'address = "127.0.0.1"']
    lines += ["[dhcp]"]
    if dhcp_port is None:
        lines += ['mode = "off"']
    else:
        lines += ['mode = "server"', 'interface = "lo"', f"port = {dhcp_port}", f"proxy_port = {free_udp_port()}"]
        lines += ["[[dhcp.subnet]]", 'network = "127.0.0.0/24"', 'pool = ["127.0.0.100-127.0.0.199"]']
    file = folder / "site.toml"
    file.write_text("\n".join([*lines, ""]), encoding="utf-8")
    return file


def command(*words: object) -> tuple[int, str, str]:
    """Run ``pixelboot WORDS`` in this process: exit status, standard output, standard error."""
    out, error = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(error):
        try:
            status = main([str(word) for word in words])
        except SystemExit as ended:
            status = ended.code if isinstance(ended.code, int) else 1
            error.write(f"{ended.code}\n" if isinstance(ended.code, str) else "")
    return status, out.getvalue(), error.getvalue()


def get(port: int, path: str) -> tuple[int, bytes]:
    """Status and body of one HTTP request."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


class ServerCase(SynchronousTestCase):
    """Starts servers; whatever still runs when the test ends is killed."""

    def setUp(self) -> None:
        self.folder = folder_for(self.addCleanup)
        self.state = self.folder / "state"

    def start(self, *words: object, program: Sequence[str] = (*FOREGROUND, "pixelboot"), ready: str = "") -> Process:
        """A server; returns when it is started and has written the pattern `ready`."""
        process = self.begin(*words, program=program)
        process.wait_for(ready or r"starting up\.", PATIENCE)
        return process

    def begin(self, *words: object, program: Sequence[str] = (*FOREGROUND, "pixelboot")) -> Process:
        """A program; returns at once."""
        process = Process("server", [*program, *map(str, words)], env=ENVIRON)
        self.addCleanup(process.kill)
        return process

    def status(self, state: Path | None = None) -> Any:
        """What the server on this state folder says of itself; waits until it is started."""
        site = load(None, {("state",): str(state or self.state)}, {})
        return channel.ask(site, "GET", "/api/v1/status")

    def port(self, name: str) -> int:
        """The port of a service of TCP, from the URL in the status."""
        (line,) = (each["listening"] for each in self.status()["services"] if each["name"] == name)
        return int(urlsplit(line).port or 0)

    def watch(self, process: Process) -> Callable[[], None]:
        """A function that waits until every process that the server has started by now is gone."""
        stack = ExitStack()
        self.addCleanup(stack.close)
        watched = []
        for pid in helpers(process):
            watched.append(os.pidfd_open(pid))
            stack.callback(os.close, watched[-1])

        def gone() -> None:
            for descriptor in watched:
                ended, _, _ = select.select([descriptor], [], [], PATIENCE)
                self.assertTrue(ended, "a helper process outlives its server")

        self.assertTrue(watched, "the server has no helper process")
        return gone

    def ended_well(self, process: Process, status: int) -> None:
        """The server ended as it should, with this exit status, and has left nothing behind."""
        self.assertEqual(process.wait(PATIENCE), status, process.tail())
        self.quiet(process)
        self.assertIn("Server Shut Down.", process.lines[-1].text)
        self.assertFalse((self.state / "control").exists())
        StateLock.take(str(self.state)).release()

    def quiet(self, process: Process) -> None:
        """Nothing in the log speaks of a mistake in the program."""
        for line in process.lines:
            for word in ("Traceback", "Unhandled", "#error", "#critical", "Exception ignored", "Warning:"):
                self.assertNotIn(word, line.text, process.tail(60))

    def refused(self, begun: Process) -> str:
        """The one line with which a start is refused, after ``pixelboot: ``; the exit status is 1."""
        self.assertEqual(begun.wait(PATIENCE), 1, begun.tail())
        (line,) = [line.text for line in begun.lines]
        self.assertTrue(line.startswith("pixelboot: "), line)
        return line.removeprefix("pixelboot: ")
