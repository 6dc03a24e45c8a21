"""The server against a model: machines that keep to RFC 2131 §4.4, two networks, lost replies, restarts, and time.

The model knows what each machine believes: which address it has, and until when by its own clock.  Whatever happens, no
two believe that they have the same one, and the server knows of every lease that somebody believes in.  Every reply on
a `Lan` has to keep to the clauses as well.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.datagram import Arrival
from pixelboot.dhcp.message.wire import Message, MessageType
from pixelboot.dhcp.outcomes import Declined, Released
from pixelboot.dhcp.settings.dhcp import SubnetSettings
from pixelboot.leases.lease import State
from tests.dhcp.lan import (
    DECLINE_TIME,
    OWN,
    SERVER,
    STRANGER,
    SUBNET,
    Lan,
    Leases,
    discover,
    reboot,
    renew,
    say,
    select,
)

ACK, NAK, OFFER = MessageType.ACK, MessageType.NAK, MessageType.OFFER
NEAR = replace(SUBNET, pool=("10.77.0.100-10.77.0.103",))
FAR_RELAY = IPv4Address("198.51.100.1")
FAR = SubnetSettings(network=IPv4Network("198.51.100.0/24"), pool=("198.51.100.100-198.51.100.102",), lease_time=300.0)
POOL = [*(IPv4Address(f"10.77.0.{last}") for last in range(99, 105)), *(FAR_RELAY + last for last in range(98, 103))]

hosts = st.integers(1, 6)
wanted = st.none() | st.sampled_from(POOL)
lost = st.sampled_from((False, False, False, True))


@dataclass
class Client:
    """What one machine believes."""

    relayed: bool = False
    offered: IPv4Address | None = None
    remembered: IPv4Address | None = None
    address: IPv4Address | None = None
    until: float = 0.0


class Dialogues(RuleBasedStateMachine):
    """All that machines say, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.lan = Lan(NEAR, FAR, reuse=0.25, rapid_commit=True)
        self.time = self.lan.now
        self.clients = {number: Client() for number in range(1, 7)}
        self.resting: dict[IPv4Address, float] = {}

    # What happens around them.

    @rule(seconds=st.sampled_from((0.5, 10.0, 61.0, 149.0, 301.0, 601.0, DECLINE_TIME)))
    def time_passes(self, seconds: float) -> None:
        """For everybody."""
        self.time += seconds
        self.lan.now += seconds

    @rule(seconds=st.sampled_from((1.0, 100.0, 7200.0)))
    def the_clock_is_set_back(self, seconds: float) -> None:
        """The server's alone; what it knows then lasts longer for it than for the machines."""
        self.lan.now -= seconds

    @rule()
    def the_server_is_restarted(self) -> None:
        """It has forgotten its offers."""
        leases = Leases()
        leases.table.load(self.lan.table.records())
        self.lan.leases, self.lan.table = leases, leases.table
        self.lan.reception = self.lan.reception_over(leases)

    @rule(host=hosts)
    def a_machine_is_moved(self, host: int) -> None:
        """To the other network, where its address is none."""
        client = self.clients[host]
        client.relayed = not client.relayed
        client.offered = client.address = None

    # What they say.

    @rule(host=hosts, wish=wanted, rapid=st.booleans(), is_lost=lost)
    def looks_for_an_address(self, host: int, wish: IPv4Address | None, rapid: bool, is_lost: bool) -> None:
        """INIT."""
        client = self.clients[host]
        client.address = None
        options = {} if wish is None else {50: wish.packed}
        self.ask(host, discover(host, options | ({80: b""} if rapid else {})), is_lost)

    @rule(host=hosts, other=st.sampled_from((False, False, True)), is_lost=lost)
    def takes_an_offer(self, host: int, other: bool, is_lost: bool) -> None:
        """REQUESTING; it may take another server's."""
        client = self.clients[host]
        if client.offered is not None:
            taken, client.offered = client.offered, None if other else client.offered
            self.ask(host, select(host, taken, STRANGER if other else SERVER), is_lost)

    @rule(host=hosts, guess=wanted, is_lost=lost)
    def is_switched_on_again(self, host: int, guess: IPv4Address | None, is_lost: bool) -> None:
        """INIT-REBOOT, mostly with the address that it had."""
        client = self.clients[host]
        asked = client.remembered or guess
        if asked is not None:
            client.address = None
            self.ask(host, reboot(host, asked), is_lost)

    @rule(host=hosts, is_lost=lost)
    def renews(self, host: int, is_lost: bool) -> None:
        """RENEWING and REBINDING."""
        client = self.clients[host]
        if client.address is not None:
            self.ask(host, renew(host, client.address), is_lost)

    @rule(host=hosts)
    def gives_it_back(self, host: int) -> None:
        """RELEASE."""
        client = self.clients[host]
        if client.address is not None:
            held, client.address = client.address, None
            self.ask(host, say(MessageType.RELEASE, host, {54: SERVER.packed}, ciaddr=held), False)
            assert client.until <= self.time or isinstance(self.lan.outcomes[-1], Released)

    @rule(host=hosts)
    def finds_it_in_use(self, host: int) -> None:
        """DECLINE."""
        client = self.clients[host]
        if client.address is not None:
            bad, client.address, client.remembered = client.address, None, None
            self.ask(host, say(MessageType.DECLINE, host, {54: SERVER.packed, 50: bad.packed}), False)
            if isinstance(self.lan.outcomes[-1], Declined):
                self.resting[bad] = self.lan.now + DECLINE_TIME

    @rule(host=hosts)
    def asks_for_parameters(self, host: int) -> None:
        """INFORM: it is a lease for nobody."""
        client = self.clients[host]
        held = FAR_RELAY + 200 if client.relayed else SERVER + 200
        before = len(list(self.lan.table.list()))
        self.ask(host, say(MessageType.INFORM, host, ciaddr=held), False)
        assert len(list(self.lan.table.list())) == before

    def ask(self, host: int, request: Message, is_lost: bool) -> None:
        """Send a request; what comes back, if it is not lost, is what the machine believes."""
        client = self.clients[host]
        come = Arrival("lan0", SERVER, 67, IPv4Address(0), 68, self.lan.now, True, OWN)
        if client.relayed:
            request = request._replace(giaddr=FAR_RELAY)
            come = come._replace(source=FAR_RELAY, source_port=67, to_everybody=False)
        self.lan.sent.clear()
        self.lan.arrive(request, come=come)
        for reply, _ in self.lan.sent:
            if reply.message_type in (OFFER, ACK) and int(reply.yiaddr):
                self.is_free_for(host, reply.yiaddr)
            if not is_lost:
                self.believe(client, reply)

    def is_free_for(self, host: int, given: IPv4Address) -> None:
        """What is offered or given is nobody else's, and does not rest."""
        for number, other in self.clients.items():
            assert number == host or other.address != given or other.until <= self.time, f"{given} is of {number}"
        assert self.resting.get(given, 0.0) <= self.lan.now, f"{given} rests"

    def believe(self, client: Client, reply: Message) -> None:
        """RFC 2131 §4.4."""
        if reply.message_type is OFFER:
            client.offered = reply.yiaddr
        elif reply.message_type is NAK:
            client.offered = client.address = client.remembered = None
        elif int(reply.yiaddr):
            seconds = reply.number(51)
            assert seconds is not None
            assert seconds <= 600
            client.offered, client.address, client.remembered = None, reply.yiaddr, reply.yiaddr
            client.until = self.time + seconds

    # What is always so.

    @invariant()
    def nobody_shares(self) -> None:
        """No address has two machines that live in it."""
        living = [each.address for each in self.living().values()]
        assert len(set(living)) == len(living), living

    @invariant()
    def nothing_is_forgotten(self) -> None:
        """Whatever was acknowledged, and is believed in, is a lease of that machine."""
        for number, client in self.living().items():
            assert client.address is not None
            lease = self.lan.table.records().get(int(client.address))
            assert lease is not None, f"{client.address} of {number}"
            assert lease.state is State.BOUND, lease
            assert lease.identity == f"hw:01:02:aa:00:00:00:{number:02x}", lease

    @invariant()
    def the_table_is_sound(self) -> None:
        """The table, and no error of ours."""
        assert not self.lan.table.check()
        assert not any(outcome.counter() == "dhcp.Failed" for outcome in self.lan.outcomes[-1:])

    def living(self) -> dict[int, Client]:
        """Who believes that it has an address now."""
        return {
            number: client
            for number, client in self.clients.items()
            if client.address is not None and client.until > self.time
        }


class Model(SynchronousTestCase):
    """Thousands of steps (many more with ``HYPOTHESIS_PROFILE=explore``)."""

    def test_dialogues(self) -> None:
        """D15, D18, D25, D26, D28, D31, D33: see the rules."""
        profile: Any = hypothesis_settings()
        examples = 25 if profile.max_examples <= 100 else profile.max_examples
        run_state_machine_as_test(
            Dialogues, settings=hypothesis_settings(max_examples=examples, stateful_step_count=40)
        )
        self.assertEqual(self.flushLoggedErrors(), [])
