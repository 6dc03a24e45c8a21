"""Tests of `pixelboot.cli.leases`: the whole command against answers of a server.

The other end is tested in `tests.view.test_leases`.
"""

from __future__ import annotations

import json
import math
import os
import stat
from ipaddress import IPv4Address
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from pixelboot.cli.leases import BATCH, batches, lines
from pixelboot.leases.foreign.own import parse_csv, parse_json, value_of
from pixelboot.leases.lease import Lease, State
from tests.cli.canned import Canned, answer
from tests.running import command, folder_for

ONE = Lease(
    IPv4Address("10.77.0.9"),
    "hw:01:02:aa:00:00:00:01",
    "02:aa:00:00:00:01",
    State.BOUND,
    1.75e9,
    1.76e9,
    "node\x7f".replace("\x7f", "1"),
    1.75e9,
)
TWO = ONE._replace(address=IPv4Address("10.77.0.10"), hwaddr="", identity="id:01", hostname="", expires_at=math.inf)
LISTED = answer({"leases": [value_of(TWO), value_of(ONE)], "count": 2})
NOT_FOUND = "404 Not Found"


class LeasesCase(SynchronousTestCase):
    """A state folder, and a server with chosen answers."""

    def setUp(self) -> None:
        self.state = folder_for(self.addCleanup)
        self.asks = 0

    def ask(self, answers: list[bytes], *words: object) -> tuple[int, str, str]:
        """Exit status and both outputs; what was asked is in `asked`."""
        self.asks += 1
        state = self.state / f"{self.asks}"  # a server each time
        server = Canned(state, answers, self.addCleanup)
        result = command("leases", *words, "--state", state)
        self.asked = [line.removesuffix(" HTTP/1.1") for line in server.asked]
        return result

    def done(self, answers: list[bytes], *words: object) -> list[str]:
        """The lines of a command that succeeds."""
        code, out, error = self.ask(answers, *words)
        self.assertEqual((code, error), (0, ""), words)
        return out.splitlines()

    def refused(self, answers: list[bytes], *words: object) -> str:
        """The line of a command that fails."""
        code, _, error = self.ask(answers, *words)
        self.assertEqual(code, 1, words)
        self.assertEqual(len(error.splitlines()), 1)
        return error.removeprefix("pixelboot: ").rstrip()


class ListTests(LeasesCase):
    """Listing and exporting."""

    def test_table(self) -> None:
        """By address."""
        head, first, second, count = self.done([LISTED])
        self.assertEqual(head, "address         state    until               hardware address   name")
        self.assertRegex(
            first, r"^10\.77\.0\.9       bound    20\d\d-\d\d-\d\d \d\d:\d\d:\d\d 02:aa:00:00:00:01  node1$"
        )
        self.assertEqual((second, count), ("10.77.0.10      bound    for ever            id:01", "2 in all"))
        self.assertEqual(self.done([answer({"leases": [], "count": 0})], "list"), ["no lease"])

    def test_hostile_names(self) -> None:
        self.assertIn("\\x1b[2J", list(lines([{**value_of(ONE), "hostname": "\x1b[2J"}]))[1])

    def test_filters(self) -> None:
        """They are asked of the server, in front of the action or behind it."""
        for words, query in (
            ((), ""),
            (("--status", "bound", "--status", "released"), "?state=bound&state=released"),
            (("list", "--subnet", "10.77.0.0/24"), "?network=10.77.0.0%2F24"),
            (("--network", "10.77.0.0/24", "list", "--mac", "02:aa"), "?network=10.77.0.0%2F24&mac=02%3Aaa"),
            (("--name", "a b*", "--identity", "id:01"), "?name=a+b%2A&identity=id%3A01"),
            (("--address", "10.77.0.9"), "?address=10.77.0.9"),
        ):
            self.done([LISTED], *words)
            self.assertEqual(self.asked, [f"GET /api/v1/leases{query}"], words)

    def test_export(self) -> None:
        """To standard output or a file: whole, readable again, and over nothing unless that is said."""
        text = "\n".join([*self.done([LISTED], "--json"), ""])
        self.assertEqual(parse_json(text.encode()).leases, (ONE, TWO))
        code, out, _ = self.ask([LISTED], "--csv", "-o", "-")
        self.assertEqual((code, parse_csv(out.encode()).leases), (0, (ONE, TWO)))
        for form, parse in (("--json", parse_json), ("--csv", parse_csv)):
            file = self.state / "out"
            self.assertEqual(self.done([LISTED], form, "-o", file), [])
            self.assertEqual(parse(file.read_bytes()).leases, (ONE, TWO))
            self.assertIn("exists; --force replaces it", self.refused([LISTED], "list", form, "--output", file))
            self.done([LISTED], form, "-o", file, "--force")
            os.unlink(file)
        self.assertIn("is not a folder", self.refused([LISTED], "-o", self.state / "x" / "y"))
        self.assertEqual({each for each in os.listdir(self.state) if each.endswith(".part")}, set())

    def test_a_full_disk(self) -> None:
        """A file that cannot be written to its end does not get its name."""
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        many = answer({"leases": [value_of(ONE)] * 5000, "count": 5000})
        file = self.state / "out"
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
        try:
            error = self.refused([many], "--json", "-o", file)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        self.assertIn("File too large", error)
        self.assertEqual([each for each in os.listdir(self.state) if "out" in each], [])

    def test_refused(self) -> None:
        self.assertIn(
            "leases are listed and changed by one that runs", str(command("leases", "--state", self.state)[2])
        )
        nothing = answer({"error": "there is no such resource"}, NOT_FOUND)
        for words in ((), ("release", "10.77.0.9")):
            self.assertIn("has no leases: it gives no addresses (dhcp.mode)", self.refused([nothing], *words))
        wrong = answer({"error": "state must be one of …"}, "400 Bad Request")
        self.assertEqual(self.refused([wrong], "--status", "x"), "state must be one of …")
        opening = answer({"error": "the leases are not open yet; try again"}, "503 Service Unavailable")
        self.assertEqual(self.refused([opening]), "the leases are not open yet; try again")


class ReleaseTests(LeasesCase):
    """Setting free."""

    def test_release(self) -> None:
        """Each is said."""
        freed, free = {"before": value_of(ONE), "freed": True}, {"before": value_of(TWO), "freed": False}
        resting = ONE._replace(address=IPv4Address("10.77.0.8"), state=State.DECLINED)
        rested = {"before": value_of(resting), "freed": True}
        self.assertEqual(
            self.done([answer(freed), answer(rested), answer(free)], "release", "10.77.0.9", "10.77.0.8", "10.77.0.10"),
            [
                "10.77.0.9: free; it was bound to 02:aa:00:00:00:01 (node1)",
                "10.77.0.8: free; it was in quarantine",
                "10.77.0.10: free already; id:01 had it last",
            ],
        )
        self.assertEqual(self.asked, [f"DELETE /api/v1/leases/10.77.0.{number}" for number in (9, 8, 10)])

    def test_some(self) -> None:
        """What cannot be keeps nobody else from being set free."""
        freed = answer({"before": value_of(ONE), "freed": True})
        quarantine = answer({"error": "10.77.0.5 was in quarantine"}, "503 Service Unavailable")
        missing = answer({"error": "nothing is known of 10.77.0.6"}, NOT_FOUND)
        code, out, error = self.ask([quarantine, missing, freed], "release", "10.77.0.5", "10.77.0.6", "10.77.0.9")
        self.assertEqual((code, len(out.splitlines())), (1, 1))
        self.assertEqual(error, "pixelboot: 10.77.0.5 was in quarantine; nothing is known of 10.77.0.6\n")


class ImportTests(LeasesCase):
    """Taking over."""

    def file(self, text: str) -> str:
        """A file of leases."""
        path = self.state / "leases"
        path.write_text(text, encoding="utf-8")
        return str(path)

    def test_formats(self) -> None:
        """Each is read, what was passed over is told, and what the server does not take, too."""
        told = {"taken": 1, "known": 2, "skipped": [{"address": "10.0.0.1", "reason": "it is outside every subnet"}]}
        mac = "02:aa:00:00:00:01"
        for form, text, notes in (
            ("dnsmasq", f"0 {mac} 10.77.0.5 * *\nduid 00:01\n0 5 fd00::1 * *\n", ["passed over: 1 leases of DHCPv6"]),
            ("isc", f"lease 10.77.0.5 {{ ends never; hardware ethernet {mac}; }}", []),
            ("json", json.dumps({"leases": [value_of(ONE)]}), []),
            ("csv", "address,state,identity,started_at\n10.77.0.5,bound,id:01,2026-01-01T00:00:00Z\n", []),
        ):
            for dry in (False, True):
                words = ["import", self.file(text), "--from", form, *(["--dry-run"] if dry else [])]
                end = "would be taken over" if dry else "taken over"
                self.assertEqual(
                    self.done([answer(told)], *words),
                    [
                        *notes,
                        "10.0.0.1: it is outside every subnet",
                        f"{end}: 1 leases; 2 were here before, 1 cannot be",
                    ],
                )
                self.assertEqual(self.asked, ["POST /api/v1/leases" + ("?dry-run=yes" if dry else "")])

    def test_wrong_file(self) -> None:
        """The line is named, and nothing was asked of the server."""
        path = ""
        for form, text, why in (
            ("dnsmasq", "0 02:aa:00:00:00:01 10.77.0.5 * *\nx\n", "line 2: expected five words, found 1: x"),
            ("isc", "lease 10.77.0.5 {", "line 1: expected a statement or the end of the lease"),
            ("json", "[]", 'expected {"leases"'),
            ("csv", "", "line 1: expected the names of columns"),
        ):
            path = self.file(text)
            error = self.refused([], "import", path, "--from", form)
            self.assertTrue(error.startswith(f"{path}: {why}"), error)
            self.assertTrue(error.endswith("; nothing is taken over"), error)
            self.assertEqual(self.asked, [])
        self.assertIn("No such file", self.refused([], "import", self.state / "none", "--from", "isc"))
        self.assertIn("Is a directory", self.refused([], "import", self.state, "--from", "isc"))
        self.assertEqual(command("leases", "import", path, "--from", "kea", "--state", self.state)[0], 2)

    def test_goes(self) -> None:
        """A large file is brought in several; when one fails, it is told how many were taken."""
        values = [{**value_of(ONE), "n": number} for number in range(1000)]
        goes = list(batches(values))
        self.assertEqual([each for go in goes for each in go], values)
        for go in goes:
            self.assertLess(len(json.dumps({"leases": go})), BATCH + 100)
        long: list[dict[str, Any]] = [{"x": "y" * BATCH}] * 2
        self.assertEqual(list(batches(long)), [[long[0]], [long[1]]])
        leases = [value_of(ONE._replace(address=IPv4Address(number))) for number in range(100)]
        told = answer({"taken": 77, "known": 0, "skipped": []})
        broken = answer({"error": "they cannot be written: the disk is full"}, "503 Service Unavailable")
        path = self.file(json.dumps({"leases": leases}))
        self.assertEqual(
            self.refused([told, broken], "import", path, "--from", "json"),
            "they cannot be written: the disk is full; 77 leases were taken over before, and need not be again",
        )

    def test_latest_first(self) -> None:
        """So that of two addresses of a machine the right one is taken, in whichever go each is."""
        older, newer = ONE._replace(renewed_at=5.0), TWO._replace(renewed_at=9.0)
        from pixelboot.cli import leases as module

        brought: list[Any] = []

        def ask(site: object, method: str, path: str, body: Any) -> dict[str, Any]:
            brought.extend(body["leases"])
            return {"taken": 0, "known": 0, "skipped": []}

        self.patch(module, "_ask", ask)
        command(
            "leases", "import", self.file(json.dumps({"leases": [value_of(older), value_of(newer)]})), "--from", "json"
        )
        self.assertEqual([each["address"] for each in brought], ["10.77.0.10", "10.77.0.9"])

    def test_mode(self) -> None:
        """What is exported is for those who may read it, as the user's own files are."""
        file = self.state / "out"
        self.done([LISTED], "--csv", "-o", file)
        mask = os.umask(0)
        os.umask(mask)
        self.assertEqual(stat.S_IMODE(file.stat().st_mode), 0o666 & ~mask)
