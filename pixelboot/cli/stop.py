"""``pixelboot stop``: end a running server and wait until it is gone."""

from __future__ import annotations

import argparse
import os
import select
import time
from contextlib import suppress
from typing import Any

from pixelboot.cli import channel
from pixelboot.malformed import Malformed
from pixelboot.state.lock import StateLock

LOOK = 0.1
"""Seconds between two looks at the state folder."""

LAST_STEPS = 2.0
"""Seconds that a process may take to its end when all its services have stopped."""

LONGEST_WAIT = 86400.0
"""Seconds that may be waited for the end."""


def add_parser(subparsers: Any) -> None:
    """Declare the command."""
    parser = subparsers.add_parser(
        "stop", help="end a running server", description="End a running server; returns when it has ended."
    )
    channel.add_arguments(parser)
    parser.add_argument(
        "--timeout", type=_seconds, default=20.0, metavar="SECONDS", help="how long to wait for the end (default: 20)"
    )
    parser.set_defaults(run=run)


def _seconds(words: str) -> float:
    with suppress(ValueError):
        seconds = float(words)
        if 0 <= seconds <= LONGEST_WAIT:
            return seconds
    raise argparse.ArgumentTypeError(f"must be seconds, from 0 to {LONGEST_WAIT:g}")


def run(arguments: argparse.Namespace) -> int:
    """Ask the server to stop and watch its process until it has ended.

    A service in somebody else's program lets go of its state folder, and the process goes on.
    """
    site = channel.site_of(arguments)
    pid = int(channel.ask(site, "GET", "/api/v1/status")["pid"])
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        raise Malformed(f"the server of {site.state} ended by itself") from None
    try:
        channel.ask(site, "POST", "/api/v1/stop")
        deadline = time.monotonic() + arguments.timeout
        ended = _ends(process, min(LOOK, arguments.timeout))
        while not ended and StateLock.is_held(site.state) and time.monotonic() < deadline:
            ended = _ends(process, LOOK)
        stopped = not StateLock.is_held(site.state)
        ended = ended or (stopped and _ends(process, LAST_STEPS))
    finally:
        os.close(process)
    if not ended and not stopped:
        raise Malformed(f"process {pid} was told to stop, and still runs after {arguments.timeout:g} s")
    print(f"stopped process {pid}" if ended else f"stopped the service in process {pid}, which goes on")
    return 0


def _ends(process: int, patience: float) -> bool:
    """Whether the process of this descriptor ends within so many seconds."""
    return bool(select.select([process], [], [], patience)[0])
