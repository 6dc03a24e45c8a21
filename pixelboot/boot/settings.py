"""The settings of the boot decision, ``[boot]``."""

from __future__ import annotations

from dataclasses import dataclass

from pixelboot.config import seconds, setting, text


@dataclass(frozen=True, slots=True)
class BootSettings:
    """What a machine boots when nobody at its keyboard says otherwise."""

    default: str = setting(
        text('a container\'s id, "local" or "shell"'),
        "local",
        help="The menu entry that boots by itself: the id of a container, local for the machine's own disk, "
        "or shell for iPXE's command line.",
    )
    timeout: float = setting(
        seconds(0, 3600),
        10.0,
        help="How long the menu waits for a key before it boots the default entry; 0 waits for ever.",
    )
