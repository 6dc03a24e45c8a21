"""``pixelboot check``: are these settings right, and what do they come to?"""

from __future__ import annotations

import argparse
import sys
from typing import Any


def add_parser(subparsers: Any) -> None:
    """Declare the command."""
    parser = subparsers.add_parser(
        "check",
        help="check settings and print what they come to",
        description="Check the settings as `serve` with the same options would, and print them all as TOML.",
        add_help=False,
    )
    parser.set_defaults(run=run, rest=[])


def run(arguments: argparse.Namespace) -> int:
    """Read the options as twistd would, look whether this machine can serve them, print them; bind nothing."""
    from twisted.python.usage import UsageError

    from pixelboot.tap.options import Options

    options = Options()
    try:
        options.parseOptions(arguments.rest)
    except UsageError as problem:
        print(f"pixelboot check: {problem}", file=sys.stderr)
        return 1
    options.check()
    return 0
