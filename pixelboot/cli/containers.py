"""``pixelboot containers``: what there is to boot, and what menus offer of it."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from pixelboot.cli import channel
from pixelboot.cli.status import size
from pixelboot.malformed import Malformed
from pixelboot.outcome import printable

if TYPE_CHECKING:
    from pixelboot.cli.choices import InFolder, InServer, Values


def add_parser(subparsers: Any) -> None:
    """Declare the command."""
    parser = subparsers.add_parser(
        "containers",
        help="list containers, and choose what menus offer",
        description="List containers, and choose what menus offer and how.  What is chosen belongs to the name of a "
        "container, survives restarts, and holds for the next picture of that name.",
    )
    channel.add_arguments(parser)
    parser.add_argument("--json", action="store_true", help="as JSON, complete")
    parser.set_defaults(run=_list)
    actions = parser.add_subparsers(metavar="ACTION", title="actions", description="without one: list")

    def action(name: str, run: Callable[[argparse.Namespace], int], told: str, id: str = "ID") -> Any:  # noqa: A002
        declared = actions.add_parser(name, help=told, description=f"{told[0].upper()}{told[1:]}.")
        channel.add_arguments(declared, again=True)
        declared.set_defaults(run=run)
        if id:
            declared.add_argument("id", metavar=id, help="the name of its file, without .rts.png")
        return declared

    listing = action("list", _list, "list all containers", id="")
    listing.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="as JSON, complete")
    for name, (key, word, read, told) in _SETTINGS.items():
        declared = action(name, _change, told)
        if word:
            declared.add_argument("value", metavar=word)
        declared.set_defaults(key=key, read=read)
        _add_anyway(declared)
    _add_anyway(action("default", _default, "choose what boots by itself", "ID|local|shell|none"))
    action("reset", _reset, "forget all that was chosen for a container")


def _add_anyway(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--anyway", action="store_true", help="also for a container that is not there")


def _text(words: str) -> object:
    return words


def _whole(words: str) -> object:
    try:
        return None if words == "none" else int(words)
    except ValueError:
        raise Malformed(f"order must be a whole number, or none, not {printable(words, 40)}") from None


def _seconds(words: str) -> object:
    try:
        return None if words == "none" else float(words)
    except ValueError:
        raise Malformed(f"timeout must be seconds, or none, not {printable(words, 40)}") from None


_SETTINGS: dict[str, tuple[str, str, Callable[[str], object], str]] = {
    "enable": ("enabled", "", lambda _: True, "offer a container in menus"),
    "disable": ("enabled", "", lambda _: False, "offer a container in menus no longer"),
    "name": ("name", "TEXT", _text, 'set what menus call a container; "" for the name that its maker gave it'),
    "describe": ("description", "TEXT", _text, 'set what menus say of a container; "" for what its maker says'),
    "order": ("order", "N|none", _whole, "set where in menus a container stands: lower numbers first, then the others"),
    "timeout": ("timeout", "SECONDS|none", _seconds, "set how long menus wait where it is the default; 0 for ever"),
    "arguments": ("arguments", "TEXT", _text, 'set what is put behind its kernel\'s command line; "" for nothing'),
}
"""By the name of the action: the setting, what its value is called, how that is read, and what is told of it."""


def _place(arguments: argparse.Namespace) -> InServer | InFolder:
    # What it needs of the server takes a moment to import, which other commands need not wait for.
    from pixelboot.cli.choices import place_of

    return place_of(channel.site_of(arguments))


def _list(arguments: argparse.Namespace) -> int:
    """List."""
    found = _place(arguments).listing()
    print(json.dumps(found, indent=2) if arguments.json else "\n".join(lines(found)))
    return 0


def _change(arguments: argparse.Namespace) -> int:
    """Change one setting."""
    from pixelboot.cli.choices import meant

    of, wanted = meant(arguments.id), {arguments.key: arguments.read(getattr(arguments, "value", ""))}
    place = _place(arguments)
    return _told(place, place.change(of, wanted, anyway=arguments.anyway))


def _reset(arguments: argparse.Namespace) -> int:
    """Forget all settings."""
    from pixelboot.cli.choices import meant

    of = meant(arguments.id)
    place = _place(arguments)
    return _told(place, place.reset(of))


def _default(arguments: argparse.Namespace) -> int:
    """Choose the default."""
    from pixelboot.cli.choices import chosen

    of = chosen(arguments.id)
    place = _place(arguments)
    told = place.choose(of, anyway=arguments.anyway)
    names = {each: each or f"{told['site']} (of the settings)" for each in (told["before"], told["choice"])}
    print(f"default: {names[told['before']]} → {names[told['choice']]}")
    _note(told)
    print(place.where)
    return 0


def _told(place: InServer | InFolder, told: Values) -> int:
    """Say what has changed."""
    before, after = told["before"], told["settings"]
    changes = [f"{key} {_value(before[key])} → {_value(after[key])}" for key in after if before[key] != after[key]]
    print(f"{told['id']}: {', '.join(changes) or 'nothing changed'}")
    if changes and not told["present"]:
        print(f"there is no container {told['id']}: this is kept for one that is to come")
    _note(told)
    print(place.where)
    return 0


def _note(told: Values) -> None:
    """Say what machines are told, too, when the default is not what boots."""
    if told.get("notice"):
        print(printable(told["notice"], 300))


def lines(found: Values) -> Iterator[str]:
    """The list as text for a person."""
    default = found["default"]
    chosen = "chosen" if default["choice"] else "of the settings"
    yield f"boots by itself: {printable(default['choice'] or default['site'], 100)} ({chosen})"
    if default.get("notice"):
        yield printable(default["notice"], 300)
    if not found["server"]:
        folders = printable(", ".join(found["folders"]), 4096)
        yield f"no server runs: the pictures in {folders} were not looked into"
    yield ""
    absent = [
        {"id": name, "settings": settings, "state": "absent", "reason": "there is no such file", "offered": False}
        for name, settings in found["absent"].items()
    ]
    rows = sorted([*found["containers"], *absent], key=_place_in_menu)
    names = [printable(each["id"], 100) for each in rows]
    wide = max([24, *map(len, names)])
    yield f"{'container':<{wide}} {'menus':<8} {'order':>7}  {'state':<10} {'size':>9}  name"
    for called, each in zip(names, rows, strict=True):
        settings = each["settings"]
        offered = ("yes" if each.get("offered", True) else "no") if settings["enabled"] else "disabled"
        order = "" if settings["order"] is None else settings["order"]
        octets = size(each["size"]) if "size" in each else ""
        name = settings["name"] or each.get("name", "")
        said = "; ".join(filter(None, [name, each.get("reason"), each.get("obstacle"), *_more(settings)]))
        line = f"{called:<{wide}} {offered:<8} {order:>7}  {each.get('state', ''):<10} {octets:>9}"
        yield f"{line}  {printable(said)}".rstrip()


def _place_in_menu(each: Values) -> tuple[bool, int]:
    order = each["settings"]["order"]
    return order is None, order or 0


def _more(settings: Values) -> list[str]:
    """The settings that have no column."""
    return [f"{key} {_value(settings[key])}" for key in ("timeout", "arguments") if settings[key] not in (None, "")]


def _value(value: object) -> str:
    return "none" if value is None else printable(json.dumps(value, ensure_ascii=False), 300)
