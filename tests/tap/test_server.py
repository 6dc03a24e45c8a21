"""Tests of `pixelboot.tap.server`: how the parts of a process end together."""

from __future__ import annotations

from twisted.application.service import MultiService, Service
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.report import Report
from pixelboot.state.lock import StateLock
from pixelboot.tap.server import Server
from tests.running import folder_for


class Slow(Service):
    """A part that takes its time to stop."""

    def __init__(self) -> None:
        self.stopped: Deferred[None] = Deferred()

    def stopService(self) -> Deferred[None]:
        """Under way."""
        super().stopService()
        return self.stopped


class ServerTests(SynchronousTestCase):
    """A server with one part."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.ended: list[str] = []
        self.state = str(folder_for(self.addCleanup) / "state")

    def server(self, *, own: bool) -> tuple[Server, Slow]:
        """A server, in a process that is its `own` or somebody else's; and its part."""
        report = Report(self.clock, self.clock.seconds)
        end = (lambda: self.ended.append("process")) if own else None
        server = Server(StateLock.take(self.state), report, self.clock, end)
        part = Slow()
        part.setServiceParent(server)
        return server, part

    def free(self) -> bool:
        """Whether the state folder belongs to nobody."""
        try:
            StateLock.take(self.state).release()
        except Exception as held:  # noqa: BLE001 - whatever it is, it has to be about this folder
            self.assertIn(self.state, str(held))
            return False
        return True

    def test_uptime(self) -> None:
        """It is counted from the start."""
        server, part = self.server(own=True)
        self.clock.advance(5)
        server.startService()
        self.clock.advance(7)
        self.assertEqual(server.uptime, 7)
        part.stopped.callback(None)
        self.successResultOf(server.stopService())

    def test_the_state_is_held_until_all_parts_have_stopped(self) -> None:
        """So that no other server takes it over too early."""
        server, part = self.server(own=True)
        server.startService()
        stopping = server.stopService()
        self.assertNoResult(stopping)
        self.assertFalse(self.free())
        part.stopped.callback(None)
        self.successResultOf(stopping)
        self.assertTrue(self.free())

    def test_its_own_process_is_ended(self) -> None:
        """By whoever gave the server its `end`, a moment later, so that who asked still gets an answer."""
        server, part = self.server(own=True)
        server.startService()
        server.end()
        self.assertEqual(self.ended, [])
        self.clock.advance(0)
        self.assertEqual(self.ended, ["process"])
        part.stopped.callback(None)
        self.successResultOf(server.stopService())

    def test_somebody_else_s_process_goes_on(self) -> None:
        """The server leaves its parent, or stops by itself; a part that cannot start ends no more than that."""
        for parent in (MultiService(), None):
            server, part = self.server(own=False)
            if parent is not None:
                parent.startService()
                server.setServiceParent(parent)
            else:
                server.startService()
            server.give_up(Failure(OSError("no leases")))
            self.clock.advance(0)
            self.assertTrue(server.failed)
            self.assertFalse(server.running)
            part.stopped.callback(None)
            self.assertTrue(self.free(), "the folder is held")
            if parent is not None:
                self.assertEqual((list(parent), bool(parent.running)), ([], True))

    def test_cannot_be_started_again(self) -> None:
        """What was closed stays closed, and that is said at once."""
        server, part = self.server(own=False)
        server.startService()
        part.stopped.callback(None)
        self.successResultOf(server.stopService())
        self.assertRaises(RuntimeError, server.startService)

    def test_leaving_a_program_that_never_ran(self) -> None:
        """All is given back then, too."""
        server, part = self.server(own=False)
        server.setServiceParent(MultiService())
        part.stopped.callback(None)
        self.successResultOf(server.disownServiceParent())
        self.assertTrue(self.free())

    def test_two_in_one_program(self) -> None:
        """Services of one name cannot have the same parent, so these have none."""
        program = MultiService()
        for state in ("a", "b"):
            self.state = str(folder_for(self.addCleanup) / state)
            server, part = self.server(own=False)
            server.setServiceParent(program)
            part.stopped.callback(None)
        self.assertEqual(len(list(program)), 2)
        self.successResultOf(program.stopService())
