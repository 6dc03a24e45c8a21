"""Tests of `pixelboot.library.names.packaged`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from pixelboot.library.names.components import components
from pixelboot.library.names.packaged import PACKAGED, remedy


class PackagedTests(SynchronousTestCase):
    """Where loaders are, and how to get them."""

    def test_where_the_distributions_have_them(self) -> None:
        """The lists of files of their packages."""
        for name, path in (
            ("undionly.kpxe", "/usr/lib/ipxe/undionly.kpxe"),  # Debian, Ubuntu
            ("undionly.kkpxe", "/usr/lib/ipxe/undionly.kkpxe"),
            ("ipxe.pxe", "/usr/lib/ipxe/ipxe.pxe"),
            ("ipxe.lkrn", "/usr/lib/ipxe/ipxe.lkrn"),
            ("snponly.efi", "/usr/lib/ipxe/snponly.efi"),
            ("ipxe.efi", "/usr/lib/ipxe/ipxe.efi"),
            ("arm64/snponly.efi", "/usr/lib/ipxe/ipxe-arm64.efi"),
            ("riscv64/snponly.efi", "/usr/lib/ipxe/ipxe-riscv64.efi"),
            ("loong64/ipxe.efi", "/usr/lib/ipxe/ipxe-loong64.efi"),
            ("undionly.kpxe", "/usr/share/ipxe/undionly.kpxe"),  # Fedora
            ("snponly.efi", "/usr/share/ipxe/ipxe-snponly-x86_64.efi"),
            ("ipxe.efi", "/usr/share/ipxe/ipxe-x86_64.efi"),
            ("i386/snponly.efi", "/usr/share/ipxe/ipxe-i386.efi"),
            ("arm64/snponly.efi", "/usr/share/ipxe/arm64-efi/snponly.efi"),
            ("arm64/ipxe.efi", "/usr/share/ipxe/arm64-efi/ipxe.efi"),
            ("snponly.efi", "/usr/share/ipxe/snp-x86_64.efi"),  # openSUSE
            ("arm64/snponly.efi", "/usr/share/ipxe/snp-arm64.efi"),
            ("ipxe.efi", "/usr/share/ipxe/x86_64/ipxe.efi"),  # Arch
        ):
            self.assertIn(path, PACKAGED[name], name)

    def test_the_best_comes_first(self) -> None:
        """A full iPXE stands in for an snponly.efi, and never the other way round."""
        for name, paths in PACKAGED.items():
            full = ["snp" not in path for path in paths]
            self.assertEqual(full, sorted(full), name)
            self.assertEqual(all(full), "snponly" not in name, name)
            self.assertEqual(len(set(paths)), len(paths), name)

    def test_names(self) -> None:
        """A client can ask for each."""
        for name, paths in PACKAGED.items():
            self.assertEqual("/".join(components(name)), name)
            self.assertTrue(all(path.startswith(("/usr/", "/boot/")) for path in paths), name)

    def test_remedy(self) -> None:
        self.assertTrue(remedy("snponly.efi").startswith("install the package ipxe (apt-get install ipxe), or unpack "))
        self.assertIn("Debian 13", remedy("arm64/snponly.efi"))
        self.assertNotIn("apt-get", remedy("i386/snponly.efi"))
        self.assertEqual(remedy("grub.cfg"), "")
