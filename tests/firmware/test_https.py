"""UEFI that boots by HTTPS alone: OVMF, which trusts an authority of ours, or another one."""

from __future__ import annotations

import struct
from pathlib import Path
from uuid import UUID

from cryptography.hazmat.primitives.serialization import Encoding

from lab import needs
from lab.machine import qemu
from lab.machine.firmware import LOADER_STARTED, Firmware
from lab.network.namespace import SERVER_ADDRESS
from lab.process import Process
from lab.servers.pixelboot import network_config
from tests.firmware.case import BootCase
from tests.http.authority import Authority, rsa_key

LOADER = f"https://{SERVER_ADDRESS}:8443/loaders/snponly.efi"

X509 = UUID("a5c059a1-94e4-4aa7-87b5-ab155c2bf072")
"""``EFI_CERT_X509_GUID``: what is in the list are certificates (UEFI specification, 32.4.1)."""

OWNER = UUID("77fa9abd-0359-4d32-bd60-28f4e78f784b")


def signature_list(authority: Authority) -> bytes:
    """An ``EFI_SIGNATURE_LIST`` with the authority's certificate, as ``cert-to-efi-sig-list`` makes it."""
    certificate = authority.certificate.public_bytes(Encoding.DER)
    size = 16 + len(certificate)
    return X509.bytes_le + struct.pack("<III", 28 + size, 0, size) + OWNER.bytes_le + certificate


class HttpsTests(BootCase):
    """A machine whose firmware is told to fetch its loader by HTTPS."""

    programs = (*Firmware.UEFI.needs, *needs.PACKING)

    def setUp(self) -> None:
        """A server with a certificate for its address."""
        super().setUp()
        # Many builds of EDK2 know no elliptic curves.
        self.authority = Authority(key=rsa_key("authority"))
        pair = self.authority.put(self.network.folder / "tls", rsa_key(), names=(SERVER_ADDRESS,))
        config = network_config(self.network.folder / "state", self.containers, {"uefi-http-x64": LOADER})
        tls = f"ssl:8443:privateKey={pair.key}:certKey={pair.certificate}"
        config = config.replace('listen = "tcp:8080"', f'listen = ["tcp:8080", "{tls}"]')
        self.log = self.running(self.serve(self.containers, config).start())

    def power_on(self, trusted: Authority) -> Process:
        """The machine, which trusts this authority and no other."""
        authorities = Path(self.network.folder / "authorities.esl")
        authorities.write_bytes(signature_list(trusted))
        machine = qemu.identity(1)
        return self.running(qemu.power_on(self.network.segment, machine, Firmware.UEFI_HTTP, authorities=authorities))

    def test_trusted(self) -> None:
        """It fetches the loader by HTTPS; what the loader fetches by HTTP then is the whole container."""
        powered = self.power_on(self.authority)
        self.log.wait_for(rf"\) offered \S+, boots {LOADER}$", 120.0)
        self.assertEqual(powered.wait_for(LOADER_STARTED, 60.0)[1], "HTTP")
        self.log.wait_for(r"http#info\] .*GET /loaders/snponly\.efi 200", 5.0)
        self.assert_booted(powered)
        self.assertEqual([line.text for line in self.log.lines if "no TLS" in line.text], [])

    def test_not_trusted(self) -> None:
        """It hangs up, which has a line in the log, and is given nothing."""
        self.power_on(Authority("another", key=rsa_key("another")))
        self.log.wait_for(
            r"10\.77\.0\.\d+: no TLS connection, the client hung up in the middle of the handshake", 120.0
        )
        self.assertEqual([line.text for line in self.log.lines if "GET /loaders" in line.text], [])
