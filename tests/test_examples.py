"""The files in ``examples/`` do what they are examples of."""

from __future__ import annotations

import configparser
import re
import shlex
import tomllib
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from pixelboot.config import declared
from pixelboot.dhcp.network.network import Network
from pixelboot.site import Site, load, read
from pixelboot.tap.options import Options

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


class ExampleTests(SynchronousTestCase):
    """Each of them."""

    def test_site(self) -> None:
        """The settings file can be used, and shows something of every subject."""
        site = load(str(EXAMPLES / "site.toml"), {}, {})
        self.assertEqual(
            (site.dhcp.mode, len(site.dhcp.subnet), str(site.http.listen[0])), ("server", 1, "http://0.0.0.0:80/")
        )
        text = (EXAMPLES / "site.toml").read_text(encoding="utf-8")
        for subject in {setting.path[0] for setting in declared(Site)}:
            self.assertRegex(text, rf"(?m)^(\[{subject}\]$|{subject} = )")

    def test_campus(self) -> None:
        """A site of many networks can be used, and shows every way to put subnets together."""
        site = load(str(EXAMPLES / "campus.toml"), {}, {})
        network = Network(site.dhcp, site.host)
        links = {link.name: (link.mode, len(link.subnets)) for link in network.links}
        self.assertEqual(
            links,
            {
                "10.10.0.0/24": ("server", 1),
                "offices": ("server", 2),
                "10.30.0.0/22": ("server", 2),
                "10.40.0.0/16": ("proxy", 1),
            },
        )
        self.assertEqual(([each.name for each in site.dhcp.classes], len(site.host)), (["phones", "lab", "arm"], 4))

    def test_service(self) -> None:
        """The unit's command line is one that the server takes, and its state folder is that of the settings file."""
        unit = configparser.ConfigParser(interpolation=None)
        unit.read(EXAMPLES / "pixelboot.service", encoding="utf-8")
        program, command, *words = shlex.split(unit["Service"]["ExecStart"])
        self.assertEqual((Path(program).name, command, words[0]), ("pixelboot", "serve", "--config"))
        options = Options()
        options.parseOptions([words[0], str(EXAMPLES / Path(words[1]).name), *words[2:]])
        self.assertEqual(options.site.state, f"/var/lib/{unit['Service']['StateDirectory']}")

    def test_socket(self) -> None:
        """The socket unit hands over what the settings in its comment ask for."""
        text = (EXAMPLES / "pixelboot.socket").read_text(encoding="utf-8")
        unit = configparser.ConfigParser(interpolation=None)
        unit.read_string(text)
        settings = tomllib.loads("\n".join(re.findall(r"(?m)^#   (.*)$", text)))
        (endpoint,) = read(settings).http.listen
        told = (endpoint.kind, endpoint.parameters["domain"], endpoint.parameters["name"])
        self.assertEqual(told, ("systemd", "INET", unit["Socket"]["FileDescriptorName"]))
        self.assertRegex(unit["Socket"]["ListenStream"], r"\A0\.0\.0\.0:\d+\Z")
