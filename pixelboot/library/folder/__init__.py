"""The folders of containers: what is in them, and when that changes."""
