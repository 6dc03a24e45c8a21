"""Tests of `pixelboot.view.status`: what is told of HTTP and of the containers."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, cast

from twisted.internet import reactor as _reactor
from twisted.internet.defer import maybeDeferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint, connectProtocol
from twisted.internet.task import Clock
from twisted.trial.unittest import TestCase

from pixelboot.http.endpoint.certificate import Certificate
from pixelboot.http.endpoint.make import TlsEndpoint
from pixelboot.http.service import HttpService
from pixelboot.library.library import Library
from pixelboot.outcome import Outcome
from pixelboot.site import Site, load
from pixelboot.state.containers import ChoicesFile, SqliteChoices
from pixelboot.view import status as status_module
from pixelboot.view.status import Status, describe_http
from tests.http.authority import Authority
from tests.http.shelf import Client, Shelf, get
from tests.http.shelf import site as boot_site

reactor = cast("Any", _reactor)


class HttpTests(TestCase):
    """`describe_http`."""

    timeout = 30

    def setUp(self) -> None:
        self.root = os.path.abspath(self.mktemp())
        os.makedirs(self.root)
        self.outcomes: list[Outcome] = []
        self.library = Library([self.root], os.path.abspath(self.mktemp()), reactor, self.outcomes.append)
        endpoint = TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1")
        self.service = HttpService([endpoint], boot_site(Shelf(), self.outcomes, Clock()))
        self.site: Site = load(None, {("http", "root"): self.root, ("http", "listen"): "tcp:0"}, {})

    async def describe(self) -> Status:
        """What is said; all of it can be JSON."""
        status = await describe_http(self.service, self.library, self.site)
        self.assertEqual(json.loads(json.dumps(status, allow_nan=False)), status)
        return status

    async def test_service(self) -> None:
        """The port is the one that is really listened on."""
        about = f"0 connections, serves {self.root}"
        line = {"name": "http", "listening": "nowhere", "about": about}
        idle = {"services": [line], "containers": [], "container_counts": {}}
        self.assertEqual(await self.describe(), idle)
        await self.service.listen()
        self.service.startService()
        (line,) = (await self.describe())["services"]
        url = f"http://127.0.0.1:{self.service.port}/"
        self.assertEqual(line, {"name": "http", "listening": url, "about": about})
        await self.service.stopService()
        self.assertEqual(await self.describe(), idle)

    async def test_places(self) -> None:
        """A line each; what is the same for all stands in the first, with TLS the end of the certificate."""
        files = Authority().put(Path(self.mktemp()))
        certificate = Certificate(files, self.outcomes.append, Clock(), maybeDeferred)
        plain = TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1")
        tls = TlsEndpoint(TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1"), certificate, reactor)
        site = boot_site(Shelf(), self.outcomes, reactor)
        self.service = HttpService([tls, plain], site)
        await self.service.listen()
        self.addCleanup(self.service.stopService)
        self.service.startService()
        os.unlink(files.key)
        for _ in range(2):
            await certificate.look()
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", cast("int", self.service.port))
        client: Client = await connectProtocol(endpoint, Client())
        await client.ask(get("/healthz"))
        first, second = (await self.describe())["services"]
        until = f"certificate until {certificate.pair.until}"
        trouble = f"(a new one is not taken: {files.key}: No such file or directory)"
        self.assertRegex(first["listening"], r"\Ahttps://127\.0\.0\.1:\d+/\Z")
        self.assertEqual(first["about"], f"{until} {trouble}, 1 connection, serves {self.root}")
        self.assertEqual((second["listening"], second["about"]), (f"http://127.0.0.1:{self.service.port}/", ""))
        await self.service.stopService()
        self.assertEqual(await client.end(), b"")

    async def test_containers(self) -> None:
        """Every file is told of, with the reason if it cannot be booted, whatever it is called."""
        hostile = "a\nb\x1b[2J$.rts.png"
        for name in ("pipe.rts.png", hostile):
            os.mkfifo(os.path.join(self.root, name))
        self.library.startService()
        self.addCleanup(self.library.stopService)
        await self.library.settled(30)
        status = await self.describe()
        self.assertEqual(status["container_counts"], {"damaged": 2})
        containers = {each["file"]: each for each in status["containers"]}
        self.assertEqual(sorted(containers), [hostile, "pipe.rts.png"])
        for each in containers.values():
            self.assertEqual((each["state"], each["name"], each["size"]), ("damaged", "", 0))
            self.assertIs(each["enabled"], True)
            self.assertRegex(each["id"], r"\A[A-Za-z0-9][A-Za-z0-9._~-]*\Z")
            self.assertNotEqual(each["reason"], "")
        store = SqliteChoices(ChoicesFile.open(os.path.abspath(self.mktemp())), reactor, self.fail)
        await store.change("pipe", {"enabled": False, "name": "Rohr"})
        told = await describe_http(self.service, self.library, self.site, store)
        self.assertEqual(
            {each["id"]: each["name"] for each in told["containers"] if not each["enabled"]}, {"pipe": "Rohr"}
        )
        self.patch(status_module, "MOST_CONTAINERS", 1)
        status = await self.describe()
        self.assertEqual([each["file"] for each in status["containers"]], [hostile])
        self.assertEqual(status["container_counts"], {"damaged": 2})
