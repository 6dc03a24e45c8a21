"""The settings of the TFTP service, ``[tftp]``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_interface, ip_network

from pixelboot.config import (
    Entry,
    Invalid,
    Kind,
    address,
    choice,
    listing,
    optional,
    seconds,
    setting,
    switch,
    tables,
    text,
    whole,
)
from pixelboot.library.names.meant import aliases, rules
from pixelboot.library.settings import size_in_octets, spelled, worded
from pixelboot.malformed import Malformed

LARGEST_FILE = 1 << 44
"""Octets; no client leaves more."""


def _folder(words: str) -> None:
    if words and not re.fullmatch(r"[^./\\\x00-\x1f\x7f][^/\\\x00-\x1f\x7f]*(/(?!\.)[^/\\\x00-\x1f\x7f]+)*", words):
        raise Malformed("names of folders with / between them, none of which begins with a dot")


def _absolute(words: str) -> None:
    if words and not words.startswith("/"):
        raise Malformed("the path must begin with /")


@dataclass(frozen=True, slots=True)
class WriteSettings:
    """One ``[[tftp.write]]``: a folder where clients may leave files."""

    folder: str = setting(
        text('the name of a folder, like "dumps" or "switches/configs"', _folder),
        "",
        help="Files may be written whose names are this folder's and one component more; empty is for names without a "
        "folder, and then path must be given. No folders are made, and those in it are not meant.",
    )
    path: str = setting(
        text('an absolute path, or ""', _absolute),
        "",
        help="The folder on the disk; empty means the folder of that name in tftp.root, whose files are served too. It "
        "must not lie in tftp.root, http.root, state or a folder of installed boot loaders, nor hold one of these.",
    )
    largest: int = setting(
        size_in_octets(1, LARGEST_FILE), 1 << 30, help="The most octets of one file; larger ones are refused."
    )
    quota: int = setting(
        size_in_octets(1, LARGEST_FILE),
        4 << 30,
        help="The most octets that one client, by its address, may have there.",
    )
    files: int = setting(whole(1, 1_000_000), 16, help="The most files that one client may have there.")
    overwrite: bool = setting(
        switch(), False, help="Whether files may be replaced, whoever wrote them; otherwise only new names are taken."
    )
    free: int = setting(
        size_in_octets(0, LARGEST_FILE),
        1 << 30,
        help="What is left free on the disk, at the least; no upload takes it.",
    )

    def __post_init__(self) -> None:
        if not self.folder and not self.path:
            raise Invalid("path", self.path, "must be given where there is no folder: loaders could be written else")
        if self.largest > self.quota:
            allowed = f"must not be more than the quota of one client, which is {worded(self.quota)}"
            raise Invalid("largest", spelled(self.largest), allowed)


def _ipv6(value: str) -> None:
    if not value:
        return
    found = IPv6Address(value)
    if found.ipv4_mapped is not None:
        raise Malformed("an IPv4 address is given as tftp.address")
    if found.is_multicast:
        raise Malformed("a multicast address is nobody's own")
    if found.is_link_local and not found.scope_id:
        raise Malformed(f"a link-local address needs its interface behind it, as {found}%eth0")
    if found.scope_id and not found.is_link_local:
        raise Malformed("an interface stands behind link-local addresses alone")


def _ports(value: str) -> None:
    port_range(value)


def port_range(value: str) -> range:
    """The ports that `TftpSettings.data_ports` means; 0, for any, if it is empty."""
    if not value:
        return range(1)
    if not re.fullmatch("[0-9]{1,5}(-[0-9]{1,5})?", value):
        raise ValueError
    first, _, last = value.partition("-")
    low, high = int(first), int(last or first)
    if not 1 <= low <= high <= 65535:
        raise ValueError
    return range(low, high + 1)


def _network() -> Kind[IPv4Network | IPv6Network]:
    """A network without host bits."""

    def parse(value: object) -> IPv4Network | IPv6Network:
        if not isinstance(value, str) or "%" in value:
            raise ValueError
        found = ip_network(value, strict=False)
        if str(ip_interface(value).ip) != str(found.network_address):
            raise Malformed(f"there are bits beyond the prefix: the network is {found}")
        if isinstance(found, IPv6Network) and found.network_address.ipv4_mapped is not None:
            raise Malformed("clients of an IPv4 network are known by their IPv4 addresses")
        return found

    return Kind("a network like 10.9.0.0/16 or 2001:db8::/48", parse, show=str)


@dataclass(frozen=True, slots=True)
class NetworkSettings:
    """One ``[[tftp.network]]``: clients that are reached by a narrower way than the interface shows."""

    network: IPv4Network | IPv6Network = setting(_network(), help="The network that the clients' addresses are in.")
    blksize: int = setting(
        whole(512, 65464), help="The largest block agreed to there, in octets, instead of ``tftp.blksize``."
    )


@dataclass(frozen=True, slots=True)
class TftpSettings:
    """Where TFTP is served, what, and how patiently."""

    enabled: bool = setting(switch(), True, help="Whether TFTP is served.")
    root: str = setting(
        text('a folder, or "" for /tftpboot'),
        "",
        help="The folder that files are served from, over TFTP and below /loaders over HTTP; empty means /tftpboot "
        "where that exists. What is not in it is looked for among the installed boot loaders.",
    )
    aliases: tuple[Entry[str], ...] = setting(
        aliases(),
        (),
        help='Names that stand for others: "pxelinux.0" = "undionly.kpxe". They are whole names, and one may stand for '
        "another alias.",
    )
    ignore_case: bool = setting(
        switch(),
        True,
        help="Whether a name for which there is no file is that of one which differs from it in the case of letters; "
        "of several, the first in the order of their characters.",
    )
    machine_folders: tuple[str, ...] = setting(
        listing(choice("mac", "serial")),
        ("serial",),
        help='Folders of single machines in root, before what is there for all. "mac": one by the network card of the '
        'machine that asks, like 52-54-00-12-34-56. "serial": what a Raspberry Pi asks for in the folder of its serial '
        "number (1a2b3c4d/start4.elf) is looked for without that where it is not there.",
    )
    remap: tuple[str, ...] = setting(
        rules(),
        (),
        help="Rules that rewrite the names that are asked for, before anything else; each is a line of tftpd-hpa's "
        "map file, like ``r ^/?ipxe/(.*) \\1``. Comments and empty lines may be there. They hold for the names of "
        "``generated``, too.",
    )
    generated: bool = setting(
        switch(),
        True,
        help="Whether there are names that are no files: autoexec.ipxe and boot/MAC.ipxe, by which iPXE goes on to "
        "what the machine boots, and the parts of containers. A file of such a name comes first. With ``ignore_case`` "
        "they may be in upper case, too, but for the id of a container.",
    )
    address: IPv4Address = setting(
        address(), IPv4Address(0), help="The address to listen on; 0.0.0.0 is every address of this machine."
    )
    address6: str = setting(
        text('an IPv6 address, or "" for none', _ipv6),
        "::",
        help='The IPv6 address to listen on as well; "::" is every one of this machine, if it has any, and "" none.',
    )
    port: int = setting(whole(1, 65535), 69, help="The UDP port to listen on. Firmware asks port 69, always.")
    single_port: bool = setting(
        switch(),
        False,
        help="Whether files are sent from the port that was asked, and not from another one. Address translation, "
        "containers and Kubernetes pass on what comes from the port that was asked, and often nothing else. It is a "
        "little slower, and RFC 1350 wants another port; all clients known take either.",
    )
    data_ports: str = setting(
        text('a UDP port, a range like "50000-50010", or "" for any', _ports),
        "",
        help="The ports that files are sent from: the first that is free, and another one than ``port``. A firewall "
        "that is told of them lets them pass. One serves any number of clients. IPv4 and IPv6 have one each: the same "
        'number where it is free for both; with "" the system chooses two.',
    )
    spin: int = setting(
        whole(0, 1000),
        60,
        help="Microseconds that are waited for the next acknowledgement, while files are sent, before everything else "
        "has its turn; a client in the same network that takes one block at a time gets them faster. It stops by "
        "itself where it is in vain. 0 is never: less processor time.",
    )
    memory: int = setting(
        whole(1, 65536),
        96,
        help="MiB of files that are kept cut into blocks, for all who are sent the same; what has no room is read from "
        "the file again.",
    )
    blksize: int | None = setting(
        optional(whole(512, 65464)),
        None,
        help="The largest block agreed to, in octets. Empty means what fits one packet of the interface that the "
        "request came by: 1468 with Ethernet's MTU of 1500, 1448 over IPv6. A client that does not get blocks of a "
        "size is granted smaller ones for a minute (1428, 1024, 512), whatever is said here.",
    )
    network: tuple[NetworkSettings, ...] = setting(
        tables(NetworkSettings),
        (),
        help="Networks whose clients are granted other blocks than ``blksize`` says; the narrowest counts.",
    )
    windowsize: int = setting(
        whole(1, 4096),
        64,
        help="The most blocks sent before one acknowledgement, to clients that ask for several.",
    )
    refuse: tuple[str, ...] = setting(
        listing(choice("blksize", "timeout", "tsize", "windowsize")),
        (),
        help="Options that are treated as if they were not known here, for firmware that trips over them.",
    )
    timeout: float = setting(
        seconds(0.1, 60),
        1.0,
        help="How long the first acknowledgement is waited for; later waits follow the round trips measured.",
    )
    retries: int = setting(
        whole(1, 100),
        8,
        help="How often a block is sent again before the transfer is given up; 8 makes 28 seconds at the least, "
        "because every wait is twice as long as the one before, up to 8 seconds. A client that asks for an interval "
        "of its own (the option timeout) has that between them instead.",
    )
    rollover: int = setting(
        whole(0, 1), 0, help="The block number that follows 65535. Nearly all clients expect 0, a few old ones 1."
    )
    transfers: int = setting(
        whole(1, 65536),
        4096,
        help="How many transfers run at once; who asks beyond that is not answered, and asks again. Those of one file "
        "have it open once. Half of them may wait for a client's first acknowledgement.",
    )
    transfers_per_client: int | None = setting(
        optional(whole(1, 65536)),
        None,
        help="How many of them run at once to one address, or to one IPv6 /64; empty means half of ``transfers``, for "
        "behind one translated address may be a whole site. Half of these may wait for a first acknowledgement.",
    )
    requests_per_client: int = setting(
        whole(1, 100000),
        1000,
        help="How many requests a second one address, or one IPv6 /64, may send, and four times as many at once; those "
        "beyond are not answered.",
    )
    write: tuple[WriteSettings, ...] = setting(
        tables(WriteSettings), (), help="A folder where clients may leave files; without any, nothing can be written."
    )

    def __post_init__(self) -> None:
        if self.data_ports and self.single_port:
            allowed = f'must be "" with tftp.single_port: then files are sent from tftp.port, which is {self.port}'
            raise Invalid("data_ports", self.data_ports, allowed)
        if self.data_ports and list(port_range(self.data_ports)) == [self.port]:
            allowed = "must hold another port than tftp.port; from that one files are sent with tftp.single_port"
            raise Invalid("data_ports", self.data_ports, allowed)
        folders = [each.folder for each in self.write]
        for number, folder in enumerate(folders):
            if folder in folders[:number]:
                raise Invalid(f"write[{number + 1}].folder", folder, "must not be there twice")
        networks = [each.network for each in self.network]
        for number, network in enumerate(networks):
            if network in networks[:number]:
                raise Invalid(f"network[{number + 1}].network", str(network), "must not be there twice")
        if self.transfers_per_client is not None and self.transfers_per_client > self.transfers:
            allowed = f"must not be more than tftp.transfers, which is {self.transfers}"
            raise Invalid("transfers_per_client", self.transfers_per_client, allowed)
