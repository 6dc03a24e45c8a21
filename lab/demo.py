"""Boot a machine with an empty disk from a picture, and tell how it goes.

    python -m lab.demo [FIRMWARE]

FIRMWARE is what the machine has, `Firmware`, or ``proxy``: a machine with UEFI on a network that has a DHCP server
already, beside which pixelboot, told nothing but where its containers are, says what to boot.  It is ``ipxe`` if none
is named.

Exit status: 0 when the machine booted exactly what was packed, 1 when it did not, 2 when something is missing that the
demo needs or there is no such firmware, 130 or 143 when it was interrupted.
"""

from __future__ import annotations

import re
import signal
import sys
import time
from contextlib import ExitStack
from types import FrameType
from typing import NoReturn

from lab import container, needs
from lab.container import DemoContainer
from lab.machine import qemu
from lab.machine.firmware import Firmware
from lab.network import router_advertisement
from lab.network.namespace import BRIDGE, NEIGHBOUR_ADDRESS, SERVER_ADDRESS, Network
from lab.process import LabError, Process
from lab.servers import neighbour
from lab.servers.pixelboot import PixelbootServer
from lab.timeline import Timeline, event

PROXY = "proxy"
"""The word for a machine with UEFI on a network that has a DHCP server already."""

TIMEOUT = 180.0
"""Seconds a machine may take from power-on to its marker line; on an idle computer the slowest takes about 25."""


def main() -> int:
    """Run the demo; see the module."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _ended)
    words = [*Firmware, PROXY]
    word = sys.argv[1] if sys.argv[1:] else Firmware.IPXE
    if word not in words or sys.argv[2:]:
        print(f"There is no FIRMWARE={' '.join(sys.argv[1:])}; it is one of {', '.join(words)}.", file=sys.stderr)
        return 2
    is_proxy = word == PROXY
    firmware = Firmware.UEFI if is_proxy else Firmware(word)
    missing = needs.missing((*firmware.needs, *needs.PACKING, *(("dnsmasq",) if is_proxy else ())), root=True)
    if missing:
        print("The demo boots a machine in QEMU, in a network of its own.  What is missing here:", file=sys.stderr)
        for sentence in missing:
            print(f"  * {sentence}", file=sys.stderr)
        return 2
    try:
        with Network() as network:
            return _demonstrate(network, firmware, is_proxy)
    except LabError as error:
        print(f"\nFAILED: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted; everything has been removed.", file=sys.stderr)
        return 130


def _ended(number: int, frame: FrameType | None) -> NoReturn:
    sys.exit(128 + number)


def _demonstrate(network: Network, firmware: Firmware, is_proxy: bool) -> int:
    _say("Packing Debian's cloud kernel and a small system with a fresh random file into one picture …")
    containers = network.folder / "containers"
    packed = container.pack(containers)
    sizes = f"kernel {_size(packed.kernel.stat().st_size)}, initrd {_size(packed.initrd_size)}"
    _say(f"  {packed.path.name}: {_size(packed.path.stat().st_size)} ({sizes})")
    _say(f"  SHA-256 of the random file: {packed.sha256}")
    timeline = Timeline()
    with ExitStack() as stack:
        if is_proxy:
            _say(f"Starting dnsmasq on {NEIGHBOUR_ADDRESS}: the DHCP server that is there already …")
            stack.enter_context(neighbour.serving(network, timeline.add))
        settings = ", without any settings" if is_proxy else ""
        _say(f"Starting pixelboot on {SERVER_ADDRESS}, in a network namespace of its own{settings} …")
        has_router = stack.enter_context(router_advertisement.answering(network.server, BRIDGE))
        server = PixelbootServer(network, containers, timeline.add, is_configured=not is_proxy)
        serving = stack.enter_context(server.start())
        if not has_router:
            _say("  This kernel has no IPv6: the firmware will wait 13 s longer, for a router.")
        for line in timeline.rest():
            if told := event(line):
                _say(f"  {told[0]:<9}{told[1]}")
        machine = qemu.identity(1)
        _say(f"Power on: a machine with an empty disk, {machine.hwaddr}")
        _say(f"  It has {firmware.told}.\n")
        powered = stack.enter_context(qemu.power_on(network.segment, machine, firmware, timeline.add))
        marker = _follow(timeline, powered, serving)
    return _verdict(packed, marker, powered)


def _say(text: str) -> None:
    print(text, flush=True)


def _follow(timeline: Timeline, machine: Process, server: Process) -> tuple[float, str] | None:
    """Tell the story to its end.

    Returns when the machine said its marker, in seconds after power-on, and the digest in it; None if it never did.
    """
    marker = None
    for line in timeline.lines(machine.started_at + TIMEOUT):
        if line is None:
            if machine.has_ended or server.has_ended:
                break
            continue
        after = line.at - machine.started_at
        if told := event(line):
            _say(f"  T+{after:6.2f} s  {told[0]:<9}{told[1]}")
        if line.source == qemu.NAME and (match := re.search(qemu.MARKER_LINE, line.text)):
            marker = after, match[1]
    if server.has_ended:
        _say(f"\nThe server has ended.  Its last lines:\n{server.tail()}")
    return marker


def _verdict(packed: DemoContainer, marker: tuple[float, str] | None, machine: Process) -> int:
    if marker is None:
        print(f"\nThe machine's last lines:\n{machine.tail()}")
        waited = min(time.monotonic() - machine.started_at, TIMEOUT)
        print(f"\nFAILED: the machine did not say its marker line ({waited:.0f} s after power-on).", file=sys.stderr)
        return 1
    after, said = marker
    if said != packed.sha256:
        print(f"\nFAILED: the machine booted other octets than were packed: it says {said}.", file=sys.stderr)
        return 1
    print(
        f"\nSUCCESS: {after:.1f} s after power-on the machine ran what was packed into the picture; "
        "the SHA-256 it says is that of the random file."
    )
    return 0


def _size(octets: int) -> str:
    return f"{octets / 1e6:.1f} MB"


if __name__ == "__main__":
    sys.exit(main())
