"""``pixelboot stop``: end a running server and wait until it is gone."""

from __future__ import annotations

import argparse
import os
import select
from contextlib import suppress
from typing import Any

from pixelboot.cli import channel
from pixelboot.malformed import Malformed

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
    """Ask the server to stop and watch its process until it has ended."""
    site = channel.site_of(arguments)
    pid = int(channel.ask(site, "GET", "/api/v1/status")["pid"])
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        raise Malformed(f"the server of {site.state} ended by itself") from None
    try:
        channel.ask(site, "POST", "/api/v1/stop")
        ended, _, _ = select.select([process], [], [], arguments.timeout)
    finally:
        os.close(process)
    if not ended:
        raise Malformed(f"process {pid} was told to stop, and still runs after {arguments.timeout:g} s")
    print(f"stopped process {pid}")
    return 0
