"""How each server is set up to serve a folder, and nothing else, on an address of its own.

Each runs as it does when nobody tells it otherwise, with its log in a file; what would hinder the measurement and not
the server is told: more than 50 (dnsmasq) or 100 (atftpd) transfers at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.tftp import peers
from benchmarks.tftp.load import PORT
from lab import CHECKOUT
from lab.needs import program
from lab.servers.pixelboot import twistd
from lab.servers.reference import PLAIN

TRANSFERS = 16_384
"""As many at once as pixelboot is told to admit where more than its usual number are wanted."""

_PIXELBOOT = """\
state = "{folder}/state"

[dhcp]
mode = "off"

[http]
listen = ""

[tftp]
root = "{files}"
address = "{address}"
{more}"""

_PYTHON = {"PYTHONPATH": str(CHECKOUT), "PYTHONDONTWRITEBYTECODE": ""}
"""The checkout, compiled as an installed package is: not anew at every start."""

_TFTPY = """\
import sys, tftpy
tftpy.TftpServer(sys.argv[1]).listen(sys.argv[2], int(sys.argv[3]))
"""

_FBTFTP = """\
import os, sys
from fbtftp.base_handler import BaseHandler, ResponseData
from fbtftp.base_server import BaseServer

class File(ResponseData):
    def __init__(self, path):
        self._file = open(path, "rb")
    def read(self, size):
        return self._file.read(size)
    def size(self):
        return os.fstat(self._file.fileno()).st_size
    def close(self):
        self._file.close()

class Handler(BaseHandler):
    def get_response_data(self):
        return File(os.path.join(sys.argv[1], os.path.basename(self._path)))

class Server(BaseServer):
    def get_handler(self, server, peer, path, options):
        return Handler(server, peer, path, options, lambda stats: None)

Server(sys.argv[2], int(sys.argv[3]), retries=5, timeout=1).run()
"""
"""fbtftp is a framework; this is the server of its manual, without the figures that it would collect."""


@dataclass(frozen=True, slots=True)
class Server:
    """A server that can be set up in an empty folder."""

    name: str
    """As it stands in the tables."""

    address: str
    """Where it listens."""

    command: Callable[[Path, Path, str], list[str]]
    """Writes its settings into a folder, for the files in another and an address; returns its command line."""

    environ: Callable[[], Mapping[str, str]] = dict
    """What it needs in its environment."""

    is_light: bool = False
    """Whether it is so slow that smaller files do."""

    has_windows: bool = False
    """Whether it knows the option windowsize (RFC 7440)."""

    any_source: bool = False
    """Whether it answers from another address than it was asked at."""

    hides_children: bool = False
    """Whether what its ended processes took is not to be seen, for it ignores their end; all that its processor does
    counts as its own then."""

    spared: frozenset[str] = frozenset()
    """The scenarios that it would not survive, or take minutes for."""


def _pixelboot(more: str) -> Callable[[Path, Path, str], list[str]]:
    def command(folder: Path, files: Path, address: str) -> list[str]:
        settings = folder / "pixelboot.toml"
        settings.write_text(_PIXELBOOT.format(folder=folder, files=files, address=address, more=more))
        return twistd(["--config", str(settings)])

    return command


def _dnsmasq(folder: Path, files: Path, address: str) -> list[str]:
    tftp = ("--enable-tftp", f"--tftp-root={files}", f"--listen-address={address}", "--tftp-max=3000")
    return [program("dnsmasq"), *PLAIN, "--pid-file=", *tftp]


def _tftpd(folder: Path, files: Path, address: str) -> list[str]:
    words = ("--foreground", "--ipv4", "--address", f"{address}:{PORT}", "--user", "root", "--secure", str(files))
    return [str(peers.root() / "usr/sbin/in.tftpd"), *words]


def _atftpd(folder: Path, files: Path, address: str) -> list[str]:
    return [
        *(str(peers.root() / "usr/sbin/atftpd"), "--daemon", "--no-fork", "--bind-address", address),
        *("--port", str(PORT), "--maxthread", "3000", "--tftpd-timeout", "0", "--logfile", str(folder / "log")),
        *("--user", "root", "--group", "root", str(files)),
    ]


def _tftpy(folder: Path, files: Path, address: str) -> list[str]:
    return [peers.python(), "-c", _TFTPY, str(files), address, str(PORT)]


def _fbtftp(folder: Path, files: Path, address: str) -> list[str]:
    return [peers.python(), "-c", _FBTFTP, str(files), address, str(PORT)]


def _py3tftp(folder: Path, files: Path, address: str) -> list[str]:
    # It serves the folder that it is started in.
    serve = (peers.python(), "-m", "py3tftp", "--host", address, "-p", str(PORT))
    return ["sh", "-c", 'cd "$1" && shift && exec "$@"', "sh", str(files), *serve]


PIXELBOOT = Server("pixelboot", "127.0.77.5", _pixelboot(""), lambda: _PYTHON, has_windows=True)
ROOMY = Server("pixelboot", "127.0.77.5", _pixelboot(f"transfers = {TRANSFERS}\n"), lambda: _PYTHON, has_windows=True)
"""pixelboot, told to admit more transfers at once than it does usually."""

SERVERS = {
    server.name: server
    for server in (
        PIXELBOOT,
        Server("dnsmasq", "127.0.77.6", _dnsmasq),
        Server("tftpd-hpa", "127.0.77.7", _tftpd, peers.libraries, hides_children=True),
        Server("atftpd", "127.0.77.8", _atftpd, peers.libraries, has_windows=True),
        Server("py3tftp", "127.0.77.9", _py3tftp, is_light=True, has_windows=True),
        # It waits 6 s for an ACK that is lost, and gives up in the end.
        Server("tftpy", "127.0.77.10", _tftpy, is_light=True, any_source=True, spared=frozenset({"loss"})),
        # A process a transfer: a thousand take gigabytes, and where clients ask again they become more and more.
        Server("fbtftp", "127.0.77.11", _fbtftp, is_light=True, spared=frozenset({"small", "storm", "loss"})),
    )
}
"""By name."""

PYTHON = tuple(server.name for server in SERVERS.values() if server.is_light)
"""Those in Python, beside pixelboot."""
