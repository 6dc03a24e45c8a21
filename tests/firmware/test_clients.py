"""The clients that people run, against the real server: udhcpc and dhclient for DHCP, curl and wget for HTTP.

TFTP's are in `tests.firmware.test_tftp`.
"""

from __future__ import annotations

import random
import re
import signal
import time

from lab import needs
from lab.needs import program
from lab.network.namespace import SERVER_ADDRESS
from lab.process import Process
from tests.firmware.case import LabCase, addresses

_UDHCPC_SCRIPT = """\
case $1 in
deconfig) ip -4 address flush dev eth0 ;;
bound | renew) ip address replace "$ip/$mask" dev eth0 ;;
esac
echo "EVENT $1 address=$ip router=$router lease=$lease siaddr=$siaddr"
"""

_DHCLIENT_SCRIPT = """\
case $reason in
PREINIT | EXPIRE | RELEASE | FAIL) ip -4 address flush dev eth0 ;;
BOUND | RENEW | REBIND | REBOOT) ip address replace "$new_ip_address/$new_subnet_mask" dev eth0 ;;
esac
echo "EVENT $reason address=$new_ip_address router=$new_routers lease=$new_dhcp_lease_time"
"""

_FOREIGN_LEASE = """\
lease {{
  interface "eth0";
  fixed-address 192.168.99.5;
  option subnet-mask 255.255.255.0;
  option dhcp-lease-time 86400;
  option dhcp-message-type 5;
  option dhcp-server-identifier 192.168.99.1;
  renew epoch {later};
  rebind epoch {later};
  expire epoch {later};
}}
"""
"""What dhclient remembers of another network, where it was a moment ago; `later` in seconds since 1970."""


class UdhcpcTests(LabCase):
    """busybox's client: it renews at SIGUSR1 and releases at SIGUSR2."""

    programs = (*needs.NETWORK, "udhcpc")

    def test_life_of_a_lease(self) -> None:
        """Discover, bind, renew, release, discover again: one address all the way."""
        server = self.serve()
        log = self.running(server.start())
        client = self.network.client()
        script = self.script("udhcpc.script", _UDHCPC_SCRIPT)
        argv = [program("udhcpc"), "-f", "-i", "eth0", "-s", script, "-t", "10", "-T", "1"]
        udhcpc = self.running(client.start("udhcpc", *argv))

        bound = udhcpc.wait_for(r"EVENT bound address=(10\.77\.0\.1\d\d) router=(\S+) lease=(\d+) ", 20.0)
        address = bound[1]
        self.assertEqual(bound.groups()[1:], (SERVER_ADDRESS, "600"))
        log.wait_for(rf"dhcp#info\] .* offered {address}", 5.0)
        log.wait_for(rf"dhcp#info\] .* has {address}", 5.0)
        self.assertEqual(addresses(client), [address])

        udhcpc.send_signal(signal.SIGUSR1)
        udhcpc.wait_for(rf"EVENT renew address={address} ", 20.0)
        log.wait_for(rf"dhcp#info\] .* keeps {address}", 5.0)

        udhcpc.send_signal(signal.SIGUSR2)
        log.wait_for(rf"dhcp#info\] .* released {address}", 20.0)
        self.assertEqual(addresses(client), [])

        seen = len(udhcpc.lines)
        udhcpc.send_signal(signal.SIGUSR1)
        again = udhcpc.wait_for(r"EVENT bound address=(\S+) ", 20.0, after=seen)
        self.assertEqual(again[1], address, "a machine that comes back gets the address it had")


class DhclientTests(LabCase):
    """ISC's client, as Debian installs it."""

    programs = (*needs.NETWORK, "dhclient")

    def setUp(self) -> None:
        """Start a server, and prepare a client."""
        super().setUp()
        self.server = self.serve()
        self.log = self.running(self.server.start())
        self.client = self.network.client()
        folder = self.network.folder
        (folder / "dhclient.conf").write_text("send dhcp-lease-time 60;\nrequest subnet-mask, routers;\n")
        self.leases = folder / "dhclient.leases"
        self.argv = [
            *(program("dhclient"), "-4", "-v", "-cf", str(folder / "dhclient.conf"), "-lf", str(self.leases)),
            *("-pf", str(folder / "dhclient.pid"), "-sf", self.script("dhclient.script", _DHCLIENT_SCRIPT)),
        ]

    def _dhclient(self) -> Process:
        return self.running(self.client.start("dhclient", *self.argv, "-d", "eth0"))

    def test_life_of_a_lease(self) -> None:
        """Bind, renew by unicast, restart of client and server, release: one address all the way."""
        first = self._dhclient()
        bound = first.wait_for(r"EVENT BOUND address=(10\.77\.0\.1\d\d) router=(\S+) lease=(\d+)", 30.0)
        address = bound[1]
        self.assertEqual(bound[2], SERVER_ADDRESS)
        self.assertEqual(bound[3], "60", "a machine that asks for a shorter lease gets one")
        first.wait_for(rf"EVENT RENEW address={address} ", 60.0)
        self.log.wait_for(rf"dhcp#info\] .* keeps {address} for 60 s", 5.0)

        first.kill()
        self.log.stop()
        log = self.running(self.server.start())
        second = self._dhclient()
        second.wait_for(rf"EVENT REBOOT address={address} ", 30.0)
        log.wait_for(rf"dhcp#info\] .* keeps {address}", 5.0)
        self.assertNotIn("DHCPDISCOVER", "".join(line.text for line in second.lines))

        self.client.run(*self.argv, "-r", "eth0")
        log.wait_for(rf"dhcp#info\] .* released {address}", 20.0)

    def test_from_another_network(self) -> None:
        """A client that still holds an address of another network is refused it, and gets one of ours at once."""
        self.leases.write_text(_FOREIGN_LEASE.format(later=int(time.time()) + 86400))
        dhclient = self._dhclient()
        dhclient.wait_for(r"DHCPNAK", 30.0)
        dhclient.wait_for(r"EVENT BOUND address=10\.77\.0\.1\d\d ", 30.0)
        self.log.wait_for(r"dhcp#warn\] .* refused: 192\.168\.99\.5", 5.0)


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
