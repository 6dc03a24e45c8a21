"""A whole server that has much to bear: broken downloads, ranges by the thousand, slow clients by the hundred."""

from __future__ import annotations

import hashlib
import os
import random
import statistics
import time
from pathlib import Path

from lab.process import wait_until
from tests.installed.http_case import Client, HttpCase, octets_of
from tests.running import PATIENCE

DOWNLOADS = 100
PARTS = 12
"""At most so many parts of a download; the last one is whole."""

RANGES = 10_000

DRIPPING, SIPPING, IDLE = 300, 200, 100

ROUNDS = 12

MOST_MEMORY = 96 << 20
"""Octets that 600 clients may cost: 160 KiB each."""


class DownloadTests(HttpCase):
    """What has every octet in the end, and how it came to that."""

    def test_broken_and_resumed(self) -> None:
        """Downloads that break off at any octet, and go on with If-Range, while some files are replaced (H11)."""
        chance = random.Random(9110)
        kernel = octets_of(1, 300_000)
        picture = self.pack("small", kernel=kernel)
        (self.tree / "steady").write_bytes(steady := octets_of(2, 2_500_000))
        self.serve().wait_for("small.rts.png is ready as small", PATIENCE)
        fixed = {"/loaders/steady": steady, "/files/small.rts.png": picture, "/containers/small/kernel": kernel}
        before = self.settled()
        replaced = 0
        for number in range(DOWNLOADS):
            if number % 4:
                path = chance.choice(list(fixed))
                self.download(chance, path, fixed[path], None)
            else:
                file = self.tree / f"changing-{number}"
                file.write_bytes(octets := chance.randbytes(chance.randrange(100_000, 400_000)))
                replaced += self.download(chance, f"/loaders/{file.name}", octets, file)
        self.assertGreater(replaced, DOWNLOADS // 4)
        self.assert_as_before((before[0], before[1] + 3))

    def download(self, chance: random.Random, path: str, octets: bytes, file: Path | None) -> int:
        """Download in parts; `file` is replaced between some of them.  How often it was."""
        had, tag, is_other, replaced = b"", "", False, 0
        for part in range(PARTS):
            is_last = part == PARTS - 1
            fields = (f"Range: bytes={len(had)}-", f"If-Range: {tag}") if had else ()
            with Client(self.http) as client:
                client.ask(path, *fields)
                status, about = client.head()
                if had and not is_other:
                    self.assertEqual((status, about["etag"]), (206, tag), path)
                    self.assertEqual(about["content-range"], f"bytes {len(had)}-{len(octets) - 1}/{len(octets)}")
                else:
                    self.assertEqual(status, 200, path)
                    self.assertNotEqual(about["etag"], tag)
                    had, tag, is_other = b"", about["etag"], False
                left = len(octets) - len(had)
                self.assertEqual(int(about["content-length"]), left)
                size = left if is_last or chance.random() < 0.1 else chance.randrange(0, left)
                had += client.read(size)
                if size == left:
                    break
                if chance.random() < 0.5:
                    client.reset()
            if file is not None and chance.random() < 0.4:
                octets = chance.randbytes(chance.choice((len(octets), chance.randrange(100_000, 400_000))))
                other = file.with_suffix(".new")
                other.write_bytes(octets)
                os.replace(other, file)
                is_other = True
                replaced += 1
        self.assertEqual(hashlib.sha256(had).hexdigest(), hashlib.sha256(octets).hexdigest(), path)
        return replaced

    def test_h31_many_ranges(self) -> None:
        """As iPXE reads a disk that it boots from: small ranges by the thousand, on one connection."""
        chance = random.Random(10_000)
        disk = octets_of(5, 16 << 20)
        (self.tree / "disk.img").write_bytes(disk)
        self.serve()
        client = self.client()
        self.assertEqual(client.get("/loaders/disk.img", method="HEAD").fields["content-length"], str(len(disk)))
        took = []
        for number in range(RANGES):
            size = 512 * chance.randint(1, 16)
            first = chance.randrange(0, len(disk) - size) & ~511
            began_at = time.perf_counter()
            answer = client.get("/loaders/disk.img", f"Range: bytes={first}-{first + size - 1}")
            took.append(time.perf_counter() - began_at)
            if (answer.status, answer.body) != (206, disk[first : first + size]):
                self.fail(f"{number}: {answer.status}, {len(answer.body)} octets for {size} from {first} on")
        begin, end = statistics.median(took[:1000]), statistics.median(took[-1000:])
        self.assertLess(end, 3 * begin, "it has become slow")


class CrowdTests(HttpCase):
    """Clients that take a place and give nothing for it."""

    def test_h35_slow_clients(self) -> None:
        """Hundreds drip a request, sip at an answer, or do nothing; others are served as if there were none."""
        kernel = octets_of(1, 100_000)
        self.pack("small", kernel=kernel)
        large, octets = octets_of(6, 1 << 20) * 32, octets_of(7, 500_000)
        (self.tree / "large.img").write_bytes(large)
        (self.tree / "file").write_bytes(octets)
        self.serve().wait_for("small.rts.png is ready as small", PATIENCE)
        wanted = {"/loaders/file": octets, "/containers/small/kernel": kernel, "/healthz": b"ok\n"}
        self.ask_all(wanted)
        self.get("/loaders/large.img", "Range: bytes=0-0")
        before, memory = self.settled(), self.resident()

        # From different addresses, for one may have fewer connections.
        request = b"GET /loaders/file HTTP/1.1\r\nHost: test\r\nX-Padding: " + b"x" * 1000
        dripping = [self.client(f"127.0.1.{1 + number % 50}") for number in range(DRIPPING)]
        sipping = [self.client(f"127.0.2.{1 + number % 50}", receive_buffer=4096) for number in range(SIPPING)]
        idle = [self.client(f"127.0.3.{1 + number % 50}") for number in range(IDLE)]
        for client in sipping:
            client.ask("/loaders/large.img")
        sips = [b""] * SIPPING
        took = []
        for round_ in range(ROUNDS):
            for client in dripping:
                client.send(request[round_ : round_ + 1])
            for number, client in enumerate(sipping):
                sips[number] += client.socket.recv(1)
            took.append(self.timed(lambda: self.ask_all(wanted)))
        grown = self.resident() - memory
        self.assertLess(grown, MOST_MEMORY, "so much for clients that do nothing")
        self.assertLess(statistics.median(took), 1.0, "so long for three small exchanges")
        self.assertLess(max(took), 10.0)
        self.assertEqual(sips, [b"HTTP/1.1 200 OK\r\n"[:ROUNDS]] * SIPPING)
        self.assertEqual(self.status()["services"][0]["name"], "http")
        self.assertGreaterEqual(self.descriptors()[0], before[0] + DRIPPING + SIPPING + IDLE)

        # A request that dripped is answered when it is whole; an answer that was sipped at comes, too.
        dripping[0].send(request[ROUNDS:] + b"\r\n\r\n")
        self.assert_same(dripping[0].answer().body, octets)
        sipping[0].socket.setsockopt(6, 8, 1 << 20)
        for client in (*dripping, *sipping[1:], *idle):
            client.close()
        rest = sipping[0].read(len(large) // 4)
        head, _, body = (sips[0] + rest).partition(b"\r\n\r\n")
        self.assertIn(f"Content-Length: {len(large)}".encode(), head)
        self.assert_same(body, large[: len(body)])
        sipping[0].close()
        self.assert_as_before(before)
        self.quiet(self.process)

    def ask_all(self, wanted: dict[str, bytes]) -> None:
        """One request for each, which gets the octets."""
        with Client(self.http) as client:
            for path, octets in wanted.items():
                answer = client.get(path)
                self.assertEqual(answer.status, 200, path)
                self.assert_same(answer.body, octets, path)

    def test_clients_that_go_wrong(self) -> None:
        """One reads nothing, one resets in the middle, some close half: nothing of them is left."""
        large = octets_of(8, 1 << 20) * 32
        (self.tree / "large.img").write_bytes(large)
        (self.tree / "small").write_bytes(small := octets_of(9, 1000))
        process = self.serve(stall_time=1, request_time=1)
        for path in ("small", "large.img"):
            self.assertEqual(self.get(f"/loaders/{path}", "Range: bytes=0-0").status, 206)
        before = self.settled()

        deaf = self.client(receive_buffer=4096)
        deaf.ask("/loaders/large.img")
        process.wait_for(r"large\.img 200 broken off after .*: it took nothing for 1 s", PATIENCE)
        deaf.rest()
        self.assert_as_before(before)

        for part in (1, 100_000, 5_000_000):
            seen = len(process.lines)
            client = self.client()
            client.ask("/loaders/large.img")
            client.head()
            self.assert_same(client.read(part), large[:part])
            client.reset()
            process.wait_for(r"large\.img 200 broken off after .*: the client went away", PATIENCE, after=seen)
            self.assert_as_before(before)

        # Before it has asked, in the middle of a request, and behind it, when it still wants its answer.
        for octets, expected in ((b"", b""), (b"GET /loaders/small HTT", b"")):
            client = self.client()
            client.send(octets)
            client.socket.shutdown(1)
            self.assertEqual(client.rest(), expected)
            self.assert_as_before(before)
        client = self.client()
        client.ask("/loaders/large.img")
        client.socket.shutdown(1)
        status, fields = client.head()
        self.assertEqual((status, fields["content-length"]), (200, str(len(large))))
        self.assert_same(client.rest(), large)
        self.assert_as_before(before)

        # All that it asked for before it closed its end, too, be it much or large (H25).
        for path, octets, count in (("small", small, 100), ("large.img", large, 3)):
            client = self.client()
            client.send(f"GET /loaders/{path} HTTP/1.1\r\nHost: test\r\n\r\n".encode() * count)
            client.socket.shutdown(1)
            for number in range(count):
                self.assert_same(client.answer().body, octets, f"{path}, answer {number}")
            self.assertEqual(client.rest(), b"")
            self.assert_as_before(before)
        self.quiet(process)

    def test_connections_that_come_and_go(self) -> None:
        """Thousands, closed in order or by a reset, before, within or after an exchange."""
        chance = random.Random(13)
        (self.tree / "file").write_bytes(octets := octets_of(10, 200_000))
        self.serve()
        self.get("/loaders/file")
        before = self.settled()
        for _ in range(2000):
            client = Client(self.http, f"127.0.4.{chance.randint(1, 200)}")
            kind = chance.randrange(4)
            if kind:
                client.ask("/loaders/file")
            if kind == 2:
                client.head()
                client.read(chance.randrange(len(octets)))
            elif kind == 3:
                self.assert_same(client.answer().body, octets)
            if chance.random() < 0.5:
                client.reset()
            else:
                client.close()
        wait_until(lambda: self.descriptors()[0] <= before[0], 20.0, "connections are left")
        self.assert_as_before(before)
        self.quiet(self.process)
