"""curl and wget against a whole server: all that they can ask of a file, a picture, and a part of it."""

from __future__ import annotations

import email
import os
import subprocess
from pathlib import Path

from lab import needs
from lab.process import wait_until
from tests.installed.http_case import HttpCase, octets_of
from tests.running import PATIENCE

SIZE = 3_000_000

CURL = ("curl", "--silent", "--show-error", "--max-time", f"{PATIENCE:.0f}")
WGET = ("wget", "--no-verbose", "--no-config", "--no-proxy", "--tries=1", f"--timeout={PATIENCE:.0f}")


class ClientTests(HttpCase):
    """A file of the tree, a picture, and a decoded part."""

    def setUp(self) -> None:
        """Start a server that has one of each."""
        super().setUp()
        self.assertEqual(needs.missing(("curl", "wget")), [], "this test needs more than there is")
        self.kernel = octets_of(1, 200_000)
        self.served = {
            "loaders/x64/file.efi": octets_of(2, SIZE),
            "files/small.rts.png": self.pack("small", kernel=self.kernel, initrd=octets_of(3, 50_000)),
            "containers/small/kernel": self.kernel,
        }
        (self.tree / "x64").mkdir()
        (self.tree / "x64" / "file.efi").write_bytes(self.served["loaders/x64/file.efi"])
        # Old enough that its date is a strong validator.
        os.utime(self.tree / "x64" / "file.efi", (1_600_000_000, 1_600_000_000))
        os.utime(self.pictures / "small.rts.png", (1_600_000_000, 1_600_000_000))
        process = self.serve()
        process.wait_for("small.rts.png is ready as small", PATIENCE)
        self.got = self.folder / "got"

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.http}/{path}"

    def run_client(self, *words: str, folder: Path | None = None, status: int = 0) -> str:
        """What a program writes to its standard output, or else to the other one."""
        done = subprocess.run(
            words, capture_output=True, text=True, check=False, cwd=folder or self.folder, timeout=PATIENCE
        )
        self.assertEqual(done.returncode, status, f"{words}: {done.stdout}{done.stderr}")
        return done.stdout or done.stderr

    def curl(self, path: str, *words: str) -> tuple[str, bytes]:
        """What curl says, which is the status at first, and what it got."""
        self.got.unlink(missing_ok=True)
        said = self.run_client(*CURL, "--output", str(self.got), "--write-out", "%{http_code}", *words, self.url(path))
        return said, self.got.read_bytes() if self.got.exists() else b""

    def test_curl(self) -> None:
        """Whole, by HTTP/1.0 too, and slowly; ranges, and the rest of a download that broke off (H01, H02, H07)."""
        for path, octets in self.served.items():
            for words in ((), ("--http1.0",), ("--limit-rate", "20M"), ("--compressed",)):
                status, got = self.curl(path, *words)
                self.assertEqual(status, "200", (path, words))
                self.assert_same(got, octets, (path, words))
            size = len(octets)
            for asked, expected in (
                ("0-0", octets[:1]),
                ("-5", octets[-5:]),
                (f"-{size + 10}", octets),
                (f"{size - 5}-", octets[-5:]),
                (f"1000-{size + 1000}", octets[1000:]),
                ("4096-8191", octets[4096:8192]),
                ("0-9,20-29", octets[:30]),  # so near that it is one part, which needs no multipart
            ):
                status, got = self.curl(path, "--range", asked)
                self.assertEqual(status, "206", (path, asked))
                self.assert_same(got, expected, (path, asked))
            self.assertEqual(self.curl(path, "--range", f"{size}-")[0], "416", path)
            self.assertEqual(self.curl(path, "--range", "9-5")[0], "200", path)

            self.got.write_bytes(octets[:12_345])
            said = self.run_client(*CURL, "-C", "-", "-o", str(self.got), "-w", "%{http_code}", self.url(path))
            self.assertEqual(said, "206", path)
            self.assert_same(self.got.read_bytes(), octets, (path, "resumed"))

    def test_curl_parts(self) -> None:
        """Several ranges make a multipart that the standard library can read, of exactly its length (H07)."""
        for path, octets in self.served.items():
            head = self.folder / "head"
            status, got = self.curl(path, "--range", "0-9,2000-2029,-7", "--dump-header", str(head))
            self.assertEqual(status, "206", path)
            fields = head.read_bytes().split(b"\r\n", 1)[1]
            message = email.message_from_bytes(fields + got)
            self.assertEqual(message["Content-Length"], str(len(got)))
            self.assertEqual(message.get_content_type(), "multipart/byteranges")
            self.assertNotIn("Content-Range", message)
            size = len(octets)
            told = []
            for part in message.walk():
                if part is message:
                    continue
                told.append(part["Content-Range"])
            self.assertEqual(told, [f"bytes {span}/{size}" for span in ("0-9", "2000-2029", f"{size - 7}-{size - 1}")])
            limit = str(message.get_boundary()).encode()
            bodies = [piece.split(b"\r\n\r\n", 1)[1] for piece in got.split(b"--" + limit + b"\r\n")[1:]]
            expected = [octets[:10] + b"\r\n", octets[2000:2030] + b"\r\n", octets[-7:] + b"\r\n--" + limit + b"--\r\n"]
            self.assertEqual(bodies, expected, path)

    def test_curl_many(self) -> None:
        """HEAD has no body and does not end the connection; many URLs come over one (H19, H21)."""
        for path, octets in self.served.items():
            lines = self.run_client(*CURL, "--head", self.url(path)).replace("\r", "").splitlines()
            self.assertEqual(lines[0], "HTTP/1.1 200 OK", path)
            self.assertIn(f"Content-Length: {len(octets)}", lines)
            self.assertIn("Accept-Ranges: bytes", lines)
        words = [*CURL, "--write-out", "%{http_code} %{num_connects} %{size_download}\n"]
        expected = list[str]()
        for round_ in range(10):
            for number, (path, octets) in enumerate(self.served.items()):
                words += ["--output", str(self.folder / f"many-{round_}-{number}"), self.url(path)]
                expected.append(f"200 {int(not expected)} {len(octets)}")
        self.assertEqual(self.run_client(*words).splitlines(), expected)
        for number, (path, octets) in enumerate(self.served.items()):
            self.assert_same((self.folder / f"many-9-{number}").read_bytes(), octets, path)

    def test_curl_unchanged(self) -> None:
        """Who has it already is told so, by the tag or the date, and gets it when it is another (H15, H16)."""
        tag = self.folder / "tag"
        for path, octets in self.served.items():
            self.assertEqual(self.curl(path, "--etag-save", str(tag))[0], "200", path)
            self.assertEqual(self.curl(path, "--etag-compare", str(tag)), ("304", b""), path)
            tag.write_text('"another"\n', encoding="ascii")
            status, got = self.curl(path, "--etag-compare", str(tag))
            self.assertEqual(status, "200", path)
            self.assert_same(got, octets, path)
            self.assertEqual(self.curl(path, "--time-cond", "Fri, 01 Jan 2021 00:00:00 GMT")[0], "304", path)
            self.assertEqual(self.curl(path, "--time-cond", "Mon, 01 Jan 2001 00:00:00 GMT")[0], "200", path)
            # Of an older one curl makes a 304 of the 412.
            self.assertEqual(self.curl(path, "--time-cond", "-Mon, 01 Jan 2001 00:00:00 GMT")[0], "304", path)
            self.assertEqual(
                self.curl(path, "--header", "If-Unmodified-Since: Mon, 01 Jan 2001 00:00:00 GMT")[0], "412", path
            )

    def test_wget(self) -> None:
        """Whole, several on one connection, slowly, resumed, only when newer, and looked for (`--spider`)."""
        folder = self.folder / "wget"
        folder.mkdir()
        urls = [self.url(path) for path in self.served]
        said = self.run_client(*WGET, "--debug", *urls, folder=folder)
        self.assertEqual(said.count("Reusing fd "), len(urls) - 1, said)
        for path, octets in self.served.items():
            self.assert_same((folder / Path(path).name).read_bytes(), octets, path)

        for path, octets in self.served.items():
            file = folder / Path(path).name
            stamp = file.stat().st_mtime
            if not path.startswith("containers/"):
                self.assertEqual(stamp, 1_600_000_000, path)
            said = self.run_client(*WGET, "--server-response", "--timestamping", self.url(path), folder=folder)
            self.assertIn(" 304 ", said, path)
            self.assertEqual(file.stat().st_mtime, stamp)

            file.write_bytes(octets[:54_321])
            said = self.run_client(*WGET, "--server-response", "--continue", self.url(path), folder=folder)
            self.assertIn(f"Content-Range: bytes 54321-{len(octets) - 1}/{len(octets)}", said)
            self.assert_same(file.read_bytes(), octets, (path, "resumed"))
            said = self.run_client(*WGET, "--server-response", "--continue", self.url(path), folder=folder)
            self.assertIn(" 416 ", said, path)
            self.assert_same(file.read_bytes(), octets, (path, "resumed at its end"))

            file.unlink()
            self.run_client(*WGET, "--limit-rate=20m", self.url(path), folder=folder)
            self.assert_same(file.read_bytes(), octets, (path, "slowly"))
            self.run_client(*WGET, "--spider", self.url(path), folder=folder)
        # 8 is "the server issued an error response".
        self.run_client(*WGET, "--spider", self.url("loaders/other"), folder=folder, status=8)

    def test_a_client_that_is_stopped(self) -> None:
        """curl is killed in the middle, and what it has is the beginning, from which the next one goes on."""
        path, size = "loaders/large.img", 32 << 20
        octets = octets_of(4, size)
        (self.tree / "large.img").write_bytes(octets)
        self.assertEqual(self.get(f"/{path}", "Range: bytes=0-0").status, 206)
        before = self.settled()
        words = [*CURL, "--no-buffer", "--limit-rate", "1m", "--output", str(self.got), self.url(path)]
        with subprocess.Popen(words, cwd=self.folder) as curl:
            try:
                wait_until(lambda: self.got.exists() and self.got.stat().st_size > 100_000, PATIENCE, "nothing comes")
            finally:
                curl.kill()
        self.process.wait_for(r"large\.img 200 broken off after .* the client went away", PATIENCE)
        had = self.got.read_bytes()
        self.assertTrue(0 < len(had) < size)
        self.assert_same(had, octets[: len(had)])
        said = self.run_client(*CURL, "-C", "-", "-o", str(self.got), "-w", "%{http_code}", self.url(path))
        self.assertEqual(said, "206")
        self.assert_same(self.got.read_bytes(), octets)
        self.process.wait_for(r"large\.img 206 ", PATIENCE)
        self.assert_as_before(before)
