"""The decoder: a process that reads one picture after the other, as the server asks, and leaves parts in the cache.

    python -m pixelboot.library.decoding.work CACHE

Orders come on standard input, and what was found goes to standard output (`pixelboot.library.decoding.order`).  A
damaged picture is an answer like any other.  What is not the picture's fault, a full disk or too little memory, is a
problem of the order; whatever else goes wrong ends the process.  It ends, too, when the server does.

This is the only part of the server that imports numpy and Pillow, so that whatever a hostile picture does to them ends
with this process: it has a ceiling of memory, the lowest priority and no descriptor but the picture's.
"""

from __future__ import annotations

import argparse
import errno
import functools
import hashlib
import os
import resource
import select
import signal
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from typing import BinaryIO

from pixelboot.container import reader
from pixelboot.container.hilbert import PIXEL
from pixelboot.container.reader import Picture
from pixelboot.container.table import Damaged, Part, Role
from pixelboot.library.decoding.cache import SIDE_LIMIT, Cache
from pixelboot.library.decoding.finding import ROLES, Finding, FoundPart
from pixelboot.library.decoding.order import FULL, ORDER_LIMIT, READY, STALE, Ended, Order
from pixelboot.library.folder.look import Seen, Stamp, Unreadable, look, open_picture, open_sidecar
from pixelboot.malformed import Malformed

ROOM = 256 << 20
"""Octets of memory that the decoder may take besides the pixels."""

TEXT_LIMIT = 1024
"""Characters of a reason, or of the name of a part, that are told."""

TOGETHER = 0.003
"""Seconds that an answer may wait for those after it, so that the server is not woken for each."""

NO_KERNEL = "no part of it is a kernel"
SNAPSHOT = "it is a snapshot of a virtual machine, which has no kernel to boot"

_PAGE = resource.getpagesize()
_PIECE = 1 << 20
_PIPE = 1 << 16
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_LABELS = ("name", "description", "distro", "architecture", "kernel_version", "cmdline", "type")


class Changed(Exception):
    """The file changed while it was read."""


class NoRoom(Exception):
    """The file system of the cache is too full to take the parts."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what standard input asks for until it ends."""
    parser = argparse.ArgumentParser(prog="pixelboot.library.decoding.work", description="Decode pictures.")
    parser.add_argument("cache", help="the folder of the cache")
    parser.add_argument("--side-limit", type=int, default=SIDE_LIMIT, help="largest side in pixels")
    args = parser.parse_args(arguments)
    give_way()
    decoder = Decoder(Cache(args.cache, args.side_limit), args.side_limit, server=0)
    try:
        with open(1, "wb", closefd=False) as answers:
            serve(functools.partial(os.read, 0), answers, decoder)
    except BrokenPipeError:
        pass  # the server is gone, and nobody waits for the answer
    return 0


def serve(read: Callable[[int], bytes], answers: BinaryIO, decoder: Decoder) -> None:
    """Do one order after the other; `read` waits for some octets of them, and gives none at the end.

    Where several orders have come together, answers are sent together, too, if they do not take long.
    """
    answers.write(READY + b"\n")
    answers.flush()
    rest, flushed_at = b"", time.monotonic()
    while octets := read(_PIPE):
        *lines, rest = (rest + octets).split(b"\n")
        for line in lines:
            order = Order.read(line)
            limit_memory(ROOM)
            problem = _attempted(order, answers, decoder)
            answers.write(Ended(problem, _memory()[1]).write())
            if (now := time.monotonic()) - flushed_at > TOGETHER:
                answers.flush()
                flushed_at = now
        answers.flush()
        if len(rest) > ORDER_LIMIT:
            raise Malformed("an order without end")


def _attempted(order: Order, answers: BinaryIO, decoder: Decoder) -> str | None:
    """Do it; None, or why it could not be done now, which is not the picture's fault."""

    def say(finding: Finding) -> None:
        answers.write(finding.write())
        if order.task != "examine":  # there the end follows at once
            answers.flush()

    try:
        decoder.do(order, say)
    except BrokenPipeError:
        raise
    except Changed:
        return STALE
    except Unreadable as error:
        return STALE if _is_stale(order.seen) else str(error)
    except NoRoom:
        return FULL
    except MemoryError:
        return "there is not enough memory to decode it"
    except OSError as error:
        return FULL if error.errno in _NO_ROOM else f"the system says: {error.strerror or error}"
    return None


class Decoder:
    """What can be asked for."""

    def __init__(self, cache: Cache, side_limit: int = SIDE_LIMIT, server: int | None = None) -> None:
        """`side_limit` is the largest side in pixels; `server` a descriptor whose other end the server holds."""
        self._cache = cache
        self._side_limit = side_limit
        self._server = server

    def do(self, order: Order, say: Callable[[Finding], None]) -> None:
        """Find out about a picture what the order asks for; the last finding that is said is final.

        :raises Unreadable: if it cannot be opened.
        :raises Changed: if it is not in the state that is meant, or no longer at the end; then nothing is kept.
        :raises NoRoom: if its parts would leave too little free where the cache is.
        :raises BrokenPipeError: if the server is gone.
        """
        seen = order.seen
        with open(open_picture(seen.folder, seen.file_name), "rb") as file:
            if Stamp.of(os.fstat(file.fileno())) != seen.stamp:
                raise Changed
            picture, first, sidecar = self._examined(file, seen)
            if order.task == "examine":
                _assert_unchanged(file, seen)
                say(first)
                return
            if first.state == "decoding":
                say(first)
            sha256 = key = self._digest(file)
            if sidecar is not None:
                key = hashlib.sha256(f"{sha256} {hashlib.sha256(sidecar).hexdigest()}".encode("ascii")).hexdigest()
            first = replace(first, sha256=sha256, key=key)
            known = self._cache.load(key)
            keep = order.task == "decode"
            if known is None or (keep and known.state == "ready" and not self._cache.holds(known)):
                say(first)
                known = self._verified(file, seen, picture, first, keep)
            _assert_unchanged(file, seen)
            _if_there_is_room(self._cache.remember, seen.key, key)
            say(known)

    def _examined(self, file: BinaryIO, seen: Seen) -> tuple[Picture | None, Finding, bytes | None]:
        """The picture with what its description says, and the sidecar if it counts; no picture when that is damaged."""
        sidecar, missed = None, ""
        try:
            sidecar = open_sidecar(seen)
        except Unreadable as error:
            missed = str(error)
        try:
            picture = reader.examine(file, self._side_limit, sidecar)
        except Damaged as error:
            reason = "; ".join(filter(None, (str(error), missed)))
            return None, Finding("damaged", reason=reason[:TEXT_LIMIT]), missed.encode("utf-8") or sidecar
        described = picture.manifest
        finding = Finding(
            parts=_found(described.parts),
            format=described.format[:TEXT_LIMIT],
            **{name: getattr(described.labels, name) for name in _LABELS},
        )
        if described.snapshot:
            finding = replace(finding, state="unbootable", reason=SNAPSHOT)
        elif finding.parts and finding.part("kernel") is None:  # where one part says what it is, all are believed
            finding = replace(finding, state="unbootable", reason=NO_KERNEL)
        return picture, finding, sidecar if picture.from_sidecar else None

    def _verified(self, file: BinaryIO, seen: Seen, picture: Picture | None, first: Finding, keep: bool) -> Finding:
        """Compare every digest; what is found then is final, and kept, with the parts if these shall be."""
        if picture is None:
            known = first
        elif keep and first.state == "decoding":
            known = self._decoded(file, seen, picture, first)
        else:
            known = self._unpacked(file, picture, first, {})[0]
        _assert_unchanged(file, seen)
        _if_there_is_room(self._cache.store, known)
        return known

    def _decoded(self, file: BinaryIO, seen: Seen, picture: Picture, first: Finding) -> Finding:
        """The same, with the parts kept."""
        parts = picture.manifest.parts
        if not self._cache.has_room(sum(part.size for part in parts)):
            raise NoRoom
        with self._cache.building() as folder, ExitStack() as stack:
            # What a part is for may not be known before the end.
            paths = {part.name: f"{folder}/{number}" for number, part in enumerate(parts)}
            sinks = {name: stack.enter_context(open(path, "wb")) for name, path in paths.items()}
            known, roles = self._unpacked(file, picture, first, sinks)
            _assert_unchanged(file, seen)
            if known.state == "ready":
                for name, sink in sinks.items():
                    if role := roles.get(name):
                        sink.flush()
                        os.fsync(sink.fileno())
                        os.rename(paths[name], f"{folder}/{role}")
                    else:
                        os.unlink(paths[name])
                self._cache.store_parts(folder, known)
        return known

    def _unpacked(
        self, file: BinaryIO, picture: Picture, first: Finding, sinks: Mapping[str, BinaryIO]
    ) -> tuple[Finding, Mapping[str, Role]]:
        """Write the parts that have a sink, and compare every digest; the final finding, and the roles by the names."""
        limit_memory(ROOM + picture.layout.side**2 * PIXEL)
        try:
            done = reader.unpack(file, picture, sinks, progress=lambda _: self._assert_wanted())
        except Damaged as error:
            return replace(first, state="damaged", reason=str(error)[:TEXT_LIMIT], parts=()), {}
        finding = replace(first, parts=_found(done.parts), signer=done.signer, payload_signer=done.payload_signer)
        if done.kernel is not None:
            version, architecture = done.kernel.version[:TEXT_LIMIT], done.kernel.architecture
            finding = replace(
                finding,
                kernel_version=finding.kernel_version or version,
                architecture=finding.architecture or architecture,
            )
        if first.state == "decoding":
            kernel = finding.part("kernel")
            sound = kernel is not None and kernel.size > 0
            finding = (
                replace(finding, state="ready") if sound else replace(finding, state="unbootable", reason=NO_KERNEL)
            )
        return finding, {part.name: part.role for part in done.parts if part.role}

    def _digest(self, file: BinaryIO) -> str:
        """SHA-256 of the whole file."""
        digest = hashlib.sha256()
        file.seek(0)
        while piece := file.read(_PIECE):
            self._assert_wanted()
            digest.update(piece)
        return digest.hexdigest()

    def _assert_wanted(self) -> None:
        """Stop, clearing up, when the server is gone."""
        if self._server is not None:
            poll = select.poll()
            poll.register(self._server, 0)
            if any(event & select.POLLHUP for _, event in poll.poll(0)):
                raise BrokenPipeError(errno.EPIPE, "the server is gone")


def _found(parts: Iterable[Part]) -> tuple[FoundPart, ...]:
    """The parts that a boot has a use for, in the order of their roles."""
    found = [FoundPart(part.role, part.size, part.sha256 or "", part.name[:TEXT_LIMIT]) for part in parts if part.role]
    return tuple(sorted(found, key=lambda part: ROLES.index(part.name)))


def _if_there_is_room(keep: Callable[..., None], *what: object) -> None:
    """Have the cache keep something that can be found out again."""
    try:
        keep(*what)
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise


def _is_stale(seen: Seen) -> bool:
    """Whether the file is not what was seen, or not there at all."""
    try:
        return [each.stamp for each in look(seen.folder, (seen.file_name,))] != [seen.stamp]
    except OSError:
        return False


def _assert_unchanged(file: BinaryIO, seen: Seen) -> None:
    if Stamp.of(os.fstat(file.fileno())) != seen.stamp:
        raise Changed


def give_way() -> None:
    """Let everything else on this machine go first, and leave no core behind."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, which ends its decoders
    os.nice(19)
    with suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def limit_memory(room: int) -> None:
    """Let this process grow by `room` octets of address space from what it has now, no further."""
    limit = _memory()[0] + room
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(resource.RLIMIT_AS, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))


def _memory() -> tuple[int, int]:
    """Octets of address space that this process has, and of memory."""
    virtual, resident, *_ = os.pread(_statm(), 200, 0).split()
    return int(virtual) * _PAGE, int(resident) * _PAGE


@functools.cache
def _statm() -> int:
    """A descriptor that tells how much memory this process has: proc(5), /proc/PID/statm."""
    return os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)


if __name__ == "__main__":
    sys.exit(main())
