"""The ``pixelboot`` command: one module a command.

A command module has ``add_parser(subparsers)``, which declares its arguments and sets ``run``, a function from the
parsed arguments to the exit status.  Errors are one line on standard error and exit status 1.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence
from typing import Any

from pixelboot import __version__
from pixelboot.malformed import Malformed
from pixelboot.outcome import printable


class _Parser(argparse.ArgumentParser):
    """Takes options by their whole names alone: what an abbreviation means may change with every new option."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(allow_abbrev=False, **arguments)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; `argv` is the command line without the program's name."""
    _settle_streams()
    try:
        ended = _run(argv)
        if sys.stdout is not None:
            sys.stdout.flush()
    except Malformed as problem:
        print(f"pixelboot: {problem}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # Whoever read our output (head, less) has enough.
        _drop_output()
        return 1
    except OSError as problem:
        # What the commands open, they explain themselves; what is left is, as a rule, the output on a full disk.
        _drop_output()
        where = printable(str(problem.filename or "standard output"), 4096)
        print(f"pixelboot: {where}: {problem.strerror or problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return ended


def _run(argv: Sequence[str] | None) -> int:
    """Run the command; its exit status."""
    # Imported here, so that `pixelboot --version` and the errors of argparse wait for none of it.
    from pixelboot.cli import check, containers, hosts, leases, serve, status, stop
    from pixelboot.cli.picture import inspect, pack, unpack, verify

    parser = _Parser(prog="pixelboot", description="Boot machines from the network out of pictures.")
    parser.add_argument("--version", action="version", version=f"pixelboot {__version__}")
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in (serve, stop, status, containers, hosts, leases, check, pack, inspect, unpack, verify):
        command.add_parser(subparsers)
    parsed, rest = parser.parse_known_args(argv)
    if rest and not hasattr(parsed, "rest"):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    parsed.rest = rest
    ended: int = parsed.run(parsed)
    return ended


def _settle_streams() -> None:
    """Make what the shell gave us fit for use, whatever that is.

    A closed stream's number must not go to a file of ours, which others would then take for the stream; without
    standard error its lines would go to standard output, where a picture may be going.  A terminal or locale that lacks
    a character is shown its number.
    """
    while (taken := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(taken, True)
    os.close(taken)
    if sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _drop_output() -> None:
    """Let what is left of the output go nowhere: it would be written again at exit."""
    null = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)
