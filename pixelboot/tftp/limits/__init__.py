"""What one client, and all of them, may take of the TFTP service."""
