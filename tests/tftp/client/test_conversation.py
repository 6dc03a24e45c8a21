"""Tests of `pixelboot.tftp.client.conversation`: who answers a request, and how it ends."""

from __future__ import annotations

import io

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.tftp import wire
from pixelboot.tftp.client.conversation import MOST_STRANGERS, PATIENCE, Conversation
from pixelboot.tftp.client.download import Download
from pixelboot.tftp.client.ending import Result
from pixelboot.tftp.client.terms import Wishes
from pixelboot.tftp.client.upload import Upload
from tests.tftp.client.network import SERVER

ANSWERS = (SERVER[0], 2000)
OTHER_PORT = (SERVER[0], 2001)
ELSEWHERE = ("192.0.2.2", 2000)

WISHES = Wishes(blksize=16, windowsize=4, timeout=None)
OACK = wire.option_ack([("blksize", "16"), ("windowsize", "4")])
UNKNOWN = wire.error(5, "this port belongs to another transfer")


def both(wishes: Wishes = WISHES, *, insist: bool = False) -> tuple[Download, Upload]:
    """A download and an upload that are to begin, and the server's first packet without options."""
    return (
        Download(SERVER, "a", wishes, insist=insist),
        Upload(SERVER, "a", io.BytesIO(bytes(100)), wishes, insist=insist),
    )


def first(client: Conversation) -> bytes:
    """What a server without options begins with."""
    return wire.data(1, bytes(512)) if isinstance(client, Download) else wire.ack(0)


class Answering(SynchronousTestCase):
    """Which datagrams count."""

    def test_the_first_answer_fixes_the_peer(self) -> None:
        """Everything goes to the port that answered; others are told, and change nothing."""
        for client in both():
            for octets, peer in client.start(0.0):
                self.assertEqual(peer, SERVER)
                self.assertIn(b"blksize\x0016", octets)
            said = client.received(OACK, ANSWERS, 0.1)
            self.assertEqual({peer for _, peer in said}, {ANSWERS})
            self.assertEqual((client.peer, client.terms.windowsize), (ANSWERS, 4))
            deadline = client.deadline
            for peer in (OTHER_PORT, ELSEWHERE, SERVER):
                self.assertEqual(client.received(OACK, peer, 0.2), [(UNKNOWN, peer)])
                self.assertEqual(client.received(wire.error(1, "no"), peer, 0.2), [])
            self.assertEqual((client.ending, client.deadline, client.peer), (None, deadline, ANSWERS))

    def test_what_is_no_answer(self) -> None:
        """Before there was one: another address, or packets of a transfer that was over before."""
        for client in both():
            client.start(0.0)
            for octets, peer in (
                (OACK, ELSEWHERE),
                (first(client), ELSEWHERE),
                (wire.error(1, "no"), ELSEWHERE),
                (wire.data(2, b"late"), ANSWERS),
                (wire.ack(7), ANSWERS),
                (b"", ANSWERS),
                (b"\0\7\0\0", ANSWERS),
            ):
                said = client.received(octets, peer, 0.1)
                self.assertIn(said, ([], [(UNKNOWN, peer)]))
                self.assertEqual((client.peer, client.ending), (None, None))
            client.received(first(client), ANSWERS, 0.2)
            self.assertEqual((client.peer, client.terms.agreed), (ANSWERS, ()))

    def test_any_address(self) -> None:
        """A server with several addresses may answer from another, if that is allowed."""
        client = Download(SERVER, "a", any_address=True)
        client.start(0.0)
        self.assertEqual(client.received(wire.data(1, b"x"), ELSEWHERE, 0.1), [(wire.ack(1), ELSEWHERE)])

    def test_strangers_are_answered_a_few_times(self) -> None:
        """Who forges his address makes us send no more than that."""
        for client in both():
            client.start(0.0)
            client.received(OACK, ANSWERS, 0.1)
            said = [client.received(OACK, OTHER_PORT, 0.1) for _ in range(100)]
            self.assertEqual(len([one for one in said if one]), MOST_STRANGERS)
            client.abort("enough", 0.2)
            assert client.ending is not None
            self.assertEqual(client.ending.strangers, 100)


class Ending(SynchronousTestCase):
    """How it ends when it does not go well."""

    def test_nobody_answers(self) -> None:
        """The request again, each time after a longer wait, and then no more."""
        for client in both():
            sent = client.start(5.0)
            gaps: list[float] = []
            while client.ending is None:
                assert client.deadline is not None
                self.assertEqual(client.expired(client.deadline - 0.001), [])
                gaps.append(client.deadline - 5.0 - sum(gaps))
                sent += client.expired(client.deadline)
            self.assertEqual(gaps, [1.0, 2.0, 4.0, *[8.0] * (PATIENCE.retries - 2)])
            self.assertEqual(sent, sent[:1] * (1 + PATIENCE.retries))
            self.assertEqual((client.ending.result, client.ending.peer), (Result.TIMED_OUT, None))
            self.assertEqual(client.ending.seconds, sum(gaps))

    def test_a_server_that_falls_silent(self) -> None:
        """It is told."""
        for client in both():
            client.start(0.0)
            client.received(OACK, ANSWERS, 0.1)
            said = []
            while client.deadline is not None:
                said = client.expired(client.deadline)
            assert client.ending is not None
            self.assertEqual(client.ending.result, Result.TIMED_OUT)
            self.assertEqual(said, [(wire.error(0, "no answer came in time"), ANSWERS)])

    def test_refused(self) -> None:
        """An ERROR at any time is the end, and is not answered."""
        for answered in (False, True):
            for client in both():
                client.start(0.0)
                if answered:
                    client.received(OACK, ANSWERS, 0.1)
                self.assertEqual(client.received(wire.error(1, "not here"), ANSWERS, 0.2), [])
                assert client.ending is not None
                told = client.ending.result, client.ending.code, client.ending.reason, client.ending.peer
                self.assertEqual(told, (Result.REFUSED, 1, "not here", ANSWERS))
                self.assertEqual((client.deadline, client.received(OACK, ANSWERS, 0.3)), (None, []))

    def test_options_refused(self) -> None:
        """ERROR 8 brings the request without options, once; another ERROR 8 then is a copy, or the end."""
        for client in both():
            asked = client.start(0.0)
            (again,) = client.received(wire.error(8, "no options"), ANSWERS, 0.1)
            self.assertEqual(again, (asked[0][0].split(b"octet\0")[0] + b"octet\0", SERVER))
            self.assertEqual(client.received(wire.error(8, "no options"), ANSWERS, 0.11), [])
            self.assertEqual((client.ending, client.peer), (None, None))
            client.received(first(client), OTHER_PORT, 0.2)
            self.assertEqual(client.peer, OTHER_PORT)
            client.abort("seen enough", 0.3)
            assert client.ending is not None
            self.assertTrue(client.ending.without_options)
        for client in both():
            client.start(0.0)
            client.received(wire.error(8, "no options"), ANSWERS, 0.1)
            client.expired(1.1)
            client.received(wire.error(8, "never"), ANSWERS, 1.2)
            assert client.ending is not None
            self.assertEqual((client.ending.result, client.ending.code), (Result.REFUSED, 8))

    def test_options_insisted_on(self) -> None:
        """Then ERROR 8 is the end at once, as it is of a request that had none."""
        for client in (*both(insist=True), *both(Wishes(tsize=False))):
            client.start(0.0)
            self.assertEqual(client.received(wire.error(8, "no options"), ANSWERS, 0.1), [])
            assert client.ending is not None
            self.assertEqual(client.ending.result, Result.REFUSED)

    def test_a_bad_oack(self) -> None:
        """It is told the server with ERROR 8, and is the end; so is one that cannot be read."""
        for octets, code in (
            (wire.option_ack([("blksize", "17")]), 8),
            (wire.option_ack([("rollover", "0")]), 8),
            (wire.option_ack([]), 4),
            (b"\0\6blksize\0", 4),
        ):
            for client in both():
                client.start(0.0)
                ((said, peer),) = client.received(octets, ANSWERS, 0.1)
                assert client.ending is not None
                self.assertEqual((client.ending.result, peer), (Result.BROKEN, ANSWERS))
                self.assertEqual(said, wire.error(code, client.ending.reason))

    def test_the_interval_granted(self) -> None:
        """The wait is the interval then, and does not grow."""
        for client in both(Wishes(timeout=3)):
            client.start(0.0)
            client.received(wire.option_ack([("timeout", "3")]), ANSWERS, 0.1)
            waits = []
            now = 0.1
            while client.deadline is not None:
                waits.append(round(client.deadline - now, 6))
                now = client.deadline
                client.expired(now)
            self.assertEqual(waits, [3.0] * (PATIENCE.retries + 1))

    def test_aborted(self) -> None:
        """The server is told, if there is one; nothing more comes of it."""
        for answered in (False, True):
            for client in both():
                client.start(0.0)
                if answered:
                    client.received(OACK, ANSWERS, 0.1)
                said = client.abort("enough", 0.2)
                self.assertEqual(said, [(wire.error(0, "enough"), ANSWERS)] if answered else [])
                assert client.ending is not None
                self.assertEqual((client.ending.result, client.deadline), (Result.ABORTED, None))
                self.assertEqual(client.abort("again", 0.3), [])


PACKETS = st.one_of(
    st.binary(max_size=40),
    st.builds(wire.data, st.integers(0, 9) | st.integers(0, 65535), st.binary(max_size=24) | st.just(bytes(16))),
    st.builds(wire.ack, st.integers(0, 9) | st.integers(0, 65535)),
    st.builds(wire.error, st.integers(0, 9), st.text(max_size=4)),
    st.builds(
        wire.option_ack,
        st.lists(
            st.tuples(
                st.sampled_from(["blksize", "windowsize", "tsize", "x", ""]),
                st.sampled_from(["16", "8", "4", "0", "100", "", "\udcff", "-1"]),
            ),
            max_size=3,
        ),
    ),
)


class Hostile(SynchronousTestCase):
    """Servers that mean no good."""

    @given(
        st.lists(
            st.tuples(PACKETS, st.sampled_from([ANSWERS, SERVER, ELSEWHERE]), st.sampled_from([0.0, 0.1, 3.0])),
            max_size=60,
        ),
        st.booleans(),
    )
    def test_whatever_arrives(self, datagrams: list[tuple[bytes, tuple[str, int], float]], begin_well: bool) -> None:
        """Never an exception; little is said for little; nothing is kept but what is to be taken."""
        for client in (
            Download(SERVER, "a", WISHES, largest=100),
            Upload(SERVER, "a", io.BytesIO(bytes(300)), WISHES, size=300),
        ):
            now = 0.0
            client.start(now)
            if begin_well:
                client.received(OACK, ANSWERS, now)
            for octets, peer, later in datagrams:
                now += later
                most = 4 if isinstance(client, Upload) else 1
                self.assertLessEqual(len(client.expired(now)), most)
                self.assertLessEqual(len(client.received(octets, peer, now)), most)
                self.assertLessEqual(client.octets, 300 if isinstance(client, Upload) else 124)
                if isinstance(client, Download):
                    self.assertLessEqual(len(client.take()), 24)
            for _ in range(20):
                if client.deadline is not None:
                    client.expired(client.deadline)
            assert client.ending is not None
            self.assertEqual((client.deadline, client.received(OACK, ANSWERS, now)), (None, []))
