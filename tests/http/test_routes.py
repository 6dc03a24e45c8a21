"""Tests of `pixelboot.http.routes`: what each route answers, and what never leaves."""

from __future__ import annotations

import hashlib
import json
import os
import time
from dataclasses import replace
from pathlib import Path

import treq
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import Agent, HTTPConnectionPool
from twisted.web.http_headers import Headers

from pixelboot.boot.seam import Choices, ContainerSettings
from pixelboot.http.outcomes import Failed, MenuChanged, Refused, Served
from pixelboot.library.library import Library, Unavailable
from pixelboot.library.outcomes import ContainerDamaged, ContainerReady
from pixelboot.outcome import Outcome
from tests.container.pictures import container
from tests.http.shelf import DEMO, INITRD, KERNEL, HttpCase, Shelf, connected, damaged, get, site


class RouteTests(HttpCase):
    """Every route, by a client of real life."""

    async def setUp(self) -> None:  # type: ignore[override]
        from twisted.internet import reactor

        hostile = damaged("b ad", "its parts overlap\n<b>")
        self.shelf = Shelf((DEMO, hostile))
        self.choices = Choices()
        self.port = await self.serve(self.shelf, choices=self.decided)
        pool = HTTPConnectionPool(reactor, persistent=False)
        self.client = treq.client.HTTPClient(Agent(reactor, pool=pool))

    async def decided(self) -> Choices:
        """What the operator has decided."""
        return self.choices

    async def ask(self, path: str, method: str = "GET", **fields: str) -> tuple[int, dict[str, str], bytes]:
        """Status, fields and body."""
        headers = Headers({name.replace("_", "-"): [value] for name, value in fields.items()})
        response = await self.client.request(method, f"http://127.0.0.1:{self.port}{path}", headers=headers)
        got = {name.decode(): values[0].decode() for name, values in response.headers.getAllRawHeaders()}
        return response.code, got, await response.content()

    async def test_octets(self) -> None:
        """H18: Parts and pictures come whole, with a tag made of their SHA-256."""
        for path, octets, media_type in (
            ("/containers/demo/kernel", KERNEL, "application/octet-stream"),
            ("/containers/demo/initrd", INITRD, "application/octet-stream"),
            ("/containers/demo", self.shelf.image.octets, "image/png"),
            ("/files/demo.rts.png", self.shelf.image.octets, "image/png"),
            ("/containers/b%20ad", self.shelf.image.octets, "image/png"),
            ("/files/b%20ad.rts.png", self.shelf.image.octets, "image/png"),
            ("/healthz", b"ok\n", "text/plain"),
        ):
            status, fields, body = await self.ask(path)
            self.assertEqual((status, fields["Content-Type"]), (200, media_type), path)
            self.assertTrue(body == octets, path)
            self.assertEqual(fields["ETag"], f'"{hashlib.sha256(octets).hexdigest()}"', path)
            again = await self.ask(path, If_None_Match=fields["ETag"])
            self.assertEqual((again[0], again[2], again[1]["ETag"]), (304, b"", fields["ETag"]), path)
        self.assertEqual(self.shelf.kernel.closed, 2)

    async def test_resume(self) -> None:
        """A download that broke is resumed, or begun anew when it is another one by now."""
        _, fields, body = await self.ask("/containers/demo/initrd", Range="bytes=0-999")
        rest = await self.ask("/containers/demo/initrd", Range="bytes=1000-", If_Range=fields["ETag"])
        self.assertEqual((rest[0], body + rest[2]), (206, INITRD))
        self.assertEqual(rest[1]["Content-Range"], f"bytes 1000-{len(INITRD) - 1}/{len(INITRD)}")
        anew = await self.ask("/containers/demo/initrd", Range="bytes=1000-", If_Range='"other"')
        self.assertEqual((anew[0], anew[2]), (200, INITRD))
        outside = await self.ask("/containers/demo/initrd", Range=f"bytes={len(INITRD)}-")
        self.assertEqual((outside[0], outside[1]["Content-Range"]), (416, f"bytes */{len(INITRD)}"))

    async def test_listing(self) -> None:
        for path in ("/containers", "/containers/"):
            status, fields, body = await self.ask(path)
            self.assertEqual((status, fields["Content-Type"]), (200, "application/json"), path)
            listed = json.loads(body)
            self.assertEqual(listed["count"], 2, path)
            self.assertEqual(
                listed["containers"][0],
                {
                    "id": "demo",
                    "file": "demo.rts.png",
                    "name": DEMO.name,
                    "description": "<script>",
                    "size": 700_000,
                    "url": "/containers/demo",
                    "state": "ready",
                    "reason": "",
                    "format": "PixelRTS-2.0",
                    "type": "live",
                    "signer": "ab" * 32,
                    "kernel_version": "6.1",
                    "distro": "Debian",
                    "architecture": "x86_64",
                    "cmdline": "quiet",
                    "parts": [{"name": "kernel", "size": len(KERNEL)}, {"name": "initrd", "size": len(INITRD)}],
                    "part_names": ["vmlinuz", "initrd"],
                    "offered": True,
                    "obstacle": None,
                    "settings": {
                        "enabled": True,
                        "name": "",
                        "description": "",
                        "order": None,
                        "timeout": None,
                        "arguments": "",
                    },
                },
                path,
            )
            self.assertEqual(listed["containers"][1]["url"], "/containers/b%20ad", path)
        index = json.loads((await self.ask("/"))[2])
        self.assertEqual(index["name"], "pixelboot")
        self.assertIn("/loaders/NAME", index["routes"])
        for route in index["routes"]:
            is_open = any(part.isupper() for part in route.split("/")[1:] if part != "SHA256SUMS")
            self.assertEqual((await self.ask(route))[0], 404 if is_open else 200, route)

    async def test_sums(self) -> None:
        """As sha256sum reads them: of what is known, whatever the names are."""
        kernel, image = (hashlib.sha256(octets).hexdigest() for octets in (KERNEL, self.shelf.image.octets))
        names = ("demo.rts.png", "new.rts.png", "a\\b.rts.png", "c\nd.rts.png")
        self.shelf.containers = tuple(replace(DEMO, id=name.partition(".")[0], file_name=name) for name in names)
        lines = f"{image}  demo.rts.png\n\\{image}  a\\\\b.rts.png\n\\{image}  c\\nd.rts.png\n"
        self.assertEqual((await self.ask("/files/SHA256SUMS"))[2].decode(), lines)
        sums = f"{'ab' * 32}  initrd\n{kernel}  kernel\n"
        self.assertEqual((await self.ask("/containers/demo/SHA256SUMS"))[2].decode(), sums)
        self.shelf.containers = (damaged("bad", "it is too short"),)
        status, _, told = await self.ask("/containers/bad/SHA256SUMS")
        self.assertEqual((status, told), (404, b"the container is damaged, only of one that is ready there are sums\n"))
        self.assertEqual((await self.ask("/containers/none/SHA256SUMS"))[0], 404)

    async def test_scripts(self) -> None:
        """They name nothing but relative URLs, whatever the Host says."""
        for path in ("/boot.ipxe", "/menu.ipxe", "/boot.ipxe?mac=02-aa-00-00-00-01", "/boot.ipxe?mac=x%0achain%20evil"):
            status, fields, body = await self.ask(path, Host="evil.example")
            self.assertEqual((status, fields["Content-Type"]), (200, "text/plain"), path)
            self.assertTrue(body.startswith(b"#!ipxe\n"), path)
            self.assertNotIn(b"evil.example", body, path)
            self.assertNotIn(b"\nchain evil", body, path)
            self.assertEqual(b"mac=02-aa-00-00-00-01 " in body, "02-aa" in path, path)
        menu = (await self.ask("/menu.ipxe"))[2]
        self.assertIn(b"choose --default boot-demo --timeout 5000 selected", menu)
        self.assertIn(b"kernel containers/demo/kernel initrd=initrd quiet ", menu)
        self.assertNotIn(b"overlap", menu)

    async def test_a_default_that_is_not_there(self) -> None:
        """The person before the machine reads it, and so does who reads the log."""
        self.shelf.containers = ()
        self.assertIn(b"is not offered; the default is the local disk", (await self.ask("/menu.ipxe"))[2])
        (told,) = [outcome for outcome in self.outcomes if isinstance(outcome, MenuChanged)]
        self.assertEqual(told.summary(), "menu: The default 'demo' is not offered; the default is the local disk.")

    async def test_what_the_operator_decides(self) -> None:
        """It is in the next menu and the next listing; what is not offered can still be fetched by its URL."""
        before = (await self.ask("/menu.ipxe"))[1]["ETag"]
        self.choices = Choices("shell").having("demo", ContainerSettings(name="Ours", timeout=1.0, arguments="debug"))
        menu = (await self.ask("/menu.ipxe"))[2]
        self.assertIn(b"item boot-demo Ours - ", menu)
        self.assertIn(b"choose --default shell --timeout 5000 selected", menu)
        self.assertIn(b"/kernel initrd=initrd quiet debug || goto failed", menu)
        self.choices = Choices("demo", self.choices.containers)
        _, fields, menu = await self.ask("/menu.ipxe")
        self.assertIn(b"choose --default boot-demo --timeout 1000 selected", menu)
        self.assertNotEqual(fields["ETag"], before)
        listed = json.loads((await self.ask("/containers"))[2])["containers"][0]
        self.assertEqual((listed["settings"]["name"], listed["settings"]["arguments"]), ("Ours", "debug"))
        self.choices = self.choices.having("demo", ContainerSettings(enabled=False))
        menu = (await self.ask("/menu.ipxe"))[2]
        self.assertNotIn(b"boot-demo", menu)
        self.assertIn(b"The default 'demo' is not offered", menu)
        listed = json.loads((await self.ask("/containers"))[2])["containers"][0]
        self.assertEqual((listed["offered"], listed["settings"]["enabled"]), (False, False))
        self.assertEqual((await self.ask("/containers/demo/kernel"))[2], KERNEL)
        self.choices = Choices()
        self.assertEqual((await self.ask("/menu.ipxe"))[1]["ETag"], before)

    async def test_other_parts(self) -> None:
        """Whatever role a part has, it can be fetched by it."""
        self.shelf.containers = (replace(DEMO, parts=(("kernel", 1), ("dtb", 1), ("disk", 1), ("rootfs", 1))),)
        for name in ("kernel", "dtb", "disk", "rootfs"):
            self.assertEqual((await self.ask(f"/containers/demo/{name}"))[2], KERNEL, name)
        self.assertEqual((await self.ask("/containers/demo/initrd"))[2], b"the container has no initrd\n")

    async def test_no_parts_for_a_reason(self) -> None:
        """Of what is not sound or not trusted no part is served, and it is said why; the picture still is."""
        for state in ("damaged", "unbootable", "untrusted"):
            self.shelf.containers = (replace(DEMO, state=state, reason="so it is"),)
            for name in ("kernel", "disk"):
                status, _, body = await self.ask(f"/containers/demo/{name}")
                self.assertEqual((status, body), (404, f"the container is {state}: so it is\n".encode()), name)
            self.assertEqual((await self.ask("/containers/demo"))[0], 200)
            self.assertNotIn(b"boot-demo", (await self.ask("/menu.ipxe"))[2])

    async def test_refused(self) -> None:
        """A short text with the reason; HEAD has the same fields and no body."""
        for path, status, text in (
            ("/nothing", 404, "there is nothing here"),
            ("/boot.ipxe/", 404, "there is nothing here"),
            ("//boot.ipxe", 404, "there is nothing here"),
            ("/files", 404, "there is nothing here"),
            ("/files/", 404, "there is nothing here"),
            ("/files/demo", 404, "there is no such file"),
            ("/files/.demo.rts.png", 404, "there is no such file"),
            ("/files/DEMO.rts.png", 404, "there is no such file"),
            ("/files/demo.rts.png/x", 404, "there is nothing here"),
            ("/containers/none", 404, "there is no such container"),
            ("/containers/none/kernel", 404, "there is no such container"),
            ("/containers/demo/", 404, "there is nothing here"),
            ("/containers/demo/disk", 404, "the container has no disk"),
            ("/containers/demo/flux", 404, "there is nothing here"),
            ("/containers/demo/kernel/", 404, "there is nothing here"),
            ("/containers/b%20ad/kernel", 404, r"the container is damaged: its parts overlap\n<b>"),
        ):
            got, fields, body = await self.ask(path)
            self.assertEqual((got, body.decode()), (status, f"{text}\n"), path)
            self.assertEqual(fields["Content-Type"], "text/plain", path)
            head = await self.ask(path, "HEAD")
            self.assertEqual((head[0], head[1]["Content-Length"], head[2]), (status, str(len(body)), b""), path)

    async def test_h26_methods(self) -> None:
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH"):
            for path in ("/containers/demo/kernel", "/containers", "/nothing"):
                status, fields, _ = await self.ask(path, method)
                self.assertEqual((status, fields["Allow"]), (405, "GET, HEAD"), (method, path))
        self.assertEqual(self.shelf.kernel.closed, 0, "never even opened")

    async def test_outcomes(self) -> None:
        """One line an exchange, with the machine that has the address."""
        await self.ask("/containers/demo/kernel")
        await self.ask("/containers/demo/disk%20x")
        await self.ask("/containers/demo/kernel", "HEAD")
        served, refused, head = self.lines()
        who = "02:aa:00:00:00:01 127.0.0.1"
        self.assertTrue(served.startswith(f"{who} GET /containers/demo/kernel 200 1.0 kB in 0."), served)
        self.assertEqual(refused, f"{who} GET /containers/demo/disk%20x 404 there is nothing here")
        self.assertTrue(head.startswith(f"{who} HEAD /containers/demo/kernel 200 0 octets in 0."), head)
        self.assertEqual([type(outcome) for outcome in self.outcomes], [Served, Refused, Served])


class WaitingTests(SynchronousTestCase):
    """Parts that are not there yet, or not at all."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.outcomes: list[Outcome] = []
        self.shelf = Shelf()
        self.site = site(self.shelf, self.outcomes, self.clock)
        self.channel, self.transport = connected(self.site)

    def test_unavailable(self) -> None:
        """H27: from a sound container, another time; from one that has proved to be damaged, never."""
        self.shelf.unavailable = Unavailable("the picture is being replaced")
        for path in ("/containers/demo/kernel", "/containers/demo", "/files/demo.rts.png"):
            self.transport.clear()
            self.channel.dataReceived(get(path))
            self.assertIn(b"HTTP/1.1 503 Service Unavailable\r\n", self.transport.value(), path)
            self.assertIn(b"\r\nRetry-After: 1\r\n", self.transport.value(), path)
            self.assertTrue(self.transport.value().endswith(b"\r\n\r\nthe picture is being replaced\n"), path)
        self.assertEqual([type(outcome) for outcome in self.outcomes], [Failed] * 3)

        self.shelf.unavailable = None
        self.shelf.decoding = Deferred()
        self.transport.clear()
        self.channel.dataReceived(get("/containers/demo/kernel"))
        self.shelf.containers = (damaged("demo", ""),)
        self.shelf.decoding.errback(Unavailable("its kernel has another SHA-256"))
        self.assertIn(b"HTTP/1.1 404 Not Found\r\n", self.transport.value())
        self.assertIn("404 its kernel has another SHA-256", self.outcomes[-1].summary())

    def test_parts_not_known_yet(self) -> None:
        """A picture whose description is not read yet is asked, not refused."""
        self.shelf.containers = (replace(DEMO, state="decoding", parts=()),)
        self.channel.dataReceived(get("/containers/demo/kernel"))
        self.transport.drain()
        self.assertTrue(self.transport.value().endswith(KERNEL))
        self.shelf.containers = (replace(DEMO, parts=(("kernel", 1),)),)
        self.channel.dataReceived(get("/containers/demo/initrd"))
        self.assertTrue(self.transport.value().endswith(b"\r\n\r\nthe container has no initrd\n"))


class FolderTests(HttpCase):
    """The library of real life: a folder, a decoder, a cache."""

    async def test_from_picture_to_parts(self) -> None:
        """H33: The octets that come out are those that were put into the picture, and nothing else ever comes out."""
        from twisted.internet import reactor

        root, outside = Path(self.mktemp()), Path(self.mktemp())
        root.mkdir()
        outside.mkdir()
        parts = {"kernel": KERNEL, "initrd": INITRD[:3000]}
        good = container(parts, 32, name="Demo", cmdline="quiet")
        for folder, name, octets in (
            (root, "demo.rts.png", good),
            (root, "broken.rts.png", good[:-100]),
            (root, ".hidden.rts.png", good),
            (root, "notes.txt", b"secret"),
            (outside, "other.rts.png", b"secret"),
        ):
            (folder / name).write_bytes(octets)
        (root / "link.rts.png").symlink_to(outside.resolve() / "other.rts.png")
        os.mkfifo(root / "fifo.rts.png")

        settled: list[Outcome] = []
        both: Deferred[None] = Deferred()

        def report(outcome: Outcome) -> None:
            if isinstance(outcome, ContainerReady | ContainerDamaged):
                settled.append(outcome)
                if len(settled) == 4:
                    both.callback(None)

        # Files have to lie still for a while: here they already have.
        library = Library([str(root)], self.mktemp(), reactor, report, wall=lambda: time.time() + 60)
        library.startService()
        self.addCleanup(library.stopService)
        client = await self.connect(await self.serve(library))
        await both

        for name, octets in parts.items():
            response = await client.ask(get(f"/containers/demo/{name}"))
            self.assertEqual((response.status, response.body), (200, octets), name)
        for path, octets in (("/containers/demo", good), ("/files/broken.rts.png", good[:-100])):
            response = await client.ask(get(path))
            self.assertEqual((response.status, response.headers["Content-Type"]), (200, "image/png"), path)
            self.assertEqual(response.body, octets, path)
        menu = await client.ask(get("/menu.ipxe"))
        self.assertIn(b"item boot-demo Demo (", menu.body)
        self.assertEqual(menu.body.count(b"item boot-"), 1)
        for path in (
            "/containers/broken/kernel",
            "/containers/link",
            "/containers/link/kernel",
            "/files/link.rts.png",
            "/files/fifo.rts.png",
            "/files/.hidden.rts.png",
            "/files/notes.txt",
            "/notes.txt",
        ):
            response = await client.ask(get(path))
            self.assertEqual(response.status, 404, path)
            self.assertNotIn(b"secret", response.body, path)
