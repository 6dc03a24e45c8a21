"""The helper, spoken to over its pipes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from ipaddress import IPv4Address
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from pixelboot.leases.lease import Lease, State
from pixelboot.state.leases import wire
from pixelboot.state.leases.loading import OnDisk
from pixelboot.state.leases.wire import Messages
from tests.leases.suite import HOUR, LAN, NOW, awaited, claim
from tests.state.leases.store import StoreCase

ROOT = Path(__file__).resolve().parents[3]

LEASE = Lease(IPv4Address(7), "hw:01", "02:aa", State.BOUND, 1.0, 2.0, "", 1.0)


def commit(number: int, *changes: tuple[int, Lease | None]) -> bytes:
    """The message that these are to be made durable."""
    return wire.commit(number, wire.batch(changes))


class HelperTests(SynchronousTestCase):
    """``python -m pixelboot.state.leases.helper``."""

    def setUp(self) -> None:
        """A place for the database."""
        folder = os.path.abspath(self.mktemp())
        os.mkdir(folder)
        self.path = os.path.join(folder, "leases.sqlite")

    def ask(self, *messages: bytes, again: bool = False) -> tuple[list[tuple[bytes, bytes]], int, str]:
        """Send messages and the end; the answers, the exit status and what was said on standard error."""
        ended = subprocess.run(
            [sys.executable, "-m", "pixelboot.state.leases.helper", self.path, *(["again"] if again else [])],
            input=b"".join(messages),
            capture_output=True,
            cwd=ROOT,
            timeout=30,
            check=False,
        )
        heard = Messages()
        return heard.received(ended.stdout), ended.returncode, ended.stderr.decode()

    def loaded(self, again: bool = False) -> tuple[list[bytes], dict[int, Lease]]:
        """What is on disk: the kinds of the messages, and the leases in them."""
        answers, status, errors = self.ask(wire.message(b"L"), again=again)
        self.assertEqual((status, errors), (0, ""))
        disk = OnDisk(self.fail)
        for kind, body in answers:
            if kind == b"T":
                disk.add(wire.rows_in(body))
            elif kind == b"J":
                disk.replay(body)
            elif kind == b"X":
                disk.take()
        return [kind for kind, _ in answers], disk.take()

    def test_commits(self) -> None:
        """What arrives together is answered together; then it can be read; half a message does no harm."""
        eight = LEASE._replace(address=IPv4Address(8))
        answers, status, errors = self.ask(commit(1, (7, LEASE)), commit(2, (8, eight)), commit(3, (7, None)))
        self.assertEqual((answers, status, errors), ([(b"R", b""), (b"S", bytes(7) + b"\3")], 0, ""))
        self.assertEqual(self.ask(commit(9, (8, None))[:-1])[1:], (0, ""))
        self.assertEqual(self.loaded(), ([b"R", b"T", b"E"], {8: eight}), "and it is folded at the end")

    def test_it_imports_little(self) -> None:
        """A server waits for it: what is for the server alone, or for a damaged file, is left out."""
        names = ("twisted", "pixelboot.leases", "pixelboot.state.leases.salvage", "dataclasses", "pathlib")
        program = f"import sys, pixelboot.state.leases.helper; print([name for name in {names} if name in sys.modules])"
        # Without site, where an environment may import what it likes.
        done = subprocess.run(
            [sys.executable, "-S", "-c", program], capture_output=True, text=True, cwd=ROOT, timeout=30, check=False
        )
        self.assertEqual((done.stdout, done.stderr), ("[]\n", ""))

    def test_killed(self) -> None:
        """What was answered is in the journal, and is read from there."""
        process = subprocess.Popen(
            [sys.executable, "-m", "pixelboot.state.leases.helper", self.path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        with process.stdin, process.stdout:
            process.stdin.write(commit(1, (7, LEASE)))
            process.stdin.flush()
            answers = Messages().received(process.stdout.read(5 + 13))
            process.kill()
        process.wait()
        self.assertEqual(answers[-1], (b"S", bytes(7) + b"\1"))
        self.assertEqual(self.loaded(), ([b"R", b"J", b"E"], {7: LEASE}))

    def test_failure(self) -> None:
        """After a commit that fails it does nothing more: nobody knows what the rest is worth."""
        self.ask(commit(1, (7, LEASE)))
        many = commit(2, *((n, LEASE._replace(hostname="x" * 255)) for n in range(1000)))
        limit = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({1 << 17}, {1 << 17})); "
        ended = subprocess.run(
            [
                sys.executable,
                "-c",
                f"{limit}from pixelboot.state.leases.helper import main; exit(main([{self.path!r}]))",
            ],
            input=many + commit(3, (8, LEASE)),
            capture_output=True,
            cwd=ROOT,
            timeout=30,
            check=False,
        )
        answers = Messages().received(ended.stdout)
        self.assertEqual([kind for kind, _ in answers], [b"R", b"F"])
        self.assertIn(b"disk I/O error", answers[1][1])
        self.assertEqual(ended.returncode, 1)
        self.assertEqual(self.loaded()[1], {7: LEASE})

    def test_unusable(self) -> None:
        """A file that cannot be used is told as a message, not as a traceback."""
        os.mkdir(self.path)
        answers, status, errors = self.ask()
        self.assertEqual((answers[0][0], status, errors), (b"U", 1, ""))
        self.assertIn(self.path.encode(), answers[0][1])

    def test_damaged(self) -> None:
        """A damaged file is set aside; what can be read of it is saved, unless the server has it all."""
        self.ask(commit(1, *((n, LEASE._replace(address=IPv4Address(n))) for n in range(2000))))
        good = Path(self.path).read_bytes()
        pages = [at for at in range(0, len(good), 4096) if good[at : at + 4096].count(b"hw:01") > 20 and good[at] == 13]
        half = pages[len(pages) // 2]
        for number, (what, octets, least) in enumerate(
            (
                ("noise in the middle", good[:half] + os.urandom(4096) + good[half + 4096 :], 1850),
                ("noise in the first page", b"\xff" * 4096 + good[4096:], 2000),
                ("half of it", good[:half], 300),
                ("cut inside a page", good[:-1000], 1850),
                ("no database", b"leases\n" * 1000, 0),
            ),
            1,
        ):
            Path(self.path).write_bytes(octets)
            answers, status, errors = self.ask(wire.message(b"L"))
            self.assertEqual((status, errors), (0, ""), what)
            told = dict(answers)[b"D"].decode()
            aside = f"{self.path}.damaged-{number}"
            self.assertIn(f"{self.path} is damaged", told)
            self.assertIn(f"set aside as {aside}", told)
            self.assertEqual(Path(aside).read_bytes(), octets, what)
            kinds, leases = self.loaded()
            self.assertNotIn(b"D", kinds, what)
            self.assertGreaterEqual(len(leases), least, what)
            self.assertIn(f"{len(leases)} leases could be read", told, what)
            self.assertEqual({lease.identity for lease in leases.values()} - {"hw:01"}, set(), what)
        Path(self.path).write_bytes(good[:half])
        self.assertEqual(self.loaded(again=True)[1], {}, "the server has it all")

    def test_interrupted_while_it_mends(self) -> None:
        """Whenever the mending ends, the next helper finds the new file, or begins again: nothing is lost."""
        self.ask(commit(1, (7, LEASE)))
        good = Path(self.path).read_bytes()
        for what, files in (
            ("before the new file is whole", {"": good[:100] + b"x" * 100 + good[200:], ".rebuilding": b"half"}),
            ("before the damaged one is moved", {"": b"damaged", ".rebuilt": good}),
            ("before its log is", {".damaged-1": b"damaged", "-wal": b"old", ".rebuilt": good}),
            ("before the new one is in its place", {".damaged-1": b"damaged", ".rebuilt": good}),
        ):
            for name in os.listdir(os.path.dirname(self.path)):
                os.unlink(os.path.join(os.path.dirname(self.path), name))
            for suffix, octets in files.items():
                Path(self.path + suffix).write_bytes(octets)
            self.assertEqual(self.loaded()[1], {7: LEASE}, what)
            self.assertTrue(os.path.exists(self.path + ".damaged-1"), what)
            self.assertFalse(os.path.exists(self.path + ".rebuilt"), what)

    def test_nonsense(self) -> None:
        """A server that talks nonsense is told so where the server's log is made; nothing is written."""
        for nonsense in (wire.message(b"Z"), b"\0\0\0\2{}"):
            _, status, errors = self.ask(nonsense)
            self.assertEqual(status, 1, repr(nonsense))
            self.assertTrue(errors.splitlines()[-1], repr(nonsense))
        self.assertEqual(self.loaded()[1], {})

    def test_nobody_listens(self) -> None:
        """The server has died with its end of the pipes: what it sent is committed, and nothing is said."""
        process = subprocess.Popen(
            [sys.executable, "-m", "pixelboot.state.leases.helper", self.path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=ROOT,
        )
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdout.close()
        process.stdin.write(commit(1, (7, LEASE)))
        process.stdin.close()
        self.assertEqual((process.stderr.read(), process.wait()), (b"", 0))
        process.stderr.close()


class SignalTests(StoreCase):
    """A helper that works for a server."""

    @awaited
    async def test_helper_outlives_signals(self) -> None:
        """Ctrl-C and a stop of the whole service reach the helper too; the server still needs it."""
        store = await self.opened()
        pid = store.helper_pid
        assert pid is not None
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            os.kill(pid, number)
        self.assertIsInstance(await store.bind(claim("hw:a"), LAN[100], HOUR, NOW), Lease)
        self.assertEqual(store.helper_pid, pid)
