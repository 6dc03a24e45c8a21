"""How each server is set up to serve a folder, and nothing else, at one address.

Each runs as it does when nobody tells it otherwise, with a line for every answer in a file; what would hinder the
measurement and not the server is told: nginx's end of a connection after 1,000 requests, and queues of less than 1,024
connections that are not accepted yet (aiohttp 128, Twisted 50).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.http import peers
from benchmarks.http.files import LOADERS, PICTURES
from benchmarks.http.load import PORT, SERVER
from lab import CHECKOUT
from lab.servers.pixelboot import twistd

_PIXELBOOT = """\
state = "{files}/state"

[tftp]
root = "{files}/{loaders}"
address = "{address}"

[http]
root = "{files}/{pictures}"
listen = "tcp:{port}:interface={address}"

[dhcp]
"""

"""Its state outlives it, so that the container is decoded once, and not whenever it is started."""

_SILENT = 'mode = "off"\n'

_DHCP = """\
mode = "server"
interface = "eth0"

[[dhcp.subnet]]
network = "192.0.2.0/24"
pool = ["192.0.2.100-192.0.2.199"]
"""

_PYTHON = {"PYTHONPATH": str(CHECKOUT), "PYTHONDONTWRITEBYTECODE": ""}
"""The checkout, compiled as an installed package is: not anew at every start."""

_NGINX = """\
daemon off;
user root;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr notice;
events {{ worker_connections 2048; }}
http {{
    sendfile on;
    tcp_nopush on;
    access_log {folder}/access.log;
    keepalive_requests 1000000000;
    default_type application/octet-stream;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen {address}:{port} backlog=1024;
        root {files};
    }}
}}
"""

_AIOHTTP = """\
import logging, sys
from aiohttp import web

logging.basicConfig(filename=sys.argv[2], level=logging.INFO)
app = web.Application()
app.router.add_static("/", sys.argv[1])
web.run_app(app, host=sys.argv[3], port=int(sys.argv[4]), backlog=1024, print=None)
"""

_STATIC = """\
import sys
from twisted.internet import reactor
from twisted.web import server, static

site = server.Site(static.File(sys.argv[1]), logPath=sys.argv[2])
reactor.listenTCP(int(sys.argv[4]), site, interface=sys.argv[3], backlog=1024)
reactor.run()
"""


@dataclass(frozen=True, slots=True)
class Server:
    """A server that can be set up in an empty folder."""

    name: str
    """As it stands in the tables."""

    command: Callable[[Path, Path], list[str]]
    """Writes its settings into a folder, for the files in another; returns its command line."""

    environ: Mapping[str, str]
    """What it needs in its environment."""


def _pixelboot(dhcp: str) -> Callable[[Path, Path], list[str]]:
    def command(folder: Path, files: Path) -> list[str]:
        settings = folder / "pixelboot.toml"
        names = {"loaders": LOADERS, "pictures": PICTURES, "address": SERVER, "port": PORT}
        settings.write_text(_PIXELBOOT.format(folder=folder, files=files, **names) + dhcp)
        return twistd(["--config", str(settings)])

    return command


def _nginx(folder: Path, files: Path) -> list[str]:
    settings = folder / "nginx.conf"
    settings.write_text(_NGINX.format(folder=folder, files=files, address=SERVER, port=PORT))
    return [peers.nginx(), "-p", str(folder), "-e", "stderr", "-c", str(settings)]


def _aiohttp(folder: Path, files: Path) -> list[str]:
    return [peers.python(), "-c", _AIOHTTP, str(files), str(folder / "access.log"), SERVER, str(PORT)]


def _static(folder: Path, files: Path) -> list[str]:
    return [sys.executable, "-c", _STATIC, str(files), str(folder / "access.log"), SERVER, str(PORT)]


PIXELBOOT = Server("pixelboot", _pixelboot(_SILENT), _PYTHON)
GIVING = Server("pixelboot", _pixelboot(_DHCP), _PYTHON)
"""pixelboot that gives addresses as well."""

SERVERS = {
    server.name: server
    for server in (
        PIXELBOOT,
        Server("nginx", _nginx, {}),
        Server("aiohttp", _aiohttp, {}),
        Server("static", _static, {}),
    )
}
"""By name; ``static`` is `twisted.web.static.File`."""
