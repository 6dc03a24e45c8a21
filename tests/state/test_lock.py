"""The state folder and its lock."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from pixelboot.malformed import Malformed
from pixelboot.state.lock import StateLock, StateUnusable

ROOT = Path(__file__).resolve().parents[2]

TAKE = "import sys; from pixelboot.state.lock import StateLock; lock = StateLock.take(sys.argv[1]); "


class StateLockTests(SynchronousTestCase):
    """`StateLock`."""

    def other(self, folder: str, then: str) -> subprocess.Popen[str]:
        """Another process that takes the lock, and goes on with `then`."""
        process = subprocess.Popen(
            [sys.executable, "-c", TAKE + then, folder],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        return process

    def test_is_held(self) -> None:
        """To look changes nothing: neither is a folder made, nor a lock taken away."""
        folder = os.path.abspath(self.mktemp())
        self.assertFalse(StateLock.is_held(folder))
        self.assertFalse(os.path.exists(folder))
        lock = StateLock.take(folder)
        self.assertTrue(StateLock.is_held(folder))
        self.assertTrue(StateLock.is_held(folder))
        lock.release()
        self.assertFalse(StateLock.is_held(folder))
        StateLock.take(folder).release()

    def test_makes_the_folder(self) -> None:
        """A missing folder is made, for its owner alone; one that is there is taken as it is."""
        folder = os.path.join(self.mktemp(), "deep", "state")
        StateLock.take(folder).release()
        self.assertEqual(stat.S_IMODE(os.stat(folder).st_mode), 0o700)
        self.assertEqual(stat.S_IMODE(os.stat(os.path.join(folder, "lock")).st_mode), 0o600)
        os.chmod(folder, 0o500)
        lock = StateLock.take(folder)
        self.addCleanup(lock.release)
        self.assertEqual(stat.S_IMODE(os.stat(folder).st_mode), 0o500)
        self.assertEqual(Path(folder, "lock").read_text(), f"{os.getpid()}\n")

    def test_second_server(self) -> None:
        """Another server is refused, and told who has the folder."""
        folder = os.path.abspath(self.mktemp())
        lock = StateLock.take(folder)
        self.addCleanup(lock.release)
        other = self.other(folder, "")
        _, errors = other.communicate()
        self.assertEqual(other.returncode, 1)
        message = f"pixelboot.state.lock.StateUnusable: the state folder {folder} is in use by process {os.getpid()}"
        self.assertEqual(errors.splitlines()[-1], message)
        lock.release()
        lock.release()
        StateLock.take(folder).release()

    def test_killed_server(self) -> None:
        """Nothing is left of a server that was killed, though its number stands in the file."""
        folder = os.path.abspath(self.mktemp())
        other = self.other(folder, "print(flush=True); sys.stdin.read()")
        assert other.stdout is not None
        other.stdout.readline()
        with self.assertRaisesRegex(StateUnusable, f"{folder} is in use by process {other.pid}$"):
            StateLock.take(folder)
        other.kill()
        other.wait()
        StateLock.take(folder).release()

    def test_after_a_fork(self) -> None:
        """A child keeps the lock when its parent ends, and can say so."""
        folder = os.path.abspath(self.mktemp())
        other = self.other(
            folder,
            "import os; pid = os.fork(); pid and os._exit(0); lock.write_pid();"
            " print(os.getpid(), flush=True); sys.stdin.read()",
        )
        assert other.stdout is not None
        child = int(other.stdout.readline())
        other.wait()
        self.assertNotEqual(child, other.pid)
        with self.assertRaisesRegex(StateUnusable, f"is in use by process {child}$"):
            StateLock.take(folder)
        other.communicate("")

    def test_unusable_folders(self) -> None:
        """What cannot be a state folder is an error with its name and the reason."""
        base = self.mktemp()
        os.mkdir(base)
        Path(base, "file").write_text("")
        Path(base, "linked").mkdir()
        Path(base, "linked", "lock").symlink_to("../file")
        Path(base, "crowded").mkdir()
        Path(base, "crowded", "lock").mkdir()
        for folder, why in (
            (f"{base}/file", "File exists"),
            (f"{base}/file/state", "Not a directory"),
            ("/proc/self/state", "No such file or directory"),
            (f"{base}/{'n' * 300}", "File name too long"),
            (f"{base}/linked", "symbolic links"),
            (f"{base}/crowded", "Is a directory"),
        ):
            with self.assertRaises(Malformed, msg=folder) as caught:
                StateLock.take(folder)
            self.assertIn(f"the state folder {folder} cannot be used: ", str(caught.exception))
            self.assertIn(why, str(caught.exception))
