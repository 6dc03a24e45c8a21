"""curl and wget, against the real server; the clients of TFTP and DHCP are in `test_tftp` and `test_dhcp_clients`."""

from __future__ import annotations

import random
import re

from lab import needs
from lab.needs import program
from lab.network.namespace import SERVER_ADDRESS
from tests.firmware.case import LabCase


class HttpTests(LabCase):
    """curl and busybox's wget fetch loaders, as firmware with HTTP boot does."""

    programs = (*needs.NETWORK, "curl", "busybox")

    def setUp(self) -> None:
        """Start a server that has one loader, in a folder, and prepare a client."""
        super().setUp()
        root = self.network.folder / "tftp"
        (root / "x64").mkdir(parents=True)
        self.octets = random.Random(9110).randbytes(1_000_000)
        (root / "x64" / "boot.efi").write_bytes(self.octets)
        config = f'state = "{self.network.folder}/state"\ntftp.root = "{root}"\nhttp.listen = "tcp:8080"\n'
        self.running(self.serve(config=config).start())
        self.client = self.network.client()
        self.client.ip("address", "add", "10.77.0.10/24", "dev", "eth0")
        self.url = f"http://{SERVER_ADDRESS}:8080/loaders/x64/boot.efi"
        self.target = self.network.folder / "downloaded"

    def _curl(self, *words: str) -> str:
        """What curl writes, with the address of the loader at the end of its command line."""
        return self.client.run(program("curl"), "-sS", "--max-time", "20", *words, self.url)

    def _downloaded(self) -> bytes:
        octets = self.target.read_bytes()
        self.target.unlink()
        return octets

    def test_whole(self) -> None:
        """Every octet arrives (`assertTrue`, for nobody wants to read the difference)."""
        self._curl("-o", str(self.target))
        self.assertTrue(self._downloaded() == self.octets, "curl")
        self._curl("--http1.0", "-o", str(self.target))
        self.assertTrue(self._downloaded() == self.octets, "curl with HTTP/1.0")
        self.client.run(program("busybox"), "wget", "-q", "-O", str(self.target), self.url)
        self.assertTrue(self._downloaded() == self.octets, "wget")

    def test_head_then_get(self) -> None:
        """EDK2's way: HEAD says the size and the type, and GET on the same connection gives as much (H19, H29)."""
        get = ("-sS", "-D", "-", "-o", str(self.target), "-w", "connections: %{num_connects}")
        said = self._curl("--head", self.url, "--next", *get).replace("\r", "")
        heads = said.strip().split("\n\n")
        self.assertEqual(len(heads), 3, said)
        self.assertEqual(heads.pop(), "connections: 0", "GET needs none of its own")
        for head in heads:
            status, *lines = head.splitlines()
            fields = dict(line.split(": ", 1) for line in lines)
            self.assertEqual(status, "HTTP/1.1 200 OK")
            self.assertEqual(fields["Content-Length"], "1000000", head)
            self.assertEqual(fields["Content-Type"], "application/efi", head)
            self.assertEqual(fields["Accept-Ranges"], "bytes", head)
        self.assertTrue(self._downloaded() == self.octets)

    def test_ranges(self) -> None:
        """A part, the rest of a download that broke off, and a part that does not exist (H01 to H04)."""
        for asked, expected in (
            ("0-0", self.octets[:1]),
            ("995-1994", self.octets[995:1995]),
            ("-7", self.octets[-7:]),
        ):
            status = self._curl("-r", asked, "-o", str(self.target), "-w", "%{http_code}")
            self.assertEqual((status, self._downloaded()), ("206", expected), asked)
        self.target.write_bytes(self.octets[:123_456])
        self._curl("-C", "-", "-o", str(self.target))
        self.assertTrue(self._downloaded() == self.octets, "resumed")
        said = self._curl("-r", "1000000-", "-D", "-", "-o", "/dev/null")
        self.assertRegex(
            said, re.compile(r"\AHTTP/1.1 416 .*^Content-Range: bytes \*/1000000\r?$", re.DOTALL | re.MULTILINE)
        )

    def test_unchanged(self) -> None:
        """Who has the file already is told so (H15, H16)."""
        etag, saved = self.network.folder / "etag", ("-o", str(self.target), "-w", "%{http_code}")
        self.assertEqual(self._curl("--etag-save", str(etag), *saved), "200")
        self.assertEqual(self._curl("--etag-compare", str(etag), *saved), "304")
        self.assertEqual(self._curl("-R", *saved), "200")
        self.assertEqual(self._curl("-z", str(self.target), *saved), "304")

    def test_missing(self) -> None:
        """What is not there is 404, and no reason to close the connection; nor is what lies outside to be had (H33)."""
        told = ("-o", "/dev/null", "-w", "%{http_code} %{num_connects}\n")
        said = self._curl(*told, self.url + "x", "-o", "/dev/null")
        self.assertEqual(said.splitlines(), ["404 1", "200 0"])
        for way in ("../../state/control", "%2e%2e/%2e%2e/state/control", "..%2f..%2fetc/passwd", "/etc/passwd"):
            said = self._curl(*told, "--path-as-is", self.url.replace("boot.efi", way), "-o", "/dev/null")
            self.assertIn(said.split()[0], ("400", "404"), way)
