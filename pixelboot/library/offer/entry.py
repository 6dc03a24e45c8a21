"""What the library knows of one state of one file, and of all of them, in order.

A file that is replaced gets a new `Entry`; whoever waited for the old one looks for the new.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Set
from dataclasses import replace

from twisted.internet.defer import Deferred

from pixelboot.library import outcomes
from pixelboot.library.catalog import Container
from pixelboot.library.decoding.finding import Finding
from pixelboot.library.decoding.order import STALE
from pixelboot.library.decoding.pool import Job
from pixelboot.library.folder.look import Seen
from pixelboot.outcome import Outcome


class Entry:
    """One state of one file."""

    __slots__ = (
        "_trusted",
        "_waiting",
        "container",
        "failures",
        "finding",
        "gone",
        "job",
        "problem",
        "reported",
        "retry_at",
        "seen",
        "urgent",
        "wanted",
        "working",
    )

    def __init__(self, seen: Seen, trusted: Set[str]) -> None:
        """Nothing is known yet of this file; `trusted` are the keys one of which must have signed it, if any."""
        self.seen = seen
        """The file."""
        self.finding = Finding()
        """What is known about the picture."""
        self.container = Container.of(seen, self.finding, trusted)
        """The same, as the rest of the server sees it."""
        self.gone = False
        """Whether the file is no longer there, or no longer in this state."""
        self.reported: Outcome | None = None
        """What was last told about the file."""
        self.job: Job | None = None
        """What a decoder is to do for it."""
        self.working = False
        """Whether it is being verified or decoded, or room is being made for that."""
        self.urgent = False
        """Whether somebody waits for that."""
        self.wanted = False
        """Whether it is a part that somebody waits for."""
        self.problem = ""
        """Why that failed the last time; empty when it did not."""
        self.failures = 0
        """How often it failed in a row."""
        self.retry_at = 0.0
        """When it may be tried again for a machine that asks, by the library's clock."""
        self._trusted = trusted
        self._waiting: list[Deferred[None]] = []

    @property
    def known(self) -> bool:
        """Whether all of the picture was read, and what was found is final."""
        return bool(self.finding.key) and self.finding.state != "decoding"

    @property
    def busy(self) -> bool:
        """Whether a decoder has something to do for it, or is about to."""
        return self.working or self.job is not None

    @property
    def awaited(self) -> bool:
        """Whether somebody waits for a change."""
        return bool(self._waiting)

    @property
    def decided(self) -> bool:
        """Whether there is nothing to wait for before it is shown: what it is, or that this cannot be found out now."""
        return self.finding.state != "decoding" or bool(self.problem)

    @property
    def size(self) -> int:
        """How many octets its decoded parts take, or are likely to take when its description does not say."""
        parts = sum(part.size for part in self.finding.parts)
        return parts or (self.seen.stamp.size if self.seen.stamp else 0)

    @property
    def outcome(self) -> Outcome | None:
        """What there is to tell about the file now; None while something is being found out."""
        name, container = self.seen.file_name, self.container
        if self.problem == STALE:
            return None  # the next look shows what it is now
        if self.problem:
            return outcomes.ContainerPostponed(name, self.problem)
        match container.state:
            case "ready":
                return outcomes.ContainerReady(name, container.id, container.parts)
            case "damaged":
                return outcomes.ContainerDamaged(name, container.reason)
            case "unbootable":
                return outcomes.ContainerUnbootable(name, container.reason)
            case "untrusted":
                return outcomes.ContainerUntrusted(name, container.reason)
        return None

    def learn(self, finding: Finding, problem: str = "") -> bool:
        """Take what was found, or why nothing could be; whether it changes how the container looks."""
        self.finding, self.problem = finding, problem
        shown = finding
        if problem and finding.state == "decoding":
            shown = replace(finding, reason=problem)
        container = Container.of(self.seen, shown, self._trusted)
        if container == self.container:
            return False
        self.container = container
        return True

    def change(self) -> Deferred[None]:
        """Fires when something about it changes; may be cancelled."""
        waiting: Deferred[None] = Deferred(self._waiting.remove)
        self._waiting.append(waiting)
        return waiting

    def tell(self) -> None:
        """Something changed."""
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            each.callback(None)


class Entries:
    """The entries of all files; the containers in the order of the files' names."""

    def __init__(self) -> None:
        self._by_name: dict[str, Entry] = {}
        self._by_id: dict[str, Entry] = {}
        self._linked: dict[str, Entry] = {}
        self._names: list[str] = []
        self._containers: list[Container] = []
        self._shown: tuple[Container, ...] | None = ()

    @property
    def containers(self) -> tuple[Container, ...]:
        """All there are; the same tuple until something changes."""
        if self._shown is None:
            self._shown = tuple(self._containers)
        return self._shown

    def __iter__(self) -> Iterator[Entry]:
        """All entries, in no order."""
        return iter(self._by_name.values())

    def __len__(self) -> int:
        """How many there are."""
        return len(self._by_name)

    def named(self, file_name: str) -> Entry | None:
        """That of the file of this name."""
        return self._by_name.get(file_name)

    def identified(self, id: str) -> Entry | None:  # noqa: A002
        """That with this id."""
        return self._by_id.get(id)

    def among(self, names: Iterable[str]) -> list[Entry]:
        """Those of files of these names, and of all that are links, perhaps to one of them."""
        found = {name: self._by_name[name] for name in names if name in self._by_name}
        return list({**self._linked, **found}.values())

    def put(self, entry: Entry) -> None:
        """Add an entry, or put it in the place of the one of the same name."""
        name = entry.seen.file_name
        self._linked.pop(name, None)
        if entry.seen.via:
            self._linked[name] = entry
        if name not in self._by_name:
            at = bisect_left(self._names, name)
            self._names.insert(at, name)
            self._containers.insert(at, entry.container)
        self._by_name[name] = self._by_id[entry.container.id] = entry
        self.show(entry)

    def show(self, entry: Entry) -> None:
        """The container of this entry is another one now."""
        self._containers[bisect_left(self._names, entry.seen.file_name)] = entry.container
        self._shown = None

    def remove(self, entry: Entry) -> None:
        """Take an entry out."""
        name = entry.seen.file_name
        del self._by_name[name], self._by_id[entry.container.id]
        self._linked.pop(name, None)
        at = bisect_left(self._names, name)
        del self._names[at], self._containers[at]
        self._shown = None

    def clear(self) -> list[Entry]:
        """Take all entries out, and give them."""
        entries = list(self._by_name.values())
        for kept in (self._by_name, self._by_id, self._linked, self._names, self._containers):
            kept.clear()
        self._shown = ()
        return entries
