"""How a command speaks to a running server: HTTP over the Unix socket in its state folder."""

from __future__ import annotations

import argparse
import http.client
import json
import os
import socket
from typing import Any

from pixelboot.malformed import Malformed
from pixelboot.outcome import printable
from pixelboot.site import Site, load

PATIENCE = 10.0
"""Seconds that a server may take to answer."""


class NoServer(Malformed):
    """No server runs on the state folder."""


class Refused(Malformed):
    """The server did not do what it was asked."""

    def __init__(self, status: int, text: str, reason: str = "") -> None:
        """`status` is that of its HTTP answer, `reason` what it says about it, made printable."""
        super().__init__(text)
        self.status = status
        self.reason = reason


def add_arguments(parser: argparse.ArgumentParser, *, again: bool = False) -> None:
    """Add the arguments by which a command finds its server; `again` where they may stand in front of it, too."""
    default = argparse.SUPPRESS if again else None
    parser.add_argument(
        "--config", metavar="FILE", default=default, help="the settings file that the server was started with"
    )
    parser.add_argument(
        "--state",
        metavar="DIR",
        default=default,
        help="its state folder, over what the file or the environment's PIXELBOOT_STATE says",
    )


def site_of(arguments: argparse.Namespace) -> Site:
    """The settings that `add_arguments`' arguments lead to; raises `Malformed`."""
    words: dict[tuple[str, ...], str] = {} if arguments.state is None else {("state",): arguments.state}
    return load(arguments.config, words, os.environ)


def ask(site: Site, method: str, path: str, body: object = None) -> dict[str, Any]:
    """Put one request to the server of this site, with a JSON `body` if there is one; its JSON answer.

    Raises `Malformed` when there is none: `NoServer`, or `Refused` with the server's reason.
    """
    connection = _UnixConnection(site.control)
    try:
        connection.request(method, path, None if body is None else json.dumps(body))
        response = connection.getresponse()
        answer = json.loads(response.read())
    except (FileNotFoundError, ConnectionRefusedError):
        raise NoServer(f"no server is running on the state folder {site.state}") from None
    except (OSError, http.client.HTTPException, ValueError, RecursionError) as problem:
        why = (isinstance(problem, OSError) and problem.strerror) or problem
        raise Malformed(f"the server at {site.control} cannot be asked: {why}") from None
    finally:
        connection.close()
    if response.status >= 300 or not isinstance(answer, dict):
        told = f"the server at {site.control} answered {response.status} {response.reason} to {path}"
        reason = ""
        if isinstance(answer, dict) and isinstance(answer.get("error"), str):
            reason = printable(answer["error"], 1000)
            # What the server refuses with a reason is the same as is refused here when none runs.
            told = reason if response.status in (400, 503) else f"{told}: {reason}"
        raise Refused(response.status, told, reason)
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
