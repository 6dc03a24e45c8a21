"""How each server is set up for the same site: machines behind a relay agent, in 10.0.0.0/15.

Each keeps its leases and writes its log to files, as it does when nobody tells it otherwise; what each would do for
nobody here is off: dnsmasq's and ISC dhcpd's ping before an offer (a relayed machine is behind a router), Kea's
clean-up of its lease file in the middle of a run.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

from benchmarks.dhcp import peers
from lab import CHECKOUT
from lab.needs import program
from lab.servers.pixelboot import twistd
from lab.servers.reference import PLAIN

INTERFACE = "eth0"
"""The interface that the servers serve."""

NETWORK, FIRST, LAST = "10.0.0.0/15", "10.0.1.0", "10.1.250.255"
"""The machines' network, and the pool: room for 100,000 leases and as many again as a run makes."""

LEASE_TIME = 36000
"""Seconds; longer than any measurement."""

HELD_GROUP = 1
"""The second octet of the MAC addresses of those that hold leases from the start."""

_PIXELBOOT = f"""\
state = "{{folder}}/state"

[dhcp]
mode = "server"
interface = "{INTERFACE}"

[[dhcp.subnet]]
network = "{NETWORK}"
pool = ["{FIRST}-{LAST}"]
lease_time = {LEASE_TIME}
"""

_KEA = f"""\
{{{{"Dhcp4": {{{{
  "interfaces-config": {{{{"interfaces": ["{INTERFACE}"], "dhcp-socket-type": "udp"}}}},
  "lease-database": {{{{"type": "memfile", "persist": true, "name": "{{folder}}/leases.csv", "lfc-interval": 0}}}},
  "valid-lifetime": {LEASE_TIME},
  "subnet4": [{{{{"id": 1, "subnet": "{NETWORK}", "pools": [{{{{"pool": "{FIRST} - {LAST}"}}}}]}}}}],
  "loggers": [{{{{
    "name": "kea-dhcp4", "severity": "INFO", "output_options": [{{{{"output": "{{folder}}/kea.log"}}}}]
  }}}}]
}}}}}}}}
"""

_ISC = f"""\
authoritative;
ping-check false;
ddns-update-style none;
default-lease-time {LEASE_TIME};
max-lease-time {LEASE_TIME};
subnet 192.0.2.0 netmask 255.255.255.0 {{{{ }}}}
subnet 10.0.0.0 netmask 255.254.0.0 {{{{ range {FIRST} {LAST}; }}}}
"""

_KEA_COLUMNS = (
    "address,hwaddr,client_id,valid_lifetime,expire,subnet_id,fqdn_fwd,fqdn_rev,hostname,state,user_context\n"
)

_KEA_FOLDERS = {"KEA_LOCKFILE_DIR": "none", "KEA_PIDFILE_DIR": tempfile.gettempdir()}
"""Kea would look for folders that only its package makes."""

_PYTHON = {"PYTHONPATH": str(CHECKOUT), "PYTHONDONTWRITEBYTECODE": ""}
"""The checkout, compiled as an installed package is: not anew at every start."""

_ISC_LEASE = """\
lease {address} {{
  starts epoch {start};
  ends epoch {end};
  cltt epoch {start};
  binding state active;
  next binding state free;
  hardware ethernet {hwaddr};
}}
"""


@dataclass(frozen=True, slots=True)
class Server:
    """A server that can be set up in an empty folder."""

    name: str
    """As it stands in the tables."""

    command: Callable[[Path], list[str]]
    """Writes its settings into a folder, and returns its command line."""

    hold: Callable[[Path, int], None] | None
    """Writes so many leases into the folder, in the server's own format; None where only the server itself does."""

    environ: Callable[[], Mapping[str, str]] = dict
    """What it needs in its environment."""

    most: int = 1 << 17
    """Leases with which it is still worth asking: with 100,000, dnsmasq answers a machine in many seconds."""


def machines(count: int) -> Iterator[tuple[str, str]]:
    """Address and MAC address of those that hold leases from the start."""
    for number in range(count):
        hwaddr = bytes((2, HELD_GROUP)) + number.to_bytes(4)
        yield str(IPv4Address(FIRST) + number), hwaddr.hex(":")


def _pixelboot(folder: Path) -> list[str]:
    settings = folder / "pixelboot.toml"
    settings.write_text(_PIXELBOOT.format(folder=folder))
    return twistd(["--config", str(settings)])


def _kea(folder: Path) -> list[str]:
    settings = folder / "kea.json"
    settings.write_text(_KEA.format(folder=folder))
    return [str(peers.root() / "usr/sbin/kea-dhcp4"), "-c", str(settings)]


def _hold_kea(folder: Path, count: int) -> None:
    end = int(time.time()) + LEASE_TIME
    with (folder / "leases.csv").open("w") as file:
        file.write(_KEA_COLUMNS)
        for address, hwaddr in machines(count):
            file.write(f"{address},{hwaddr},,{LEASE_TIME},{end},1,0,0,,0,\n")


def _dnsmasq(folder: Path) -> list[str]:
    return [
        *(program("dnsmasq"), *PLAIN, f"--interface={INTERFACE}", f"--dhcp-leasefile={folder}/leases"),
        *("--dhcp-authoritative", f"--dhcp-range={FIRST},{LAST},255.254.0.0,{LEASE_TIME}", "--dhcp-lease-max=200000"),
    ]


def _hold_dnsmasq(folder: Path, count: int) -> None:
    end = int(time.time()) + LEASE_TIME
    (folder / "leases").write_text("".join(f"{end} {hwaddr} {address} * *\n" for address, hwaddr in machines(count)))


def _isc(folder: Path) -> list[str]:
    settings, leases = folder / "dhcpd.conf", folder / "dhcpd.leases"
    settings.write_text(_ISC.format())
    leases.touch()
    words = ("-f", "-4", "-cf", str(settings), "-lf", str(leases), "-pf", str(folder / "dhcpd.pid"), INTERFACE)
    return [str(peers.root() / "usr/sbin/dhcpd"), *words]


def _hold_isc(folder: Path, count: int) -> None:
    end = int(time.time()) + LEASE_TIME
    with (folder / "dhcpd.leases").open("w") as file:
        for address, hwaddr in machines(count):
            file.write(_ISC_LEASE.format(address=address, hwaddr=hwaddr, start=end - LEASE_TIME, end=end))


PIXELBOOT, KEA, DNSMASQ, ISC = (
    Server("pixelboot", _pixelboot, None, lambda: _PYTHON),
    Server("Kea", _kea, _hold_kea, lambda: {**peers.libraries(), **_KEA_FOLDERS}),
    Server("dnsmasq", _dnsmasq, _hold_dnsmasq, most=10_000),
    Server("ISC dhcpd", _isc, _hold_isc),
)
SERVERS = {server.name: server for server in (PIXELBOOT, KEA, DNSMASQ, ISC)}
"""By name."""
