"""Tests of `pixelboot.library.offer.entry`."""

from __future__ import annotations

import tracemalloc

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.library.decoding.finding import Finding, FoundPart
from pixelboot.library.folder.look import Seen, Stamp
from pixelboot.library.offer.entry import Entries, Entry
from pixelboot.library.outcomes import ContainerDamaged, ContainerPostponed, ContainerReady, ContainerUntrusted

READY = Finding("ready", "ab" * 32, key="ab" * 32, parts=(FoundPart("kernel", 7, "cd" * 32, "vmlinuz"),))


def seen(name: str, *via: str) -> Seen:
    return Seen("/srv", name, Stamp(1, 2, 3, 4, 5), via=via)


class TestEntry(SynchronousTestCase):
    """One file."""

    def test_what_is_learnt(self) -> None:
        entry = Entry(seen("a.rts.png"), frozenset())
        self.assertEqual((entry.known, entry.decided, entry.outcome, entry.size), (False, False, None, 3))
        self.assertTrue(entry.learn(Finding(), "no memory"))
        self.assertEqual((entry.container.state, entry.container.reason), ("decoding", "no memory"))
        self.assertEqual((entry.known, entry.decided), (False, True))
        self.assertEqual(entry.outcome, ContainerPostponed("a.rts.png", "no memory"))
        self.assertTrue(entry.learn(Finding("damaged", reason="cut")))
        self.assertEqual((entry.known, entry.decided), (False, True), "its digest is not known yet")
        self.assertEqual(entry.outcome, ContainerDamaged("a.rts.png", "cut"))
        self.assertTrue(entry.learn(READY))
        self.assertEqual((entry.known, entry.size), (True, 7))
        self.assertEqual(entry.outcome, ContainerReady("a.rts.png", "a", (("kernel", 7),)))
        container = entry.container
        self.assertFalse(entry.learn(READY), "nothing new")
        self.assertFalse(entry.learn(READY, "no room"), "it is ready all the same")
        self.assertEqual(entry.outcome, ContainerPostponed("a.rts.png", "no room"))
        self.assertIs(entry.container, container)

    def test_trust(self) -> None:
        entry = Entry(seen("a.rts.png"), frozenset(["ee" * 32]))
        self.assertTrue(entry.learn(READY))
        self.assertIsInstance(entry.outcome, ContainerUntrusted)

    def test_who_waits(self) -> None:
        entry = Entry(seen("a.rts.png"), frozenset())
        first, second, third = entry.change(), entry.change(), entry.change()
        first.addCallback(lambda _: third.cancel())
        third.addErrback(lambda _: None)
        entry.tell()
        self.successResultOf(second)
        entry.tell()


class TestEntries(SynchronousTestCase):
    """All files."""

    @given(st.lists(st.tuples(st.sampled_from(["put", "remove", "show"]), st.integers(0, 9)), max_size=20))
    def test_always_in_order(self, steps: list[tuple[str, int]]) -> None:
        entries, model = Entries(), dict[str, Entry]()
        for step, number in steps:
            name = f"{number}.rts.png"
            if step == "put":
                model[name] = Entry(seen(name, *["x.rts.png"] * (number % 2)), frozenset())
                entries.put(model[name])
            elif step == "remove" and name in model:
                entries.remove(model.pop(name))
            elif step == "show" and name in model and model[name].learn(READY):
                entries.show(model[name])
            self.assertEqual(entries.containers, tuple(model[name].container for name in sorted(model)))
            self.assertIs(entries.containers, entries.containers)
            self.assertIs(entries.named(name), model.get(name))
            self.assertIs(entries.identified(str(number)), model.get(name))
            self.assertEqual(len(entries), len(model))
            linked = [name for name in model if int(name[0]) % 2]
            among = [entry.seen.file_name for entry in entries.among([name])]
            self.assertEqual(sorted(among), sorted({*linked, *({name} & model.keys())}))
        self.assertEqual(set(entries.clear()), set(model.values()))
        self.assertEqual((entries.containers, len(entries)), ((), 0))

    def test_ten_thousand(self) -> None:
        """They take less than 100 MB, by far."""
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        entries = Entries()
        for number in range(500):
            digest = f"{number:064x}"
            part = FoundPart("kernel", number, f"{number:064x}", "vmlinuz")
            text = {name: f"{name} {number}" for name in ("name", "description", "distro", "cmdline", "reason")}
            entry = Entry(seen(f"{number}.rts.png"), frozenset())
            entry.learn(Finding("ready", digest, key=f"{number:064x}", parts=(part,), **text))
            entries.put(entry)
        self.assertLess(tracemalloc.get_traced_memory()[0], 2_500_000)
