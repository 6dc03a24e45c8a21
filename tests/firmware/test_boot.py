"""A machine with an empty disk boots Linux out of a picture: the whole way, for real."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import sys
import time
from pathlib import Path
from typing import cast

from twisted.trial.unittest import SynchronousTestCase

from lab import container, needs
from lab.machine import initramfs, qemu
from lab.machine.firmware import Firmware
from lab.network import namespace
from lab.process import Process, run, wait_until
from lab.servers.pixelboot import helpers, is_running
from tests.firmware.case import BootCase, LabCase


class BootTests(BootCase):
    """The parts one by one, and what the server knows of the machine afterwards."""

    def test_boot(self) -> None:
        """The machine runs what was packed; the lease is in the status; `pixelboot stop` ends all."""
        server = self.serve(self.containers)
        process = self.running(server.start())
        machine = qemu.identity(1)
        self.boot(machine, Firmware.IPXE)

        status = server.command("status")
        lease = re.search(rf"^.*{machine.hwaddr}.*$", status, re.MULTILINE)
        self.assertIsNotNone(lease, f"the machine is not in the status:\n{status}")
        self.assertIn("10.77.0.1", cast("re.Match[str]", lease)[0])
        self.assertIn(container.ID, status)

        for step in ("offered 10.77.0.1", "has 10.77.0.1", "/boot.ipxe", "/kernel", "/initrd"):
            process.wait_for(re.escape(step), 5.0)
        children = helpers(process)
        self.assertTrue(children, "leases are kept by a helper process")
        server.command("stop")
        process.wait(20.0)
        self.assertEqual([command for pid, command in children.items() if is_running(pid)], [], "a helper is left")
        self.assertFalse((server.state / "control").exists(), "the control socket is left")


class DemoTests(SynchronousTestCase):
    """``python -m lab.demo`` as a newcomer runs it."""

    def _demo(self, *words: str) -> Process:
        demo = Process("demo", [sys.executable, "-m", "lab.demo", *words])
        self.addCleanup(demo.stop)
        return demo

    def _assert_nothing_left(self, demo: Process) -> None:
        """Nothing of the demo's network is left; its keeper may take a moment when the demo was killed."""
        mine = f"{namespace.PREFIX}{demo.pid}-"
        deadline = time.monotonic() + 20.0
        while left := [token for token in namespace.tokens() if token.startswith(mine)] + _commands_with(mine):
            self.assertLess(time.monotonic(), deadline, f"{left} are left after the demo")

    def _assert_told(self, demo: Process, *steps: str) -> str:
        """The demo ends in success, having told these steps and those of every boot in this order; what it told.

        What is not long apart may change places: pixelboot writes its log in batches.
        """
        status = demo.wait(280.0)
        told = "\n".join(line.text for line in demo.lines)
        self.assertEqual(status, 0, told)
        digest = re.search(r"SHA-256 of the random file: ([0-9a-f]{64})", told)
        assert digest is not None, told
        every = (
            r"http +.*/boot\.ipxe",
            r"http +.*/containers/demo/kernel.*MB",
            r"http +.*/containers/demo/initrd.*MB",
            rf"machine +{initramfs.MARKER} {digest[1]} ",
        )
        at = 0
        for step in (*(rf"T\+ +[\d.]+ s  {step}" for step in (*steps, *every)), r"^SUCCESS: "):
            found = re.compile(step, re.MULTILINE).search(told, at)
            assert found is not None, f"{step} is not told in its place in\n{told}"
            at = found.end()
        self._assert_nothing_left(demo)
        return told

    def test_success(self) -> None:
        """The story is told from the offer to the marker line, and ends in success; nothing is left."""
        self._assert_told(
            self._demo(),
            r"machine +the firmware, a BIOS, has started",
            r"machine +iPXE has started",
            r"dhcp +.*02:aa:00:00:00:01.* offered 10\.77\.0\.1\d\d",
            r"dhcp +.*02:aa:00:00:00:01.* has 10\.77\.0\.1\d\d",
        )

    def test_proxy(self) -> None:
        """Beside a DHCP server that is there already: who gave what is told, and the loader's way by TFTP."""
        told = self._assert_told(
            self._demo("proxy"),
            r"machine +the firmware, UEFI, has started",
            r"dhcp +02:aa:00:00:00:01 .*told to boot snponly\.efi",
            r"dnsmasq +gave 10\.77\.0\.1\d\d to 02:aa:00:00:00:01",
            r"tftp +.* snponly\.efi .*kB",
            r"dhcp +02:aa:00:00:00:01 .*told to boot http://10\.77\.0\.1:8080/boot\.ipxe",
        )
        self.assertRegex(told, r"machine +has its loader, by TFTP, and runs it")

    def test_unknown_firmware(self) -> None:
        """A word that names no firmware is refused, with those that do."""
        for words in (["coreboot"], ["uefi", "bios"]):
            demo = self._demo(*words)
            self.assertEqual(demo.wait(60.0), 2, demo.tail())
            self.assertEqual(
                [line.text for line in demo.lines],
                [f"There is no FIRMWARE={' '.join(words)}; it is one of ipxe, bios, uefi, uefi-http, proxy."],
            )

    def test_killed(self) -> None:
        """Even a demo that is killed leaves no process, namespace or folder."""
        demo = self._demo()
        demo.wait_for(r"Power on", 120.0)
        token = next(token for token in namespace.tokens() if token.startswith(f"{namespace.PREFIX}{demo.pid}-"))
        demo.wait_for(r"iPXE has started", 60.0)
        inside = run("ip", "netns", "pids", f"{token}-server").split()
        self.assertGreaterEqual(len(inside), 3, "server, machine and router run in the namespace")
        demo.kill()
        self._assert_nothing_left(demo)
        wait_until(lambda: not any(is_running(int(pid)) for pid in inside), 20.0, f"{inside} have ended")

    def test_interrupted(self) -> None:
        """Ctrl-C ends it in order, with a word."""
        demo = self._demo()
        demo.wait_for(r"Power on", 120.0)
        demo.send_signal(signal.SIGINT)
        self.assertEqual(demo.wait(40.0), 130, demo.tail())
        self.assertIn("Interrupted", demo.lines[-1].text)
        self._assert_nothing_left(demo)

    def test_not_root(self) -> None:
        """Without rights it says what is missing, and does nothing.

        It is run as nobody, with one right of root's left: to read the checkout, wherever that is.
        """
        nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        read = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
        demo = Process("demo", [*nobody, *read, sys.executable, "-m", "lab.demo"])
        self.assertEqual(demo.wait(60.0), 2, demo.tail())
        self.assertIn("* root, to make network namespaces", demo.tail())


class ServeTests(LabCase):
    """``python -m lab.serve``: everything on loopback ports, for a look."""

    programs = (*needs.NETWORK, *needs.PACKING, needs.LOADERS / "snponly.efi")

    def test_serve(self) -> None:
        """It packs a container, says what to look at, serves it, and ends when it is told to."""
        folder = self.network.folder / "serve"
        serve = self.running(self.network.server.start("serve", sys.executable, "-m", "lab.serve", str(folder)))
        serve.wait_for(r"answering on lo, udp 6767", 120.0)
        url = serve.wait_for(r"curl (http://127\.0\.0\.1:\d+/containers)$", 1.0)[1]
        serve.wait_for(r"is ready as demo", 60.0)
        listed = self.network.server.run(needs.program("busybox"), "wget", "-q", "-O", "-", url)
        self.assertEqual([each["id"] for each in json.loads(listed)["containers"]], [container.ID])
        words = serve.wait_for(r"curl -o snponly\.efi tftp://(127\.0\.0\.1):(\d+)/snponly\.efi$", 1.0).groups()
        fetched = self.network.folder / "fetched"
        self.network.server.run(needs.program("busybox"), "tftp", "-g", "-r", "snponly.efi", "-l", str(fetched), *words)
        self.assertEqual(fetched.read_bytes(), (needs.LOADERS / "snponly.efi").read_bytes())
        run(*container.PIXELBOOT, "stop", "--state", str(folder / "state"))
        self.assertEqual(serve.wait(20.0), 0)


def _commands_with(word: str) -> list[str]:
    """The command lines of all processes in which `word` stands."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            command = path.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            if word in command:
                found.append(command)
    return found
