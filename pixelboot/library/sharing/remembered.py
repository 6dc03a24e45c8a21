"""Digests that take long to find out, kept in a small file over a restart.

It is a list of JSON: a row for each file, its `Stamp` in numbers and the SHA-256 of what it holds in that state.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import astuple
from typing import Any

from twisted.logger import Logger

from pixelboot.library.folder.look import Stamp

LIMIT = 1000
"""Digests that are kept: those that were found out last."""

_OCTETS = LIMIT * 256
_SHA256 = re.compile("[0-9a-f]{64}")

_log = Logger(namespace="pixelboot.library")


class Remembered:
    """The digests, in memory."""

    def __init__(self, path: str | None = None) -> None:
        """What is in the file at `path`, if there is one, is read at once: it takes a millisecond."""
        self._known: dict[Stamp, str] = {}
        try:
            if path is not None:
                self._known.update(_read(path))
        except FileNotFoundError:
            pass
        except (OSError, ValueError, RecursionError) as error:
            _log.warn("{path} is ignored, and digests are made anew: {problem}", path=path, problem=error)

    @property
    def rows(self) -> Sequence[Sequence[object]]:
        """What is to be written."""
        return [(*astuple(stamp), sha256) for stamp, sha256 in self._known.items()]

    def get(self, stamp: Stamp) -> str | None:
        """The digest of files in this state."""
        return self._known.get(stamp)

    def add(self, stamp: Stamp, sha256: str) -> None:
        """The digest of files in this state is known from now on."""
        if len(self._known) >= LIMIT and stamp not in self._known:
            del self._known[next(iter(self._known))]
        self._known[stamp] = sha256


def write(path: str, rows: Sequence[Sequence[object]]) -> None:
    """In a thread, no two at a time: put these rows in place of the file; what hinders that is logged."""
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        with open(f"{path}.new", "w", encoding="ascii") as file:
            file.write(json.dumps(rows, separators=(",", ":")))
        # Not synced: after a loss of power it may be damaged, and then digests are made anew.
        os.rename(f"{path}.new", path)
    except OSError as error:
        _log.warn("digests cannot be kept in {path}: {problem}", path=path, problem=error.strerror or str(error))


def _read(path: str) -> dict[Stamp, str]:
    """What is in the file; ValueError if that is damaged."""
    with open(path, encoding="ascii") as file:
        rows = json.loads(file.read(_OCTETS))
    if type(rows) is not list:
        raise ValueError("it is not a list")
    return dict(_row(row) for row in rows[-LIMIT:])


def _row(row: Any) -> tuple[Stamp, str]:
    if type(row) is list and len(row) == 6:
        *numbers, sha256 = row
        if all(type(number) is int for number in numbers) and type(sha256) is str and _SHA256.fullmatch(sha256):
            return Stamp(*numbers), sha256
    raise ValueError("it has a row that is none")
