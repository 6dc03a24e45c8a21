"""``pixelboot serve``: the server in the foreground, the same as ``twistd -n pixelboot``."""

from __future__ import annotations

import argparse
import sys
from typing import Any


def add_parser(subparsers: Any) -> None:
    """Declare the command."""
    parser = subparsers.add_parser(
        "serve",
        help="run the server in the foreground (twistd -n pixelboot)",
        description="Run the server in the foreground; all options are those of `twistd pixelboot`.",
        add_help=False,
    )
    parser.set_defaults(run=run, rest=[])


def run(arguments: argparse.Namespace) -> int:
    """Become twistd.  The state folder is locked by us, so that no pid file is needed against a second start."""
    from twisted.python.usage import UsageError
    from twisted.scripts.twistd import run as run_twistd

    from pixelboot.tap.options import Options

    class Words(Options):
        """The options without what follows from them: twistd would print them all behind a wrong one."""

        def postOptions(self) -> None:
            """Nothing."""

    try:
        if not {"--help", "--version"} & set(arguments.rest):
            Words().parseOptions(arguments.rest)
    except UsageError as problem:
        print(f"pixelboot serve: {problem} (see pixelboot serve --help)", file=sys.stderr)
        return 2

    sys.argv = ["twistd", "--nodaemon", "--pidfile=", "pixelboot", *arguments.rest]
    run_twistd()
    return 0
