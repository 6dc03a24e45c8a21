"""``pixelboot leases``: which machine has which address, for a person and for other programs."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from pixelboot.cli import channel
from pixelboot.malformed import Malformed
from pixelboot.outcome import printable
from pixelboot.site import Site

ALL = "/api/v1/leases"

LARGEST_FILE = 256 << 20
"""Octets of a file that is imported: a million leases of ISC dhcpd."""

BATCH = 24_000
"""Octets of leases that are brought to the server at once; it takes a little more."""

_FILTERS = {
    "state": ("STATE", "those in this state: bound, offered, released, expired or declined; may be given again"),
    "network": ("NETWORK", "those of this network, such as 10.77.0.0/24"),
    "address": ("ADDRESS", "that of this address; may be given again"),
    "mac": ("MAC", "those of this hardware address, or of those that begin so"),
    "name": ("NAME", "those of machines that give themselves this name, which may have * and ?"),
    "identity": ("KEY", "those of the machine with this key"),
}
"""What can be asked for: what the value is called, and what it means."""

_AGAIN = ("state", "address")

Values = dict[str, Any]


def add_parser(subparsers: Any) -> None:
    """Declare the command."""
    parser = subparsers.add_parser(
        "leases",
        help="list leases, set addresses free, bring leases of another server",
        description="List the leases of a running server, set addresses free, and take over leases of another server.",
    )
    channel.add_arguments(parser)
    parser.set_defaults(run=_list)
    _add_listing(parser, again=False)
    actions = parser.add_subparsers(metavar="ACTION", title="actions", description="without one: list")

    listing = actions.add_parser("list", help="list leases", description="List leases, by address.")
    channel.add_arguments(listing, again=True)
    _add_listing(listing, again=True)
    listing.set_defaults(run=_list)

    release = actions.add_parser(
        "release",
        help="set addresses free",
        description="Set addresses free at once, also those in quarantine.  Who had one is remembered, and gets it "
        "again if nobody else did; nobody tells the machine, so one that still runs goes on to use it until it renews "
        "its lease.",
    )
    channel.add_arguments(release, again=True)
    release.add_argument("addresses", metavar="ADDRESS", nargs="+", help="an address")
    release.set_defaults(run=_release)

    bring = actions.add_parser(
        "import",
        help="take over leases of another server",
        description="Take over leases out of a file.  What cannot be taken is told, and changes nothing.",
    )
    channel.add_arguments(bring, again=True)
    bring.add_argument("file", metavar="FILE", help="the file; - is standard input")
    bring.add_argument(
        "--from",
        dest="format",
        choices=("dnsmasq", "isc", "csv", "json"),
        required=True,
        help="whose file it is: dnsmasq.leases, dhcpd.leases of ISC, or what this command exported",
    )
    bring.add_argument("--dry-run", action="store_true", help="only tell what would be done")
    bring.set_defaults(run=_import)


def _add_listing(parser: argparse.ArgumentParser, *, again: bool) -> None:
    """The arguments of a listing; `again` where they may stand in front of it, too."""
    default = argparse.SUPPRESS if again else None
    for name, (word, told) in _FILTERS.items():
        flags = {"network": ["--network", "--subnet"], "state": ["--status"]}.get(name, [f"--{name}"])
        action = "append" if name in _AGAIN else "store"
        parser.add_argument(
            *flags, dest=f"of_{name}", metavar=word, action=action, default=default, help=f"only {told}"
        )
    form = parser.add_mutually_exclusive_group()
    for name in ("csv", "json"):
        form.add_argument(
            f"--{name}",
            dest="form",
            action="store_const",
            const=name,
            default=default,
            help=f"as {name.upper()}, complete",
        )
    parser.add_argument("-o", "--output", metavar="FILE", default=default, help="write it there; - is standard output")
    force = argparse.SUPPRESS if again else False
    parser.add_argument("--force", action="store_true", default=force, help="replace the file if it exists")


def _list(arguments: argparse.Namespace) -> int:
    """List, or export."""
    from pixelboot.leases.foreign.own import csv_lines

    site = channel.site_of(arguments)
    query = urlencode([(name, each) for name in _FILTERS for each in _several(getattr(arguments, f"of_{name}"))])
    found = _ask(site, "GET", f"{ALL}?{query}" if query else ALL)
    leases: Sequence[Values] = sorted(found["leases"], key=_place)
    if arguments.form == "json":
        rest = {**found, "leases": leases}
        _write(arguments, [json.dumps(rest, indent=2) + "\n"])
    elif arguments.form == "csv":
        _write(arguments, csv_lines(leases))
    else:
        _write(arguments, (f"{line}\n" for line in lines(leases)))
    return 0


def lines(leases: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Leases as text for a person."""
    if not leases:
        yield "no lease"
        return
    yield f"{'address':<15} {'state':<8} {'until':<19} {'hardware address':<17}  name"
    for lease in leases:
        name = printable(lease["hostname"], 60)
        who = printable(lease["hwaddr"] or lease["identity"], 60)
        until = _until(lease["expires_at"])
        yield f"{lease['address']:<15} {lease['state']:<8} {until:<19} {who:<17}  {name}".rstrip()
    yield f"{len(leases)} in all"


def _release(arguments: argparse.Namespace) -> int:
    """Set addresses free; those that cannot be are told at the end."""
    site = channel.site_of(arguments)
    failed = []
    for address in arguments.addresses:
        try:
            told = _ask(site, "DELETE", f"{ALL}/{quote(address, safe='')}")
        except channel.Refused as problem:
            failed.append(problem.reason or str(problem))
            continue
        before = told["before"]
        who = printable(before["hwaddr"] or before["identity"], 60)
        name = f" ({printable(before['hostname'], 60)})" if before["hostname"] else ""
        if before["state"] == "declined":
            print(f"{before['address']}: free; it was in quarantine")
        elif told["freed"]:
            print(f"{before['address']}: free; it was {before['state']} to {who}{name}")
        else:
            print(f"{before['address']}: free already; {who}{name} had it last")
    if failed:
        raise Malformed("; ".join(failed))
    return 0


def _import(arguments: argparse.Namespace) -> int:
    """Take over leases of a file; nothing of one that cannot be read to its end."""
    from pixelboot.leases.foreign import own

    site = channel.site_of(arguments)
    imported = _read(arguments.file, arguments.format, site)
    for note in imported.notes:
        print(note)
    # Of several leases of one machine the latest is taken, also where they are brought in several goes.
    newest = sorted(imported.leases, key=lambda lease: lease.renewed_at, reverse=True)
    path = f"{ALL}?dry-run=yes" if arguments.dry_run else ALL
    taken = known = skipped = 0
    for batch in batches(own.value_of(lease) for lease in newest):
        try:
            told = _ask(site, "POST", path, {"leases": batch})
        except Malformed as problem:
            if not taken:
                raise
            raise Malformed(f"{problem}; {taken} leases were taken over before, and need not be again") from None
        taken, known, skipped = taken + told["taken"], known + told["known"], skipped + len(told["skipped"])
        for each in told["skipped"]:
            print(f"{each['address']}: {printable(each['reason'])}")
    would = "would be taken over" if arguments.dry_run else "taken over"
    print(f"{would}: {taken} leases; {known} were here before, {skipped} cannot be")
    return 0


def _read(name: str, form: str, site: Site) -> Any:
    """The leases of a file; `Malformed` names the file, and what is wrong in it."""
    from pixelboot.cli.picture.source import opened, shown
    from pixelboot.leases.foreign import dnsmasq, isc, own

    with opened(name) as (size, file):
        if size > LARGEST_FILE:
            raise Malformed(f"{shown(name)}: more than {LARGEST_FILE >> 20} MiB are no file of leases")
        octets = file.read()
    now = time.time()
    try:
        if form == "dnsmasq":
            return dnsmasq.parse(octets, now)
        if form == "isc":
            return isc.parse(octets, now, site.dhcp.decline_time)
        return own.parse_csv(octets) if form == "csv" else own.parse_json(octets)
    except Malformed as problem:
        raise Malformed(f"{shown(name)}: {problem}; nothing is taken over") from None


def batches(values: Iterable[Values]) -> Iterator[list[Values]]:
    """Leases in goes of which each has at most `BATCH` octets, and one of them at least."""
    batch: list[Values] = []
    size = 0
    for value in values:
        octets = len(json.dumps(value)) + 2
        if batch and size + octets > BATCH:
            yield batch
            batch, size = [], 0
        batch.append(value)
        size += octets
    if batch:
        yield batch


def _ask(site: Site, method: str, path: str, body: object = None) -> Values:
    """Put one request to the server; raises `Malformed` with the reason."""
    try:
        return channel.ask(site, method, path, body)
    except channel.NoServer as problem:
        raise Malformed(f"{problem}: leases are listed and changed by one that runs") from None
    except channel.Refused as problem:
        if problem.status == 404 and "no such resource" in problem.reason:
            told = f"the server on the state folder {site.state} has no leases: it gives no addresses (dhcp.mode)"
            raise Malformed(told) from None
        raise


def _write(arguments: argparse.Namespace, texts: Iterable[str]) -> None:
    """Write to standard output, or to a file that is there whole, or not at all."""
    from pixelboot.cli.picture.aside import STANDARD, written_aside

    if arguments.output in (None, STANDARD):
        for text in texts:
            sys.stdout.write(text)
        return
    with written_aside([Path(arguments.output)], arguments.force) as (file,):
        for text in texts:
            file.write(text.encode())


def _several(value: str | list[str] | None) -> list[str]:
    return [] if value is None else value if isinstance(value, list) else [value]


def _place(lease: Values) -> tuple[int, ...]:
    return tuple(map(int, lease["address"].split(".")))


def _until(expires_at: float | None) -> str:
    return "for ever" if expires_at is None else f"{datetime.fromtimestamp(expires_at).astimezone():%F %T}"
