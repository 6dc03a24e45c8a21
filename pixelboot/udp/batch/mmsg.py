"""Datagrams by the batch: ``recvmmsg`` and ``sendmmsg`` of the C library (recvmmsg(2), sendmmsg(2)).

A system call costs more than all that Python does for one block of a file, and Python's way around it (a tuple for the
address, an object for the octets, an exception when there is nothing more) costs as much again.  Here one call fetches
what `MOST` clients have said, and one sends what they are answered.  The kernel reads the datagrams where they lie, in
Python's own ``bytes``; nothing is copied.

    msg_name  namelen  iov  iovlen  control  controllen  flags  len        64 octets each (64-bit Linux)
       0         8      16    24      32        40         48    56
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import struct
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from itertools import chain, repeat

from pixelboot.udp.batch.path import LARGEST_SEND, NOTHING, SIZES, TOLD, Path
from pixelboot.udp.batch.plain import LOST, MOST_SEGMENTS, SLOT, Datagram, Plain, uniform
from pixelboot.udp.sockets import NOT_SEGMENTED, Control, cut

MOST = 64
"""Datagrams of one call: more would wait for each other longer than the calls take that they save."""

_FEW = 4
"""Datagrams that are sooner put into their messages one by one than all at once."""

_RUNS = 2048
"""Packets of all windows in one call."""

_HEADER = struct.Struct("=QIIQQQQII")
_STEP = _HEADER.size + 8  # With the length that the kernel fills in.
_IOV, _IOVLEN, _CONTROL, _CONTROLLEN = range(2, 6)
_CMSG = struct.Struct("=Qii")
_SAYING = 96
"""Octets of all that is said to the kernel with one message: an address of ours, and where to cut."""
_OBJECT = bytes.__basicsize__ - 1
"""Octets of a ``bytes`` object in front of those that it is about (CPython)."""


def is_possible() -> bool:
    """Whether this system and this Python are such that it can be done so."""
    here = sys.implementation.name == "cpython" and sys.platform == "linux" and struct.calcsize("P") == 8
    if not here:
        return False
    probe = b"pixelboot"
    return ctypes.string_at(id(probe) + _OBJECT, len(probe)) == probe and all(
        hasattr(_library(), name) for name in ("recvmmsg", "sendmmsg")
    )


def _library() -> ctypes.PyDLL:
    # PyDLL: the calls do not wait, so other threads need not be let in; they would keep us out for milliseconds.
    return ctypes.PyDLL(None, use_errno=True)


class _Area:
    """Zeroed memory with a fixed address."""

    def __init__(self, size: int) -> None:
        self._buffer = ctypes.create_string_buffer(size)
        self.address = ctypes.addressof(self._buffer)
        self.octets = memoryview(self._buffer).cast("B")
        self.words = self.octets.cast("Q")


class _Messages:
    """`MOST` headers, each with room for a name and pointing at one piece of memory."""

    def __init__(self, name: int) -> None:
        self.headers = _Area(_STEP * MOST)
        self.names = _Area(name * MOST)
        self.pieces = _Area(16 * MOST)
        for at in range(MOST):
            _HEADER.pack_into(
                *(self.headers.octets, _STEP * at),
                *(self.names.address + name * at, name, 0, self.pieces.address + 16 * at, 1, 0, 0, 0, 0),
            )


class Batched:
    """Receives and sends by the batch on one socket: `pixelboot.udp.batch.plain.Plain` with fewer calls."""

    def __init__(self, opened: socket.socket, failed: Callable[[Path, OSError], None], *, told: bool) -> None:
        """See `Plain`."""
        library = _library()
        self._recvmmsg, self._sendmmsg = library.recvmmsg, library.sendmmsg
        self._recvmmsg.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int, ctypes.c_void_p)
        self._sendmmsg.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int)
        self._descriptor = opened.fileno
        self._failed = failed
        self._each = Plain(opened, failed, told=told)  # Sends what the kernel does not cut out of one send.
        self._name = name = SIZES[opened.family]

        arriving = _Messages(name)
        self._arriving = arriving.headers.address
        self._octets = _Area(SLOT * MOST)
        self._told = _Area(_control_room(TOLD[opened.family]) * MOST) if told else None
        self._keep = [arriving]
        for at in range(MOST):
            arriving.pieces.words[2 * at] = self._octets.address + SLOT * at
            arriving.pieces.words[2 * at + 1] = SLOT
        self._lengths = arriving.headers.octets.cast("I")[56 // 4 :: _STEP // 4]
        self._senders = arriving.names.octets
        self._sender = struct.Struct(f"={name}s")
        self._head = struct.Struct(f"=4s{SLOT - 4}x")
        self._control_lengths = arriving.headers.words[_CONTROLLEN :: _STEP // 8]
        if self._told is not None:
            size = TOLD[opened.family]
            room = _control_room(size)
            for at in range(MOST):
                arriving.headers.words[8 * at + _CONTROL] = self._told.address + room * at
            self._full = memoryview(struct.pack(f"={MOST}Q", *repeat(room, MOST))).cast("Q")
            self._place = struct.Struct(f"={_CMSG.size}x{size}s{room - _CMSG.size - size}x")

        leaving = _Messages(name)
        self._keep.append(leaving)
        self._leaving = leaving.headers.address
        self._headers = leaving.headers.words
        self._names = leaving.names.octets
        self._pieces = leaving.pieces.words
        self._own_pieces = leaving.pieces.address
        self._runs = _Area(16 * _RUNS)
        self._run = 0
        self._windows: list[int] = []  # Messages whose pieces lie in the runs.
        self._singles: list[bytes] = []  # The datagrams of the last paths, which are not in a message yet.
        self._held: list[bytes] = []  # What the kernel is to read must not go away before.
        self._paths: list[Path] = []
        self._sayings = _Area(_SAYING * MOST)
        for at in range(MOST):
            self._headers[8 * at + _CONTROL] = self._sayings.address + _SAYING * at
        self._controls: list[Control] = [NOTHING] * MOST  # What each message says to the kernel at present.

    # In.

    def receive(self) -> Iterable[Datagram] | None:
        """See `Plain.receive`."""
        if self._told is not None:
            self._control_lengths[:] = self._full
        count = self._recvmmsg(self._descriptor(), self._arriving, MOST, socket.MSG_DONTWAIT, None)
        if count < 0:
            problem = ctypes.get_errno()
            if problem in (errno.EAGAIN, errno.EINTR):
                return None
            raise OSError(problem, os.strerror(problem))
        if count == 1 and self._told is None:  # One client in lock-step: less ado.
            return ((bytes(self._octets.octets[: self._lengths[0]]), bytes(self._senders[: self._name]), b""),)
        if count == 1:
            return tuple(self._datagrams(count))
        return self._datagrams(count) if count else None

    def _datagrams(self, count: int) -> Iterator[Datagram]:
        _octets, _name = self._octets.octets, self._name
        lengths = self._lengths[:count].tolist()
        if self._told is None and lengths.count(4) == count:
            # Nearly always: they are ACKs, which are four octets long.
            chained = chain.from_iterable
            heads = chained(self._head.iter_unpack(self._octets.octets[: SLOT * count]))
            return zip(heads, chained(self._sender.iter_unpack(self._senders[: self._name * count])), repeat(b""))
        return self._various(count, lengths)

    def _various(self, count: int, lengths: list[int]) -> Iterator[Datagram]:
        octets, name = self._octets.octets, self._name
        heads = self._head.iter_unpack(octets[: SLOT * count])
        senders = self._sender.iter_unpack(self._senders[: name * count])
        at = 0
        for (head,), (sender,), length, place in zip(heads, senders, lengths, self._places(count), strict=False):
            # Nearly all are ACKs, which are four octets long.
            yield head if length == 4 else bytes(octets[at : at + length]), sender, place
            at += SLOT

    def _places(self, count: int) -> Iterator[bytes]:
        told = self._told
        if told is None:
            return repeat(b"")
        room = self._place.size
        lengths = self._control_lengths[:count].tolist()
        places = self._place.iter_unpack(told.octets[: room * count])
        # Without memory at that moment the kernel says nothing.
        return (place if length else b"" for (place,), length in zip(places, lengths, strict=True))

    # Out.

    def send(self, packets: Sequence[bytes], path: Path) -> None:
        """See `Plain.send`; they leave with the next `flush`, or before."""
        if len(packets) == 1:
            _examine(packets)
            self._singles += packets
            self._paths.append(path)
            if len(self._paths) == MOST:
                self.flush()
        elif packets:
            self._send_many(packets, path)

    def send_singles(self, packets: list[bytes], paths: list[Path]) -> None:
        """See `Plain.send_singles`."""
        _examine(packets)
        first = 0
        while first < len(packets):
            end = first + MOST - len(self._paths)
            self._singles += packets[first:end]
            self._paths += paths[first:end]
            first = end
            if len(self._paths) == MOST:
                self.flush()

    def send_all(self, answers: Iterable[tuple[Sequence[bytes], Path]]) -> None:
        """See `Plain.send_all`."""
        for packets, path in answers:
            self.send(packets, path)

    def _put_singles(self) -> None:
        """Put each datagram that goes alone into a message."""
        singles = self._singles
        if not singles:
            return
        self._singles = []
        self._held += singles
        first = len(self._paths) - len(singles)
        ways = self._paths[first:] if first else self._paths
        if len(singles) < _FEW:
            for at, (packet, path) in enumerate(zip(singles, ways, strict=True), first):
                self._put(at, packet, path)
            return
        names = b"".join([way.peer for way in ways])
        self._names[self._name * first : self._name * first + len(names)] = names
        where = [id(packet) + _OBJECT for packet in singles]
        pairs = chain.from_iterable(zip(where, map(len, singles), strict=True))
        _pairs(len(singles)).pack_into(self._pieces.obj, 16 * first, *pairs)
        controls = [way.control for way in ways]
        if controls != self._controls[first : len(self._paths)]:
            for at, control in enumerate(controls, first):
                if control is not self._controls[at]:
                    self._control(at, control)

    def _put(self, at: int, packet: bytes, path: Path) -> None:
        """Put one datagram into a message."""
        name, pieces = self._name, self._pieces
        self._names[name * at : name * at + name] = path.peer
        pieces[at + at] = id(packet) + _OBJECT
        pieces[at + at + 1] = len(packet)
        if path.control is not self._controls[at]:
            self._control(at, path.control)

    def _send_many(self, packets: Sequence[bytes], path: Path) -> None:
        """Many datagrams of one size (the last may be shorter) are one message, out of which the kernel cuts them."""
        _examine(packets)
        size = len(packets[0])
        if size >= path.too_long or not uniform(packets):
            for packet in packets:
                self.send([packet], path)
            return
        at_once = min(MOST_SEGMENTS, LARGEST_SEND // size)
        for first in range(0, len(packets), at_once):
            part = packets[first : first + at_once]
            if len(part) == 1:
                self.send(part, path)
                continue
            if self._run + len(part) > _RUNS:
                self.flush()
            self._put_singles()
            at, run = len(self._paths), self._run
            name, words = self._name, self._runs.words
            self._names[name * at : name * at + name] = path.peer
            place = run + run
            for packet in part:
                words[place] = id(packet) + _OBJECT
                words[place + 1] = len(packet)
                place += 2
            self._headers[8 * at + _IOV] = self._runs.address + 16 * run
            self._headers[8 * at + _IOVLEN] = len(part)
            self._control(at, [*path.control, cut(size)])
            self._windows.append(at)
            self._run = run + len(part)
            self._held.extend(part)
            self._paths.append(path)
            if at == MOST - 1:
                self.flush()

    def put_ahead(self, packet: bytes, path: Path) -> None:
        """See `Plain.put_ahead`."""
        _examine((packet,))
        self._put(0, packet, path)
        self._held, self._paths = [packet], [path]

    def take_back(self) -> None:
        """See `Plain.take_back`."""
        self._paths = []
        self._held = []

    def flush(self) -> None:
        """Send what waits."""
        paths = self._paths
        count = len(paths)
        if not count:
            return
        self._put_singles()
        done = self._sendmmsg(self._descriptor(), self._leaving, count, 0)
        troubles = self._send_on(done, count) if done < count else ()
        self._paths = []
        self._held = []
        if self._windows:
            for at in self._windows:
                self._headers[8 * at + _IOV] = self._own_pieces + 16 * at
                self._headers[8 * at + _IOVLEN] = 1
            self._windows = []
            self._run = 0
        for path, problem in troubles:
            self._failed(path, problem)

    def _send_on(self, done: int, count: int) -> list[tuple[Path, OSError]]:
        """The kernel has stopped at some message: pass over it, and go on with those behind it."""
        troubles = []
        while done < count:
            if done < 0:
                done = 0
            else:
                step = self._sendmmsg(self._descriptor(), self._leaving + _STEP * done, count - done, 0)
                if step > 0:
                    done += step
                    continue
            problem = ctypes.get_errno()
            if problem == errno.EINTR:
                continue
            if problem == errno.EAGAIN:
                break  # No room: what is left is lost, as on any other part of the way.
            path = self._paths[done]
            if done in self._windows and problem in NOT_SEGMENTED:
                try:
                    self._send_each(done, path)
                except OSError as error:
                    troubles.append((path, error))
            elif problem not in LOST:
                troubles.append((path, OSError(problem, os.strerror(problem))))
            done += 1
        return troubles

    def _send_each(self, at: int, path: Path) -> None:
        """The kernel does not cut this one: send its datagrams one by one."""
        start, count = self._headers[8 * at + _IOV], self._headers[8 * at + _IOVLEN]
        run = (start - self._runs.address) // 8
        by_place = {id(packet) + _OBJECT: packet for packet in self._held}
        packets = [by_place[self._runs.words[run + 2 * step]] for step in range(count)]
        self._each.send_each(packets, path)
        path.too_long = len(packets[0])  # That went well, so it was the cutting that the kernel refused.

    def _control(self, at: int, control: Control) -> None:
        """Have a message say this to the kernel."""
        octets = b"".join(_message(*one) for one in control)
        self._sayings.octets[_SAYING * at : _SAYING * at + len(octets)] = octets
        self._headers[8 * at + _CONTROLLEN] = len(octets)
        self._controls[at] = control


def _examine(packets: Sequence[bytes]) -> None:
    """The kernel reads them where they lie, so they must be what they are taken for."""
    for packet in packets:
        if packet.__class__ is not bytes:
            raise TypeError(f"a datagram must be bytes, not {type(packet).__name__}")


@cache
def _pairs(count: int) -> struct.Struct:
    """So many addresses and lengths."""
    return struct.Struct(f"={2 * count}Q")


def _control_room(size: int) -> int:
    """Octets of a control message about `size` octets."""
    return _CMSG.size + -(-size // 8) * 8


def _message(level: int, kind: int, octets: bytes) -> bytes:
    """A control message (cmsg(3)), padded so that another can follow."""
    return (_CMSG.pack(_CMSG.size + len(octets), level, kind) + octets).ljust(_control_room(len(octets)), b"\0")
