"""The settings of the TFTP service, ``[tftp]``."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address

from pixelboot.config import address, choice, listing, seconds, setting, switch, text, whole


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
    address: IPv4Address = setting(
        address(), IPv4Address(0), help="The address to listen on; 0.0.0.0 is every address of this machine."
    )
    port: int = setting(whole(1, 65535), 69, help="The UDP port to listen on. Firmware asks port 69, always.")
    blksize: int = setting(
        whole(512, 65464),
        1468,
        help="The largest block agreed to, in octets: what fits one packet of the network. 1468 is Ethernet's MTU of "
        "1500 without the headers of IP, UDP and TFTP; tunnels take less (1428, 1024).",
    )
    windowsize: int = setting(
        whole(1, 4096),
        64,
        help="The most blocks sent before one acknowledgement, to clients that ask for several. What is sent is kept "
        "until then, in 64 MiB at the most for all: when many transfers run, new ones are granted shorter windows.",
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
        help="How many transfers run at once, and at most half of them to one address; who asks beyond that is not "
        "answered, and asks again. Each has a file open.",
    )
