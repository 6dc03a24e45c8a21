"""Tests of `pixelboot.http.shown`: what is kept is always what would be written anew, and much of it is kept."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import replace

from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.boot.ipxe.menu import make_entry, make_menu
from pixelboot.boot.ipxe.script import menu_frame, obstacle, write_entry
from pixelboot.boot.seam import Choices, ContainerSettings
from pixelboot.http import shown as shown_module
from pixelboot.http.shown import LEAF, Shown, described
from pixelboot.library.catalog import Container
from pixelboot.library.decoding.finding import State
from pixelboot.payload import Payload
from tests.http.shelf import DEMO


def some(count: int, start: int = 0) -> tuple[Container, ...]:
    """So many containers, by file name."""
    names = (f"c{number:05}" for number in range(start, start + count))
    return tuple(replace(DEMO, id=name, file_name=f"{name}.rts.png", name=f"No. {name}") for name in names)


def whole(payload: Payload) -> str:
    """All of it, read in pieces of an odd size."""
    octets = b"".join(payload.read(offset, 997) for offset in range(0, payload.size, 997))
    assert len(octets) == payload.size
    assert payload.read(payload.size, 5) == b""
    return octets.decode("ascii")


def expected_menu(containers: Sequence[Container], choices: Choices) -> str:
    """The menu, written at once."""
    made = (make_entry(container, choices.of(container.id), obstacle) for container in containers)
    entries = [entry for entry in made if entry is not None]
    default = choices.default or "local"
    found = next((entry for entry in entries if entry.id == default), None)
    placed = sorted((entry for entry in entries if entry.order is not None), key=lambda entry: entry.order or 0)
    ordered = [*placed, *(entry for entry in entries if entry.order is None)]
    items = [write_entry(entry).item for entry in ordered]
    before, between = menu_frame(make_menu(found, default, 10.0), offered=bool(items))
    return "".join([before, *items, between, *(write_entry(entry).block for entry in entries)])


class ShownCase(SynchronousTestCase):
    """Shows a catalogue, and notes how often the reactor had its turn."""

    def setUp(self) -> None:
        self.turns = 0
        self.shown = Shown("local", 10.0, self.turn)

    def turn(self) -> Deferred[None]:
        """Another turn."""
        self.turns += 1
        return succeed(None)

    def menu(self, containers: Sequence[Container], choices: Choices) -> tuple[str, str]:
        """The menu's text and entity tag."""
        payload, _ = self.successResultOf(Deferred.fromCoroutine(self.shown.menu(containers, choices)))
        return whole(payload), payload.known_etag or ""

    def listing(self, containers: Sequence[Container], choices: Choices) -> tuple[str, str]:
        """The listing's text and entity tag."""
        payload = self.successResultOf(Deferred.fromCoroutine(self.shown.listing(containers, choices)))
        return whole(payload), payload.known_etag or ""

    def check(self, containers: Sequence[Container], choices: Choices) -> tuple[str, str]:
        """Both are what they would be if they were written anew; the tags of both."""
        text, tag = self.menu(containers, choices)
        self.assertEqual(text, expected_menu(containers, choices))
        listed, other_tag = self.listing(containers, choices)
        rows = [described(container, choices.of(container.id)) for container in containers]
        self.assertEqual(json.loads(listed), {"containers": rows, "count": len(rows)})
        self.assertEqual(len(listed.splitlines()), len(rows) + 2 if rows else 3, "a line each")
        return tag, other_tag


class SameTests(ShownCase):
    """What is shown is always right."""

    def test_any_history(self) -> None:
        """After any changes of catalogue and choices; an entity tag never means two texts, nor a text two tags."""
        texts: dict[str, str] = {}
        chance = random.Random(5)
        containers: tuple[Container, ...] = ()
        choices = Choices()
        tags: dict[str, str] = {}
        for step in range(60):
            kind = chance.randrange(7)
            if kind == 0:
                containers = some(chance.choice((0, 1, LEAF, 3 * LEAF, 7 * LEAF)))
            elif kind == 1:
                start = chance.randrange(8 * LEAF)
                names = {container.file_name for container in containers}
                more = [each for each in some(chance.choice((1, 40)), start) if each.file_name not in names]
                containers = tuple(sorted([*containers, *more], key=lambda each: each.file_name))
            elif kind == 2:
                containers = tuple(each for each in containers if chance.random() < 0.9)
            elif kind == 3:
                state: State = chance.choice(("ready", "damaged"))
                containers = tuple(
                    replace(each, size=step, state=state) if chance.random() < 0.05 else each for each in containers
                )
            elif kind == 4:
                choices = Choices(chance.choice(("", "shell", "c00003", "gone")), choices.containers)
            else:
                settings = ContainerSettings(
                    enabled=chance.random() < 0.7,
                    name=str(step),
                    order=chance.choice((None, 1, -1, 2)),
                    timeout=float(step),
                )
                choices = choices.having(f"c{chance.randrange(2 * LEAF):05}", settings)
            told = self.check(containers, choices)
            for text, tag in (self.menu(containers, choices), self.listing(containers, choices)):
                self.assertEqual((tags.setdefault(text, tag), texts.setdefault(tag, text)), (tag, text))
            if step % 5 == 0:
                kept, self.shown = self.shown, Shown("local", 10.0, self.turn)
                self.assertEqual(
                    self.check(containers, choices), told, "the leaves are cut anew, the tags are the same"
                )
                self.shown = kept
        self.assertGreater(len(tags), 60)

    def test_tags_survive(self) -> None:
        """They are the same after a restart; neither depends on how the catalogue came to be what it is."""
        containers = some(3 * LEAF)
        choices = Choices("c00001", {"c00002": ContainerSettings(order=1)})
        self.check(some(3 * LEAF), Choices())
        tags = self.check(containers, choices)
        self.setUp()
        self.assertEqual(self.check(containers, choices), tags)

    def test_a_catalogue_in_no_order(self) -> None:
        """It is shown in its own."""
        containers = tuple(reversed(some(5 * LEAF)))
        self.check(containers, Choices())
        self.check((*containers, *some(5 * LEAF, 900)), Choices())
        chance, shuffled = random.Random(3), list(containers)
        for _ in range(20):
            chance.shuffle(shuffled)
            self.check((*containers[:LEAF], *shuffled[: chance.randrange(5 * LEAF)]), Choices())

    def test_notice(self) -> None:
        payload, notice = self.successResultOf(Deferred.fromCoroutine(self.shown.menu(some(1), Choices("gone"))))
        self.assertIn("'gone' is not offered", notice or "")
        self.assertIn("gone", whole(payload))


class KeptTests(ShownCase):
    """Little is written again."""

    def setUp(self) -> None:
        super().setUp()
        self.written = 0

        def counting(*arguments: object) -> object:
            self.written += 1
            return write_entry(*arguments)  # type: ignore[arg-type]

        self.patch(shown_module, "write_entry", counting)

    def test_little_is_written(self) -> None:
        """Nothing when nothing has changed; a leaf or two for a container or its settings, wherever it is."""
        containers, choices = some(20 * LEAF), Choices()
        first = self.menu(containers, choices)
        self.assertEqual((self.written, self.turns), (20 * LEAF, 19), "the reactor has its turn after each leaf")
        self.written = self.turns = 0
        self.assertEqual(self.menu(containers, choices), first)
        self.assertEqual(self.menu(list(containers), Choices()), first)
        self.assertEqual(self.written, 0)
        for change in (
            (*containers[:77], replace(containers[77], size=5), *containers[78:]),
            (*containers[:77], *containers[78:]),
            (*containers, *some(1, 10_000)),
            (*some(1, 0), *containers[1:]),
            containers,
        ):
            self.menu(change, choices)
            self.assertLessEqual(self.written, 2 * LEAF + 1)
            self.assertLessEqual(self.turns, 1)
            self.written = self.turns = 0
        self.menu(containers, choices.having("c00077", ContainerSettings(order=1)))
        self.assertLessEqual(self.written, LEAF)

    def test_all_have_an_order(self) -> None:
        """They are put into it in a turn of its own: that, too, takes long where there are thousands."""
        containers = some(20 * LEAF)
        chance = random.Random(7)
        said = {each.id: ContainerSettings(order=chance.randrange(50)) for each in containers}
        self.menu(containers, Choices("", said))
        self.written = self.turns = 0
        choices = Choices("", {**said, "c00077": ContainerSettings(order=3)})
        self.assertEqual(self.menu(containers, choices)[0], expected_menu(containers, choices))
        self.assertEqual(self.turns, 1)

    def test_leaves_stay_small(self) -> None:
        """However many come between two names, no single turn writes many; what goes leaves no leaf behind."""
        few = some(2 * LEAF)
        self.menu(few, Choices())
        many = tuple(sorted([*few, *(replace(each, file_name=f"c00005-{each.file_name}") for each in some(40 * LEAF))],
                            key=lambda each: each.file_name))  # fmt: skip
        self.written = self.turns = 0
        self.menu(many, Choices())
        self.assertGreaterEqual(self.turns, 38)
        self.menu(few, Choices())
        self.written = self.turns = 0
        self.menu(few[1:], Choices())
        self.assertLessEqual(self.written, 4 * LEAF)

    def test_two_at_once(self) -> None:
        """Machines that ask while much is being written share what there is already."""
        waiting: list[Deferred[None]] = []

        def turn() -> Deferred[None]:
            waiting.append(Deferred())
            return waiting[-1]

        self.shown = Shown("local", 10.0, turn)
        containers, choices = some(10 * LEAF), Choices()
        asked = [Deferred.fromCoroutine(self.shown.menu(containers, choices)) for _ in range(3)]
        while waiting:
            waiting.pop(0).callback(None)
        texts = {whole(self.successResultOf(each)[0]) for each in asked}
        self.assertEqual((len(texts), self.written), (1, 10 * LEAF))
