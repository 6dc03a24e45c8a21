"""Classes of machines: what is taken, and what is refused by which name."""

from __future__ import annotations

from pixelboot.boot.architecture import Architecture
from pixelboot.dhcp.settings.client_class import architecture
from pixelboot.hwaddr import HardwareAddress
from tests.dhcp.settings.case import Refusal, SettingsCase, read

CLASS = '[[dhcp.class]]\nname = "lab"\n'
WHOLE = (
    CLASS + 'architecture = ["uefi-x64", 9, 65535]\nvendor = "PXEClient*"\nuser_class = "iPXE"\n'
    'mac = ["02:aa:bb", "02-AA-CC"]\noptions = {tftp-server-name = "10.0.0.9"}\nlease_time = 600\n'
)

REFUSED: tuple[Refusal, ...] = (
    ("no name", '[[dhcp.class]]\nvendor = "x"', "dhcp.class[1].name", "must be given"),
    ("an empty name", '[[dhcp.class]]\nname = ""\nvendor = "x"', "dhcp.class[1].name", "letters, digits"),
    ("a name of two words", '[[dhcp.class]]\nname = "a b"\nvendor = "x"', "dhcp.class[1].name", "letters, digits"),
    ("a name that is taken", '[[dhcp.class]]\nname = "known"\nvendor = "x"', "dhcp.class[1].name", "must not be known"),
    ("the other that is taken", '[[dhcp.class]]\nname = "unknown"\nvendor = "x"', "dhcp.class[1].name", "must not be"),
    ("no condition", CLASS, "dhcp.class[1].name", "a condition: architecture, vendor, user_class or mac"),
    ("no condition but options", CLASS + "lease_time = 600", "dhcp.class[1].name", "a condition"),
    ("an architecture that there is not", CLASS + 'architecture = ["x64"]', "dhcp.class[1].architecture", '"uefi-x64"'),
    ("an architecture without a number", CLASS + "architecture = [65536]", "dhcp.class[1].architecture", "to 65535"),
    ("an architecture by truth", CLASS + "architecture = [true]", "dhcp.class[1].architecture", "to 65535"),
    ("half a prefix", CLASS + 'mac = ["02:a"]', "dhcp.class[1].mac", "first octets"),
    ("a vendor as a number", CLASS + "vendor = 1", "dhcp.class[1].vendor", "a text"),
    ("a short lease", CLASS + 'vendor = "x"\nlease_time = 1', "dhcp.class[1].lease_time", "from 10"),
    (
        "an option",
        CLASS + 'vendor = "x"\noptions = {nothing = 1}',
        "dhcp.class[1].options.nothing",
        "name of an option",
    ),
)


class ClassTests(SettingsCase):
    """One class."""

    def test_a_whole_class(self) -> None:
        """Every key."""
        (found,) = read(WHOLE).dhcp.classes
        self.assertEqual(found.architecture, (Architecture.UEFI_X64, 9, 65535))
        self.assertEqual((found.vendor, found.user_class, found.lease_time), ("PXEClient*", "iPXE", 600.0))
        self.assertEqual(found.mac, (HardwareAddress(b"\2\xaa\xbb"), HardwareAddress(b"\2\xaa\xcc")))
        self.check_written_and_read(WHOLE)

    def test_refused(self) -> None:
        """An error with key, value, and what is allowed."""
        self.check_refused(REFUSED)

    def test_typed(self) -> None:
        """On a command line a number is a number, and a name a name."""
        kind = architecture()
        self.assertEqual(kind.parse(kind.from_text("9")), 9)
        self.assertEqual(kind.parse(kind.from_text("bios")), Architecture.BIOS)
