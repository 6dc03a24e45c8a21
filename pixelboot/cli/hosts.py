"""``pixelboot hosts``: what single machines boot, once or always."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from pixelboot.cli import channel
from pixelboot.malformed import Malformed
from pixelboot.outcome import printable
from pixelboot.site import Site

if TYPE_CHECKING:
    from pixelboot.boot.hosts import Hosts
    from pixelboot.state.hosts import HostsFile

ALL = "/api/v1/hosts"

Values = dict[str, Any]

_WHO = {"once": "once", "chosen": "chosen", "settings": "of the settings file", "menu": "nothing was said"}


def add_parser(subparsers: Any) -> None:
    """Declare the command."""
    parser = subparsers.add_parser(
        "hosts",
        help="say what single machines boot",
        description="Say what single machines boot, once or always, over what the settings file says of them.  MACHINE "
        "is the hardware address, the UUID, or the name that the settings file has.",
    )
    channel.add_arguments(parser)
    parser.add_argument("--json", action="store_true", help="as JSON, complete")
    parser.set_defaults(run=_list)
    actions = parser.add_subparsers(metavar="ACTION", title="actions", description="without one: list")

    def action(name: str, run: Any, told: str) -> Any:
        declared = actions.add_parser(name, help=told, description=f"{told[0].upper()}{told[1:]}.")
        channel.add_arguments(declared, again=True)
        declared.set_defaults(run=run)
        return declared

    def about_one(name: str, run: Any, told: str) -> Any:
        declared = action(name, run, told)
        declared.add_argument("machine", metavar="MACHINE", help="its hardware address, UUID or name")
        return declared

    for listing in (
        action("list", _list, "list all machines of which something is said"),
        about_one("show", _show, "show what one machine boots, and who says so"),
    ):
        listing.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="as JSON, complete")
    choose = about_one("set", _set, "choose what one machine boots, or loads first")
    choose.add_argument("--boot", metavar="ID|menu|local|shell|none", help="what it boots; none leaves it to others")
    choose.add_argument("--once", action="store_true", help="the next time alone")
    choose.add_argument("--loader", metavar="NAME|URL|none", help="what it loads first, instead of boot.loaders")
    choose.add_argument("--anyway", action="store_true", help="also a container that is not there")
    about_one("unset", _unset, "forget all that was chosen for one machine")


def _list(arguments: argparse.Namespace) -> int:
    """List."""
    found = _place(arguments).listing()
    print(json.dumps(found, indent=2) if arguments.json else "\n".join(lines(found["hosts"])))
    return 0


def _show(arguments: argparse.Namespace) -> int:
    """Show one."""
    place = _place(arguments)
    found = place.one(_meant(place, arguments.machine))
    print(json.dumps(found, indent=2) if arguments.json else "\n".join(_about(found)))
    return 0


def _set(arguments: argparse.Namespace) -> int:
    """Choose."""
    wanted: dict[str, object] = {}
    if arguments.boot is not None:
        wanted["once" if arguments.once else "boot"] = _boot(arguments.boot)
    elif arguments.once:
        raise Malformed("--once goes with --boot, which says what")
    if arguments.loader is not None:
        wanted["loader"] = "" if arguments.loader == "none" else arguments.loader
    if not wanted:
        raise Malformed("say what is chosen: --boot, --loader, or both")
    place = _place(arguments)
    return _told(place, place.change(_meant(place, arguments.machine), wanted, anyway=arguments.anyway))


def _unset(arguments: argparse.Namespace) -> int:
    """Forget."""
    place = _place(arguments)
    return _told(place, place.reset(_meant(place, arguments.machine)))


def _boot(words: str) -> str:
    """What is booted, by the words of the command line; raises `Malformed`."""
    from pixelboot.cli.choices import chosen

    return words if words == "menu" else chosen(words)


def _meant(place: InServer | InFolder, words: str) -> str:
    """The key of the machine that is meant: by its hardware address, UUID or name; raises `Malformed`."""
    from pixelboot.boot.hosts import host_key

    try:
        return host_key(words)
    except Malformed:
        named = [each["id"] for each in place.listing()["hosts"] if each["name"] == words]
        if not named:
            raise
    return str(named[0])


def _told(place: InServer | InFolder, told: Values) -> int:
    """Say what has changed, and what the machine boots now."""
    before, after = told["before"], told["chosen"]
    changes = [f"{key} {_value(before[key])} → {_value(after[key])}" for key in after if before[key] != after[key]]
    print(f"{told['id']}: {', '.join(changes) or 'nothing changed'}")
    print("\n".join(_about(told)))
    print(place.where)
    return 0


def lines(hosts: list[Values]) -> Iterator[str]:
    """The list as text for a person."""
    if not hosts:
        yield "nothing is said of any machine"
        return
    wide = max([17, *(len(each["id"]) for each in hosts)])
    yield f"{'machine':<{wide}} {'boots':<24} {'who says so':<20}  name"
    for each in hosts:
        said = "; ".join(filter(None, [each["name"], each["notice"], each["loader"] and f"loads {each['loader']}"]))
        boots = printable(each["boots"], 100)
        yield f"{each['id']:<{wide}} {boots:<24} {_WHO[each['source']]:<20}  {printable(said, 300)}".rstrip()


def _about(host: Values) -> Iterator[str]:
    """What one machine boots, in sentences."""
    name = f" ({printable(host['name'], 100)})" if host["name"] else ""
    yield f"{host['id']}{name} boots {printable(host['boots'], 100)} ({_WHO[host['source']]})"
    if host["notice"]:
        yield f"it will get the menu: {printable(host['notice'], 300)}"
    if host["source"] == "once":
        then = host["chosen"]["boot"] or (host["settings"] or {}).get("boot") or "menu"
        yield f"after that: {printable(then, 100)}"
    if host["loader"]:
        yield f"it loads {printable(host['loader'], 300)} first"


def _value(value: object) -> str:
    return printable(str(value), 300) if value else "none"


def _place(arguments: argparse.Namespace) -> InServer | InFolder:
    """Where machines are decided about now; raises `Malformed` where its server serves no containers."""
    site = channel.site_of(arguments)
    try:
        channel.ask(site, "GET", "/api/v1/default")
    except channel.NoServer:
        return InFolder(site)
    except channel.Refused as problem:
        if problem.status != 404:
            raise
        told = f"the server on the state folder {site.state} serves no containers, so no machine boots from it"
        raise Malformed(told) from None
    return InServer(site)


class InServer:
    """In a server that runs, by its control channel."""

    def __init__(self, site: Site) -> None:
        self.where = f"the server on {site.state} goes by it from now on"
        """What is told after a change."""
        self._site = site

    def listing(self) -> Values:
        """All machines of which something is said."""
        return channel.ask(self._site, "GET", ALL)

    def one(self, key: str) -> Values:
        """One of them, or any other."""
        return channel.ask(self._site, "GET", f"{ALL}/{quote(key)}")

    def change(self, key: str, wanted: Mapping[str, object], *, anyway: bool) -> Values:
        """Choose for a machine; raises `Malformed`."""
        return self._ask("PATCH", f"{ALL}/{quote(key)}{'?anyway=yes' if anyway else ''}", wanted)

    def reset(self, key: str) -> Values:
        """Forget what was chosen for a machine; raises `Malformed`."""
        return self._ask("DELETE", f"{ALL}/{quote(key)}", None)

    def _ask(self, method: str, path: str, body: object) -> Values:
        try:
            return channel.ask(self._site, method, path, body)
        except channel.Refused as problem:
            if problem.status != 404:
                raise
            raise Malformed(problem.reason.replace("?anyway=yes", "--anyway")) from None


class InFolder:
    """In the state folder, which no server has; which containers there are is known by their files' names."""

    def __init__(self, site: Site) -> None:
        from pixelboot.boot.hosts import settled

        self.where = f"no server runs on {site.state}: the next one will go by it"
        """What is told after a change."""
        self._site = site
        self._settled = settled(site.host)

    def listing(self) -> Values:
        """See `InServer.listing`."""
        hosts = self._hosts()
        return {"hosts": [self._described(key, hosts) for key in sorted({*hosts.chosen, *hosts.settled})]}

    def one(self, key: str) -> Values:
        """See `InServer.one`."""
        return self._described(key, self._hosts())

    def change(self, key: str, wanted: Mapping[str, object], *, anyway: bool) -> Values:
        """See `InServer.change`."""
        from pixelboot.boot.hosts import said_of
        from pixelboot.cli.choices import made

        for what in (wanted.get("boot"), wanted.get("once")):
            if what and not anyway and (notice := self._notice(str(what))):
                raise Malformed(f"{notice} (--anyway takes one that is to come)")
        with self._opened() as file:
            before, _ = made(lambda: file.change(key, wanted))
            return {"before": said_of(before), **self._described(key, file.hosts)}

    def reset(self, key: str) -> Values:
        """See `InServer.reset`."""
        from pixelboot.boot.hosts import said_of
        from pixelboot.cli.choices import made

        with self._opened() as file:
            if key not in file.hosts.chosen:
                raise Malformed(f"nothing was chosen for {key}")
            before, _ = made(lambda: file.reset(key))
            return {"before": said_of(before), **self._described(key, file.hosts)}

    def _hosts(self) -> Hosts:
        """What is said of machines; nothing is made to find that out."""
        from pixelboot.boot.hosts import Hosts
        from pixelboot.state.hosts import FILE_NAME

        if not os.path.lexists(os.path.join(self._site.state, FILE_NAME)):
            return Hosts(settled=self._settled)
        with self._opened() as file:
            return file.hosts

    def _described(self, key: str, hosts: Hosts) -> Values:
        from pixelboot.boot.hosts import described

        return described(key, hosts, self._notice)

    def _notice(self, what: str) -> str | None:
        """What is known without a look into the pictures: whether there is one."""
        from pixelboot.library.catalog import RESERVED, identify
        from pixelboot.library.folder.look import survey

        if what in RESERVED:
            return None
        there = {identify(each.file_name) for each in survey(self._site.roots, ()).seen.values()}
        return None if what in there else f"there is no container {what}"

    @contextmanager
    def _opened(self) -> Iterator[HostsFile]:
        """The file, while no server can start; raises `Malformed`."""
        from pixelboot.cli.choices import locked
        from pixelboot.state.hosts import FILE_NAME, HostsFile

        with locked(self._site.state):
            yield HostsFile.open(os.path.join(self._site.state, FILE_NAME), self._settled)
