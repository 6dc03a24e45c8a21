"""Tests of `pixelboot.tftp.write.uploads`: the transfer in the reactor, its file in a thread."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet import reactor as installed
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase

from pixelboot.tftp import wire
from pixelboot.tftp.negotiate import Limits, Refusal
from pixelboot.tftp.settings import TftpSettings, WriteSettings
from pixelboot.tftp.wire import WriteRequest
from pixelboot.tftp.write import uploads
from pixelboot.tftp.write.transfer import LINGER_TIME, MOST_HELD, STORING_TIME, Result
from pixelboot.tftp.write.uploads import AGE_TO_GIVE_WAY, BATCH, MOST_THREADS, Upload, Uploads, agree

ONE, OTHER = "10.77.0.1", "10.77.0.2"
LIMITS = Limits(65464, 64)
ACK = wire.ack


class Threads(Clock):
    """A reactor whose threads do nothing before they are told to."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[Callable[[], None]] = []
        """What was given to them."""

    def getThreadPool(self) -> Threads:
        return self

    def callInThreadWithCallback(self, done: Callable[[bool, Any], None], work: Callable[[], Any]) -> None:
        def run() -> None:
            try:
                result = True, work()
            except BaseException:  # noqa: BLE001 - as a thread pool does
                result = False, Failure()
            done(*result)

        self.waiting.append(run)

    def callFromThread(self, work: Callable[..., None], *arguments: Any) -> None:
        work(*arguments)

    def work(self) -> None:
        """Let them do everything that there is."""
        while self.waiting:
            self.waiting.pop(0)()


class Case(SynchronousTestCase):
    """Uploads into a folder ``dumps``."""

    def setUp(self) -> None:
        """Make the folder."""
        self.root = Path(self.mktemp()).absolute()
        self.dumps = self.root / "dumps"
        self.dumps.mkdir(parents=True)
        self.threads = Threads()
        self.said: list[bytes] = []
        area = WriteSettings(folder="dumps", largest=10 << 20, quota=20 << 20, free=0)
        self.uploads = Uploads(self.threads, TftpSettings(write=(area,)), str(self.root))
        self.descriptors = len(os.listdir("/proc/self/fd"))

    def tearDown(self) -> None:
        """Everything ends, and holds nothing then."""
        stopped = self.uploads.stop()
        self.threads.work()
        self.assertIsNone(self.successResultOf(stopped))
        self.assertEqual(len(os.listdir("/proc/self/fd")), self.descriptors)

    def asked(self, name: str = "dumps/core", client: str = ONE, **options: object) -> Deferred[Upload]:
        """An upload that is asked for."""
        request = WriteRequest(name, "octet", tuple((key, str(value)) for key, value in options.items()))
        return Deferred.fromCoroutine(self.uploads.begin(request, client, LIMITS, self.said.extend))

    def begun(self, name: str = "dumps/core", client: str = ONE, **options: object) -> Upload:
        """An upload that has begun."""
        asking = self.asked(name, client, **options)
        self.threads.work()
        upload: Upload = self.successResultOf(asking)
        upload.start(self.threads.seconds())
        return upload

    def data(self, upload: Upload, block: int, octets: bytes) -> list[bytes]:
        """What is said to a block at once."""
        return upload.received(wire.data(block, octets), self.threads.seconds())


class UploadTests(Case):
    """One upload."""

    def test_t37_a_small_file(self) -> None:
        """The last ACK comes when the file is there, and again when it is lost."""
        upload = self.begun()
        self.assertEqual((self.data(upload, 1, b"x" * 512), self.data(upload, 2, b"end")), ([ACK(1)], []))
        self.assertEqual((self.said, os.listdir(self.dumps)), ([], []))
        self.threads.work()
        self.assertEqual((self.said, (self.dumps / "core").read_bytes()), ([ACK(2)], b"x" * 512 + b"end"))
        assert upload.ending is not None
        self.assertEqual((upload.ending.result, upload.ending.octets, upload.acknowledged), (Result.KEPT, 515, 515))
        self.threads.advance(2)
        self.assertEqual(self.data(upload, 2, b"end"), [ACK(2)])
        self.threads.advance(LINGER_TIME)
        self.assertEqual((upload.expired(self.threads.seconds()), upload.deadline), ([], None))
        self.assertEqual(self.threads.waiting, [], "nothing is left to be done")

    def test_t37_a_slow_disk(self) -> None:
        """Octets are written in large pieces, meanwhile the client goes on; as long as not too much is held."""
        upload = self.begun(blksize=16384)
        block = b"x" * 16384
        number, said = 0, [ACK(0)]
        while said:
            number += 1
            said = self.data(upload, number, block)
        self.assertEqual((number * 16384, len(self.threads.waiting)), (MOST_HELD, 1))
        self.threads.work()
        self.assertEqual(self.said, [ACK(number)])
        self.data(upload, number + 1, b"")
        self.threads.work()
        self.assertEqual((self.dumps / "core").stat().st_size, MOST_HELD)

    def test_t37_refused_on_the_way(self) -> None:
        """What the disk says goes to the client, and nothing is left."""
        for number, code, reason in ((28, 3, "the disk is full"), (5, 0, "Input/output error")):
            self.said.clear()
            upload = self.begun()

            def broken(*_: object, number: int = number) -> None:
                raise OSError(number, os.strerror(number))

            patch = self.patch(os, "fsync", broken)
            self.data(upload, 1, b"end")
            self.threads.work()
            patch.restore()
            error = wire.decode(self.said[0])
            assert isinstance(error, wire.Error)
            assert upload.ending is not None
            self.assertEqual((error.code, upload.ending.reason, upload.deadline), (code, reason, None))
            self.assertEqual((len(self.said), os.listdir(self.dumps)), (1, []))

    def test_t37_given_up(self) -> None:
        """A client that breaks off, or is silent, or is cut off, leaves nothing, also while something is written."""

        def broken_off(upload: Upload) -> None:
            upload.received(wire.error(0, "enough"), self.threads.seconds())

        def silent(upload: Upload) -> None:
            while upload.deadline is not None:
                self.threads.rightNow = upload.deadline
                upload.expired(upload.deadline)

        for give_up in (broken_off, silent, Upload.close):
            for last in (False, True):
                upload = self.begun(blksize=65464)
                self.data(upload, 1, b"x" * 65464)
                self.data(upload, 2, b"" if last else b"x" * 65464)
                give_up(upload)
                upload.close()
                self.threads.work()
                self.assertEqual((os.listdir(self.dumps), self.said), ([], []), (give_up, last))

    def test_t07_t37_an_error_behind_the_last_block(self) -> None:
        """As long as it has no name the file is given up; afterwards it is kept, and that is what is told."""
        for steps, result, names in ((0, Result.ABORTED, []), (1, Result.ABORTED, []), (2, Result.KEPT, ["core"])):
            upload = self.begun()
            self.data(upload, 1, b"end")
            if steps == 2:
                appear = upload._writing.file.appear

                def appearing(
                    name: str, *, overwrite: bool, upload: Upload = upload, appear: Callable[..., None] = appear
                ) -> None:
                    upload.received(wire.error(0, "enough"), self.threads.seconds())
                    appear(name, overwrite=overwrite)

                self.patch(upload._writing.file, "appear", appearing)
            else:
                for _ in range(steps):
                    self.threads.waiting.pop(0)()
                upload.received(wire.error(0, "enough"), self.threads.seconds())
            self.threads.work()
            assert upload.ending is not None
            self.assertEqual((upload.ending.result, upload.deadline, os.listdir(self.dumps)), (result, None, names))
            self.assertEqual(self.said, [])

    def test_t37_a_disk_that_hangs_at_the_very_end(self) -> None:
        """Once the name is being given the disk is waited for: nothing else could be told in truth."""
        upload = self.begun()
        self.data(upload, 1, b"end")
        self.threads.waiting.pop(0)()
        upload._writing.settle()
        self.threads.rightNow += STORING_TIME
        self.assertEqual((upload.expired(self.threads.seconds()), upload.ending), ([], None))
        self.assertEqual(upload.deadline, self.threads.seconds() + STORING_TIME)
        upload._writing._decided.release()
        self.threads.work()
        assert upload.ending is not None
        self.assertEqual((upload.ending.result, self.said), (Result.KEPT, [ACK(1)]))

    def test_t37_a_mistake_of_ours(self) -> None:
        """It is told in full, and the upload holds nothing any more."""
        upload = self.begun()
        upload._thread = lambda work: 1 // 0  # type: ignore[assignment,return-value]
        self.data(upload, 1, b"end")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)
        upload._writing.discard()


class UploadsTests(Case):
    """Several."""

    def test_t37_refused_at_once(self) -> None:
        """Names and modes are looked at before anything is done in a thread."""
        for name, mode, code in (("core", "octet", 2), ("dumps/../x", "octet", 2), ("dumps/core", "mail", 4)):
            begin = self.uploads.begin(WriteRequest(name, mode), ONE, LIMITS, self.said.extend)
            refusal = self.failureResultOf(Deferred.fromCoroutine(begin), Refusal).value
            self.assertEqual((refusal.code, self.threads.waiting), (code, []), name)

    def test_t37_refused_by_the_disk(self) -> None:
        """What is there already; and the next may have its place."""
        (self.dumps / "core").write_bytes(b"old")
        asking = self.asked()
        self.threads.work()
        self.assertEqual(self.failureResultOf(asking, Refusal).value.code, 6)
        self.assertEqual(self.uploads._open, {})

    def test_t37_options(self) -> None:
        """The size is said back; 0 is what clients say who do not know it; a window is not more than may be held."""
        for options, agreed, size in (
            ((("tsize", "12"), ("blksize", "1024")), (("tsize", "12"), ("blksize", "1024")), 12),
            ((("tsize", "0"),), (("tsize", "0"),), None),
            ((("tsize", "-1"), ("x", "1")), (), None),
            ((("blksize", "16384"), ("windowsize", "64")), (("blksize", "16384"), ("windowsize", "8")), None),
        ):
            terms, said = agree(WriteRequest("a", "octet", options), LIMITS)
            self.assertEqual((terms.agreed, said), (agreed, size), options)

    def test_t37_gone_before_it_began(self) -> None:
        """The file is thrown away when it is there at last."""
        asking = self.asked()
        asking.cancel()
        self.failureResultOf(asking, CancelledError)
        self.threads.work()
        self.assertEqual(self.uploads._open, {})
        self.begun().close()

    def test_t37_too_many(self) -> None:
        """Beyond some they are asked to come again, those of one client earlier."""
        self.patch(uploads, "MOST_UPLOADS", 4)
        running = [self.begun(f"dumps/{number}", ONE) for number in range(2)]
        self.assertEqual(self.failureResultOf(self.asked("dumps/x", ONE), OSError).value.errno, 11)
        running += [self.begun(f"dumps/{number}", OTHER) for number in range(2, 4)]
        self.assertEqual(self.failureResultOf(self.asked("dumps/x", "10.77.0.3"), OSError).value.errno, 11)
        running[0].close()
        self.threads.work()
        self.begun("dumps/x", ONE)

    def test_t37_silent_ones_give_way(self) -> None:
        """The oldest that has sent nothing leaves its place, and everybody knows; one that has sent something stays."""
        self.patch(uploads, "MOST_UPLOADS", 4)
        working = self.begun("dumps/working", ONE)
        self.data(working, 1, b"x" * 512)
        silent = [self.begun("dumps/silent", ONE), *(self.begun(f"dumps/{each}", OTHER) for each in range(2))]
        self.assertEqual(self.failureResultOf(self.asked("dumps/x", "10.77.0.3"), OSError).value.errno, 11)
        self.threads.advance(AGE_TO_GIVE_WAY)
        newer = [self.asked("dumps/x", OTHER), self.asked("dumps/y", "10.77.0.3")]
        ended = [each.ending is not None for each in silent]
        self.assertEqual((ended, [wire.opcode(packet) for packet in self.said]), ([True, True, False], [5, 5]))
        assert silent[0].ending is not None
        self.assertEqual((silent[0].ending.result, silent[0].deadline), (Result.REFUSED, None))
        self.assertIn("another upload", silent[0].ending.reason)
        self.threads.work()
        for each in newer:
            self.successResultOf(each)
        self.data(working, 2, b"end")
        self.threads.work()
        self.assertEqual(os.listdir(self.dumps), ["working"])
        self.assertEqual((self.uploads._open.total(), self.uploads._leaving), (3, {}))

    def test_t37_few_threads(self) -> None:
        """A disk that hangs does not take all of them."""
        asking = [self.asked(f"dumps/{number}") for number in range(10)]
        self.assertEqual(len(self.threads.waiting), MOST_THREADS)
        self.threads.work()
        self.assertEqual(len([self.successResultOf(upload) for upload in asking]), 10)

    def test_t37_stopping(self) -> None:
        """All end, those that are about to begin too; the last is waited for, and nothing is left."""
        upload, asking = self.begun(blksize=65464), self.asked("dumps/other")
        self.data(upload, 1, b"x" * BATCH)
        stopped = self.uploads.stop()
        self.assertNoResult(stopped)
        self.threads.work()
        self.successResultOf(stopped)
        self.failureResultOf(asking, OSError)
        self.assertEqual(os.listdir(self.dumps), [])

    def test_t37_starting(self) -> None:
        """What a crash left goes, and what is wrong is in the log; after a stop it may start again."""
        (self.dumps / ".upload-0123").write_bytes(b"x")
        self.uploads.stop()
        started = self.uploads.start()
        self.threads.work()
        self.successResultOf(started)
        self.assertEqual(os.listdir(self.dumps), [])
        self.begun()


class ThreadTests(TestCase):
    """With the threads of a reactor."""

    async def test_t37_in_threads(self) -> None:
        """Several at once, each with its own octets."""
        root = Path(self.mktemp()).absolute()
        (root / "dumps").mkdir(parents=True)
        settings = TftpSettings(write=(WriteSettings(folder="dumps", free=0),))
        reactor: Any = installed
        several = Uploads(reactor, settings, str(root))
        await several.start()
        octets = {f"dumps/{number}": bytes([number]) * 100_000 * number for number in range(6)}
        for name, whole in octets.items():
            waker: list[Deferred[None]] = [Deferred()]
            told: list[bytes] = []

            def wake(packets: list[bytes], told: list[bytes] = told, waker: list[Deferred[None]] = waker) -> None:
                told.extend(packets)
                waker[0].callback(None)

            upload = await several.begin(WriteRequest(name, "octet", (("blksize", "65464"),)), ONE, LIMITS, wake)
            upload.start(0.0)
            for block, at in enumerate(range(0, len(whole) + 1, 65464), 1):
                if not upload.received(wire.data(block, whole[at : at + 65464]), reactor.seconds()):
                    await waker[0]
                    waker[0] = Deferred()
            assert upload.ending is not None
            self.assertEqual((upload.ending.result, told[-1]), (Result.KEPT, ACK(block)))
        await several.stop()
        self.assertEqual({name: (root / name).read_bytes() for name in octets}, octets)
