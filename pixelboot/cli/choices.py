"""Where a command makes decisions about containers: in the running server, or in the state folder when none runs.

Both have the same methods and tell in the same values, those of the control channel (`pixelboot.view.api`).
"""

from __future__ import annotations

import difflib
import os
import time
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar
from urllib.parse import quote

from pixelboot.boot.ipxe.menu import LOCAL, SHELL, make_menu
from pixelboot.boot.seam import ChoiceFailed, Choices, ContainerSettings, checked_id, said
from pixelboot.cli import channel
from pixelboot.library.catalog import identify
from pixelboot.library.folder.look import SUFFIX, survey
from pixelboot.malformed import Malformed
from pixelboot.site import Site
from pixelboot.state.containers import FILE_NAME, ChoicesFile
from pixelboot.state.lock import StateLock, StateUnusable

ALL = "/api/v1/containers"
DEFAULT = "/api/v1/default"

PATIENCE = 2.0
"""Seconds that another console is waited for, which has the state folder while it makes a change."""

PAUSE = 0.02
"""Seconds between two attempts to get it."""

Values = dict[str, Any]

T = TypeVar("T")

_Change = tuple[ContainerSettings, ContainerSettings]


def place_of(site: Site) -> InServer | InFolder:
    """Where decisions for this site are made now; raises `Malformed` where its server has no containers."""
    try:
        channel.ask(site, "GET", DEFAULT)
    except channel.NoServer:
        return InFolder(site)
    except channel.Refused as problem:
        if problem.status != 404:
            raise
        raise Malformed(f"the server on the state folder {site.state} serves no containers") from None
    return InServer(site)


def meant(words: str) -> str:
    """The id of the container that is meant: by its id, or by the name of its file without the ending.

    Raises `Malformed`.
    """
    if "~" in words or "/" in words or not words:
        return checked_id(words)
    return identify(words + SUFFIX)


def chosen(words: str) -> str:
    """What `InServer.choose` takes: as `meant`, or one of the words that mean something else.  Raises `Malformed`."""
    if words == "none":
        return ""
    return words if words in (LOCAL, SHELL) else meant(words)


class InServer:
    """In a server that runs, by its control channel."""

    def __init__(self, site: Site) -> None:
        self.where = f"the server on {site.state} goes by it from now on"
        """What is told after a change."""
        self._site = site

    def listing(self) -> Values:
        """All containers, what was decided about them, and what boots by itself."""
        return {"server": True, **channel.ask(self._site, "GET", ALL)}

    def change(self, of: str, wanted: Mapping[str, object], *, anyway: bool) -> Values:
        """Change settings of a container: those ``before`` and those after (``settings``).  Raises `Malformed`."""
        return self._ask("PATCH", f"{ALL}/{quote(of)}", wanted, of, anyway=anyway)

    def reset(self, of: str) -> Values:
        """Forget the settings of a container; as `change`."""
        return self._ask("DELETE", f"{ALL}/{quote(of)}", None, of, anyway=None)

    def choose(self, of: str, *, anyway: bool) -> Values:
        """Say what boots by itself, empty for what the settings file says: ``before``, ``choice`` and ``site``."""
        if not of:
            return channel.ask(self._site, "DELETE", DEFAULT)
        return self._ask("PUT", DEFAULT, {"choice": of}, of, anyway=anyway)

    def _ask(self, method: str, path: str, body: object, of: str, *, anyway: bool | None) -> Values:
        try:
            return channel.ask(self._site, method, f"{path}?anyway=yes" if anyway else path, body)
        except channel.Refused as problem:
            if problem.status != 404:
                raise
        listed = self.listing()
        raise _unknown(of, [*(each["id"] for each in listed["containers"]), *listed["absent"]], anyway=anyway)


class InFolder:
    """In the state folder, which no server has; of the pictures their names are known."""

    def __init__(self, site: Site) -> None:
        self.where = f"no server runs on {site.state}: the next one will go by it"
        """What is told after a change."""
        self._site = site

    def listing(self) -> Values:
        """See `InServer.listing`; there is nothing in it that a picture would have to be read for."""
        choices = self._choices()
        there = self._there()
        containers = [
            {"id": each, "file": name, "size": octets, "settings": said(choices.of(each))}
            for each, (name, octets) in there.items()
        ]
        absent = {each: said(choices.of(each)) for each in choices.containers if each not in there}
        booting = self._booting(choices, there)
        folders = list(self._site.roots)
        return {"server": False, "folders": folders, "default": booting, "absent": absent, "containers": containers}

    def change(self, of: str, wanted: Mapping[str, object], *, anyway: bool) -> Values:
        """See `InServer.change`."""
        return self._changed(of, self._check(of, anyway=anyway), lambda file: file.change(of, wanted))

    def reset(self, of: str) -> Values:
        """See `InServer.reset`."""
        return self._changed(of, self._check(of, anyway=None), lambda file: file.reset(of))

    def choose(self, of: str, *, anyway: bool) -> Values:
        """See `InServer.choose`."""
        if of not in ("", LOCAL, SHELL):
            self._check(of, anyway=anyway)
        there = self._there()
        with self._opened() as file:
            before, _ = made(lambda: file.choose_default(of))
            return {"before": before, **self._booting(file.choices, there)}

    def _changed(self, of: str, present: bool, change: Callable[[ChoicesFile], _Change]) -> Values:
        with self._opened() as file:
            before, after = made(lambda: change(file))
            booting = self._booting(file.choices, [of] if present else [])
        notice = booting["notice"] if of == (booting["choice"] or booting["site"]) else None
        return {"id": of, "before": said(before), "settings": said(after), "present": present, "notice": notice}

    def _check(self, of: str, *, anyway: bool | None) -> bool:
        """Whether there is a picture of this name; `Malformed` unless there is, or it was spoken of, or `anyway`.

        That is None where it could not have been asked for.
        """
        there = self._there()
        if of not in there and not anyway and of not in (spoken := self._choices().containers):
            raise _unknown(of, [*there, *spoken], f" in {' or '.join(self._site.roots)}", anyway=anyway)
        return of in there

    def _there(self) -> dict[str, tuple[str, int]]:
        """File names and sizes in octets of the pictures in the folders, by their ids."""
        seen = sorted(survey(self._site.roots, ()).seen.values(), key=lambda each: each.file_name)
        return {identify(each.file_name): (each.file_name, each.stamp.size if each.stamp else 0) for each in seen}

    def _choices(self) -> Choices:
        """What was decided; nothing is made to find that out."""
        if not os.path.lexists(os.path.join(self._site.state, FILE_NAME)):
            return Choices()
        with self._opened() as file:
            return file.choices

    def _booting(self, choices: Choices, there: Container[str]) -> Values:
        """What boots by itself; of a container that is there and enabled it is not known whether it can."""
        site = self._site.boot
        default = choices.default or site.default
        offered = default in there and choices.of(default).enabled
        notice = None if offered else make_menu(None, default, site.timeout).notice
        return {"choice": choices.default, "site": site.default, "timeout": site.timeout, "notice": notice}

    @contextmanager
    def _opened(self) -> Iterator[ChoicesFile]:
        """The file, while no server can start.  Raises `StateUnusable`."""
        with locked(self._site.state):
            yield ChoicesFile.open(os.path.join(self._site.state, FILE_NAME))


@contextmanager
def locked(state: str) -> Iterator[None]:
    """Have the folder, so that no server can start; who has it now is waited for, since most often that is a console.

    Raises `StateUnusable`.
    """
    lock = _taken(state)
    try:
        yield
    finally:
        lock.release()


def _taken(state: str) -> StateLock:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return StateLock.take(state)
        except StateUnusable as problem:
            # An error of the system is behind everything but a lock that somebody has.
            if problem.__cause__ is not None or time.monotonic() >= deadline:
                raise
        time.sleep(PAUSE)  # a command has nothing else to do: there is no reactor here


def made(change: Callable[[], T]) -> T:
    """What the change came to; `Malformed` when it could not be written."""
    try:
        return change()
    except ChoiceFailed as problem:
        raise Malformed(str(problem)) from None


def _unknown(of: str, known: Iterable[str], where: str = "", *, anyway: bool | None) -> Malformed:
    """That there is no such container, how some are called that there are, and what else can be asked for."""
    similar = difflib.get_close_matches(of, list(known), n=3)
    hint = f"; there is {' and '.join(similar)}" if similar else ""
    nor = ", nor are there settings for one" if anyway is None else ""
    more = "" if anyway is None else " (--anyway keeps settings for one that is to come)"
    return Malformed(f"there is no container {of}{where}{nor}{hint}{more}")
