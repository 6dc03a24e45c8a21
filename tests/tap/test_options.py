"""Tests of `pixelboot.tap.options`: what is typed becomes the settings of a site, or one line that says why not."""

from __future__ import annotations

import io
import itertools
import os
import tomllib
from contextlib import redirect_stderr, redirect_stdout

from twisted.trial.unittest import SynchronousTestCase

from pixelboot.config import Declared, declared, dump
from pixelboot.config import build as parse
from pixelboot.site import Site
from pixelboot.tap.options import DhcpOptions, HttpOptions, Options, TftpOptions
from tests.http.authority import Authority
from tests.running import folder_for

VALUES: dict[str, object] = {
    "tftp.address6": "::1",
    "tftp.single_port": True,
    "tftp.data_ports": "50000-50010",
    "tftp.spin": 0,
    "tftp.memory": 8,
    "state": "/s",
    "verbose": True,
    "boot.default": "debian",
    "boot.timeout": 2.5,
    "boot.tftp_server": "10.77.0.9",
    "boot.pxe.prompt": "Press",
    "boot.pxe.timeout": 3,
    "boot.pxe.broadcast": True,
    "dhcp.mode": "server",
    "dhcp.interface": "eno7,eno8.20",
    "dhcp.address": "127.0.0.7",
    "dhcp.port": 6767,
    "dhcp.proxy_port": 6768,
    "dhcp.offer_time": 31.0,
    "dhcp.decline_time": 61.0,
    "dhcp.authoritative": True,
    "dhcp.rapid_commit": True,
    "dhcp.bootp": True,
    "dhcp.probe_time": 0.05,
    "dhcp.reuse": 0.5,
    "dhcp.trust_relay_information": True,
    "dhcp.leasequery": "10.77.0.3/32,10.78.0.0/16",
    "dhcp.offers_per_port": 7,
    "dhcp.offers_per_relay": 70,
    "dhcp.echo_client_system": True,
    "dhcp.options": 'ntp-servers = ["10.77.0.5"], "224" = "hex:0a0b"',
    "dhcp.allow": "known",
    "dhcp.deny": "unknown",
    "tftp.enabled": False,
    "tftp.root": "/t",
    "tftp.aliases": '"a" = "b/c"',
    "tftp.ignore_case": False,
    "tftp.machine_folders": "mac",
    "tftp.remap": "r a b",
    "tftp.generated": False,
    "tftp.address": "127.0.0.8",
    "tftp.port": 6969,
    "tftp.blksize": 1024,
    "tftp.windowsize": 8,
    "tftp.refuse": "windowsize,tsize",
    "tftp.timeout": 2.5,
    "tftp.retries": 3,
    "tftp.rollover": 1,
    "tftp.transfers": 10,
    "tftp.transfers_per_client": 5,
    "tftp.requests_per_client": 50,
    "http.listen": "tcp:81",
    "http.root": "/r,/q",
    "http.ranges": False,
    "http.strict_ranges": True,
    "http.limits.connections": 100,
    "http.limits.connections_per_client": 10,
    "http.limits.requests": 1000,
    "http.limits.request_time": 5.0,
    "http.limits.idle_time": 6.0,
    "http.limits.stall_time": 7.0,
    "http.limits.head": 2048,
    "http.limits.fields": 20,
    "http.limits.body": 1024,
    "http.limits.bandwidth": "1 GB",
    "http.limits.bandwidth_per_client": "100 MB",
    "containers.side_limit": 4096,
    "containers.cache_size": "1 GiB",
    "containers.trusted_keys": "ab" * 32,
    "containers.poll": True,
}
"""What to type for every setting but the loaders; none of it is the default."""


def typed(setting: Declared) -> str:
    """What to type for a setting: any name will do for a loader."""
    return "http://a/b" if setting.key == "boot.loaders.ipxe" else str(VALUES.get(setting.key, "other/loader.bin"))


SUBNET = '[[dhcp.subnet]]\nnetwork = "127.0.0.0/24"\npool = ["127.0.0.100-127.0.0.199"]\n'


class OptionsTests(SynchronousTestCase):
    """The command lines of the three plugins."""

    def setUp(self) -> None:
        self.folder = folder_for(self.addCleanup)
        self.patch(os, "environ", {})

    def file(self, text: str) -> str:
        """A settings file."""
        path = self.folder / f"{len(os.listdir(self.folder))}.toml"
        path.write_text(text, encoding="utf-8")
        return str(path)

    def test_every_setting_is_an_option(self) -> None:
        """What is typed reaches its setting, under the name that the plugin has for it."""
        parts = ((Options(), ""), (DhcpOptions(), "dhcp-"), (TftpOptions(), "tftp-"), (HttpOptions(), "http-"))
        # Two contradict each other.
        for (options, part), left_out in zip(
            parts, itertools.cycle(("tftp.data_ports", "tftp.single_port")), strict=False
        ):
            words = ["--config", self.file(SUBNET)]
            settings = [setting for setting in declared(Site) if setting.key != left_out]
            for setting in settings:
                option = setting.option.removeprefix(part)
                if setting.kind.flag:
                    words.append(f"--{option}" if VALUES[setting.key] else f"--no-{option}")
                else:
                    words += [f"--{option}", typed(setting)]
            options.parseOptions(words)
            got = {setting.key: tomllib.loads(dump(options.site)) for setting in settings}
            for setting in settings:
                value = got[setting.key]
                for name in setting.path:
                    value = value[name]
                expected = (
                    setting.kind.show(setting.kind.parse(setting.kind.from_text(typed(setting))))
                    if not setting.kind.flag
                    else VALUES[setting.key]
                )
                self.assertEqual(value, expected, f"{part}{setting.key}")
                self.assertNotEqual(value, setting.default, setting.key)

    def test_a_switch_and_its_opposite(self) -> None:
        """Both win over the file, and exclude each other."""
        for text, word, ranges in (("true", "--no-http-ranges", False), ("false", "--http-ranges", True)):
            options = Options()
            options.parseOptions(["--config", self.file(f"[http]\nranges = {text}"), word])
            self.assertEqual(options.site.http.ranges, ranges)
        line = self.refused("--verbose", "--no-verbose")
        self.assertEqual(line, "--verbose and --no-verbose exclude each other")

    def test_who_wins(self) -> None:
        """The command line over the file over the environment; what is relative is so to where we are now."""
        os.environ["PIXELBOOT_STATE"] = "from/environ"
        here = os.getcwd()
        for words, state in (
            ([], f"{here}/from/environ"),
            (["-c", self.file('state = "/file"')], "/file"),
            (["-c", self.file('state = "/file"'), "--state", "words"], f"{here}/words"),
            (["--state=/words"], "/words"),
        ):
            options = Options()
            options.parseOptions(words)
            self.assertEqual(options.site.state, state, str(words))

    def refused(self, *words: str) -> str:
        """The one line that a wrong command line ends in."""
        ended = self.assertRaises(SystemExit, Options().parseOptions, list(words))
        line = ended.code
        assert isinstance(line, str), line  # which means: on standard error, with status 1
        self.assertNotIn("\n", line)
        self.assertTrue(line.startswith("pixelboot: "), line)
        return line.removeprefix("pixelboot: ")

    def test_wrong_settings(self) -> None:
        """They are refused with their key, whether they are to be checked or served."""
        inverted = SUBNET.replace("100-127.0.0.199", "199-127.0.0.100")
        for words, message in (
            (["--config", "/nonexistent.toml"], "--config /nonexistent.toml: No such file or directory"),
            (["--config", self.file("[http")], f"--config {self.folder}/0.toml: not TOML: "),
            (["--config", self.file("[htp]")], "htp = {}: there is no such setting; did you mean http?"),
            (["--config", self.file("[http]\nport = 80")], "http.port = 80: there is no such setting; there are: "),
            (["--config", self.file(inverted)], 'dhcp.subnet[1].pool = ["127.0.0.199-127.0.0.100"]: must be '),
            (["--dhcp-port", "0"], 'dhcp.port = "0": must be a whole number from 1 to 65535'),
            (["--dhcp-mode", "server"], 'dhcp.mode = "server": a server needs a [[dhcp.subnet]]'),
        ):
            for check in ([], ["--check"]):
                line = self.refused(*words, *check)
                self.assertTrue(line.startswith(message), f"{line} does not start with {message}")

    def test_check(self) -> None:
        """``--check`` prints settings that load to the same site, ends with status 0, and makes and binds nothing."""
        words = ["--config", self.file(SUBNET), "--dhcp-mode", "server", "--dhcp-interface", "lo"]
        words += ["--state", f"{self.folder}/state"]
        served = Options()
        served.parseOptions(words)
        printed, said = self.checked(*words)
        self.assertEqual((parse(Site, tomllib.loads(printed)), said), (served.site, ""))
        self.assertFalse((self.folder / "state").exists())

    def checked(self, *words: str) -> tuple[str, str]:
        """Standard output and standard error of a check that ends well."""
        printed, said = io.StringIO(), io.StringIO()
        with redirect_stdout(printed), redirect_stderr(said):
            ended = self.assertRaises(SystemExit, Options().parseOptions, [*words, "--check"])
        self.assertEqual(ended.code, 0)
        return printed.getvalue(), said.getvalue()

    def test_check_tells_what_would_be_waited_for(self) -> None:
        """An interface that is not there yet is no mistake, and may be a misspelt one: it is told beside the rest."""
        printed, said = self.checked("--dhcp-interface", "lo,gone0,gone1")
        self.assertEqual(tomllib.loads(printed)["dhcp"]["interface"], ["lo", "gone0", "gone1"])
        lines = said.splitlines()
        self.assertEqual(len(lines), 2)
        for name, line in zip(("gone0", "gone1"), lines, strict=True):
            told = f"pixelboot: dhcp.interface: there is no {name} now, it would be waited for; there are "
            self.assertTrue(line.startswith(told), line)
            self.assertIn("lo", line.removeprefix(told).split(", "))
        _, said = self.checked("--dhcp-interface", "gone0", "--dhcp-mode", "off")
        self.assertEqual(said, "")

    def test_check_tells_where_http_is(self) -> None:
        """As machines reach it, in a comment of TOML; what may be a mistake is told beside it."""
        files = Authority().put(self.folder / "tls")
        os.chmod(files.key, 0o644)
        tls = f"ssl:443:interface=\\:\\::privateKey={files.key}:certKey={files.certificate}"
        words = ("--dhcp-mode", "off", "--http-listen")
        printed, said = self.checked(*words, f"tcp:80,{tls},unix:/run/x.sock,systemd:domain=INET:index=0")
        self.assertEqual(tomllib.loads(printed)["http"]["listen"][1], tls)
        comments = [line.removeprefix("# HTTP is served at ") for line in printed.splitlines() if line[:1] == "#"]
        self.assertEqual([line.split(" with ")[0] for line in comments],
                         ["http://0.0.0.0:80/", "https://[::]:443/", "unix:/run/x.sock", "systemd:domain=INET:index=0"],
                         )  # fmt: skip
        self.assertEqual([line.split(": ")[1] for line in said.splitlines()], ["http.listen", "http.listen"], said)
        printed, _ = self.checked(*words, "", "--tftp-enabled")
        self.assertNotIn("#", printed)
        line = self.refused(*words, "tcp:80,tcp:80", "--check")
        self.assertEqual(line, 'http.listen[2] = "tcp:80": must be another than number 1, which takes the same')

    def test_check_looks_at_the_machine(self) -> None:
        """So does what cannot be served here."""
        subnet = self.file(SUBNET)
        for words, message in (
            (["--containers-trusted-keys", "/nonexistent"], 'containers.trusted_keys = "/nonexistent": '),
            (["--http-root", "/nonexistent"], 'http.root = "/nonexistent": must be a folder that exists'),
            (["--http-root", subnet], f'http.root = "{subnet}": must be a folder that exists'),
            (["--state", "/" + 100 * "s"], 'state = "/sss'),
            *((["--http-listen", listen], f'http.listen = "{listen}": {why}') for listen, why in BAD),
            (["--dhcp-interface=lo,lo"], 'dhcp.interface = ["lo", "lo"]: must name each interface once'),
            (
                ["-c", subnet, "--dhcp-mode=server", "--dhcp-interface=lo", "--dhcp-address=198.51.100.9"],
                'dhcp.address = "198.51.100.9": must be an address of lo, which has 127.0.0.1',
            ),
        ):
            line = self.refused(*words, "--check")
            self.assertTrue(line.startswith(message), f"{line} does not start with {message}")
        elsewhere = self.file(SUBNET.replace("127.0.0", "198.51.100"))
        line = self.refused("-c", elsewhere, "--dhcp-mode=server", "--check")
        told = 'dhcp.interface = "": must be named: none has an address in 198.51.100.0/24; there are '
        self.assertTrue(line.startswith(told), line)


BAD = [
    *((text, "must be a Twisted endpoint: ") for text in ("tcp", "tcp:abc", "8080", "foo:80", "tcp:80:what=1", "unix")),
    ("ssl:1:privateKey=/", "/: Is a directory"),
]
"""Endpoints that cannot be had, most as Twisted cannot read them: each makes it raise something else."""
