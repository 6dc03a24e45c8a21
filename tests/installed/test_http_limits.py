"""``[http.limits]`` of a whole server: each limit set to a small value, and what a client sees of it."""

from __future__ import annotations

import threading
import time

from tests.installed.http_case import Answer, Client, HttpCase, octets_of
from tests.running import PATIENCE

HEALTH = b"GET /healthz HTTP/1.1\r\nHost: test\r\n\r\n"

RATE, CLIENT_RATE = 4_000_000, 1_500_000
"""Octets a second."""

TIME = 2.0
"""Seconds for which the rate is measured."""

NEARLY = 0.2
"""What a measured rate may be off."""


class LimitTests(HttpCase):
    """Small limits."""

    def assert_turned_away(self, answer: Answer) -> None:
        """It is 503, says when to come again, and the connection is closed."""
        self.assertEqual(answer.status, 503)
        self.assertRegex(answer.fields["retry-after"], r"\A\d+\Z")
        self.assertEqual(answer.fields["connection"], "close")

    def test_connections_per_client(self) -> None:
        """One more of one address is answered with 503; other addresses do not notice, nor does who comes later."""
        self.serve(connections_per_client=3)
        held = [self.client() for _ in range(3)]
        for client in held:
            self.assertEqual(client.get("/healthz").status, 200)
        more = self.client()
        self.assert_turned_away(more.get("/healthz"))
        self.assertEqual(more.rest(), b"")
        self.assertEqual(self.client("127.0.0.2").get("/healthz").status, 200)
        self.process.wait_for("127.0.0.1.* it has more than 3 connections", PATIENCE)
        held.pop().close()
        self.assertEqual(held[0].get("/healthz").status, 200)  # so that the end of the other has been seen
        self.assertEqual(self.client().get("/healthz").status, 200)

    def test_connections(self) -> None:
        """The one that has waited longest makes room; where all are busy, one more is answered with 503."""
        (self.tree / "large").write_bytes(octets_of(1, 1 << 20) * 16)
        self.serve(connections=4)
        idle = [self.client(f"127.0.0.{number}") for number in range(1, 5)]
        for client in idle:
            self.assertEqual(client.get("/healthz").status, 200)
        others = []
        for number, longest in ((8, 0), (9, 2)):
            others.append(self.client(f"127.0.0.{number}"))
            self.assertEqual(others[-1].get("/healthz").status, 200)
            self.assertEqual(idle[longest].rest(), b"")
            self.assertEqual(idle[1].get("/healthz").status, 200)  # so that it waits anew
        busy = [idle[1], idle[3], *others]
        for client in busy:
            client.ask("/loaders/large")
            self.assertEqual(client.head()[0], 200)
        self.assert_turned_away(self.client("127.0.0.10").get("/healthz"))
        for client in busy:
            client.read(16 << 20)
        self.assertEqual(self.client("127.0.0.11").get("/healthz").status, 200)

    def test_connections_that_ask_nothing(self) -> None:
        """However many come, and from whom, no more stay than there may be; nor do those that are turned away."""
        self.serve(connections=40, connections_per_client=30)
        self.assertEqual(self.get("/healthz").status, 200)
        before = self.settled()[0]
        crowd = [self.client() for _ in range(300)]
        crowd += [self.client(f"127.0.1.{number}") for number in range(1, 201)]
        answer = self.client("127.0.0.7").get("/healthz")
        self.assertIn(answer.status, (200, 503))
        self.assertLessEqual(self.descriptors()[0] - before, 41)
        for client in crowd:
            client.close()

    def test_requests(self) -> None:
        """A connection is closed behind the last of them."""
        self.serve(requests=5)
        client = self.client()
        said = [client.get("/healthz").fields.get("connection", "") for _ in range(5)]
        self.assertEqual(said, ["", "", "", "", "close"])
        self.assertEqual(client.rest(), b"")
        client = self.client()
        client.send(HEALTH * 9)
        self.assertEqual([client.answer().status for _ in range(5)], [200] * 5)
        self.assertEqual(client.rest(), b"")

    def test_times(self) -> None:
        """A request that drips, one that never comes, and an answer that is not taken: each has its own time."""
        (self.tree / "large").write_bytes(octets_of(2, 1 << 20) * 32)
        self.serve(request_time=1, idle_time=3, stall_time=2)
        self.get("/loaders/large", "Range: bytes=0-0")
        before = self.settled()
        began_at = time.monotonic()
        # The looks are a second apart, and what is closed has five to notice.
        dripping, idle, after, stalled = self.client(), self.client(), self.client(), self.client(receive_buffer=4096)
        dripping.send(HEALTH[:-2])
        self.assertEqual(after.get("/healthz").status, 200)
        stalled.ask("/loaders/large")
        told: dict[str, float] = {}
        readers = []

        def until_closed(name: str, client: Client) -> None:
            self.assertEqual(client.rest(), b"", name)
            told[name] = time.monotonic() - began_at

        for name, client in (("dripping", dripping), ("idle", idle), ("after", after)):
            readers.append(threading.Thread(target=until_closed, args=(name, client)))
            readers[-1].start()
        self.process.wait_for("large 200 broken off after .*: it took nothing for 2 s", PATIENCE)
        for reader in readers:
            reader.join(PATIENCE)
        self.process.wait_for("no whole request in 1 s", PATIENCE)
        self.assertTrue(0.9 <= told["dripping"] < told["idle"], told)
        self.assertTrue(min(told["idle"], told["after"]) >= 2.9, told)
        stalled.close()
        self.assert_as_before(before)

    def test_sizes(self) -> None:
        """The head, the fields and the body of a request, each at its limit and one beyond."""
        self.serve(head=1024, fields=10, body=100)
        fields = "GET /healthz HTTP/1.1\r\nHost: test\r\n"

        def status(octets: str) -> int:
            with Client(self.http) as client:
                client.send(octets.encode("ascii"))
                return client.answer().status

        # The empty line at the end does not count.
        padding = 1024 - len(fields) - len("X: ")
        self.assertEqual(status(f"{fields}X: {'y' * padding}\r\n\r\n"), 200)
        self.assertEqual(status(f"{fields}X: {'y' * (padding + 1)}\r\n\r\n"), 431)
        self.assertEqual(status(fields + "X: y\r\n" * 9 + "\r\n"), 200)
        self.assertEqual(status(fields + "X: y\r\n" * 10 + "\r\n"), 431)
        self.assertEqual(status(f"{fields}Content-Length: 100\r\n\r\n{'x' * 100}"), 200)
        self.assertEqual(status(f"{fields}Content-Length: 101\r\n\r\n{'x' * 101}"), 413)
        chunked = f"{fields}Transfer-Encoding: chunked\r\n\r\n"
        self.assertEqual(status(f"{chunked}64\r\n{'x' * 100}\r\n0\r\n\r\n"), 200)
        self.assertEqual(status(f"{chunked}64\r\n{'x' * 100}\r\n1\r\nx\r\n0\r\n\r\n"), 413)

    def test_bandwidth(self) -> None:
        """One client gets its own rate, several together that of the site, in equal shares."""
        (self.tree / "large").write_bytes(octets_of(3, 1 << 20) * 16)
        self.serve(bandwidth=RATE, bandwidth_per_client=CLIENT_RATE)
        (alone,) = self.rates(1)
        self.assertTrue(abs(alone / CLIENT_RATE - 1) < NEARLY, alone)
        shares = self.rates(5)
        self.assertTrue(abs(sum(shares) / RATE - 1) < NEARLY, shares)
        for share in shares:
            self.assertTrue(abs(share / (RATE / 5) - 1) < NEARLY, shares)

    def rates(self, count: int) -> list[float]:
        """Octets a second that so many clients get at the same time, of two connections each."""
        clients = [self.client(f"127.0.0.{2 + number}", receive_buffer=65536) for number in range(count)]
        got = [0] * count
        threads = []

        def read(number: int, client: Client) -> None:
            client.ask("/loaders/large")
            client.head()
            began_at, taken = time.monotonic(), 0
            # What was saved up may come at once; it is not counted.
            while (now := time.monotonic()) < began_at + TIME + 0.5:
                taken = len(client.socket.recv(16384))
                if now >= began_at + 0.5:
                    got[number] += taken

        for number, client in enumerate(clients):
            threads.append(threading.Thread(target=read, args=(number, client)))
            threads[-1].start()
        for thread in threads:
            thread.join(PATIENCE)
        for client in clients:
            client.reset()
        return [octets / TIME for octets in got]
