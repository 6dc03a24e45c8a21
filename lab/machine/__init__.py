"""What is booted, and the machine that boots it."""
