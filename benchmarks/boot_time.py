"""From power-on to the booted system's first word: pixelboot against dnsmasq and nginx.

    python -m benchmarks.boot_time [--firmware ipxe] [--runs 5] [--json FILE]

One machine (QEMU; a BIOS and iPXE, or with ``--firmware uefi`` the whole way of UEFI: PXE, loader by TFTP, iPXE) boots
the same kernel and initrd by the same loader from each server in turn, so that whatever else the computer does falls on
all alike:

* pixelboot, with a fresh state, as in the demo: the container is decoded while the machine starts;
* dnsmasq and nginx with the very files that pixelboot serves: scripts, kernel, initrd (option 175.176 set by hand);
* the same with a script that boots at once, without a menu: what a site does that has only one thing to boot.

Servers are started before power-on; that is not measured.  A capture on the bridge says when each step was seen.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from lab import container, needs
from lab.machine import initramfs, qemu
from lab.machine.firmware import Firmware
from lab.needs import program
from lab.network import router_advertisement
from lab.network.capture import Capture, Step
from lab.network.namespace import BRIDGE, SERVER_ADDRESS, Network
from lab.process import LabError, Process
from lab.servers import reference
from lab.servers.pixelboot import PixelbootServer

_ADDRESS = {"DISCOVER": r"DISCOVER$", "ACK": r"ACK$"}
_LOADER = {"loader": r"tftp:|/loaders/", "iPXE's DISCOVER": r"DISCOVER$", "iPXE's ACK": r"ACK$"}
_FILES = {"script": r"/boot\.ipxe", "kernel": r"[^?]*/kernel(\?|$)", "initrd": r"[^?]*/initrd(\?|$)"}
"""What is seen on the wire at each step of a boot, one after the other (`lab.network.capture.Step`)."""

KERNEL = "kernel runs"
MARKER = "marker"
"""The last two steps, in the machine's own words.  What comes before the first, servers can hasten or delay; what comes
between them is the emulated processor alone, the same for all."""

WANTED = 1.1
"""The most that pixelboot may take to either, as a multiple of the time with dnsmasq and nginx."""

_TIMEOUT = 180.0


def boot(network: Network, tap: str, firmware: Firmware, sha256: str) -> dict[str, float]:
    """Boot the machine once from whatever serves: seconds from power-on to each step.

    The steps are messages being sent, files being asked for, and the machine's own words.

    :raises LabError: if it does not boot, or not what it should.
    """
    capture = Capture(network.segment, "boot")
    wall = time.time() - time.monotonic()
    with qemu.power_on(network.segment, qemu.identity(1), firmware, tap=tap) as machine:
        marker = machine.wait_for(qemu.MARKER_LINE, _TIMEOUT)
        if marker[1] != sha256:
            raise LabError(f"the machine booted other octets: {marker[1]}")
        seen = capture.stop()
        start = machine.started_at
        times = {name: at - wall - start for name, at in _seen(seen, firmware).items()}
        times[KERNEL] = _said(machine, qemu.KERNEL_STARTED) - start
        times[MARKER] = _said(machine, qemu.MARKER_LINE) - start
    return times


def _seen(steps: Sequence[Step], firmware: Firmware) -> dict[str, float]:
    """When each step was seen on the wire, for the first time after the step before it."""
    patterns = _ADDRESS | ({} if firmware is Firmware.IPXE else _LOADER) | _FILES
    found = {}
    rest = iter(steps)
    for name, pattern in patterns.items():
        at = next((step.at for step in rest if re.match(pattern, step.what)), None)
        if at is None:
            raise LabError(f"{name} was not seen on the wire in its place: {[step.what for step in steps]}")
        found[name] = at
    return found


def _said(machine: Process, pattern: str) -> float:
    return next(line.at for line in machine.lines if re.search(pattern, line.text))


def fetch(network: Network, path: str) -> bytes:
    """The octets that a server in the network serves under `path`.

    :raises LabError: if it does not.
    """
    target = network.folder / "fetched"
    network.server.run(program("busybox"), "wget", "-q", "-O", str(target), f"http://{SERVER_ADDRESS}:8080{path}")
    return target.read_bytes()


def measure(runs: int, firmware: Firmware) -> dict[str, list[dict[str, float]]]:
    """The times of `runs` boots of such a machine from each server, in the order they were made."""
    with Network() as network, router_advertisement.answering(network.server, BRIDGE):
        packed = container.pack(network.folder / "containers")
        tap = qemu.plug(network.segment, firmware)
        pixelboot = PixelbootServer(network, packed.path.parent)
        with pixelboot.start():
            part = f"/containers/{container.ID}"
            paths = ("/boot.ipxe", "/menu.ipxe", f"{part}/kernel", f"{part}/initrd")
            files = {path: fetch(network, path) for path in paths}
        direct = {
            "/boot.ipxe": reference.direct_script(initramfs.CMDLINE),
            "/kernel": files[f"{part}/kernel"],
            "/initrd": files[f"{part}/initrd"],
        }
        servers: dict[str, Callable[[], AbstractContextManager[object]]] = {
            "pixelboot": lambda: _fresh(pixelboot),
            "dnsmasq + nginx": lambda: reference.serving(network, files),
            "the same, no menu": lambda: reference.serving(network, direct),
        }
        times: dict[str, list[dict[str, float]]] = {name: [] for name in servers}
        for number in range(runs):
            # Everyone goes first in turn: what goes on beside the measurement has its own rhythm.
            turn = number % len(servers)
            for name in [*list(servers)[turn:], *list(servers)[:turn]]:
                with servers[name]():
                    times[name].append(boot(network, tap, firmware, packed.sha256))
                print(f"run {number + 1}/{runs}  {name:<18} {times[name][-1][MARKER]:6.2f} s", flush=True)
    return times


def _fresh(server: PixelbootServer) -> Process:
    """The server, started without anything it knew before."""
    shutil.rmtree(server.state, ignore_errors=True)
    return server.start()


def table(times: Mapping[str, Sequence[Mapping[str, float]]]) -> str:
    """The medians of all steps, with the least and the greatest time, and the ratios that matter."""
    names = list(times)
    runs = len(times[names[0]])
    rows = [["seconds after power-on", *names]]
    rows += [[step, *(_told(times[name], step) for name in names)] for step in times[names[0]][0]]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines.insert(1, "  ".join("-" * width for width in widths))
    lines.append(
        f"\nMedians of {runs} runs each (least – greatest).  {names[0]} to {names[1]}, at most {WANTED} wanted of both:"
    )
    for step, ratio in ratios(times).items():
        ours, theirs = (_told(times[name], step) for name in names[:2])
        lines.append(f"  power-on to {step:<{len(KERNEL)}}  {ratio:.3f}  = {ours} /{theirs}")
    return "\n".join(lines)


def _told(runs: Sequence[Mapping[str, float]], step: str) -> str:
    values = [run[step] for run in runs]
    return f"{statistics.median(values):6.2f} ({min(values):.2f} – {max(values):.2f})"


def ratios(times: Mapping[str, Sequence[Mapping[str, float]]]) -> dict[str, float]:
    """By step, how pixelboot's median compares to that of dnsmasq and nginx; the first two servers are these."""
    found = {}
    for step in (KERNEL, MARKER):
        ours, theirs = (statistics.median(run[step] for run in runs) for runs in list(times.values())[:2])
        found[step] = ours / theirs
    return found


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; exit status 0 if pixelboot is as quick as wanted to both steps, 1 if it is not.

    2 is for a command line that cannot be understood and for programs that are missing, 3 for a boot that failed.
    """
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.boot_time",
        description="Power-on to kernel and to marker line: pixelboot against dnsmasq and nginx.",
    )
    parser.add_argument("--firmware", type=Firmware, choices=[*Firmware], default=Firmware.IPXE, help="of the machine")
    parser.add_argument("--runs", type=int, default=5, help="boots from each server")
    parser.add_argument("--json", type=Path, help="also write all times to this file")
    options = parser.parse_args(arguments)
    missing = needs.missing((*options.firmware.needs, *needs.PACKING, "dnsmasq", "nginx", "tcpdump"), root=True)
    if missing:
        print("Missing here:", *missing, sep="\n  * ", file=sys.stderr)
        return 2
    try:
        times = measure(max(options.runs, 1), options.firmware)
    except LabError as error:
        print(f"FAILED: {error}", file=sys.stderr)
        return 3
    print(f"\nThe machine has {options.firmware.told}.\n")
    print(table(times))
    if options.json:
        options.json.write_text(json.dumps(times, indent=1) + "\n")
    return 0 if max(ratios(times).values()) <= WANTED else 1


if __name__ == "__main__":
    sys.exit(main())
