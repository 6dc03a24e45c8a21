"""The helper, spoken to over its pipes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from pixelboot.leases.lease import Lease
from pixelboot.state.wire import Messages, encode
from tests.leases.suite import HOUR, LAN, NOW, POOL, awaited
from tests.state.store import StoreCase

ROOT = Path(__file__).resolve().parents[2]

LEASE = [7, "hw:01", "02:aa", "bound", 1.0, 2.0, ""]


class HelperTests(SynchronousTestCase):
    """``python -m pixelboot.state.helper``."""

    def setUp(self) -> None:
        """A place for the database."""
        self.path = os.path.abspath(self.mktemp())

    def ask(self, *messages: bytes, rest: bytes = b"") -> tuple[list[Any], int, str]:
        """Send messages and the end; the answers, the exit status and what was said on standard error."""
        ended = subprocess.run(
            [sys.executable, "-m", "pixelboot.state.helper", self.path],
            input=b"".join(messages) + rest,
            capture_output=True,
            cwd=ROOT,
            timeout=30,
            check=False,
        )
        heard = Messages()
        return heard.received(ended.stdout), ended.returncode, ended.stderr.decode()

    def test_commits(self) -> None:
        """What arrives together is answered together; then it can be read; half a message does no harm."""
        answers, status, errors = self.ask(
            encode("commit", 1, [LEASE]), encode("commit", 2, [[8, *LEASE[1:]]]), encode("commit", 3, [[7]])
        )
        self.assertEqual((answers[0], answers[-1], status, errors), (["ready"], ["saved", 3], 0, ""))
        answers, status, errors = self.ask(encode("load"), rest=encode("commit", 9, [[8]])[:-1])
        self.assertEqual(answers, [["ready"], ["rows", [[8, *LEASE[1:]]]], ["loaded"]])
        self.assertEqual((status, errors), (0, ""))

    def test_failure(self) -> None:
        """After a commit that fails it does nothing more: nobody knows what the rest is worth."""
        answers, status, _ = self.ask(encode("commit", 4, [LEASE, [8, None]]), encode("commit", 5, [LEASE]))
        self.assertEqual((answers[1][0], status), ("failed", 1))
        answers, _, _ = self.ask(encode("load"))
        self.assertEqual(answers[1:], [["loaded"]])

    def test_unusable(self) -> None:
        """A file that is no database is told as a message, not as a traceback."""
        Path(self.path).write_bytes(b"x" * 4096)
        answers, status, errors = self.ask()
        self.assertEqual((answers[0][0], status, errors), ("unusable", 1, ""))
        self.assertIn(self.path, answers[0][1])

    def test_nonsense(self) -> None:
        """A server that talks nonsense is told so where the server's log is made; nothing is written."""
        for nonsense in (encode("commit"), encode("frobnicate", 1), b"\0\0\0\2{}"):
            _, status, errors = self.ask(nonsense)
            self.assertEqual(status, 1, repr(nonsense))
            self.assertTrue(errors.splitlines()[-1], repr(nonsense))
        self.assertEqual(self.ask(encode("load"))[0][1:], [["loaded"]])

    def test_nobody_listens(self) -> None:
        """The server has died with its end of the pipes: what it sent is committed, and nothing is said."""
        process = subprocess.Popen(
            [sys.executable, "-m", "pixelboot.state.helper", self.path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=ROOT,
        )
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdout.close()
        process.stdin.write(encode("commit", 1, [LEASE]))
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
        self.assertIsInstance(await store.bind("hw:a", "02:aa", POOL, LAN[100], HOUR, NOW), Lease)
        self.assertEqual(store.helper_pid, pid)
