"""From the components of a name to an open file: of the operator's folder, else of a package.  It takes a thread."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress

from pixelboot.library.names.below import READ, Outside, open_below, refusal, regular
from pixelboot.library.names.components import Absent, Forbidden
from pixelboot.library.names.folded import Listing, Listings
from pixelboot.library.names.meant import Parts
from pixelboot.library.names.packaged import remedy
from pixelboot.library.names.trail import Trail, seen


class Finder:
    """Finds files."""

    def __init__(
        self, root: str, packaged: Mapping[str, Sequence[str]], listings: Listings, *, ignore_case: bool
    ) -> None:
        """`root` is the operator's folder, or empty for none; `packaged` has the loaders behind it, by their names."""
        self._root = root
        self._packaged = packaged
        self._listings = listings
        self._ignore_case = ignore_case

    def top(self) -> Listing | None:
        """The names in the root; None where that will not be told."""
        try:
            folder = os.open(self._root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            return None
        try:
            return self._listings.of(folder, self._root, late=0.0)  # A machine's new folder counts at once.
        except PermissionError:
            return None
        finally:
            os.close(folder)

    def find(self, candidates: Sequence[Parts], trail: Trail) -> int:
        """A descriptor of the first of them that is there.

        :raises Absent: if none is; the text tells of the last.
        :raises Forbidden: if it is not served.
        :raises OSError: if it cannot be opened now, and perhaps can be later.
        """
        *others, last = candidates
        for parts in others:
            with suppress(Absent):
                return self._one(parts, trail)
        return self._one(last, trail)

    def _one(self, parts: Parts, trail: Trail) -> int:
        name = "/".join(parts)
        paths = self._packaged.get(name.lower() if self._ignore_case else name, ())
        if self._root:
            try:
                return open_below(self._root, parts, trail, self._listings if self._ignore_case else None)
            except Absent:
                pass
            except Outside:
                meant = self._meant(parts)
                if not meant:
                    raise
                paths = (meant,)
                trail.lost()  # Where a link leads outside of the root is not seen by a look at it.
        problem: Forbidden | None = None
        for path in paths:
            try:
                descriptor = regular(os.open(path, READ))
            except (FileNotFoundError, NotADirectoryError):
                trail.missed(path)
            except OSError as error:
                refused = refusal(error, f"{path} cannot be opened")
                if not isinstance(refused, Forbidden):
                    raise  # The next best must not take its place because of what is wrong at this moment.
                problem = problem or refused
            else:
                if problem is not None:
                    trail.lost()  # What could not be opened may be opened later, and comes first.
                trail.saw(path, seen(os.fstat(descriptor)), os.stat)
                return descriptor
        if problem is not None:
            raise problem
        hint = remedy(name)
        raise Absent(f"there is no such file; {hint}" if hint else "there is no such file")

    def _meant(self, parts: Sequence[str]) -> str:
        """The packaged loader that a link in the folder leads to; empty for one that leads elsewhere."""
        target = os.path.realpath(os.path.join(self._root, *parts))
        candidates = (path for paths in self._packaged.values() for path in paths)
        return next((path for path in candidates if os.path.realpath(path) == target and os.path.exists(path)), "")
