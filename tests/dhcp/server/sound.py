"""Whether a reply of the address server is one that the clauses allow, told from its octets alone.

Nothing of pixelboot's own reading is used for the reply: what it wrote wrongly it might read wrongly, too.
"""

from __future__ import annotations

from collections.abc import Iterator

from pixelboot.dhcp import client
from pixelboot.dhcp.message import wire
from pixelboot.dhcp.message.wire import Message, MessageType
from pixelboot.malformed import Malformed

DISCOVER, REQUEST, INFORM = MessageType.DISCOVER, MessageType.REQUEST, MessageType.INFORM
OFFER, ACK, NAK = 2, 5, 6
NOWHERE = bytes(4)
FIRST = 240
"""Where the options begin."""


class Reply:
    """The fields and options of a reply."""

    def __init__(self, octets: bytes) -> None:
        self.octets = octets
        self.ciaddr, self.yiaddr, self.siaddr, self.giaddr = (octets[at : at + 4] for at in (12, 16, 20, 24))
        self.sname, self.file = octets[44:108], octets[108:236]
        self.listed, self.end = _listed(octets, FIRST, len(octets))
        """Code and value of every option in its own field, in order, and where END stands."""
        self.options = _joined(self.listed)
        self.overload = self.options[52][0] if self.options.get(52) else 0
        self.kind = self.options[53][0] if self.options.get(53) else None


def _listed(octets: bytes, at: int, end: int) -> tuple[list[tuple[int, bytes]], int]:
    found = []
    while at < end and octets[at] != 255:
        if octets[at] == 0:
            at += 1
            continue
        if at + 1 >= end or at + 2 + octets[at + 1] > end:
            raise AssertionError(f"option {octets[at]} runs past the end")
        found.append((octets[at], octets[at + 2 : at + 2 + octets[at + 1]]))
        at += 2 + octets[at + 1]
    if at >= end:
        raise AssertionError("there is no END")
    return found, at


def _joined(listed: list[tuple[int, bytes]]) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    for code, value in listed:
        found[code] = found.get(code, b"") + value
    return found


def faults(request: Message, octets: bytes) -> list[str]:
    """What is wrong with the reply `octets` to `request`: the clauses that it breaks, each with a word."""
    if request.message_type is MessageType.LEASEQUERY:
        return []  # RFC 4388 has other rules, and a test of its own.
    try:
        reply = Reply(octets)
    except AssertionError as problem:
        return [f"D01 {problem}"]
    checks = (_form, _copied, _kind, _options, _fields, _echoes, _size)
    return [fault for check in checks for fault in check(request, reply)]


def _form(request: Message, reply: Reply) -> Iterator[str]:
    octets = reply.octets
    if octets[0] != 2 or octets[236:240] != b"\x63\x82\x53\x63":
        yield "D01 op or cookie"
    if not request.is_bootp and (not reply.listed or reply.listed[0][0] != 53):
        yield "D01 53 is not the first"
    if len(octets) < 300 or any(octets[reply.end + 1 :]):
        yield "D39 not filled with zeros behind END to 300 octets"


def _copied(request: Message, reply: Reply) -> Iterator[str]:
    octets = reply.octets
    expected = bytes((2, request.htype, request.hlen, 0)) + request.xid.to_bytes(4) + bytes(2)
    if octets[:10] != expected or octets[28:44] != request.chaddr or reply.giaddr != request.giaddr.packed:
        yield "D03 a field is not copied"
    relayed_nak = reply.kind == NAK and reply.giaddr != NOWHERE
    flags = request.flags | 0x8000 if relayed_nak else request.flags
    if int.from_bytes(octets[10:12]) != flags:
        yield "D03 D12 flags"


def _kind(request: Message, reply: Reply) -> Iterator[str]:
    asked = request.message_type
    allowed = {DISCOVER: {OFFER, ACK}, REQUEST: {ACK, NAK}, INFORM: {ACK}}
    if request.is_bootp:
        if {51, 53, 54} & reply.options.keys():
            yield "D43 an option of DHCP in a BOOTP reply"
        return
    if asked is None or reply.kind not in allowed.get(asked, set()):
        yield f"D31 {asked} is answered by {reply.kind}"
    if 54 not in reply.options or {50, 55, 57} & reply.options.keys():
        yield "D04 54 is missing, or 50, 55 or 57 there"
    if reply.kind == NAK:
        if reply.ciaddr + reply.yiaddr + reply.siaddr != bytes(12) or reply.options.keys() - {53, 54, 56, 61, 82}:
            yield "D06 more than a refusal"
    elif asked is INFORM:
        if reply.yiaddr != NOWHERE or {51, 58, 59} & reply.options.keys() or reply.ciaddr != request.ciaddr.packed:
            yield "D35 more than what was asked for"
    else:
        if reply.yiaddr == NOWHERE or len(reply.options.get(51, b"")) != 4:
            yield "D04 no address or no time"
        if reply.ciaddr != (NOWHERE if reply.kind == OFFER else request.ciaddr.packed):
            yield "D05 ciaddr"
        yield from _times(reply)


def _times(reply: Reply) -> Iterator[str]:
    whole, first, second = (int.from_bytes(reply.options.get(code, b"")) for code in (51, 58, 59))
    if (58 in reply.options or 59 in reply.options) and not first < second < whole:
        yield "D37 T1, T2 and the end are not in this order"


def _options(request: Message, reply: Reply) -> Iterator[str]:
    codes = [code for code, _ in reply.listed]
    for at, (code, _) in enumerate(reply.listed):
        if code in codes[:at] and not (codes[at - 1] == code and len(reply.listed[at - 1][1]) == 255):
            yield f"D20 O01 option {code} stands there twice"
    for code, value in reply.options.items():
        if not value and code != 80:
            yield f"D21 option {code} is empty"
    if 1 in codes and 3 in codes and codes.index(1) > codes.index(3):
        yield "D44 the router before the mask"
    if codes and codes[-1] == 67:
        yield "O18 67 is the last"
    if 208 in codes and any(code in codes[: codes.index(208)] for code in (209, 210, 211)):
        yield "O13 208 behind what it is for"
    wanted = request.options.get(55)
    for code in (108, 114):
        if code in codes and (wanted is None or code not in wanted):
            yield f"O15 O16 {code} unasked"
    if 80 in codes and not (request.message_type is DISCOVER and request.options.get(80) == b"" and reply.kind == ACK):
        yield "O07 O08 80 where it does not belong"


def _fields(request: Message, reply: Reply) -> Iterator[str]:
    """`file` and `sname`, and what they hold."""
    for bit, field, name in ((1, reply.file, "file"), (2, reply.sname, "sname")):
        if not reply.overload & bit:
            continue
        try:
            listed, end = _listed(field, 0, len(field))
        except AssertionError as problem:
            yield f"D41 {name}: {problem}"
            continue
        if not listed or any(field[end + 1 :]) or {52, 82, 53} & {code for code, _ in listed}:
            yield f"D41 R03 {name} holds what it must not"
        if {code for code, _ in listed} & {code for code, _ in reply.listed}:
            yield f"D20 D41 {name} repeats an option"
    if reply.overload not in (0, 1, 2, 3) or (52 in reply.options and not reply.overload):
        yield "D41 what 52 says"
    if reply.overload and _boots(request):
        yield "D41 overloaded for firmware"
    named = reply.options.get(67, b"").rstrip(b"\0")
    in_file = b"" if reply.overload & 1 else reply.file.rstrip(b"\0")
    if named and in_file and named != in_file:
        yield "D45 67 and file differ"
    if (named or in_file) and reply.siaddr == NOWHERE and not request.is_bootp:
        yield "D45 a file without its server"


def _boots(request: Message) -> bool:
    try:
        return client.recognise(request).firmware != "other"
    except Malformed:
        return False


def _echoes(request: Message, reply: Reply) -> Iterator[str]:
    sent = request.options
    if not request.is_bootp and reply.options.get(61, b"") not in ((sent.get(61) or b""), b""):
        yield "D50 another client identifier"
    # The smallest datagram has room for 298 octets of options behind 53 and 54, among them 51, 1 and 3.
    both = sum(len(sent[code]) + 4 for code in (61, 82) if code in sent)
    if sent.get(61) and 61 not in reply.options and both <= 298 - 18 and not request.is_bootp:
        yield "D50 no client identifier"
    if 82 in reply.options:
        if reply.options[82] != sent.get(82):
            yield "R01 R05 other relay information than was sent"
        if [code for code, _ in reply.listed][-1] != 82:
            yield "R02 82 is not the last"
    if 97 in reply.options and reply.options[97] != sent.get(97):
        yield "O10 another UUID"


def _size(request: Message, reply: Reply) -> Iterator[str]:
    asked = request.options.get(57, b"")
    said = int.from_bytes(asked) if len(asked) in (1, 2, 4) else 0
    if 28 + len(reply.octets) > min(max(said, 576), 1500):
        yield f"D40 {28 + len(reply.octets)} octets"


def sound(request: Message | bytes, octets: bytes) -> None:
    """Raise AssertionError where the clauses do not allow `octets` as a reply to `request`."""
    asked = wire.decode(request) if isinstance(request, bytes) else request
    if found := faults(asked, octets):
        raise AssertionError(f"{'; '.join(found)}\nrequest {asked}\nreply {octets.hex()}")
