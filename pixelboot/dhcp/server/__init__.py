"""The address server: leases, and what to boot with them."""
