"""The commands that make pictures, take them apart, and judge them; none of them needs a server."""
