"""The keys that a site trusts, read from its settings and from the files that these name."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence

from pixelboot.config import ConfigError
from pixelboot.malformed import Malformed

LARGEST_FILE = 1 << 14
"""Octets; no file with one public key has more."""


def load(keys: Sequence[str]) -> frozenset[str]:
    """The public keys, each as 64 lower-case hex digits, that the setting ``containers.trusted_keys`` means.

    :raises ConfigError: if one of them is none, or the file with it cannot be read.
    """
    return frozenset(_key(words) for words in keys)


def _key(words: str) -> str:
    # A site without keys does without cryptography, too: it takes a tenth of a second to import.
    from pixelboot.container.signature import parse_public

    try:
        return parse_public(_read(words) if os.path.isabs(words) else words)
    except OSError as problem:
        why = problem.strerror or str(problem)
    except Malformed as problem:
        why = str(problem)
    raise ConfigError("containers.trusted_keys", words, f"must be an Ed25519 public key or a file with one ({why})")


def _read(path: str) -> str:
    """What the file holds; what is no file is not waited for."""
    with open(path, "rb", opener=lambda path, flags: os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY)) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise Malformed("it is not a regular file")
        octets = file.read(LARGEST_FILE + 1)
    if len(octets) > LARGEST_FILE:
        raise Malformed(f"the file has more than {LARGEST_FILE} octets")
    return octets.decode("utf-8", "replace")
