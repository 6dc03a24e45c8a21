"""The ``pixelboot`` command: one module a command.

A command module has ``add_parser(subparsers)``, which declares its arguments and sets ``run``, a function from the
parsed arguments to the exit status.  Errors are one line on standard error and exit status 1.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Any

from pixelboot import __version__
from pixelboot.malformed import Malformed


class _Parser(argparse.ArgumentParser):
    """Takes options by their whole names alone: what an abbreviation means may change with every new option."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(allow_abbrev=False, **arguments)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; `argv` is the command line without the program's name."""
    # Imported here, so that `pixelboot --version` and the errors of argparse wait for none of it.
    from pixelboot.cli import check, inspect, pack, serve, status, stop, unpack

    parser = _Parser(prog="pixelboot", description="Boot machines from the network out of pictures.")
    parser.add_argument("--version", action="version", version=f"pixelboot {__version__}")
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in (serve, stop, status, check, pack, inspect, unpack):
        command.add_parser(subparsers)
    parsed, rest = parser.parse_known_args(argv)
    if rest and not hasattr(parsed, "rest"):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    parsed.rest = rest
    try:
        status_of_run: int = parsed.run(parsed)
        sys.stdout.flush()
    except Malformed as problem:
        print(f"pixelboot: {problem}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # Whoever read our output (head, less) has enough.  What is left of it would be written again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 130
    return status_of_run
