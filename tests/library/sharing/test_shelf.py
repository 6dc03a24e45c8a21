"""Tests of `pixelboot.library.sharing.shelf`."""

from __future__ import annotations

import errno
from collections.abc import Callable
from functools import partial

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.library.sharing import shelf as module
from pixelboot.library.sharing.shelf import IDLE, Lent, Shelf
from pixelboot.payload import Payload, TextPayload


class Text(TextPayload):
    """Counts how often it is closed."""

    closed = 0

    def fileno(self) -> int:  # type: ignore[override]
        """Any number."""
        return 7

    def close(self) -> None:
        """Once is right."""
        self.closed += 1


class ShelfTests(SynchronousTestCase):
    """Opened once, for all."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.shelf = Shelf(self.clock)
        self.shelf.start()

    def put(self, key: str = "a", sure_until: float | None = None) -> tuple[Text, Lent]:
        """A new payload, and what the first asker has of what is open then."""
        text = Text("text")
        opened = self.shelf.put(key, text, sure_until)
        lent = self.shelf.lend(opened)
        self.shelf.release(opened)
        return text, lent

    def test_a_payload(self) -> None:
        text, lent = self.put()
        payload: Payload = lent
        self.assertEqual((payload.size, payload.media_type, payload.modified_at), (4, "text/plain", None))
        self.assertEqual((payload.read(1, 2), payload.fileno()), (b"ex", 7))
        self.assertIs(payload.origin, text)
        tag = self.successResultOf(Deferred.fromCoroutine(payload.etag()))
        self.assertEqual(tag, self.successResultOf(Deferred.fromCoroutine(text.etag())))
        self.assertEqual((payload.known_etag, payload.is_final), (tag, True))
        payload.verify()
        payload.close()
        payload.close()
        self.assertEqual((payload.fileno(), payload.known_etag), (None, None))
        self.assertRaises(OSError, payload.verify)
        error = self.assertRaises(OSError, payload.read, 0, 1)
        self.assertEqual(getattr(error, "errno", 0), errno.EBADF)
        self.assertEqual(getattr(self.failureResultOf(Deferred.fromCoroutine(payload.etag())).value, "errno", 0), 9)

    def test_shared(self) -> None:
        """The same key is one payload; closed twice by one asker it stays open for the other."""
        text, first = self.put()
        again, second = self.put()
        self.assertIs(second.origin, text)
        self.assertEqual((text.closed, again.closed), (0, 1))
        first.close()
        first.close()
        self.clock.advance(2 * IDLE)
        self.assertEqual((text.closed, second.read(0, 9)), (0, b"text"))
        second.close()
        self.assertEqual((text.closed, self.shelf.idle), (0, 1))
        self.clock.advance(IDLE)
        self.assertEqual((text.closed, self.shelf.idle, self.shelf.get("a")), (1, 0, None))

    def test_used_again(self) -> None:
        """Its time begins anew with every use."""
        text, lent = self.put()
        lent.close()
        for _ in range(3):
            self.clock.advance(IDLE - 1)
            opened = self.shelf.get("a")
            assert opened is not None
            self.shelf.lend(opened).close()
        self.assertEqual(text.closed, 0)
        self.clock.advance(IDLE)
        self.assertEqual((text.closed, self.clock.getDelayedCalls()), (1, []))

    def test_room(self) -> None:
        """The one that was used the longest ago goes."""
        self.patch(module, "ROOM", 2)
        texts = []
        for key in "abc":
            text, lent = self.put(key)
            texts.append(text)
            lent.close()
        self.assertEqual([text.closed for text in texts], [1, 0, 0])
        self.shelf.let_go()
        self.assertEqual([text.closed for text in texts], [1, 1, 1])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_dropped(self) -> None:
        """What is not what would be opened anew is for those alone who have it."""
        text, lent = self.put()
        opened = self.shelf.get("a")
        assert opened is not None
        self.shelf.drop(opened)
        other, anew = self.put()
        self.assertIs(anew.origin, other)
        self.assertEqual(lent.read(0, 9), b"text")
        lent.close()
        self.assertEqual((text.closed, other.closed), (1, 0))
        anew.close()
        self.assertIsNotNone(self.shelf.get("a"), "the one that goes does not take the other with it")
        self.shelf.stop()
        self.assertEqual((text.closed, other.closed), (1, 1))

    def test_not_sure(self) -> None:
        """What may have been changed in the tick in which it was opened is shared for that long only."""
        text, lent = self.put(sure_until=1.0)
        self.assertIs(self.put()[1].origin, text)
        self.clock.advance(1.0)
        self.assertIsNone(self.shelf.get("a"))
        self.assertIsNot(self.put()[1].origin, lent.origin)

    def test_stopped(self) -> None:
        """Nothing stays open unused, neither then nor later."""
        idle, lent = self.put("a")
        lent.close()
        used, lent = self.put("b")
        self.shelf.stop()
        self.assertEqual((idle.closed, used.closed, self.clock.getDelayedCalls()), (1, 0, []))
        lent.close()
        self.assertEqual(used.closed, 1)

    @given(st.lists(st.tuples(st.sampled_from("plcdgts"), st.integers(0, 3)), max_size=60))
    def test_whatever_happens(self, events: list[tuple[str, int]]) -> None:
        """What somebody has is open, and held; what nobody has is open for `IDLE` at most; nothing is closed twice."""
        self.setUp()
        self.patch(module, "ROOM", 2)
        texts: list[Text] = []
        lent: list[Lent] = []
        held: list[bool] = []

        def hold() -> Callable[[], None]:
            held.append(True)
            return partial(held.remove, True)

        for event, number in events:
            there = self.shelf.get(number)
            if event == "p":
                text = Text("text")
                texts.append(text)
                opened = self.shelf.put(number, text, group=str(number % 2), hold=hold)
                lent.append(self.shelf.lend(opened))
                self.shelf.release(opened)
            elif event == "l" and there is not None:
                lent.append(self.shelf.lend(there))
            elif event == "c" and lent:
                lent.pop(number % len(lent)).close()
            elif event == "d" and there is not None:
                self.shelf.drop(there)
            elif event == "g":
                self.shelf.drop_group(str(number % 2))
                self.assertFalse({number % 2, number % 2 + 2} & self.shelf._found.keys())
            elif event == "t":
                self.clock.advance(number)
            elif event == "s":
                self.shelf.stop() if number else self.shelf.start()
            used = {id(each.origin) for each in lent}
            self.assertEqual(len(held), len(used))
            for text in texts:
                self.assertLessEqual(text.closed, 0 if id(text) in used else 1)
            self.assertLessEqual(self.shelf.idle, 2)
        for each in lent:
            each.close()
        self.clock.advance(IDLE)
        self.clock.advance(IDLE)
        self.assertEqual([text.closed for text in texts], [1] * len(texts))
        self.assertEqual(self.clock.getDelayedCalls(), [])
