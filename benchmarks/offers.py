"""How long machines wait for an address while the server decodes pictures of 256 MiB, and when it has nothing to do.

    python -m benchmarks.offers [--runs 5] [--seconds 10] [--rate 200] [--check]

The whole server in a network of its own; a client behind a cable sends DISCOVERs at a steady rate, and the kernel says
when each OFFER came to it.  Idle and busy take turns.  While busy, one picture is decoded after the other: new files,
the same random pixels, as `pixelboot pack` makes them.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import socket
import statistics
import struct
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from lab import needs
from lab.busy import BusyDecoders
from lab.container import PIXELBOOT
from lab.network.namespace import Namespace, Network
from lab.process import LabError, Process, run, wait_until
from lab.servers.pixelboot import PixelbootServer

PATIENCE = 0.005
"""Seconds that an OFFER may take in the 99th percentile, or twice as long as when idle, whichever is more."""

MIB = 1 << 20
SIZE = 256 * MIB

_MACHINES = 64
"""Simulated machines, in turns: fewer than there are addresses."""

_LATE = 1.0
"""Seconds after the last DISCOVER for which OFFERs are taken in."""

_LOOK = 0.25
"""Seconds between two questions whether the server still decodes."""

_TIMESTAMPS = 35
"""SO_TIMESTAMPNS (Linux, asm-generic/socket.h), for which the socket module has no name before Python 3.13."""

_HEAD = struct.Struct("!BBBBIHH16x16s192x")

Waits = Mapping[str, Sequence[Mapping[str, float]]]
"""By case (``idle``, ``busy``), for every run: ``p50``, ``p99`` and the ``greatest`` in seconds, and how many were
``sent`` and ``lost``."""


def main(arguments: list[str] | None = None) -> int:
    """Print the table.  With ``--check`` the exit status is 1 when the bar is missed.

    2 is for a command line that cannot be understood and for programs that are missing, 3 for a server that failed.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.offers", description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=5, help="runs of each case (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each run (default: %(default)s)")
    parser.add_argument("--rate", type=float, default=200.0, help="DISCOVERs a second (default: %(default)s)")
    parser.add_argument("--check", action="store_true", help="fail when the bar is missed")
    parser.add_argument("--generate", metavar="INTERFACE", help=argparse.SUPPRESS)
    args = parser.parse_args(arguments)
    if args.generate:
        print(json.dumps(generate(args.generate, args.seconds, args.rate)))
        return 0
    missing = needs.missing(needs.NETWORK, root=True)
    if missing:
        print("Missing here:", *missing, sep="\n  * ", file=sys.stderr)
        return 2
    try:
        waits = measure(args.runs, args.seconds, args.rate)
    except LabError as error:
        print(f"FAILED: {error}", file=sys.stderr)
        return 3
    print(table(waits, args.rate))
    met = is_met(waits)
    print("\nThe bar is met." if met else "\nThe bar is missed.")
    return 0 if met or not args.check else 1


def measure(runs: int, seconds: float, rate: float) -> Waits:
    """Run the server, and all cases.

    :raises LabError: if it fails, or does not decode all the time that it should.
    """
    waits: dict[str, list[Mapping[str, float]]] = {"idle": [], "busy": []}
    with Network() as network:
        containers = network.folder / "containers"
        containers.mkdir()
        server = PixelbootServer(network, containers)
        client = network.client()
        busy = BusyDecoders(containers, server, _packed(network.folder))
        with server.start():
            for number in range(runs):
                busy.prepare(5)
                os.sync()  # what was written for the measurement shall not be part of it
                wait_until(lambda: not server.status()["containers"], 60.0, "the server has nothing to do")
                waits["idle"].append(_generated(client, seconds, rate, None))
                wait_until(busy.keep_on, 60.0, "the server decodes")
                waits["busy"].append(_generated(client, seconds, rate, busy))
                busy.remove()
                told = ", ".join(f"{case} {found[-1]['p99'] * 1e3:.2f} ms" for case, found in waits.items())
                print(f"run {number + 1} of {runs}: 99th percentile {told}", file=sys.stderr)
    return waits


def _packed(folder: Path) -> Path:
    """A picture of random octets."""
    kernel, packed = folder / "kernel", folder / "packed.rts.png"
    with kernel.open("wb") as file:
        for _ in range(SIZE // MIB):
            file.write(os.urandom(MIB))
    run(*PIXELBOOT, "pack", "-q", "--kernel", str(kernel), "-o", str(packed), timeout=300.0)
    kernel.unlink()
    return packed


def _generated(client: Namespace, seconds: float, rate: float, busy: BusyDecoders | None) -> Mapping[str, float]:
    """What a client found out, while the decoders are kept busy, if they shall be."""
    words = ("--generate", "eth0", "--seconds", str(seconds), "--rate", str(rate))
    generator = client.start("client", sys.executable, "-m", "benchmarks.offers", *words)
    seen: list[bool] = []
    with generator:

        def has_ended() -> bool:
            if busy is not None:
                seen.append(busy.keep_on())
            return generator.has_ended

        wait_until(has_ended, seconds + 60.0, "the client ends", _LOOK)
        if generator.wait(1.0) != 0:
            raise LabError(f"the client failed:\n{generator.tail()}")
    if seen.count(False) > len(seen) // 10:
        raise LabError(f"the server was decoding in {seen.count(True)} of {len(seen)} looks only")
    return found(generator)


def found(generator: Process) -> Mapping[str, float]:
    """What a client that was started to `generate` found out, and has printed.

    :raises LabError: if it had hardly any answer.
    """
    waits, sent = json.loads(generator.lines[-1].text)
    waits.sort()
    if len(waits) < 100:
        raise LabError(f"only {len(waits)} of {sent} DISCOVERs were answered")
    return {
        "p50": statistics.median(waits),
        "p99": waits[int(0.99 * (len(waits) - 1))],
        "greatest": waits[-1],
        "sent": sent,
        "lost": sent - len(waits),
    }


def generate(interface: str, seconds: float, rate: float) -> tuple[list[float], int]:
    """Send DISCOVERs at this rate: how long each OFFER took, in seconds, and how many DISCOVERs were sent.

    A DISCOVER is sent at its time even if those before it are not answered, so a server that stands still is found
    slow by all that come meanwhile.
    """
    sent_at: list[float] = []
    waits: dict[int, float] = {}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as lan:
        lan.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        lan.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
        lan.setsockopt(socket.SOL_SOCKET, _TIMESTAMPS, 1)
        lan.bind(("0.0.0.0", 68))
        lan.setblocking(False)
        started_at = time.time()
        while True:
            now = time.time()
            due_at = started_at + len(sent_at) / rate
            is_over = due_at > started_at + seconds
            if is_over and (now > due_at + _LATE or len(waits) == len(sent_at)):
                return list(waits.values()), len(sent_at)
            if not is_over and now >= due_at:
                sent_at.append(time.time())
                lan.sendto(_discover(len(sent_at) - 1), ("255.255.255.255", 67))
                continue
            select.select([lan], [], [], max(min(due_at - now, 0.1), 0.0) if not is_over else 0.1)
            _take(lan, sent_at, waits)


def _take(lan: socket.socket, sent_at: Sequence[float], waits: dict[int, float]) -> None:
    """Take in the OFFERs that have come."""
    while True:
        try:
            datagram, ancillary, _, _ = lan.recvmsg(1500, 256)
        except BlockingIOError:
            return
        xid = int.from_bytes(datagram[4:8])
        if datagram[0] != 2 or datagram[240:243] != b"\x35\x01\x02" or xid >= len(sent_at):
            continue
        stamps = [struct.unpack("qq", data) for _, kind, data in ancillary if kind == _TIMESTAMPS]
        seconds, nanoseconds = stamps[0]
        waits.setdefault(xid, seconds + nanoseconds / 1e9 - sent_at[xid])


def _discover(number: int) -> bytes:
    """DISCOVER number so many, which is its transaction id too; the answer is to be broadcast."""
    hwaddr = b"\x02\xbb\0\0\0" + bytes([number % _MACHINES])
    return (_HEAD.pack(1, 1, 6, 0, number, 0, 0x8000, hwaddr) + b"\x63\x82\x53\x63\x35\x01\x01\xff").ljust(300, b"\0")


def _median(runs: Sequence[Mapping[str, float]], key: str) -> float:
    return statistics.median(found[key] for found in runs)


def is_met(waits: Waits) -> bool:
    """Whether the 99th percentile, as the median of all runs, is as wanted while pictures are decoded."""
    return _median(waits["busy"], "p99") <= max(2 * _median(waits["idle"], "p99"), PATIENCE)


def table(waits: Waits, rate: float) -> str:
    """The medians of all runs, with the least and the greatest, in milliseconds."""
    lines = [
        f"{rate:g} DISCOVERs a second; medians of {len(waits['idle'])} runs (least – greatest), in milliseconds",
        "",
        f"{'':10} {'50th percentile':>22} {'99th percentile':>22} {'the longest':>24} {'lost':>14}",
    ]
    for case, runs in waits.items():
        cells = []
        for key, width in (("p50", 22), ("p99", 22), ("greatest", 24)):
            values = [found[key] * 1e3 for found in runs]
            cells.append(f"{statistics.median(values):.2f} ({min(values):.2f} – {max(values):.2f})".rjust(width))
        lost, sent = (int(sum(found[key] for found in runs)) for key in ("lost", "sent"))
        lines.append(f"{case:10} {' '.join(cells)} {f'{lost} of {sent}':>14}")
    lines.append(f"\nWanted of the 99th percentile: at most twice that of idle, or {PATIENCE * 1e3:g} ms")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
