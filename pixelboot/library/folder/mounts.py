"""On what kind of file system something lies: whether the kernel of this machine sees all that happens to it.

It does where only this machine writes to the disk.  What another machine does to a file on a server of files, or a host
to a folder that its guest shares, no kernel here is told: no event comes, and no lease is kept from anybody.
"""

from __future__ import annotations

LOCAL = frozenset(
    (
        *("bcachefs", "btrfs", "erofs", "exfat", "ext2", "ext3", "ext4", "f2fs", "fuseblk", "hfsplus", "iso9660"),
        *("jffs2", "jfs", "minix", "msdos", "nilfs2", "ntfs", "ntfs3", "overlay", "ramfs", "reiserfs", "rootfs"),
        *("squashfs", "tmpfs", "ubifs", "udf", "vfat", "xfs", "zfs"),
    )
)
"""The types of file systems that only this machine writes to.  Those that are not named, as all of networks and of
clusters (nfs4, cifs, fuse.sshfs, 9p, ceph, gfs2) and all of the future, are not trusted to tell."""


def is_local(descriptor: int) -> bool:
    """Whether this kernel sees all that happens to the open file or folder."""
    return file_system(descriptor) in LOCAL


def file_system(descriptor: int) -> str:
    """The type of the file system that the open file or folder is on (``ext4``); empty when it cannot be known.

    It is looked up by the number of the mount (proc_pid_fdinfo(5), proc_pid_mountinfo(5)): the device's would not do,
    as the subvolumes of btrfs have others than their mount.
    """
    try:
        with open(f"/proc/self/fdinfo/{descriptor}", "rb") as file:
            mount = next(line.split()[1] for line in file if line.startswith(b"mnt_id:"))
        with open("/proc/self/mountinfo", "rb") as file:
            fields = next(line.split() for line in file if line.startswith(mount + b" "))
        return fields[fields.index(b"-", 6) + 1].decode("ascii", "replace")
    except (OSError, StopIteration, ValueError, IndexError):
        return ""
