"""Tests of `pixelboot.malformed`."""

from __future__ import annotations

import importlib
import pickle
import pkgutil
from collections.abc import Iterator

from twisted.trial.unittest import SynchronousTestCase

import pixelboot
from pixelboot.malformed import Malformed


def descendants(parent: type[Exception]) -> Iterator[type[Exception]]:
    """Every class derived from `parent`, however far down."""
    for child in parent.__subclasses__():
        yield child
        yield from descendants(child)


class MalformedTests(SynchronousTestCase):
    """What every parser raises."""

    def test_is_a_value_error(self) -> None:
        """The kinds of `pixelboot.config` take every ValueError of a check for a refusal."""
        with self.assertRaises(ValueError):
            raise Malformed("octet 3 is missing")

    def test_text_survives_a_worker(self) -> None:
        """A worker process that decodes hands its error back whole."""
        back = pickle.loads(pickle.dumps(Malformed("octet 3 is missing")))
        self.assertIs(type(back), Malformed)
        self.assertEqual(str(back), "octet 3 is missing")

    def test_no_error_of_ours_stands_aside(self) -> None:
        """A module's own error for what it has read is a `Malformed`, so that one ``except`` is enough."""
        for found in pkgutil.walk_packages(pixelboot.__path__, "pixelboot."):
            if not found.name.endswith("__main__"):
                importlib.import_module(found.name)
        apart = {
            error.__qualname__
            for error in descendants(ValueError)
            if error.__module__.startswith("pixelboot.") and not issubclass(error, Malformed)
        }
        # Settings that do not fit together: `pixelboot.config.build` adds the key and raises ConfigError.
        self.assertEqual(apart, {"Invalid"})
