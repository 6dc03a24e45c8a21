"""How a command speaks to a running server: HTTP over the Unix socket in its state folder."""

from __future__ import annotations

import argparse
import http.client
import json
import os
import socket
from typing import Any

from pixelboot.malformed import Malformed
from pixelboot.site import Site, load

PATIENCE = 10.0
"""Seconds that a server may take to answer."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments by which a command finds its server."""
    parser.add_argument("--config", metavar="FILE", help="the settings file that the server was started with")
    parser.add_argument(
        "--state", metavar="DIR", help="its state folder, over what the file or the environment's PIXELBOOT_STATE says"
    )


def site_of(arguments: argparse.Namespace) -> Site:
    """The settings that `add_arguments`' arguments lead to; raises `Malformed`."""
    words: dict[tuple[str, ...], str] = {} if arguments.state is None else {("state",): arguments.state}
    return load(arguments.config, words, os.environ)


def ask(site: Site, method: str, path: str) -> dict[str, Any]:
    """Put one request to the server of this site; its JSON answer.  Raises `Malformed` when there is none."""
    connection = _UnixConnection(site.control)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        answer = json.loads(response.read())
    except (FileNotFoundError, ConnectionRefusedError):
        raise Malformed(f"no server is running on the state folder {site.state}") from None
    except (OSError, http.client.HTTPException, ValueError, RecursionError) as problem:
        raise Malformed(f"the server at {site.control} cannot be asked: {problem}") from None
    finally:
        connection.close()
    if response.status >= 300 or not isinstance(answer, dict):
        raise Malformed(f"the server at {site.control} answered {response.status} {response.reason} to {path}")
    return answer


class _UnixConnection(http.client.HTTPConnection):
    """An HTTP connection over a Unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=PATIENCE)
        self._path = path

    def connect(self) -> None:
        """See `http.client.HTTPConnection.connect`."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)
