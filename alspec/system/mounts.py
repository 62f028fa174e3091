"""Which file system a path lies on, as far as the system tells."""

from __future__ import annotations

import re
from pathlib import Path

NETWORK = re.compile(
    "9p|afs|beegfs|ceph|cifs|davfs|fhgfs|gfs2|glusterfs|gpfs|lustre|mmfs|nfs[34]?|ocfs2|orangefs|"
    r"panfs|pvfs2|quobyte|smb[23]|smbfs|vboxsf|virtiofs|wekafs|"
    r"fuse\.(beegfs|ceph|glusterfs|juicefs|rclone|s3fs|sshfs|weka)"
)
"""File systems that several machines see, through caches of their own."""

_MOUNTS = Path("/proc/mounts")


def file_system_of(path: Path, mounts: Path = _MOUNTS) -> str:
    """The type of the file system that a path is on, as `ext4` or `nfs4`; empty if unknown.

    Args:
        path: need not be there yet.
        mounts: a table of mounts, as the kernel writes it.
    """
    try:
        table = mounts.read_text("utf-8", errors="surrogateescape")
    except OSError:
        return ""
    whole = path.absolute().resolve()
    found = (-1, "")
    for line in table.splitlines():
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        point = Path(re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), fields[1]))
        if whole.is_relative_to(point) and len(point.parts) >= found[0]:  # the last mounted is seen
            found = (len(point.parts), fields[2])
    return found[1]


def is_on_network(path: Path, mounts: Path = _MOUNTS) -> bool:
    """Whether a path lies on a file system that other machines see as well."""
    return NETWORK.fullmatch(file_system_of(path, mounts)) is not None
