"""What a server's processes take, as the measurements see it."""

from __future__ import annotations

import os
import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.usage import Others, Processes, busy

_GROWS = "import sys; sys.stdin.readline(); x = bytearray(64 << 20); print('grown', flush=True); sys.stdin.readline()"


class Usage(SynchronousTestCase):
    """`benchmarks.usage`."""

    def test_children_belong_to_it(self) -> None:
        """Processor and memory are those of a process and of all that it has started."""
        words = ["sh", "-c", '"$@"; exit', "sh", sys.executable, "-c", _GROWS]
        with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as shell:
            assert shell.stdin is not None
            assert shell.stdout is not None
            processes = Processes(shell.pid)
            shell.stdin.write(b"\n")
            shell.stdin.flush()
            self.assertEqual(shell.stdout.readline(), b"grown\n")
            peaks = processes.peaks()
            self.assertIn(shell.pid, peaks)
            self.assertGreater(len(peaks), 1)
            self.assertGreater(sum(peaks.values()), 64 << 20)
            self.assertGreater(processes.memory(), 64 << 20)
            self.assertGreaterEqual(processes.cpu(), 0.0)
            shell.stdin.write(b"\n")
        self.assertEqual((processes.cpu(), processes.memory(), processes.peaks()), (0.0, 0, {}))

    def test_peaks_begin_anew(self) -> None:
        """What was let go of before does not count."""
        processes = Processes(os.getpid())
        held = bytearray(64 << 20)
        before = processes.peaks()[os.getpid()]
        del held
        processes.reset_peaks()
        self.assertLess(processes.peaks()[os.getpid()], before)

    def test_others(self) -> None:
        """A share of all processors, which are never more busy than they can be."""
        others = Others(Processes(os.getpid()))
        self.assertGreater(busy(), 0.0)
        self.assertGreaterEqual(others.share(), 0.0)
