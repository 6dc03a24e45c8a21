"""Tests of `pixelboot.cli.status`; the status of a real server is looked at in `tests.installed.test_program`."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.cli.status import MOST_LEASES, lines, size
from tests.cli.canned import STATUS, Canned, answer
from tests.running import command, folder_for

HOSTILE = "a\nb\x1b[2J\x9b1m\u202e\u2028\r\x00${x}'\"<b>" + "z" * 500
NOON = datetime(2026, 3, 1, 12, 0, 0).astimezone()


def service(**fields: object) -> dict[str, object]:
    """The line of a service."""
    return {"name": "http", "listening": "http://0.0.0.0:8080/", "about": "1 connection, serves /r"} | fields


def container(**fields: object) -> dict[str, object]:
    """A container."""
    usual = {"id": "demo", "file": "demo.rts.png", "name": "Demo", "size": 14_200_000, "state": "ready", "reason": ""}
    usual["enabled"] = True
    return usual | fields


def lease(**fields: object) -> dict[str, object]:
    """A lease."""
    return {
        "address": "10.77.0.100",
        "identity": "hw:01:02:aa:00:00:00:01",
        "hwaddr": "02:aa:00:00:00:01",
        "hostname": "node1",
        "state": "bound",
        "started_at": 0.0,
        "expires_at": NOON.timestamp(),
    } | fields


def neighbour(**fields: object) -> dict[str, object]:
    """Another DHCP server."""
    return {
        "address": "10.77.0.9",
        "cards": ["02:aa:00:00:00:09"],
        "places": ["eno1"],
        "gives": ["addresses", "boot files"],
        "first_seen_at": 0.0,
        "last_seen_at": NOON.timestamp(),
        "times": 3,
        "expected": True,
    } | fields


class LinesTests(SynchronousTestCase):
    """`lines`."""

    def shown(self, **fields: Any) -> list[str]:
        """The text for a status with these fields."""
        return list(lines({**STATUS, **fields}))

    def test_nothing(self) -> None:
        """A server that does nothing says so."""
        self.assertEqual(
            self.shown(),
            [
                "pixelboot 0.1.0, process 1, up 1 s",
                "state in /s",
                "",
                "services",
                "",
                "containers: none",
                "",
                "leases: none",
                "",
                "exchanges: none yet",
            ],
        )

    def test_everything(self) -> None:
        """Columns stand below each other; counters in the order of their names."""
        shown = self.shown(
            uptime=90061.9,
            services=[
                service(),
                service(name="dhcp", listening="no leases", about="gives no leases for 9 s: /s/l: disk is full"),
                service(name="dhcp", listening="eno1 udp 67, 4011", about="as 10.77.0.1"),
                service(name="dhcp", listening="eno2", about="waiting: there is no such interface"),
                service(name="dhcp server", listening="10.77.0.0/24", about="1 of 9 addresses leased"),
            ],
            containers=[
                container(),
                container(id="bad", state="unbootable", reason="it is no PNG", name="", size=3),
                container(id="off", enabled=False),
            ],
            container_counts={"unbootable": 1, "ready": 2},
            leases=[
                lease(),
                lease(address="10.77.0.9", state="offered", expires_at=None, hostname="", hwaddr=""),
                lease(address="10.77.0.10", state="released", hostname=""),
            ],
            lease_counts={"offered": 1, "bound": 1, "released": 1},
            neighbours=[
                neighbour(),
                neighbour(address="10.77.0.8", places=["e1 by 10.0.0.3"], gives=["proxyDHCP"], expected=False),
            ],
            counts={"http.Served": 3, "dhcp.Bound": 12, "library.ContainerRecalled": 2},
        )
        self.assertEqual(
            shown,
            [
                "pixelboot 0.1.0, process 1, up 1 d 1 h",
                "state in /s",
                "",
                "services",
                "  http        http://0.0.0.0:8080/     1 connection, serves /r",
                "  dhcp        no leases                gives no leases for 9 s: /s/l: disk is full",
                "  dhcp        eno1 udp 67, 4011        as 10.77.0.1",
                "  dhcp        eno2                     waiting: there is no such interface",
                "  dhcp server 10.77.0.0/24             1 of 9 addresses leased",
                "",
                "containers: 2 ready, 1 unbootable",
                "  demo                     ready        14.2 MB  Demo",
                "  bad                      unbootable       3 B  it is no PNG",
                "  off                      ready        14.2 MB  disabled: menus do not offer it; Demo",
                "",
                "leases: 1 offered, 1 bound, 1 released",
                "  10.77.0.100     02:aa:00:00:00:01 bound    until 2026-03-01 12:00:00  node1",
                "  10.77.0.9                         offered  for ever",
                "  10.77.0.10      02:aa:00:00:00:01 released since 2026-03-01 12:00:00",
                "",
                "other DHCP servers",
                "  10.77.0.9       eno1: gives addresses, boot files, heard last at 2026-03-01 12:00:00",
                "  10.77.0.8       e1 by 10.0.0.3: gives proxyDHCP, a rival, heard last at 2026-03-01 12:00:00",
                "",
                "exchanges",
                "  dhcp.Bound                12",
                "  http.Served               3",
                "  library.ContainerRecalled 2",
            ],
        )

    def test_many_leases(self) -> None:
        """A person is shown some of them, and told how many more there are."""
        for count, listed, told in (
            (MOST_LEASES, MOST_LEASES, []),
            (MOST_LEASES + 2, MOST_LEASES + 2, ["  … and 2 more (pixelboot leases shows all)"]),
            (100_000, 100, [f"  … and {100_000 - MOST_LEASES} more (pixelboot leases shows all)"]),
        ):
            shown = self.shown(leases=[lease()] * listed, lease_counts={"bound": count - 1, "released": 1})
            self.assertIn(f"leases: {count - 1} bound, 1 released", shown)
            self.assertEqual(len([line for line in shown if "node1" in line]), MOST_LEASES)
            self.assertEqual([line for line in shown if "more" in line], told)

    def test_many_containers(self) -> None:
        """The server tells some of them, and of the others how many they are and how they do."""
        shown = self.shown(containers=[container()], container_counts={"damaged": 1, "ready": 9999})
        at = shown.index("containers: 9999 ready, 1 damaged")
        self.assertEqual(shown[at + 2 : at + 4], ["  … and 9999 more (pixelboot containers shows all)", ""])

    def test_hostile_names(self) -> None:
        """What machines and pictures call themselves moves no cursor, starts no line, and does not fill the screen."""
        shown = self.shown(
            state=HOSTILE,
            services=[service(listening=HOSTILE, about=HOSTILE)],
            containers=[container(id=HOSTILE, name=HOSTILE), container(reason=HOSTILE)],
            leases=[lease(hostname=HOSTILE)],
            neighbours=[neighbour(places=[HOSTILE] * 3)],
        )
        self.assertEqual(len(shown), 17)
        for line in shown:
            self.assertTrue(line.isprintable(), ascii(line))
            self.assertLess(len(line), 600)

    @settings(max_examples=30)
    @given(st.text())
    def test_any_name(self, name: str) -> None:
        """So with any name."""
        for line in self.shown(containers=[container(name=name)], leases=[lease(hostname=name)]):
            self.assertTrue(line.isprintable(), ascii(line))

    def test_sizes(self) -> None:
        """Sizes are read at a glance."""
        for octets, told in (
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (14_240_000, "14.2 MB"),
            (1_000_000_000, "1.0 GB"),
            (5_000_000_000_000, "5000.0 GB"),
        ):
            self.assertEqual(size(octets), told)


class CommandTests(SynchronousTestCase):
    """``pixelboot status``."""

    def test_status(self) -> None:
        """As text, and whole as JSON."""
        state = folder_for(self.addCleanup)
        some = [lease(hostname="größer")] * (MOST_LEASES + 1)
        status = {**STATUS, "leases": some, "lease_counts": {"bound": len(some)}, "neighbours": [neighbour()]}
        Canned(state, [answer(status)] * 2, self.addCleanup)
        self.assertEqual(command("status", "--state", state), (0, "\n".join(lines(status)) + "\n", ""))
        code, out, error = command("status", "--state", state, "--json")
        self.assertEqual((code, json.loads(out), error), (0, status, ""))

    def test_no_server(self) -> None:
        """One line, on standard error."""
        state = str(folder_for(self.addCleanup))  # whose path is short enough for a socket
        told = f"pixelboot: no server is running on the state folder {state}\n"
        self.assertEqual(command("status", "--state", state), (1, "", told))
