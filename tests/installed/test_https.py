"""HTTPS as it is served by the whole program, and fetched by curl; the commands are those of the manual."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from lab import CHECKOUT
from lab.process import Process
from tests.http.authority import Authority
from tests.running import PATIENCE, ServerCase, command, settings

PAGE = CHECKOUT / "docs" / "how-to" / "boot-over-https.rst"

CURL = ("curl", "--silent", "--show-error", "--max-time", f"{PATIENCE:.0f}")


def shown(heading: str) -> list[str]:
    """The commands that the manual shows below a heading, those that go on in the next line put together."""
    section = PAGE.read_text(encoding="utf-8").split(f"\n{heading}\n", 1)[1].split("\n\n", 1)[1]
    section = re.split(r"\n.*\n-{4,}\n", section, maxsplit=1)[0]
    blocks = re.findall(r"::\n\n((?:    .*\n|\n)+)", section)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [line.strip() for line in lines if line.strip()]


class HttpsTests(ServerCase):
    """A server with TLS beside plain HTTP."""

    def serve(self, key: Path, certificate: Path, *words: str) -> tuple[Process, str, str]:
        """A server with this pair: its URL with TLS, and the one without."""
        tls = f"ssl:0:interface=127.0.0.1:privateKey={key}:certKey={certificate}"
        listen = f'["{tls}", "tcp:0:interface=127.0.0.1"]'
        file = settings(self.folder)
        text = re.sub(r"(?m)^listen = .*", f"listen = {listen}", file.read_text(encoding="utf-8"))
        file.write_text(text, encoding="utf-8")
        process = self.start("--config", file, *words)
        secure, plain = (each["listening"] for each in self.status()["services"])
        self.assertRegex(secure, r"\Ahttps://127\.0\.0\.1:\d+/\Z")
        self.assertRegex(plain, r"\Ahttp://127\.0\.0\.1:\d+/\Z")
        for url in (secure, plain):
            process.wait_for(f"answering on {url}", PATIENCE)
        return process, secure, plain

    def curl(self, *words: object) -> tuple[int, str]:
        """Exit status of curl, and what it wrote."""
        done = subprocess.run([*CURL, *map(str, words)], capture_output=True, text=True, check=False)
        return done.returncode, done.stdout or done.stderr

    def serial(self, url: str, authority: Path) -> str:
        """The serial number of the certificate there."""
        status, said = self.curl("--cacert", authority, "--write-out", "%{certs}", "--output", "/dev/null", url)
        self.assertEqual(status, 0, said)
        found = re.search(r"(?m)^Serial Number:(.*)$", said)
        assert found, said
        return found[1]

    def test_the_manual(self) -> None:
        """An authority and a server made as it says; curl trusts it; renewed as it says, without a restart."""
        folder = self.folder / "pixelboot"
        folder.mkdir()
        authority = folder / "ca.pem"
        make, sign, renew = (
            shown("Make a certificate authority"),
            shown("Make the server's certificate"),
            shown("Renew the certificate"),
        )
        for line in [*make, *sign]:
            self.shell(line, folder)
        key, certificate = folder / "key.pem", folder / "cert.pem"
        self.assertEqual(key.stat().st_mode & 0o077, 0)
        process, secure, plain = self.serve(key, certificate)
        self.assertEqual(self.curl("--cacert", authority, f"{secure}healthz"), (0, "ok\n"))
        self.assertEqual(self.curl(f"{plain}healthz"), (0, "ok\n"))
        # curl ends with 60 where it does not trust a certificate; the server says why there was no request.
        self.assertEqual(self.curl(f"{secure}healthz")[0], 60)
        process.wait_for(r"127\.0\.0\.1: no TLS connection, the client broke it off: .* is not trusted", PATIENCE)
        old = ("--tls-max", "1.1", "--ciphers", "ALL:@SECLEVEL=0")
        self.assertEqual(self.curl("--cacert", authority, *old, secure)[0], 35)
        process.wait_for("no TLS connection, this server broke it off: no version of TLS in common", PATIENCE)
        status, said = self.curl(
            *("--cacert", authority, "--http2", "--output", "/dev/null"),
            *("--write-out", "%{http_version} %{ssl_verify_result}", secure),
        )
        self.assertEqual((status, said), (0, "1.1 0"))

        before = self.serial(secure, authority)
        for line in renew:
            self.shell(line, folder)
        process.wait_for("cert.pem was replaced: it is for boot.lab.test, 127.0.0.1, until 20", PATIENCE)
        self.assertNotEqual(self.serial(secure, authority), before)
        key.write_text("nothing", encoding="utf-8")
        told = (
            r"http#error\] the new certificate .* is not taken, the old one .*key\.pem: there is no private key in it"
        )
        process.wait_for(told, PATIENCE)
        self.assertEqual(self.curl("--cacert", authority, f"{secure}healthz"), (0, "ok\n"))
        status, out, _ = command("status", "--state", self.state)
        self.assertEqual(status, 0)
        self.assertRegex(out, rf"(?m)^  http +{secure} +certificate until \d{{4}}-\d\d-\d\d \(a new one is not taken: ")
        self.assertEqual(command("stop", "--state", self.state)[0], 0)
        self.assertEqual(process.wait(PATIENCE), 0)

    def shell(self, line: str, folder: Path) -> None:
        """Run a line of the manual in another folder, for an address of this machine."""
        line = line.replace("/etc/pixelboot", str(folder)).replace("10.77.0.1", "127.0.0.1")
        done = subprocess.run(["sh", "-euc", line], cwd=folder, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, f"{line}: {done.stderr}")

    def test_stopped_in_order(self) -> None:
        """With connections open; nothing is left, and nothing in the log looks like a mistake."""
        authority = Authority()
        pair = authority.put(self.folder / "tls")
        trusted = self.folder / "ca.pem"
        trusted.write_bytes(authority.pem)
        process, secure, _ = self.serve(Path(pair.key), Path(pair.certificate))
        self.assertEqual(self.curl("--cacert", trusted, f"{secure}healthz"), (0, "ok\n"))
        self.assertEqual(command("stop", "--state", self.state)[0], 0)
        self.ended_well(process, 0)

    def test_refused(self) -> None:
        """A pair that does not fit ends the start, and the check, with one line."""
        pair, other = Authority().put(self.folder / "tls"), Authority().put(self.folder / "other")
        tls = f"ssl:0:privateKey={other.key}:certKey={pair.certificate}"
        words = ("--state", str(self.state), "--dhcp-mode", "off", "--no-tftp-enabled", "--http-listen", tls)
        line = f'http.listen = "{tls}": the key {other.key} does not belong to the certificate {pair.certificate}'
        self.assertEqual(command("check", *words)[::2], (1, f"pixelboot: {line}\n"))
        begun = self.begin(*words)
        self.assertEqual(self.refused(begun), line)
