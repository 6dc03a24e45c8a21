"""The folders where clients may leave files: under which names, how much, and by whom.

Who left a file is written down on the file itself (`pixelboot.tftp.write.file.CLIENT`).  What a client has used of its
quota is counted anew for each upload, from what is there: so it is the same after a restart, and whoever removes a file
gives its room back.  Everything here may wait for the disk: it is for threads.
"""

from __future__ import annotations

import errno
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from pixelboot.library.names.components import Forbidden, components
from pixelboot.library.settings import worded
from pixelboot.tftp.negotiate import Refusal
from pixelboot.tftp.settings import WriteSettings
from pixelboot.tftp.wire import ErrorCode
from pixelboot.tftp.write.file import NewFile, clear, examine, left
from pixelboot.tftp.write.folder import opened, place
from pixelboot.tftp.write.transfer import too_large

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_CLOSED = frozenset(
    {errno.EACCES, errno.EPERM, errno.EROFS, errno.ELOOP, errno.ENOTDIR, errno.ENOENT, errno.EINVAL, errno.EILSEQ}
)
"""What stays so until the operator changes something."""

_Key = tuple[tuple[str, ...], str]
"""A folder, by the components of its name, and a client or a file in it."""


@dataclass(slots=True, eq=False)
class _Account:
    """What one client has in one folder, as long as it is leaving something there."""

    files: dict[str, int] = field(default_factory=dict)
    """The octets of those that are complete, by name."""

    growing: list[Writing] = field(default_factory=list)
    """The others, of which something has come."""

    def most(self, writing: Writing) -> tuple[int, int]:
        """The most octets, and files, that there can be with `writing`, whichever of all become complete, and when.

        What one replaces stays until then: it makes room for no other.
        """
        growing = [other for other in self.growing if other.name != writing.name and not other.unwanted]
        growing.append(writing)
        growth = sum(max(each.size - self.files.get(each.name, 0), 0) for each in growing)
        return sum(self.files.values()) + growth, len(self.files.keys() | {each.name for each in growing})


class Store:
    """Where clients may write."""

    def __init__(self, root: str, areas: Sequence[WriteSettings]) -> None:
        """`root` is the folder that files are served from; empty for none."""
        self._root = root
        self._areas = {tuple(area.folder.split("/")) if area.folder else (): area for area in areas}
        self._lock = threading.Lock()
        self._accounts: dict[_Key, _Account] = {}
        self._names: dict[_Key, Writing] = {}  # Those that are being written.

    def prepare(self) -> list[str]:
        """Remove what a crash has left; what is wrong with the folders, for a person."""
        problems = []
        for area in self._areas.values():
            where = place(self._root, area)
            try:
                with opened(self._root, area) as folder:
                    problems += [f"{where}: {problem}" for problem in clear(folder)]
            except OSError as problem:
                problems.append(f"nothing can be written to {where}: {problem.strerror}")
        return problems

    def largest(self, name: str) -> int:
        """Octets of the largest file that may have this name; raises `Refusal` if none may.  Does not wait."""
        return self._found(name)[1].largest

    def begin(self, name: str, client: str, size: int | None) -> Writing:
        """A new file that `client`, an address, wants to leave as `name`; `size` is what it says of its octets.

        Neither the name nor the room is its own before the first octets are written: anybody can ask, and in another's
        name.  Who writes that name already and begins to write it anew, perhaps from the start of the machine, wants
        the former no more.

        :raises Refusal: if it may not.
        :raises OSError: if the disk does not do it now.
        """
        at, area, last = self._found(name)
        if size is not None and size > area.largest:
            raise Refusal(ErrorCode.DISK_FULL, too_large(area.largest))
        with _translated(), opened(self._root, area) as folder:
            examine(folder, last, overwrite=area.overwrite)
            writing = Writing(self, area, at, last, client, NewFile(folder, client), size or 0)
        try:
            with self._lock, _translated():
                self._counted(writing)
            _look_for_room(writing)
        except BaseException:  # whatever it is, it goes on
            writing.discard()
            raise
        return writing

    def claim(self, writing: Writing) -> None:
        """Reserve its name and its room, once; raises `Refusal` or OSError."""
        with self._lock:
            account = self._counted(writing)
            former = self._names.get((writing.at, writing.name))
            if former is not None:
                former.give_up()
            account.growing.append(writing)
            self._accounts[writing.at, writing.client] = account
            self._names[writing.at, writing.name] = writing

    def check(self, writing: Writing) -> None:
        """Refuse what is beyond the quota, or leaves too little of the disk; raises `Refusal` or OSError."""
        with self._lock:
            _limit(self._accounts[writing.at, writing.client], writing)
        _look_for_room(writing)

    def complete(self, writing: Writing) -> None:
        """Give it its name, while nobody counts; raises `Refusal` or OSError."""
        with self._lock:
            account = self._counted(writing)
            writing.settle()
            writing.file.appear(writing.name, overwrite=writing.area.overwrite)
            account.growing.remove(writing)
            account.files[writing.name] = writing.file.octets

    def ended(self, writing: Writing) -> None:
        """It is complete, or given up; called once."""
        with self._lock:
            if self._names.get((writing.at, writing.name)) is writing:
                del self._names[writing.at, writing.name]
            account = self._accounts.get((writing.at, writing.client))
            if account is None:
                return  # It was complete, and then the last of its client's others ended.
            if writing in account.growing:
                account.growing.remove(writing)
            if not account.growing:
                del self._accounts[writing.at, writing.client]

    def _counted(self, writing: Writing) -> _Account:
        """What its client has, counted anew; raises `Refusal` if it may not be there beside that, or OSError."""
        former = self._names.get((writing.at, writing.name))
        if former is not None and former.client != writing.client and not former.unwanted:
            raise Refusal(ErrorCode.FILE_EXISTS, "another machine is writing this file at this moment")
        account = self._accounts.get((writing.at, writing.client)) or _Account()
        account.files = left(writing.file.folder, writing.client)
        _limit(account, writing)
        return account

    def _found(self, name: str) -> tuple[tuple[str, ...], WriteSettings, str]:
        """The folder that a name lies in, what holds there, and the name in it; raises `Refusal`."""
        try:
            *above, last = components(name)
        except Forbidden as problem:
            raise Refusal(ErrorCode.ACCESS_VIOLATION, str(problem)) from None
        at = tuple(above)
        if at not in self._areas:
            raise Refusal(ErrorCode.ACCESS_VIOLATION, "nothing can be written here (tftp.write.folder)")
        return at, self._areas[at], last


@dataclass(slots=True, eq=False)
class Writing:
    """One upload as the disk sees it.  One call at a time; `finish` or `discard` ends it."""

    store: Store
    """Whose it is."""

    area: WriteSettings
    """What holds in its folder."""

    at: tuple[str, ...]
    """The folder, by the components of its name."""

    name: str
    """The file's name in it."""

    client: str
    """Who leaves it here."""

    file: NewFile
    """The file."""

    announced: int = 0
    """Octets that the client says it will have; 0 if it does not."""

    claimed: bool = False
    """Whether its name and its room are reserved."""

    unwanted: bool = False
    """Whether it is not to be completed any more: it was given up, or its client began anew."""

    ended: bool = False
    """Whether it is over."""

    _decided: threading.Lock = field(default_factory=threading.Lock)
    """Taken by whoever is the first to decide whether it becomes complete, and kept."""

    @property
    def size(self) -> int:
        """Octets that there are, or were announced."""
        return max(self.file.octets, self.announced)

    def give_up(self) -> bool:
        """Let it not become complete; False if that is too late.  Never waits, so any thread may do it."""
        if self._decided.acquire(blocking=False):
            self.unwanted = True
        return self.unwanted

    def settle(self) -> None:
        """It is to be completed now, and cannot be given up any more; raises `Refusal` if it was."""
        if not self._decided.acquire(blocking=False):
            raise _given_up()

    def write(self, octets: bytes) -> int:
        """Append; how many octets there are now.  Raises `Refusal`, or OSError when the disk is broken."""
        if self.unwanted:
            raise _given_up()
        with _translated():
            if not self.claimed:
                self.store.claim(self)
                self.claimed = True
            self.file.write(octets)
            self.store.check(self)
        return self.file.octets

    def finish(self) -> None:
        """Let it be there, under its name and for good, after a `write`.

        :raises Refusal: if it cannot be.
        :raises OSError: when the disk is broken.
        """
        try:
            with _translated():
                self.file.sync()
                self.store.complete(self)
            try:
                self.file.settle()
            except OSError as problem:
                words = f"it is there, but a power cut may take it: {problem.strerror}"
                raise OSError(problem.errno, words) from None
        finally:
            self.discard()

    def discard(self) -> None:
        """Give back what it holds; nothing is left of it if it is not complete.  May be called more than once."""
        if not self.ended:
            self.ended = True
            self.file.discard()
            self.store.ended(self)


def _given_up() -> Refusal:
    return Refusal(ErrorCode.UNDEFINED, "it was given up, or begun anew")


def _limit(account: _Account, writing: Writing) -> None:
    """Refuse what is more than one client may have; raises `Refusal`."""
    octets, files = account.most(writing)
    area = writing.area
    if octets > area.quota:
        words = f"one machine may leave {worded(area.quota)} here, and no more (tftp.write.quota)"
        raise Refusal(ErrorCode.DISK_FULL, words)
    if files > area.files:
        words = f"one machine may leave {area.files} files here, and no more (tftp.write.files)"
        raise Refusal(ErrorCode.DISK_FULL, words)


def _look_for_room(writing: Writing) -> None:
    """Refuse what leaves too little of the disk; raises `Refusal` or OSError."""
    least = writing.area.free
    if writing.file.free - (writing.size - writing.file.octets) < least:
        words = f"the disk is full: {worded(least)} must stay free (tftp.write.free)" if least else "the disk is full"
        raise Refusal(ErrorCode.DISK_FULL, words)


@contextmanager
def _translated() -> Iterator[None]:
    """What the system says, as what a client is told."""
    try:
        yield
    except OSError as problem:
        if problem.errno in _FULL:
            raise Refusal(ErrorCode.DISK_FULL, "the disk is full") from None
        if problem.errno == errno.EEXIST:
            words = "there is a file of this name already (tftp.write.overwrite)"
            raise Refusal(ErrorCode.FILE_EXISTS, words) from None
        if problem.errno in _CLOSED:
            words = f"nothing can be written here: {problem.strerror}"
            raise Refusal(ErrorCode.ACCESS_VIOLATION, words) from None
        raise
