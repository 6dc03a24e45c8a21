"""Many datagrams to a system call: one socket for thousands of exchanges."""
