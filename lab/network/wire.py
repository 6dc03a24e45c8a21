"""A wire that loses frames, doubles or changes them, between the bridge and a client or a virtual machine.

    python -m lab.network.wire NEAR FAR [--loss SHARE] [--twice SHARE] [--seed NUMBER] [--to-near HOOK] [--to-far HOOK]

    +-- namespace TOKEN-server ------------------+      +-- namespace TOKEN-client1 --+
    |  br0 ---- wire0 (tap) -- process -- (tap) -|------|- eth0                       |
    +--------------------------------------------+      +-----------------------------+

One process holds both taps and carries every frame from one to the other, on its way through `Hook` functions of the
lab.  Of IPv4's UDP datagrams, and of nothing else, it loses a share in each direction, and carries a share twice; which
ones, chance decides from a seed.  ARP is never lost, so what a test sees is the protocol's own way with loss.  Taps
have no offloads: a frame is what a cable would carry, with all checksums made.  When the process ends, the taps and so
both segments' ends are gone.

The kernel's own means (netem, nft) are modules that not every kernel has; a tap is what QEMU needs anyway.
"""

from __future__ import annotations

import argparse
import errno
import fcntl
import importlib
import json
import os
import random
import select
import signal
import struct
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import count
from types import FrameType, TracebackType
from typing import Self, cast

from lab.network.namespace import Namespace, Segment
from lab.process import LabError, Process

Hook = Callable[[bytes], bytes | None]
"""Takes an Ethernet frame (no checksum behind it) and returns the frame that is carried in its place, or None to lose
it.  Whoever changes an IPv4 datagram makes its checksums anew; 0 in the UDP header is none (RFC 768)."""

_FRAME = 2048
"""More octets than a frame of a segment with an MTU of 1500."""

_QUEUE = 10000
"""Frames that wait in each tap while the process does not run: what a storm needs, so that only chance loses any."""

_BATCH = 64
"""Frames that are carried in one direction before the other has its turn."""

_UDP = 17
_IPV4 = b"\x08\x00"
_TUNSETIFF = 0x400454CA
_IFF_TAP = 0x0002
_IFF_NO_PI = 0x1000

_NUMBERS = count()


@dataclass(slots=True)
class Count:
    """What went one way."""

    frames: int = 0
    """All that came."""

    datagrams: int = 0
    """Those among them that carry UDP over IPv4."""

    lost: int = 0
    """Datagrams that chance took."""

    doubled: int = 0
    """Datagrams that chance had carried twice."""

    taken: int = 0
    """Frames that a hook did not let through."""

    refused: int = 0
    """Frames that the other segment did not take, because its tap is not up."""


class Wire:
    """A running wire.  Used as a context manager it is cut at the end of the block."""

    def __init__(self, process: Process) -> None:
        """Describe the wire that `process` is; it is made by `client` or `tap`."""
        self.process = process

    def cut(self) -> tuple[Count, Count]:
        """End it; what went towards the server, and what came from the server.

        :raises lab.process.LabError: if it did not end as it should.
        """
        status = self.process.stop()
        if status != 0:
            raise LabError(f"the wire ended with status {status}; its last lines:\n{self.process.tail()}")
        to_server, from_server = json.loads(self.process.lines[-1].text)
        return Count(**to_server), Count(**from_server)

    def __enter__(self) -> Self:
        """The wire itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Cut it."""
        self.process.stop()


def client(
    segment: Segment,
    *,
    loss: float = 0.0,
    twice: float = 0.0,
    seed: int = 1,
    to_server: str = "",
    from_server: str = "",
) -> tuple[Namespace, Wire]:
    """A namespace whose ``eth0``, without an address, is the far end of a wire to the bridge.

    `loss` is the share of datagrams lost in each direction, and `twice` of those carried twice, 0 to 1; `to_server` and
    `from_server` name hooks as ``module:function``, a function of a module that can be imported in the checkout.

    :raises lab.process.LabError: if the wire does not start.
    """
    namespace = segment.client()
    # The cable that every client gets makes room for the end of the wire.
    namespace.ip("link", "delete", "eth0")
    wire, far = _join(
        segment, {"--loss": loss, "--twice": twice, "--seed": seed, "--to-near": to_server, "--to-far": from_server}
    )
    segment.home.ip("link", "set", far, "netns", namespace.name, "name", "eth0")
    namespace.ip("link", "set", "eth0", "addrgenmode", "none")
    namespace.ip("link", "set", "eth0", "txqueuelen", str(_QUEUE), "up")
    return namespace, wire


def tap(
    segment: Segment,
    *,
    loss: float = 0.0,
    twice: float = 0.0,
    seed: int = 1,
    to_server: str = "",
    from_server: str = "",
) -> tuple[str, Wire]:
    """The name of a new tap for a virtual machine, which a wire joins to the bridge; for the rest see `client`.

    QEMU holds its tap itself, so the wire's far end and the tap share a small bridge of their own.

    :raises lab.process.LabError: if the wire does not start.
    """
    name = segment.tap()
    wire, far = _join(
        segment, {"--loss": loss, "--twice": twice, "--seed": seed, "--to-near": to_server, "--to-far": from_server}
    )
    home = segment.home
    bridge = far.replace("far", "br")
    home.ip("link", "add", bridge, "type", "bridge", "mcast_snooping", "0")
    home.ip("link", "set", bridge, "addrgenmode", "none")
    for end in (far, name):
        home.ip("link", "set", end, "master", bridge)
    home.ip("link", "set", far, "txqueuelen", str(_QUEUE), "up")
    home.ip("link", "set", bridge, "up")
    return name, wire


def _join(segment: Segment, options: dict[str, object]) -> tuple[Wire, str]:
    """Start a wire in a segment's namespace, its near end on the bridge, and return the name of its far end too."""
    number = next(_NUMBERS)
    near, far = f"wire{number}", f"wirefar{number}"
    words = (str(word) for option in options.items() for word in option)
    process = segment.home.start("wire", sys.executable, "-m", "lab.network.wire", near, far, *words)
    try:
        process.wait_for("^joined$", 10.0)
        segment.home.ip("link", "set", near, "master", segment.bridge)
        segment.home.ip("link", "set", near, "addrgenmode", "none")
        segment.home.ip("link", "set", near, "txqueuelen", str(_QUEUE), "up")
    except LabError:
        process.kill()
        raise
    return Wire(process), far


class _Way:
    """One direction of the wire."""

    def __init__(self, source: int, sink: int, loss: float, twice: float, seed: str, hook: Hook | None) -> None:
        self.count = Count()
        self._source = source
        self._sink = sink
        self._lost_below = loss
        self._doubled_below = loss + twice
        self._chance = random.Random(seed).random
        self._hook = hook

    def carry(self) -> None:
        """Carry what has come, `_BATCH` frames at most."""
        count, chance, hook = self.count, self._chance, self._hook
        for _ in range(_BATCH):
            try:
                frame = os.read(self._source, _FRAME)
            except BlockingIOError:
                return
            count.frames += 1
            luck = 1.0
            if len(frame) > 23 and frame[23] == _UDP and frame[12:14] == _IPV4:
                count.datagrams += 1
                luck = chance()
                if luck < self._lost_below:
                    count.lost += 1
                    continue
            if hook is not None:
                changed = hook(frame)
                if changed is None:
                    count.taken += 1
                    continue
                frame = changed
            try:
                os.write(self._sink, frame)
                if luck < self._doubled_below:
                    os.write(self._sink, frame)
                    count.doubled += 1
            except OSError as problem:
                # EIO: its interface is not up, as before the lab has plugged it in.  Nothing else is to be expected.
                if problem.errno != errno.EIO:
                    raise
                count.refused += 1


def _open(name: str) -> int:
    """Make a tap that exists as long as its descriptor, which is returned; it may be moved to another namespace."""
    descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    fcntl.ioctl(descriptor, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TAP | _IFF_NO_PI))
    return descriptor


def _hook(name: str) -> Hook | None:
    if not name:
        return None
    module, _, function = name.partition(":")
    return cast("Hook", getattr(importlib.import_module(module), function))


class _Cut(Exception):
    """The wire is told to end."""


def _cut(number: int, frame: FrameType | None) -> None:
    raise _Cut


def main() -> int:
    """Be a wire until SIGTERM; the last line of standard output is what it counted, to the near end and to the far."""
    parser = argparse.ArgumentParser(prog="python -m lab.network.wire")
    parser.add_argument("near")
    parser.add_argument("far")
    parser.add_argument("--loss", type=float, default=0.0)
    parser.add_argument("--twice", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--to-near", default="")
    parser.add_argument("--to-far", default="")
    asked = parser.parse_args()
    near, far = _open(asked.near), _open(asked.far)
    to_near = _Way(far, near, asked.loss, asked.twice, f"{asked.seed} to near", _hook(asked.to_near))
    to_far = _Way(near, far, asked.loss, asked.twice, f"{asked.seed} to far", _hook(asked.to_far))
    ways = {near: to_far, far: to_near}
    poll = select.epoll()
    try:
        signal.signal(signal.SIGTERM, _cut)
        print("joined", flush=True)
        for descriptor in ways:
            poll.register(descriptor, select.EPOLLIN)
        while True:
            for descriptor, _ in poll.poll():
                ways[descriptor].carry()
    except _Cut:
        print(json.dumps([asdict(to_near.count), asdict(to_far.count)]), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
