"""Tests of `pixelboot.cli.picture.ending`."""

from __future__ import annotations

import os
import signal

from twisted.trial.unittest import SynchronousTestCase

from pixelboot.cli.picture.ending import taken_back

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class TestTakenBack(SynchronousTestCase):
    """One signal raises; the handlers come back."""

    def test_signals(self) -> None:
        for number, error, text in (
            (signal.SIGINT, KeyboardInterrupt, ""),
            (signal.SIGTERM, SystemExit, "143"),
            (signal.SIGHUP, SystemExit, "129"),
        ):
            before = [signal.getsignal(each) for each in SIGNALS]
            cleared = []
            with self.assertRaises(error, msg=number.name) as raised, taken_back():
                try:
                    os.kill(os.getpid(), number)
                finally:
                    for each in SIGNALS:  # An impatient person does not disturb the clearing up.
                        os.kill(os.getpid(), each)
                    cleared.append(number)
            self.assertEqual((str(raised.exception), cleared), (text, [number]))
            self.assertEqual([signal.getsignal(each) for each in SIGNALS], before, number.name)

    def test_what_is_ignored_stays_so(self) -> None:
        self.addCleanup(signal.signal, signal.SIGHUP, signal.signal(signal.SIGHUP, signal.SIG_IGN))
        with taken_back():
            os.kill(os.getpid(), signal.SIGHUP)
        self.assertEqual(signal.getsignal(signal.SIGHUP), signal.SIG_IGN)
