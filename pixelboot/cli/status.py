"""``pixelboot status``: what a running server does."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from pixelboot.cli import channel
from pixelboot.outcome import printable

MOST_LEASES = 40
"""Leases shown to a person; ``pixelboot leases`` shows them all."""


def add_parser(subparsers: Any) -> None:
    """Declare the command."""
    parser = subparsers.add_parser(
        "status",
        help="show what a running server does",
        description="Show the services, ports, leases, containers and counters of a running server.",
    )
    channel.add_arguments(parser)
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Ask and show."""
    status = channel.ask(channel.site_of(arguments), "GET", "/api/v1/status")
    if arguments.json:
        print(json.dumps(status, indent=2))
    else:
        print("\n".join(lines(status)))
    return 0


def lines(status: dict[str, Any]) -> Iterator[str]:
    """The status as text for a person."""
    yield f"pixelboot {status['version']}, process {status['pid']}, up {_duration(status['uptime'])}"
    yield f"state in {printable(status['state'])}"
    yield ""
    yield "services"
    for service in status["services"]:
        yield f"  {service['name']:<11} {printable(service['listening']):<24} {printable(service['about'])}".rstrip()
    yield ""
    counts = status["container_counts"]
    told = ", ".join(f"{count} {state}" for state, count in sorted(counts.items(), key=lambda each: -each[1]))
    yield f"containers: {told or 'none'}"
    for each in status["containers"]:
        disabled = "" if each["enabled"] else "disabled: menus do not offer it; "
        said = disabled + (each["reason"] or each["name"])
        name = printable(each["id"], 100)
        yield f"  {name:<24} {each['state']:<10} {size(each['size']):>9}  {printable(said)}".rstrip()
    if (more := sum(counts.values()) - len(status["containers"])) > 0:
        yield f"  … and {more} more (pixelboot containers shows all)"
    yield ""
    held = status["lease_counts"]
    told = ", ".join(f"{count} {state}" for state, count in sorted(held.items(), key=lambda each: -each[1]))
    yield f"leases: {told or 'none'}"
    for lease in status["leases"][:MOST_LEASES]:
        until = _until(lease["expires_at"], lease["state"])
        name = printable(lease["hostname"], 40)
        yield f"  {lease['address']:<15} {lease['hwaddr']:<17} {lease['state']:<8} {until}  {name}".rstrip()
    if (more := sum(held.values()) - min(len(status["leases"]), MOST_LEASES)) > 0:
        yield f"  … and {more} more (pixelboot leases shows all)"
    if status["neighbours"]:
        yield ""
        yield "other DHCP servers"
    for server in status["neighbours"]:
        where, gives = ", ".join(server["places"]), ", ".join(server["gives"]) or "nothing that was seen"
        word = "" if server["expected"] else ", a rival"
        said = f"gives {gives}{word}, heard last at {_local(server['last_seen_at'])}"
        yield f"  {server['address']:<15} {printable(where, 100)}: {said}"
    yield ""
    yield "exchanges" if status["counts"] else "exchanges: none yet"
    width = max((24, *map(len, status["counts"])))
    for name, count in sorted(status["counts"].items()):
        yield f"  {name:<{width}} {count}"


def _until(expires_at: float | None, state: str) -> str:
    """The end of what a lease is; of one that has ended, since when."""
    word = "since" if state in ("released", "expired") else "until"
    return "for ever" if expires_at is None else f"{word} {_local(expires_at)}"


def _local(at: float) -> str:
    """An instant for a person, in local time."""
    return f"{datetime.fromtimestamp(at).astimezone():%F %T}"


def size(octets: int) -> str:
    """A size for a person: ``14.2 MB``."""
    value = float(octets)
    for unit in ("B", "kB", "MB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} GB"


def _duration(seconds: float) -> str:
    """A duration for a person: ``3 min 12 s``."""
    whole = int(seconds)
    days, hours, minutes = whole // 86400, whole // 3600 % 24, whole // 60 % 60
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (whole % 60, "s")]
    shown = [f"{count} {unit}" for count, unit in parts if count] or ["0 s"]
    return " ".join(shown[:2])
