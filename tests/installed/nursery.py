"""Runs the project's programs many times: everything is imported once, and every run is a fork of that.

    python -m tests.installed.nursery

A line on standard input is a JSON list.  ``["run", LOG, PROGRAM, WORD…]`` starts ``twistd`` or ``pixelboot`` with
these words, in a session of its own, with its output in the file LOG, and answers with its process id.  ``["wait",
PID]`` waits for its end and answers with the exit status, negative for a signal.  The nursery ends when its input does,
and kills what still runs.
"""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import signal
import sys

import pixelboot
from lab import CHECKOUT

BESIDES = ("PIL.PngImagePlugin", "numpy", "rich.progress", "twisted.internet.epollreactor", "twisted.scripts.twistd")
"""What the programs import in functions, or from elsewhere."""


def _import() -> None:
    """Import all there is, but for what runs when it is imported."""
    for module in pkgutil.walk_packages(pixelboot.__path__, "pixelboot."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    for name in BESIDES:
        importlib.import_module(name)
    if "twisted.internet.reactor" in sys.modules:
        raise RuntimeError("the reactor is made already: forks would share it")


def _run(log: str, program: str, *words: str) -> int:
    child = os.fork()
    if child:
        return child
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDONLY)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for descriptor, target in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(descriptor, target)
    status = _program(program, list(words))
    sys.stdout.flush()
    os._exit(status)  # without taking to pieces all that was imported, which takes longer than most runs


def _program(program: str, words: list[str]) -> int:
    sys.argv = [program, *words]
    if program == "pixelboot":
        from pixelboot.cli import main

        return main(words)
    from twisted.scripts.twistd import run

    run()
    return 0


def _answer(what: object) -> None:
    os.write(1, f"{what}\n".encode("ascii"))


def main() -> None:
    """Do what standard input asks for, until it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.chdir(CHECKOUT)
    _import()
    _answer("ready")
    running = set()
    for line in sys.stdin:
        match json.loads(line):
            case ["run", *words]:
                running.add(pid := _run(*words))
                _answer(pid)
            case ["wait", int(pid)]:
                _answer(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
                running.remove(pid)
    for pid in running:
        os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    main()
