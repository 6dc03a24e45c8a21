"""Tests of ``/loaders`` of `pixelboot.http.routes`: the tree that TFTP serves too."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path

from pixelboot.http.outcomes import Served
from pixelboot.library.tree import Tree
from tests.http.shelf import INITRD, KERNEL, HttpCase, get


class LoaderTests(HttpCase):
    """The tree that TFTP serves too."""

    async def setUp(self) -> None:  # type: ignore[override]
        from twisted.internet import reactor

        self.folder = Path(self.mktemp()).resolve()
        root = self.folder / "root"
        (root / "boot" / "x").mkdir(parents=True)
        (self.folder / "secret").write_bytes(b"secret")
        (root / "snponly.efi").write_bytes(INITRD)
        (root / "boot" / "x" / "BOOTX64.EFI").write_bytes(KERNEL)
        (root / "out").symlink_to("../secret")
        (root / ".hidden").write_bytes(b"secret")
        os.mkfifo(root / "fifo")
        packaged = {"undionly.kpxe": (str(root / "boot" / "x" / "BOOTX64.EFI"),), "ipxe.efi": ("/nonexistent",)}
        port = await self.serve(tree=Tree(str(root), reactor, packaged=packaged))
        self.client = await self.connect(port)

    async def test_edk2(self) -> None:
        """H19, H29: the firmware of a UEFI machine asks for the size, then for the octets, on one connection."""
        fields = ("Accept: */*", "User-Agent: UefiHttpBoot/1.0")
        for path, octets in (("/loaders/snponly.efi", INITRD), ("/loaders/boot/x/BOOTX64.EFI", KERNEL)):
            head = await self.client.ask(get(path, *fields, method="HEAD"))
            whole = await self.client.ask(get(path, *fields))
            self.assertFalse(self.client.lost, path)
            self.assertEqual(head.headers.pop("Date")[:3], whole.headers.pop("Date")[:3])
            self.assertEqual((head.status, head.headers, head.body), (200, whole.headers, b""), path)
            self.assertEqual((whole.status, whole.body), (200, octets), path)
            self.assertEqual(
                {name: head.headers[name] for name in ("Content-Type", "Content-Length", "ETag", "Accept-Ranges")},
                {
                    "Content-Type": "application/efi",
                    "Content-Length": str(len(octets)),
                    "ETag": f'"{hashlib.sha256(octets).hexdigest()}"',
                    "Accept-Ranges": "bytes",
                },
                path,
            )
        self.assertEqual([type(outcome) for outcome in self.outcomes], [Served] * 4)
        self.assertIn(" HEAD /loaders/snponly.efi 200 0 octets in ", self.lines()[0])

    async def test_ranges(self) -> None:
        """A download that broke is resumed, as one of a part is; a condition that still holds costs no octets."""
        part = await self.client.ask(get("/loaders/snponly.efi", "Range: bytes=1000-1009"))
        self.assertEqual((part.status, part.body), (206, INITRD[1000:1010]))
        again = await self.client.ask(get("/loaders/snponly.efi", f"If-None-Match: {part.headers['ETag']}"))
        self.assertEqual((again.status, again.body), (304, b""))

    async def test_packaged(self) -> None:
        """iPXE can have a loader of the system's too; of one that is missing it is said how to get it."""
        loader = await self.client.ask(get("/loaders/undionly.kpxe", "User-Agent: iPXE/1.21.1"))
        self.assertEqual((loader.status, loader.body), (200, KERNEL))
        self.assertEqual(loader.headers["Content-Type"], "application/octet-stream")
        missing = await self.client.ask(get("/loaders/ipxe.efi"))
        self.assertEqual(missing.status, 404)
        self.assertIn(b"apt-get install ipxe", missing.body)

    async def test_a_bad_moment(self) -> None:
        """A loader that cannot be opened now is no missing one: the client may come again."""
        opened = os.open

        def refused(path: str, flags: int, *, dir_fd: int | None = None) -> int:
            if flags & os.O_PATH:
                return opened(path, flags, dir_fd=dir_fd)
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

        patched = self.patch(os, "open", refused)
        response = await self.client.ask(get("/loaders/snponly.efi"))
        patched.restore()
        self.assertEqual((response.status, response.headers["Retry-After"]), (503, "1"))
        self.assertEqual(response.body, b"it cannot be read now: Too many open files\n")
        self.assertEqual((await self.client.ask(get("/loaders/snponly.efi"))).status, 200)

    async def test_h33_no_way_out(self) -> None:
        """Nothing but what is in the tree; the connection stays, and the reason is in the log."""
        for path, reason in (
            ("/loaders", "there is nothing here"),
            ("/loaders/", "it is the name of a folder"),
            ("/loaders/boot", "it is a folder"),
            ("/loaders/snponly.efi/", "it is the name of a folder"),
            ("/loaders/none", "there is no such file"),
            ("/loaders/out", "it is a link that leads out of the folder"),
            ("/loaders/.hidden", "what begins with a dot is hidden"),
            ("/loaders/fifo", "it is not a regular file"),
            ("/loaders//etc/passwd", "there is no such file"),
            ("/loaders/%e2%80%a6", "there is no such file"),
            ("/loaders/" + "x" * 300, "the name is too long"),
            ("//loaders/snponly.efi", "there is nothing here"),
        ):
            response = await self.client.ask(get(path))
            self.assertEqual((response.status, response.body.decode()), (404, f"{reason}\n"), path)
            self.assertTrue(self.lines()[-1].endswith(f" 404 {reason}"), path)
        squeezed = await self.client.ask(get("/loaders//snponly.efi"))
        self.assertEqual((squeezed.status, squeezed.body), (200, INITRD), "shim doubles slashes")
        port = self.service.port
        assert port is not None
        for path in (
            "/loaders/../secret",
            "/loaders/%2e%2e/secret",
            "/loaders/..%2fsecret",
            "/loaders/boot/..\\..\\secret",
            "/loaders/%00",
            "/loaders/boot%5cx",
        ):
            client = await self.connect(port)
            response = await client.ask(get(path))
            self.assertEqual(response.status, 400, path)
            self.assertNotIn(b"secret\n", response.body, path)
