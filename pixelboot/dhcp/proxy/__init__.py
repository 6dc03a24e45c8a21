"""proxyDHCP (PXE 2.1 §2.2): what to boot, beside a server that gives the addresses."""
