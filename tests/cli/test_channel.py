"""Tests of `pixelboot.cli.channel`: real sockets, and every answer that a server should not give."""

from __future__ import annotations

import argparse
import os
import socket

from twisted.trial.unittest import SynchronousTestCase

from pixelboot.cli import channel
from pixelboot.malformed import Malformed
from pixelboot.site import Site, load
from tests.cli.canned import STATUS, Canned, answer
from tests.running import folder_for


class ChannelCase(SynchronousTestCase):
    """A state folder, and the site that has it."""

    def setUp(self) -> None:
        self.state = folder_for(self.addCleanup)
        self.site = load(None, {("state",): str(self.state)}, {})

    def refused(self, site: Site | None = None) -> str:
        """Why the status could not be had."""
        error = self.assertRaises(Malformed, channel.ask, site or self.site, "GET", "/api/v1/status")
        self.assertEqual(len(str(error).splitlines()), 1, str(error))
        return str(error)


class AskTests(ChannelCase):
    """`channel.ask`."""

    def test_answer(self) -> None:
        """The request is put as it is given; every 2xx is an answer."""
        server = Canned(self.state, [answer(STATUS), answer({"stopping": True}, "202 Accepted")], self.addCleanup)
        self.assertEqual(channel.ask(self.site, "GET", "/api/v1/status"), STATUS)
        self.assertEqual(channel.ask(self.site, "POST", "/api/v1/stop"), {"stopping": True})
        self.assertEqual(server.asked, ["GET /api/v1/status HTTP/1.1", "POST /api/v1/stop HTTP/1.1"])

    def test_no_server(self) -> None:
        """No folder, no socket in it, one that was left behind: no server runs."""
        nobody = f"no server is running on the state folder {self.state}"
        self.assertEqual(self.refused(), nobody)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as left:
            left.bind(self.site.control)
        self.assertEqual(self.refused(), nobody)
        missing = f"{self.state}/missing"
        self.assertEqual(
            self.refused(load(None, {("state",): missing}, {})), f"no server is running on the state folder {missing}"
        )

    def test_no_folder(self) -> None:
        """What cannot be a state folder at all is told with the path."""
        file = self.state / "file"
        file.write_text("")
        for state, why in ((str(file), "Not a directory"), ("/" + "s" * 200, "path too long")):
            told = self.refused(load(None, {("state",): state}, {}))
            self.assertTrue(told.startswith(f"the server at {state}/control cannot be asked: "), told)
            self.assertIn(why, told)

    def test_wrong_answers(self) -> None:
        """Whatever comes back is an answer, or a line that says what is wrong with it."""
        nested = b"[" * 100_000
        wrong: list[tuple[bytes, str]] = [
            (b"", "cannot be asked: "),
            (b"\x00\xff", "cannot be asked: "),
            (b"SSH-2.0-x\r\n", "cannot be asked: "),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}", "cannot be asked: "),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "cannot be asked: "),
            (b"HTTP/1.1 200 OK\r\n\r\nhello", "cannot be asked: "),
            (b"HTTP/1.1 200 OK\r\n\r\n\xff\xfe{", "cannot be asked: "),
            (b"HTTP/1.1 200 OK\r\n\r\n" + nested, "cannot be asked: "),
            (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000 + b"\r\n{}", "cannot be asked: "),
            (answer([1]), "answered 200 OK to /api/v1/status"),
            (answer({"error": "see the log"}, "500 Internal Server Error"), "answered 500 Internal Server Error to "),
            (answer({}, "404 Not Found"), "answered 404 Not Found to /api/v1/status"),
            (answer({}, "302 Found"), "answered 302 Found to /api/v1/status"),
        ]
        Canned(self.state, [octets for octets, _ in wrong], self.addCleanup)
        for octets, expected in wrong:
            told = self.refused()
            self.assertTrue(
                told.startswith(f"the server at {self.site.control} {expected}"), f"{octets[:60]!r}: {told}"
            )

    def test_no_answer(self) -> None:
        """A server that hangs is waited for so long, and no longer."""
        self.patch(channel, "PATIENCE", 0.05)
        Canned(self.state, [None], self.addCleanup)
        self.assertIn("cannot be asked: timed out", self.refused())


class ArgumentsTests(ChannelCase):
    """How a command finds its server."""

    def found(self, *words: str) -> str:
        """The state folder that these arguments lead to."""
        parser = argparse.ArgumentParser()
        channel.add_arguments(parser)
        return channel.site_of(parser.parse_args(words)).state

    def test_who_wins(self) -> None:
        """The same as of the server itself: option, file, environment, default."""
        file = self.state / "site.toml"
        file.write_text('state = "/file"\n')
        self.patch(os, "environ", {"PIXELBOOT_STATE": "/environ"})
        self.assertEqual(self.found("--state", "/words", "--config", str(file)), "/words")
        self.assertEqual(self.found("--config", str(file)), "/file")
        self.assertEqual(self.found(), "/environ")
        del os.environ["PIXELBOOT_STATE"]
        self.assertEqual(self.found(), "/var/lib/pixelboot")
        error = self.assertRaises(Malformed, self.found, "--config", "/nonexistent.toml")
        self.assertEqual(str(error), "--config /nonexistent.toml: No such file or directory")
