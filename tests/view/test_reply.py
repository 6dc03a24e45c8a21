"""Tests of `pixelboot.view.reply`; hanging up and failing is tested with the whole channel (`test_api`)."""

from __future__ import annotations

from io import BytesIO
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.test.requesthelper import DummyRequest

from pixelboot.malformed import Malformed
from pixelboot.view.reply import BODY_LIMIT, Answer, answer, body_of


class BodyTests(SynchronousTestCase):
    """`body_of`."""

    def read(self, octets: bytes | None) -> dict[str, object]:
        """The body of a request with these octets."""
        request: Any = DummyRequest([])
        request.content = None if octets is None else BytesIO(octets)
        return body_of(request)

    def test_bodies(self) -> None:
        self.assertEqual(self.read(b' {"name": "\xc3\xa9", "order": null}\n'), {"name": "é", "order": None})
        longest = b'{"a":"' + b"x" * (BODY_LIMIT - 8) + b'"}'
        self.assertEqual(len(self.read(longest)["a"]), BODY_LIMIT - 8)  # type: ignore[arg-type]
        for octets, why in (
            (None, "the body must be JSON"),
            (b"", "the body must be JSON"),
            (b"{", "the body must be JSON"),
            (b"\xff{}", "the body must be JSON"),
            (b"[" * 20_000, "the body must be JSON"),
            (b"1" * 5000, "the body must be JSON"),
            (b"[]", "the body must be a JSON object"),
            (b"null", "the body must be a JSON object"),
            (longest + b" ", f"at most {BODY_LIMIT} octets"),
        ):
            self.assertIn(why, str(self.assertRaises(Malformed, self.read, octets)), (octets or b"")[:20])


class AnswerTests(SynchronousTestCase):
    """`answer`."""

    def test_a_change_goes_on(self) -> None:
        """What changes something is not stopped because nobody listens any more; what only tells is."""
        for changes in (True, False):
            waiting: Deferred[None] = Deferred()
            ended: list[str] = []

            async def telling(waiting: Deferred[None] = waiting, ended: list[str] = ended) -> Answer:
                try:
                    await waiting
                    ended.append("done")
                except BaseException:
                    ended.append("stopped")
                    raise
                return 200, {}

            request: Any = DummyRequest([])
            answer(request, telling(), changes=changes)
            request.processingFailed(Failure(ConnectionDone()))
            if changes:
                waiting.callback(None)
            self.assertEqual(ended, ["done" if changes else "stopped"])
            self.assertEqual(request.written, [])
