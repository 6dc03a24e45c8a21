"""Tests of `pixelboot.view.leases`: real requests over a real socket, a store in memory."""

from __future__ import annotations

import json
import math
import time
from ipaddress import IPv4Address
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from pixelboot.config import build
from pixelboot.dhcp.network.network import Network
from pixelboot.dhcp.settings.dhcp import DhcpSettings
from pixelboot.leases.foreign.own import value_of
from pixelboot.leases.lease import Lease, State
from pixelboot.leases.memory import MemoryLeases
from pixelboot.leases.seam import LeaseStore, StoreFailed
from pixelboot.outcome import Outcome
from pixelboot.view.adoption import Adoption
from pixelboot.view.leases import SLICE, Filter, LeasesView, _pieces
from pixelboot.view.reply import BODY_LIMIT
from tests.view.channel import ChannelCase, reactor

NOW = 1_750_000_000.0
SETTINGS = {
    "mode": "server",
    "interface": "lo",
    "subnet": [{"network": "10.77.0.0/24", "pool": ["10.77.0.10-10.77.0.199"], "router": "10.77.0.1"}],
}


def lease(number: int, state: State = State.BOUND, **others: Any) -> Lease:
    """The lease of 10.77.0.NUMBER."""
    mac = f"02:aa:00:00:00:{number:02x}"
    ends = {State.RELEASED: NOW - 10, State.EXPIRED: NOW - 10}.get(state, NOW + 600)
    made = Lease(
        IPv4Address(f"10.77.0.{number}"), f"hw:01:{mac}", mac, state, NOW - 60, ends, f"node{number}", NOW - 60
    )
    return made._replace(**others)


class LeasesTests(ChannelCase):
    """What is told, set free, and taken over."""

    async def setUp(self) -> None:  # type: ignore[override]
        self.store: MemoryLeases | None = MemoryLeases()
        self.told: list[Outcome] = []
        self.turns = 0
        adoption = Adoption(Network(build(DhcpSettings, SETTINGS)), ())
        view = LeasesView(self.opened, adoption, lambda: NOW, self.turn, self.told.append)
        await self.open(None, view)

    def turn(self) -> Deferred[None]:
        """Let the reactor do what else it has to do."""
        self.turns += 1
        return deferLater(reactor, 0)

    def opened(self) -> LeaseStore | None:
        """The store, if it is open."""
        return self.store

    async def given(self, *leases: Lease) -> MemoryLeases:
        """A store with these leases."""
        assert self.store is not None
        self.assertEqual(await self.store.adopt(leases, NOW), len(leases))
        return self.store

    async def listed(self, query: str = "") -> list[str]:
        """The addresses that are listed."""
        status, told = await self.ask("GET", f"leases{query and '?' + query}")
        self.assertEqual((status, told["count"]), (200, len(told["leases"])), query)
        return sorted(each["address"].removeprefix("10.77.0.") for each in told["leases"])

    async def test_list(self) -> None:
        """Everything that is known of each; nothing of none."""
        self.assertEqual(await self.listed(), [])
        endless = lease(12, expires_at=math.inf, client_id=b"\1x")
        await self.given(lease(11), endless, lease(13, State.DECLINED))
        _, told = await self.ask("GET", "leases")
        self.assertEqual(sorted(told["leases"], key=str)[1], value_of(endless))
        self.assertIsNone(value_of(endless)["expires_at"])
        self.assertEqual(await self.ask("GET", "leases/10.77.0.12"), (200, value_of(endless)))
        self.assertEqual((await self.ask("HEAD", "leases")), (200, b""))

    async def test_filters(self) -> None:
        """Each by itself, and all together."""
        await self.given(
            lease(11),
            lease(12, State.RELEASED),
            lease(13, State.EXPIRED, hostname="Printer-5"),
            lease(40, State.DECLINED),
            lease(41, hostname=""),
        )
        for query, found in (
            ("state=bound", "11 41"),
            ("state=bound&state=released", "11 12 41"),
            ("network=10.77.0.8/29", "11 12 13"),
            ("network=10.78.0.0/16", ""),
            ("address=10.77.0.12", "12"),
            ("address=10.77.0.12&address=10.77.0.40&address=10.0.0.1", "12 40"),
            ("mac=02-AA-00-00-00-0b", "11"),
            ("mac=02:aa", "11 12 13 40 41"),
            ("mac=02:aa:00:00:00:", "11 12 13 40 41"),
            ("name=printer-*", "13"),
            ("name=NODE1?", "11 12"),
            ("identity=hw:01:02:aa:00:00:00:28", "40"),
            ("state=bound&network=10.77.0.8/29&name=node*", "11"),
        ):
            self.assertEqual(await self.listed(query), found.split(), query)

    async def test_release(self) -> None:
        """Free at once, and said; who had it is remembered; what is free or unknown is told so."""
        store = await self.given(lease(11), lease(12, State.EXPIRED), lease(13, State.DECLINED))
        status, told = await self.ask("DELETE", "leases/10.77.0.11")
        self.assertEqual((status, told), (200, {"before": value_of(lease(11)), "freed": True}))
        there = await store.at(IPv4Address("10.77.0.11"))
        assert there is not None
        self.assertEqual((there.state, there.identity), (State.RELEASED, lease(11).identity))
        for number in (11, 12):
            status, told = await self.ask("DELETE", f"leases/10.77.0.{number}")
            self.assertEqual((status, told["freed"]), (200, False))
        resting = lease(13, State.DECLINED)
        self.assertEqual(
            await self.ask("DELETE", "leases/10.77.0.13"), (200, {"before": value_of(resting), "freed": True})
        )
        for number in (13, 14):
            status, told = await self.ask("DELETE", f"leases/10.77.0.{number}")
            self.assertEqual(status, 404)
            self.assertIn(f"nothing is known of 10.77.0.{number}", told["error"])
        self.assertEqual(
            [outcome.summary() for outcome in self.told],
            [
                "10.77.0.11 is free: it is taken from 02:aa:00:00:00:0b (by the control channel)",
                "10.77.0.13 is free: it is taken out of quarantine (by the control channel)",
            ],
        )

    async def test_a_quarantine_that_stays(self) -> None:
        """The end of one that cannot be written is not told as done."""
        store = await self.given(lease(13, State.DECLINED))

        def full() -> None:
            raise StoreFailed("the disk is full")

        self.patch(store, "_check_ready", full)
        status, told = await self.ask("DELETE", "leases/10.77.0.13")
        self.assertEqual((status, self.told), (503, []))
        self.assertEqual(told["error"], "10.77.0.13 was in quarantine, which may go on: the disk is full")

    async def test_adopt(self) -> None:
        """What can be is; of the rest each is told with the reason; what was here before is left as it is."""
        store = await self.given(lease(11), lease(12), lease(13, State.RELEASED), lease(14, State.DECLINED))
        brought = [
            lease(20),
            lease(21, State.EXPIRED),
            lease(22, State.DECLINED),
            lease(11, expires_at=NOW + 9999),
            lease(12, identity="hw:01:x", hwaddr="x"),
            lease(13, State.EXPIRED, identity="hw:01:x"),
            lease(14, identity="id:99"),
            lease(30, identity=lease(12).identity),
            lease(31, State.OFFERED),
            lease(33, State.DECLINED, expires_at=NOW - 1),
            lease(1),
            lease(200),
            lease(15, address=IPv4Address("192.0.2.1")),
        ]
        told = None
        for query in ("?dry-run=yes", ""):
            self.assertIsNone(await store.at(IPv4Address("10.77.0.20")))
            status, told = await self.ask("POST", f"leases{query}", {"leases": [value_of(each) for each in brought]})
            self.assertEqual((status, told["taken"], told["known"]), (200, 3, 1), told)
            self.assertEqual(
                {each["address"].removeprefix("10.77.0."): each["reason"] for each in told["skipped"]},
                {
                    "12": "it is bound to 02:aa:00:00:00:0c here",
                    "13": "02:aa:00:00:00:0d had it here last",
                    "14": "it is in quarantine here",
                    "30": "its machine has 10.77.0.12 here",
                    "31": "it is only on offer",
                    "33": "its quarantine is over",
                    "1": "it is the router",
                    "200": "it is in no pool of 10.77.0.0/24",
                    "192.0.2.1": "it is outside every subnet",
                },
            )
        for number, state in ((20, State.BOUND), (21, State.EXPIRED), (22, State.DECLINED)):
            there = await store.at(IPv4Address(f"10.77.0.{number}"))
            assert there is not None
            self.assertEqual(there.state, state)
        self.assertEqual(
            [each.summary() for each in self.told], ["3 leases were taken over, 9 were not (by the control channel)"]
        )

    async def test_twice_the_same_machine(self) -> None:
        """Of two addresses of one machine it keeps that which it was given time for last; the other is told."""
        brought = [lease(20), lease(21, identity=lease(20).identity, renewed_at=NOW)]
        _, told = await self.ask("POST", "leases", {"leases": [value_of(each) for each in brought]})
        self.assertEqual((told["taken"], told["skipped"][0]["address"]), (1, "10.77.0.20"))

    async def test_refused(self) -> None:
        """With a reason, and nothing has changed."""
        good = value_of(lease(20))
        for method, path, body, status, why in (
            ("GET", "leases?state=lent", None, 400, "state must be one of offered, bound"),
            ("GET", "leases?network=10.77.0.5/24", None, 400, "is not a network like"),
            ("GET", "leases?address=x", None, 400, "is not an address like"),
            ("GET", "leases?mac=xx", None, 400, "is not a hardware address"),
            ("GET", "leases?colour=red", None, 400, "leases are not looked for by colour"),
            ("GET", "leases/x", None, 400, "'x' is not an address like"),
            ("GET", "leases/10.77.0.5", None, 404, "nothing is known of 10.77.0.5"),
            ("POST", "leases", {"leases": [good, {**good, "state": "x"}]}, 400, "state must be one of"),
            ("POST", "leases", {"leases": {}}, 400, 'the body must be {"leases"'),
            ("POST", "leases", {"leases": [], "x": 1}, 400, 'the body must be {"leases"'),
            ("POST", "leases", b" " * (BODY_LIMIT + 1), 400, "a body has at most"),
            ("PUT", "leases", {}, 405, "does not know this method"),
            ("PATCH", "leases/10.77.0.5", {}, 405, "does not know this method"),
            ("GET", "leases/", None, 404, "no such resource"),
            ("GET", "hosts", None, 404, "no such resource"),
        ):
            got, told = await self.ask(method, path, body)
            self.assertEqual(got, status, f"{method} {path}: {told}")
            self.assertIn(why, told["error"])
        self.assertEqual(await self.listed(), [])

    async def test_not_open_yet(self) -> None:
        self.store = None
        for method, path, body in (
            ("GET", "leases", None),
            ("GET", "leases/10.77.0.5", None),
            ("DELETE", "leases/10.77.0.5", None),
            ("POST", "leases", {"leases": []}),
        ):
            self.assertEqual((await self.ask(method, path, body))[0], 503, method)

    async def test_cannot_be_written(self) -> None:
        store = self.store

        class Full(MemoryLeases):
            async def _save(self, changes: object) -> None:
                raise StoreFailed("the disk is full")

        self.store = Full()
        status, told = await self.ask("POST", "leases", {"leases": [value_of(lease(20))]})
        self.assertEqual((status, told["error"]), (503, "they cannot be written: the disk is full"))
        self.store = store

    async def test_many(self) -> None:
        """However many there are, the reactor has its turns, and others are served meanwhile."""
        base = int(IPv4Address("10.0.0.0"))
        many = tuple(
            Lease(IPv4Address(base + number), f"id:{number:08x}", "", State.BOUND, NOW, NOW + 9, "n" * 40, NOW)
            for number in range(20_000)
        )

        class Many(MemoryLeases):
            async def list(self) -> tuple[Lease, ...]:
                return many

        self.store = Many()
        asking = Deferred.fromCoroutine(self.ask("GET", "leases"))
        while self.turns < 20:
            await deferLater(reactor, 0)
        self.assertEqual((await self.ask("GET", "status")), (200, {}))
        self.assertNoResult(asking)
        status, told = await asking
        self.assertEqual((status, told["count"], len(told["leases"])), (200, 20_000, 20_000))
        self.assertEqual(json.dumps(told["leases"][-1]), json.dumps(value_of(many[-1])))
        self.assertGreater(self.turns, 20_000 // SLICE)

    def test_a_slice_is_short(self) -> None:
        """It takes 1 to 2 ms, with every field as long as it may be usual."""
        long = lease(20, client_id=b"x" * 19, circuit=b"x" * 40, hostname="n" * 60)
        pieces = _pieces([long] * 2000, Filter.read({b"name": [b"n*"], b"network": [b"10.77.0.0/24"]}))
        times = []
        while True:
            before = time.process_time()
            piece = next(pieces, b"")
            times.append(time.process_time() - before)
            if not piece:
                break
        self.assertLess(sorted(times)[len(times) // 2], 0.005)
