"""What the log says of the lease store."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from pixelboot.state.leases.outcomes import (
    ClockSet,
    StoreComplaint,
    StoreLost,
    StoreMended,
    StoreRecovered,
    StoreUnsaved,
)


class OutcomeTests(SynchronousTestCase):
    """The lines, and how loud they are."""

    def test_summaries(self) -> None:
        """Each says what it means for the machines."""
        for outcome, name, severity, line in (
            (
                StoreLost("/s/leases.sqlite", "database or disk is full", 0.4),
                "state.StoreLost",
                "error",
                "no lease can be given: /s/leases.sqlite: database or disk is full; trying again in 0.4 s",
            ),
            (
                StoreRecovered("/s/leases.sqlite", 2.04, "database or disk is full"),
                "state.StoreRecovered",
                "warn",
                (
                    "leases are given again after 2.0 s (database or disk is full): "
                    "/s/leases.sqlite is written and holds every one of them"
                ),
            ),
            (
                ClockSet(3600.2),
                "state.ClockSet",
                "warn",
                "the clock was set by 3600 s, forward, or the machine slept: every lease lasts as long as it had left",
            ),
            (
                ClockSet(-30.0),
                "state.ClockSet",
                "warn",
                "the clock was set by 30 s, back: every lease lasts as long as it had left",
            ),
            (
                StoreComplaint("no room"),
                "state.StoreComplaint",
                "error",
                "the helper of the lease store says: no room",
            ),
            (
                StoreUnsaved("/s/leases.sqlite", 3),
                "state.StoreUnsaved",
                "error",
                "/s/leases.sqlite could not be written: 3 changes of leases are lost",
            ),
            (
                StoreMended("/s/leases.sqlite is damaged"),
                "state.StoreMended",
                "error",
                "CRITICAL: /s/leases.sqlite is damaged",
            ),
        ):
            self.assertEqual((outcome.counter(), outcome.severity, outcome.summary()), (name, severity, line))
