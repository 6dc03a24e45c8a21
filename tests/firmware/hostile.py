"""Sends mutated requests to a server, listens to all that it answers, and asks again and again whether it lives.

    python -m tests.firmware.hostile INTERFACE SEED COUNT

After every hundred datagrams a machine that keeps the rules discovers, and after every thousand it goes on to a lease;
each must be answered within `PATIENCE`.  Every frame that a DHCP server sends is seen, whoever it is for, and what is
wrong with it is written as a line.  The last line of standard output is a JSON object: how many replies of each kind.
"""

from __future__ import annotations

import json
import socket
import struct
import sys
import time
from collections import Counter
from collections.abc import Iterator, Set
from ipaddress import IPv4Address, IPv4Network

from lab.clients import message
from lab.clients.load import EVERYBODY, opened
from lab.clients.message import ACK, DISCOVER, NAK, NOWHERE, OFFER, REQUEST, REQUESTED, SERVER, Message
from tests.dhcp.mutations import mutated

PATIENCE = 5.0
"""Seconds that the server may take for a hundred datagrams and one that is right."""

NETWORKS = (IPv4Network("10.77.0.0/24"), IPv4Network("198.51.100.0/24"))
"""Those that the server has addresses of; a relay agent is in the second."""

ADDRESS = IPv4Address("10.77.0.1")
"""The server's."""

_HWADDR = bytes.fromhex("02dd00000001")
_BATCH, _LEASE = 100, 10
_IP = 0x0800
_PACKET, _PACKET_ADD_MEMBERSHIP, _PROMISCUOUS = 263, 1, 1
"""Linux, packet(7), for which the socket module has no names."""

_OUTGOING = 4
_UDP = 17


def wrong(reply: Message, size: int, sent: Set[bytes]) -> Iterator[str]:
    """What is wrong with a reply of `size` octets; `sent` are the transaction ids of those who asked (D01 to D06)."""
    if reply.op != 2:
        yield f"op is {reply.op}"
    if size < 300:
        yield f"it has {size} octets"
    if reply.xid.to_bytes(4) not in sent:
        yield f"nobody asked with transaction id {reply.xid:#x}"
    if next(iter(reply.options), 0) != message.KIND or reply.kind not in (OFFER, ACK, NAK):
        yield f"the first option is not a message type, or it is {reply.kind}"
    if len(reply.server) != 4:
        yield f"option 54 is {reply.server.hex()}"
    if reply.kind == NAK:
        if {reply.ciaddr, reply.yiaddr, reply.siaddr} != {NOWHERE}:
            yield "a NAK with an address"
        if set(reply.options) - {53, 54, 56, 61, 82, 97}:
            yield f"a NAK with options {sorted(reply.options)}"
        return
    if not set(reply.options).isdisjoint({50, 55, 57}):
        yield f"options that only machines send: {sorted(reply.options)}"
    has_lease = message.LEASE_TIME in reply.options
    if reply.yiaddr != NOWHERE and not any(reply.yiaddr in network for network in NETWORKS):
        yield f"the address {reply.yiaddr} is of no network of ours"
    if has_lease != (reply.yiaddr != NOWHERE):
        yield f"the address {reply.yiaddr} with a lease of {reply.lease_time} s"
    if reply.kind == OFFER and not has_lease:
        yield "an OFFER of nothing"


class Judge:
    """Hears all that a server says on an interface."""

    def __init__(self, interface: str) -> None:
        """Listen, also to what is for others."""
        self.heard: Counter[int] = Counter()
        self.errors: list[str] = []
        self._ear = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_IP))
        self._ear.bind((interface, _IP))
        membership = struct.pack("iHH8s", socket.if_nametoindex(interface), _PROMISCUOUS, 0, b"")
        self._ear.setsockopt(_PACKET, _PACKET_ADD_MEMBERSHIP, membership)
        self._ear.settimeout(PATIENCE)

    def answer(self, xid: int, sent: Set[bytes]) -> Message:
        """The reply with this transaction id; all that came before it is judged.

        :raises TimeoutError: if it does not come.
        """
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            frame, (_, _, kind, *_) = self._ear.recvfrom(4096)
            start = 14 + (frame[14] & 0x0F) * 4
            if kind == _OUTGOING or frame[23] != _UDP or frame[start : start + 2] != b"\0\x43":
                continue
            reply = self._judged(frame, start, sent)
            if reply is not None and reply.xid == xid and reply.hwaddr == _HWADDR:
                return reply
        raise TimeoutError(f"no answer within {PATIENCE} s")

    def _judged(self, frame: bytes, start: int, sent: Set[bytes]) -> Message | None:
        payload = frame[start + 8 : start + int.from_bytes(frame[start + 4 : start + 6])]
        try:
            reply = message.decode(payload)
        except ValueError as problem:
            self.errors.append(f"{problem}: {payload.hex()}")
            return None
        self.heard[reply.kind] += 1
        self.errors += [f"{each}: {payload.hex()}" for each in wrong(reply, len(payload), sent)]
        if IPv4Address(frame[26:30]) != ADDRESS:
            self.errors.append(f"it comes from {IPv4Address(frame[26:30])}: {payload.hex()}")
        return reply


def attack(interface: str, seed: int, count: int) -> Judge:
    """Send so many mutated requests, and have every reply judged.

    :raises TimeoutError: if a machine that keeps the rules is not answered any more.
    """
    judge = Judge(interface)
    xid = 0x70000000
    with opened(interface) as lan:
        # What waits for the disk, or for somebody at the address to speak up, comes behind answers to later requests.
        sent: set[bytes] = set()
        for number, octets in enumerate(mutated(seed, count), 1):
            sent.add(octets[4:8])
            lan.sendto(octets, EVERYBODY)
            if number % _BATCH and number != count:
                continue
            offer = _ask(lan, judge, DISCOVER, xid := xid + 1, {}, sent)
            if number // _BATCH % _LEASE == 0:
                options = {REQUESTED: offer.yiaddr.packed, SERVER: offer.server}
                ack = _ask(lan, judge, REQUEST, xid := xid + 1, options, sent)
                if (ack.kind, ack.yiaddr) != (ACK, offer.yiaddr):
                    judge.errors.append(f"offered {offer.yiaddr}, then answered by {ack.kind} of {ack.yiaddr}")
    return judge


def _ask(lan: socket.socket, judge: Judge, kind: int, xid: int, options: dict[int, bytes], sent: set[bytes]) -> Message:
    """What a machine that keeps the rules is answered; `sent` are the transaction ids of all requests."""
    sent.add(xid.to_bytes(4))
    lan.sendto(message.request(kind, xid, _HWADDR, options), EVERYBODY)
    return judge.answer(xid, sent)


def main() -> None:
    """Attack; see the module."""
    interface, seed, count = sys.argv[1:]
    judge = attack(interface, int(seed), int(count))
    found = {"errors": len(judge.errors), **{str(kind): number for kind, number in judge.heard.items()}}
    sys.stdout.write("\n".join((*judge.errors[:20], json.dumps(found), "")))


if __name__ == "__main__":
    main()
