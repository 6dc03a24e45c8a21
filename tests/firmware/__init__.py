"""Real firmware, booted in QEMU in network namespaces: minutes, and root, so `tools/check boot` runs it alone.

(`tests/boot` is the mirror of `pixelboot/boot`, as every folder of tests is of a folder of the package.)
"""
