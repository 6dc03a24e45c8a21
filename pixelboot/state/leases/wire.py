"""What a server and the helper process that keeps its leases say to each other, and what stands in the journal.

Each message is four octets with the length of the rest (big-endian), an octet that says what it is, and a body.

From the server::

    L                  send everything there is
    C number, batch    make this batch durable; numbers (8 octets) go up

From the helper::

    R                  the database is open
    T rows             some of what is in the table of leases, as Python's marshal writes it: it comes from a helper of
                       the same Python, and a list of tuples is read in a fifth of the time of anything else
    J batch            a batch of the journal, which is newer than the table and the batches before it
    X                  forget what was sent: the file is damaged, and what can be saved of it follows
    E                  that was all
    S number           every commit up to this number is durable
    D text             the file was damaged: what was saved, and what was done with it
    F text             of the commits that were not saved, none is; the helper ends
    U text             the database cannot be used; the helper ends

A row is a tuple of the columns of the table ``lease`` in their order: address, identity, hwaddr, state, started_at,
expires_at, hostname, renewed_at, client_id, circuit.  A batch is a CRC-32 (4 octets) of what follows it: for each
address a head of fixed size (`_HEAD`: the address, a letter for the state or a zero for an address of which nothing is
known any more, three instants, five lengths) and the texts (UTF-8) and octets that these are the lengths of.
"""

from __future__ import annotations

import marshal
import zlib
from collections.abc import Iterable, Sequence
from struct import Struct, error
from typing import TYPE_CHECKING, Any

from pixelboot.malformed import Malformed

if TYPE_CHECKING:  # The helper starts without it: a server waits for the helper.
    from pixelboot.leases.lease import Lease

SIZE_LIMIT = 64 << 20
"""The largest message, in octets; a longer one is no message of ours."""

Row = Sequence[Any]
"""A row, see above."""

_LENGTH = Struct(">IB")
_HEAD = Struct(">IBdddHHHBB")
_CHECK = Struct(">I")
_LETTERS = {state: ord(state[0]) for state in ("offered", "bound", "released", "expired", "declined")}
_OF_LETTER = {letter: state for state, letter in _LETTERS.items()}
_NOTHING = (0, 0.0, 0.0, 0.0, 0, 0, 0, 0, 0)


def message(kind: bytes, body: bytes = b"") -> bytes:
    """A message as it goes through the pipe."""
    return _LENGTH.pack(1 + len(body), kind[0]) + body


def commit(number: int, octets: bytes) -> bytes:
    """The message that a batch is to be made durable."""
    return message(b"C", number.to_bytes(8) + octets)


def rows(some: list[Any]) -> bytes:
    """The message with some rows of the table."""
    return message(b"T", marshal.dumps(some))


def batch(changes: Iterable[tuple[int, Lease | None]]) -> bytes:
    """What is known of each address, None for nothing, as octets for the journal."""
    parts = [b""]
    add, pack = parts.append, _HEAD.pack
    for number, lease in changes:
        if lease is None:
            add(pack(number, *_NOTHING))
            continue
        _, identity, hwaddr, state, started_at, expires_at, hostname, renewed_at, client_id, circuit = lease
        name, card, host = identity.encode(), hwaddr.encode(), hostname.encode()
        sizes = len(name), len(card), len(host), len(client_id), len(circuit)
        add(pack(number, _LETTERS[state], started_at, expires_at, renewed_at, *sizes))
        parts += (name, card, host, client_id, circuit)
    octets = b"".join(parts)
    return _CHECK.pack(zlib.crc32(octets)) + octets


def changes_in(octets: bytes) -> list[tuple[int, Row | None]]:
    """The addresses in a batch, and the row of each, None for nothing; `Malformed` for what is no batch."""
    if len(octets) < 4 or _CHECK.unpack_from(octets)[0] != zlib.crc32(memoryview(octets)[4:]):
        raise Malformed(f"a batch of {len(octets)} octets is damaged")
    changes: list[tuple[int, Row | None]] = []
    start = 4
    try:
        while start < len(octets):
            number, letter, started_at, expires_at, renewed_at, *sizes = _HEAD.unpack_from(octets, start)
            start += _HEAD.size
            if not letter:
                changes.append((number, None))
                continue
            texts = []
            for size in sizes:
                texts.append(octets[start : start + size])
                start += size
            identity, hwaddr, hostname = (text.decode() for text in texts[:3])
            state = _OF_LETTER[letter]
            changes.append(
                (number, (number, identity, hwaddr, state, started_at, expires_at, hostname, renewed_at, *texts[3:]))
            )
    except (error, KeyError, UnicodeDecodeError) as problem:
        raise Malformed(f"a batch of {len(octets)} octets is damaged: {problem}") from problem
    if start > len(octets):
        raise Malformed(f"a batch of {len(octets)} octets ends too early")
    return changes


def rows_in(body: bytes) -> list[Row]:
    """The rows in a message; `Malformed` if there are none in it."""
    try:
        found = marshal.loads(body)
    except (ValueError, EOFError, TypeError) as problem:
        raise Malformed(f"a message that is no rows: {problem}") from problem
    if not isinstance(found, list):
        raise Malformed("a message that is no rows")
    return found


class Messages:
    """Takes octets as they come out of the pipe, gives the messages in them."""

    def __init__(self) -> None:
        self._octets = bytearray()

    def received(self, octets: bytes) -> list[tuple[bytes, bytes]]:
        """The kind and body of every message that is complete now.

        Raises `Malformed` for what is no message; nothing comes after that.
        """
        self._octets += octets
        messages = []
        start = 0
        while len(self._octets) - start >= 5:
            size, kind = _LENGTH.unpack_from(self._octets, start)
            if not 0 < size <= SIZE_LIMIT or not 65 <= kind <= 90:
                raise Malformed(f"a message of {size} octets, kind {kind}")
            end = start + 4 + size
            if end > len(self._octets):
                break
            messages.append((bytes((kind,)), bytes(self._octets[start + 5 : end])))
            start = end
        del self._octets[:start]
        return messages
