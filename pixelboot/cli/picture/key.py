"""Keys that the command line names: a private one to sign with, public ones to trust."""

from __future__ import annotations

import getpass
import os
import stat
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pixelboot.cli.picture.aside import explained
from pixelboot.cli.picture.source import note, open_regular
from pixelboot.malformed import Malformed
from pixelboot.outcome import printable

if TYPE_CHECKING:
    from pixelboot.container.signature import PrivateKey

_LIMIT = 1 << 16
"""Octets that a file with a key may have; the largest kinds have some thousand."""


def private_key(path: Path) -> PrivateKey:
    """The key in this file; the passphrase of an encrypted one is asked for on the terminal.

    `Malformed` when there is no such key, or nobody to ask.
    """
    from pixelboot.container import signature

    place = printable(str(path), 4096)
    octets = _read(path, private=True)
    try:
        try:
            return signature.load_private(octets)
        except signature.PasswordNeeded:
            return signature.load_private(octets, _passphrase(place))
    except Malformed as problem:
        why = str(problem)
        with suppress(Malformed):
            signature.parse_public(octets.decode("utf-8", "replace"))
            why = "this is a public key; the private one of the pair is what signs"
        raise Malformed(f"{place}: {why}") from None


def public_key(text: str) -> str:
    """The public key that is meant, as 64 hex digits: by hex, by OpenSSH's line, or by the name of a file with one."""
    from pixelboot.container import signature

    try:
        return signature.parse_public(text)
    except Malformed as problem:
        if not os.path.lexists(text):
            raise Malformed(f"{printable(text)}: {problem}; and there is no such file") from None
    try:
        return signature.parse_public(_read(Path(text), private=False).decode("utf-8", "replace"))
    except Malformed as problem:
        raise Malformed(f"{printable(text)}: {problem}") from None


def _read(path: Path, private: bool) -> bytes:
    with ExitStack() as stack:
        stack.enter_context(explained(str(path)))
        file = stack.enter_context(open_regular(str(path)))
        if private and stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
            note(f"{printable(str(path), 4096)} can be read by others than its owner: chmod 600 it")
        return file.read(_LIMIT)


def _passphrase(place: str) -> bytes:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        raise Malformed("the private key is encrypted, and there is no terminal to ask for its passphrase") from None
    try:
        return getpass.getpass(f"Passphrase of {place}: ").encode("utf-8")
    except (EOFError, UnicodeError):
        raise Malformed("no passphrase was given") from None
