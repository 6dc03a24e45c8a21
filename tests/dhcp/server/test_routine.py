"""What is answered as a matter of routine is what would be answered anyway: two servers, of which one forgets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from typing import Any, NamedTuple

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.boot.machine import Machine
from pixelboot.boot.policy import Assignment
from pixelboot.dhcp.exchange import Answer, Exchange
from pixelboot.dhcp.message.options import Option
from pixelboot.dhcp.message.wire import BROADCAST, Message, MessageType
from pixelboot.dhcp.proxy.answer import answer as by_proxy
from pixelboot.dhcp.reception import Answering, Reception
from pixelboot.dhcp.server.protocol import AddressServer
from pixelboot.dhcp.server.routine import Case
from pixelboot.dhcp.settings.client_class import ClassSettings
from pixelboot.dhcp.settings.dhcp import SubnetSettings
from pixelboot.dhcp.settings.host import HostSettings
from pixelboot.hwaddr import HardwareAddress
from pixelboot.leases.seam import LeaseStore
from tests.dhcp.lan import OWN, SECOND, SERVER, SUBNET, Gate, Lan, address, arrival, discover, say, select

RELAY = IPv4Address("198.51.100.1")
FAR = SubnetSettings(
    network=IPv4Network("198.51.100.0/24"), pool=("198.51.100.100-198.51.100.120",), lease_time=300.0, shared="far"
)
BESIDE = SubnetSettings(
    network=IPv4Network("203.0.113.0/24"),
    pool=("203.0.113.10-203.0.113.11",),
    router=IPv4Address("203.0.113.1"),
    shared="far",
)
PXE: dict[int, bytes] = {
    Option.VENDOR_CLASS: b"PXEClient:Arch:00007:UNDI:003016",
    Option.CLIENT_ARCHITECTURE: b"\x00\x07",
    Option.PARAMETER_REQUEST_LIST: bytes((1, 3, 6, 43, 60, 66, 67, 97)),
}
IPXE: dict[int, bytes] = {Option.USER_CLASS: b"iPXE", Option.PARAMETER_REQUEST_LIST: bytes((1, 3, 6, 67, 175))}
SYSTEM: dict[int, bytes] = {Option.PARAMETER_REQUEST_LIST: bytes((1, 3, 6, 15, 51, 58, 59))}
NOTED = HostSettings(name="noted", mac=HardwareAddress.parse("02:aa:00:00:00:05"), address=address(77))
CLASS = ClassSettings(name="odd", mac=(HardwareAddress.parse("02:aa:00:00:00:04"),), lease_time=120.0)


class Seen(Lan):
    """A server of which it is known how often it answered by what it remembered."""

    filled = 0

    def reception_over(self, leases: LeaseStore) -> Reception:
        """See `Wire.reception_over`."""
        server = AddressServer(self.site, self.network, leases, self.memory, self.report, self.prober)

        async def once_more(exchange: Exchange, case: Case, crowded: bool) -> Answer:
            answer = await server.once_more(exchange, case, crowded)
            self.filled += bool(answer.octets)
            return answer

        answering = Answering(server.answer, lambda known: by_proxy(known, 4011), server.query, once_more)
        reception = Reception(self.site, self.network, self.policy, answering, self.report, self.clock)
        reception.own(OWN)
        return reception


class Forgetful(Lan):
    """A server that decides about every request anew."""

    def arrive(self, datagram: Message | bytes, *more: Any, **named: Any) -> None:
        """See `Wire.arrive`."""
        self.reception.own(OWN)
        super().arrive(datagram, *more, **named)


class EachItsOwn:
    """A policy that tells every second machine to boot something else."""

    async def assign(self, machine: Machine, server: IPv4Address) -> Assignment:
        """See `Policy.assign`."""
        last = machine.hwaddr.octets[-1] if machine.hwaddr is not None else 0
        return Assignment("odd.efi", next_server=SECOND) if last % 2 else Assignment()


class Slow:
    """A policy that has to look first."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate

    async def assign(self, machine: Machine, server: IPv4Address) -> Assignment:
        """See `Policy.assign`."""
        await self.gate()
        return Assignment("x.efi")


class Step(NamedTuple):
    """Something that a machine does, and how it says it."""

    takes: bool
    host: int
    passes: float
    relayed: bool
    flags: int
    system: Mapping[int, bytes]
    client_id: bytes
    uuid: bytes
    hostname: bytes
    circuit: bytes
    lease_time: int | None
    size: bytes
    at_once: bool
    wanted: IPv4Address | None


STEPS = st.builds(
    Step,
    st.booleans(),
    st.integers(1, 5),
    st.sampled_from((0.0, 0.0, 1.0, 40.0, 200.0, 700.0)),
    st.booleans(),
    st.sampled_from((0, BROADCAST)),
    st.sampled_from((SYSTEM, SYSTEM, PXE, IPXE)),
    st.sampled_from((b"", b"", b"\x01\x02\xaa", b"\xff" * 255)),
    st.sampled_from((b"", b"\0" + bytes(range(16)), b"\0" + bytes(range(16, 32)))),
    st.sampled_from((b"", b"one", b"two")),
    st.sampled_from((b"", b"\x01\x01a", b"\x01\x01b", b"\x01\x03abc", b"\x05\x04\xcb\x00\x71\x00", b"\x01\x09")),
    st.sampled_from((None, None, 60, 0xFFFFFFFF)),
    st.sampled_from((b"", b"\x02\x40", b"\x05\xdc")),
    st.sampled_from((False, False, True)),
    st.sampled_from((None, None, address(105), address(250))),
)


def said(step: Step, offered: IPv4Address | None) -> Message:
    """The message; `offered` is what the machine was offered last."""
    optional: dict[int, bytes] = {
        Option.CLIENT_IDENTIFIER: step.client_id,
        Option.CLIENT_UUID: step.uuid,
        Option.HOST_NAME: step.hostname,
        Option.MAXIMUM_MESSAGE_SIZE: step.size,
        Option.RELAY_AGENT_INFORMATION: step.circuit if step.relayed else b"",
        Option.LEASE_TIME: b"" if step.lease_time is None else step.lease_time.to_bytes(4),
        Option.REQUESTED_ADDRESS: b"" if step.wanted is None or step.takes else step.wanted.packed,
    }
    options: dict[int, bytes] = dict(step.system)
    options |= {code: value for code, value in optional.items() if value}
    if step.at_once:
        options[Option.RAPID_COMMIT] = b""
    fields: dict[str, Any] = {"flags": step.flags}
    if step.relayed:
        fields["giaddr"] = RELAY
    if not step.takes or offered is None:
        return discover(step.host, options, **fields)
    taking: dict[int, bytes] = {Option.SERVER_IDENTIFIER: SERVER.packed, Option.REQUESTED_ADDRESS: offered.packed}
    return say(MessageType.REQUEST, step.host, {**taking, **options}, **fields)


class RoutineTests(SynchronousTestCase):
    """What is kept, for whom, and until when."""

    def both(self, steps: list[Step], **more: Any) -> None:
        """Let two servers hear the same, one of which forgets between any two requests."""
        subnets = (replace(SUBNET, pool=("10.77.0.100-10.77.0.106",)), FAR, BESIDE)
        servers = [kind(*subnets, reuse=0.25, rapid_commit=True, **more) for kind in (Lan, Forgetful)]
        offered: dict[int, IPv4Address] = {}
        for step in steps:
            message = said(step, offered.get(step.host))
            for each in servers:
                each.now += step.passes
                each.clock.advance(step.passes)
                each.arrive(message)
            one, other = servers
            self.assertEqual(one.sent, other.sent, f"after {message}")
            self.assertEqual(
                [(type(each), each.summary()) for each in one.outcomes + one.noticed],
                [(type(each), each.summary()) for each in other.outcomes + other.noticed],
            )
            one.table.check()
            if one.sent:
                offered[step.host] = one.sent[-1][0].yiaddr
        self.assertEqual(sorted(servers[0].table.list()), sorted(servers[1].table.list()))

    @given(st.lists(STEPS, max_size=24))
    def test_as_if_decided_anew(self, steps: list[Step]) -> None:
        """Every reply, the way it goes, what is told of it, and the leases."""
        self.both(steps)

    @given(st.lists(STEPS, max_size=24))
    def test_where_machines_differ(self, steps: list[Step]) -> None:
        """Hosts by name, classes by hardware address, and what to boot by machine."""
        self.both(steps, hosts=(NOTED,), policy=EachItsOwn(), classes=(CLASS,))

    def test_who_is_answered_so(self) -> None:
        """The second of a kind, in its DISCOVER and in its REQUEST, and who has a lease already; never iPXE."""
        lan = Seen(SUBNET, reuse=0.25)
        for host, filled in ((1, 0), (2, 2), (3, 4)):
            lan.bound(host)
            self.assertEqual(lan.filled, filled, host)
        lan.now += 30.0
        reply, _ = lan.ask(discover(2))
        self.assertEqual((lan.filled, reply.options[Option.LEASE_TIME]), (5, (570).to_bytes(4)))
        for host in (4, 5):
            lan.ask(discover(host, IPXE))
        self.assertEqual(lan.filled, 5)

    def test_nobody_by_name(self) -> None:
        """Who has a name in the settings gets what they say, whoever asked the same before."""
        lan = Seen(SUBNET, hosts=(NOTED,))
        for host in (1, 2):
            lan.bound(host)
        self.assertEqual((lan.filled, lan.offered(5)), (2, address(77)))
        self.assertEqual(lan.filled, 2)

    def test_in_a_network_beside(self) -> None:
        """Each of the subnets of a link has a form of its own, and who would take an address of neither gets none."""
        lan = Seen(FAR, replace(BESIDE, pool=("203.0.113.10-203.0.113.20",)))
        wanted = [IPv4Address("203.0.113.12"), IPv4Address("203.0.113.13"), IPv4Address("198.51.100.100")]
        masks = []
        for host, each in enumerate(wanted, 1):
            lan.bound(host, each, giaddr=RELAY)
            masks.append(lan.sent[-1][0].options.get(Option.ROUTER))
        beside = IPv4Address("203.0.113.1").packed
        self.assertEqual((masks, lan.filled), ([beside, beside, None], 2))
        reply, _ = lan.ask(select(4, address(1), giaddr=RELAY))
        self.assertIs(reply.message_type, MessageType.NAK)

    def test_a_new_address_of_ours(self) -> None:
        """What was kept is forgotten when our addresses change."""
        lan = Seen(SUBNET)
        lan.bound(1)
        lan.reception.own(OWN)
        lan.bound(2)
        self.assertEqual(lan.filled, 0)

    def test_addresses_change_meanwhile(self) -> None:
        """What was decided by addresses that we have no more, or did not have yet, is kept for nobody."""
        gate = Gate()
        lan = Seen(SUBNET, policy=Slow(gate))
        ours = address(100)
        lan.arrive(discover(1, PXE))
        lan.network.own((*OWN, ours))
        lan.reception.own((*OWN, ours))
        gate.waiting.pop().callback(None)
        wish: dict[int, bytes] = {**PXE, Option.REQUESTED_ADDRESS: ours.packed}
        for host in (2, 3):
            lan.now += 1000.0
            before = len(lan.sent)
            lan.arrive(discover(host, wish))
            gate.waiting.pop().callback(None)
            self.assertNotEqual(lan.sent[before][0].yiaddr, ours)

    def test_refused_and_unknown(self) -> None:
        """What the store refuses is refused, and an address of no subnet of the link, too."""
        lan = Seen(SUBNET)
        taken = lan.bound(1)
        lan.bound(2)
        for wanted in (taken, IPv4Address("192.0.2.1")):
            reply, _ = lan.ask(select(3, wanted))
            self.assertIs(reply.message_type, MessageType.NAK, str(wanted))
        self.assertEqual(lan.filled, 2)

    def test_no_more_than_so_many(self) -> None:
        """However many kinds there are, what is kept is bounded, and everybody is answered."""
        lan = Seen(replace(SUBNET, pool=("10.77.0.100-10.77.0.250",)))
        for number in range(1100):
            lan.ask(discover(1, {Option.VENDOR_CLASS: b"%d" % number}), come=arrival(lan.now))
        self.assertEqual(lan.filled, 0)
        lan.ask(discover(2, {Option.VENDOR_CLASS: b"1099"}))
        lan.ask(discover(2, {Option.VENDOR_CLASS: b"1"}))
        self.assertEqual(lan.filled, 1)
