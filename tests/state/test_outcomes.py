"""What the log says of what the operator decided."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from pixelboot.state.outcomes import (
    ChoiceMade,
    ChoicesMended,
)


class OutcomeTests(SynchronousTestCase):
    """The lines, and how loud they are."""

    def test_summaries(self) -> None:
        """Each says what it means for the machines."""
        for outcome, name, severity, line in (
            (
                ChoicesMended("/s/containers.sqlite did not hold what was left in it", "settings of containers"),
                "state.ChoicesMended",
                "warn",
                (
                    "/s/containers.sqlite did not hold what was left in it; "
                    "all of it (settings of containers) was written again"
                ),
            ),
            (
                ChoiceMade("container a", (("order", None, 5), ("name", "", 'É"\x1b\u202e')), "the control channel"),
                "state.ChoiceMade",
                "info",
                'container a: order none → 5, name "" → "É\\"\\u001b\\u202e" (by the control channel)',
            ),
        ):
            self.assertEqual((outcome.counter(), outcome.severity, outcome.summary()), (name, severity, line))
