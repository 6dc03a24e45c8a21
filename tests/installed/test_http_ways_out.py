"""What a whole server never gives away, however it is asked: what lies outside, is hidden, or is no file (H33)."""

from __future__ import annotations

import os
import re
import socket
import stat

from tests.installed.http_case import SECRET, Client, HttpCase, octets_of
from tests.running import PATIENCE

UP = (
    *("../", "..%2f", "..%2F", "%2e%2e/", "%2E%2E/", "%2e./", ".%2e/", "%2e%2e%2f", "..//", ".././", "./../"),
    *("..\\", "..%5c", "%2e%2e%5c", "..;/", "..%00/", "%252e%252e/", "..%252f", "..%c0%af", "%c0%ae%c0%ae/"),
    *("..%ef%bc%8f", "%uff0e%uff0e/", "..%u2215", "....//", "..../", ".../", "..%09/", "..%20/", "\xc0\xae\xc0\xae/"),
)
"""Spellings of a step up, and what has been taken for one."""


class WayOutTests(HttpCase):
    """A server whose tree and whose folder of containers have things in them that are not to be served."""

    def setUp(self) -> None:
        """Make them, and secrets beside."""
        super().setUp()
        self.secrets = [self.folder / "secret", self.folder / "tree-secret", self.folder / "state" / "secret"]
        self.state.mkdir()
        for path in self.secrets:
            path.write_bytes(SECRET)
        (self.folder / "secret.rts.png").write_bytes(SECRET)
        (self.tree / "sub").mkdir()
        (self.tree / "sub" / "file").write_bytes(b"fine\n")
        self.pack("small", kernel=octets_of(1, 10_000))

    def assert_refused(self, target: str, host: str = "test") -> None:
        """It is 400 or 404, at once, and has nothing of a secret."""
        with Client(self.http) as client:
            client.send(f"GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode("latin-1"))
            said = client.rest()
        self.assertRegex(said, rb"\AHTTP/1\.1 (400|404) ", target)
        self.assertNotIn(SECRET, said, target)
        self.assertNotIn(b"root:", said, target)

    def test_traversal(self) -> None:
        """Every spelling, from the root of what is served and from a folder in it, once and often."""
        self.serve().wait_for("small.rts.png is ready as small", PATIENCE)
        count = 0
        for start in ("/loaders/", "/loaders/sub/", "/files/", "/containers/", "/containers/small/", "/"):
            for up in UP:
                for times in (1, 2, 12):
                    for what in ("secret", "secret.rts.png", "tree-secret", "etc/passwd"):
                        self.assert_refused(f"{start}{up * times}{what}")
                        count += 1
        self.assertGreater(count, 1000)
        absolute = [str(path) for path in (*self.secrets, "/etc/passwd")]
        for path in absolute:
            for start in ("/loaders", "/loaders/", "/loaders//", "/files/", "/files", "", "/loaders/%2f", "/files/%2f"):
                self.assert_refused(start + path)
                self.assert_refused(start + path.replace("/", "%2f"))
                self.assert_refused(start + path.replace("/", "\\"))
            self.assert_refused(f"http://test{path}")
            self.assert_refused(f"http://test/loaders/..{path}")
            self.assert_refused(f"file://{path}")
            self.assert_refused(path.removeprefix("/"))
        for target in (
            "/loaders/sub/file%00",
            "/loaders/sub/file/",
            "/loaders/sub/file/.",
            "/loaders/sub/",
            "/loaders",
        ):
            self.assert_refused(target)
        self.assertEqual(self.get("/loaders/sub/file").body, b"fine\n")
        self.quiet(self.process)

    def test_what_is_no_file(self) -> None:
        """Hidden files, links that lead out, folders, pipes, devices, sockets: none is served, none hangs."""
        out = self.folder / "out"
        out.mkdir()
        (out / "secret").write_bytes(SECRET)
        tree = self.tree
        (tree / ".hidden").write_bytes(SECRET)
        (tree / ".git").mkdir()
        (tree / ".git" / "config").write_bytes(SECRET)
        (tree / "to-secret").symlink_to(self.folder / "secret")
        (tree / "to-secret-relatively").symlink_to("../secret")
        (tree / "to-folder").symlink_to(out)
        (tree / "to-up").symlink_to("..")
        (tree / "to-link").symlink_to("to-secret")
        (tree / "to-passwd").symlink_to("/etc/passwd")
        (tree / "to-hidden").symlink_to(".hidden")
        (tree / "to-zero").symlink_to("/dev/zero")
        (tree / "to-memory").symlink_to(f"/proc/{os.getpid()}/mem")
        (tree / "loop").symlink_to("loop")
        os.mkfifo(tree / "pipe")
        os.mkfifo(self.pictures / "pipe.rts.png")
        (self.pictures / "folder.rts.png").mkdir()
        (self.pictures / "zero.rts.png").symlink_to("/dev/zero")
        (self.pictures / ".hidden.rts.png").write_bytes(SECRET)
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(tree / "socket"))
        names = [
            *(".hidden", ".git/config", ".git", "to-secret", "to-secret-relatively", "to-folder/secret", "to-folder"),
            *("to-up/secret", "to-up/state/control", "to-link", "to-passwd", "to-zero", "to-memory", "loop", "loop/a"),
            *("pipe", "socket", "sub", "sub/", "", "/", "sub/../sub", "a" * 300, "sub/" * 1000 + "file"),
        ]
        if os.geteuid() == 0:
            os.mknod(tree / "zero", 0o666 | stat.S_IFCHR, os.makedev(1, 5))
            os.mknod(tree / "disk", 0o666 | stat.S_IFBLK, os.makedev(7, 0))
            names += ["zero", "disk"]
        self.serve().wait_for("small.rts.png is ready as small", PATIENCE)
        before = self.settled()
        for name in names:
            self.assert_refused(f"/loaders/{name}")
        for name in ("pipe", "folder", "zero", ".hidden"):
            self.assert_refused(f"/files/{name}.rts.png")
            self.assert_refused(f"/containers/{name}")
            self.assert_refused(f"/containers/{name}/kernel")
        self.assertEqual(self.get("/loaders/sub/file").body, b"fine\n")
        self.assertEqual(self.get("/containers/small/kernel").body, octets_of(1, 10_000))
        listed = re.findall(r'"id": ?"([^"]*)"', self.get("/containers").body.decode("utf-8"))
        self.assertIn("small", listed)
        self.assertNotIn(".hidden", listed)
        self.assert_as_before((before[0], before[1] + 2))
        self.quiet(self.process)
