"""The one error of every parser in pixelboot."""

from __future__ import annotations


class Malformed(ValueError):
    """What was read is not what it should be; the text says where and why, for a person to read.

    A parser of ours turns any octet string into a value or raises this (or a subclass), never anything else.
    """
