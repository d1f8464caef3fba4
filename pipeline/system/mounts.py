"""Network file systems among the mounts: SQLite's write-ahead log must not lie on one.

The log needs memory that processes share, which no network file system offers (sqlite.org/wal.html).
"""

import re
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path, PurePosixPath

_REMOTE = frozenset(
    {"9p", "afs", "beegfs", "ceph", "cifs", "coda", "drvfs", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4"}
    | {"orangefs", "prl_fs", "smb3", "smbfs", "vboxsf", "virtiofs", "vmhgfs"}
)
_LOCAL_FUSE = frozenset({"fuse.fuse-overlayfs", "fuse.mergerfs", "fuse.lxcfs"})
_ESCAPE = re.compile(r"\\([0-7]{3})")


def mount_table() -> str:
    """Read the mounts as Linux lists them; empty where the system has no such list."""
    try:
        return Path("/proc/self/mounts").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def network_file_system(folder: Path, *, table: Callable[[], str] = mount_table) -> str | None:
    """Return the type of the network file system that holds `folder`, None when it is a local one."""
    wanted = PurePosixPath(folder.resolve()).parts
    found, depth = None, -1
    for point, kind in _mounts(table()):
        if len(point) >= depth and wanted[: len(point)] == point:  # of two mounts on one point the later counts
            found, depth = kind, len(point)
    if found is None:
        return None
    remote = found in _REMOTE or (found.startswith("fuse.") and found not in _LOCAL_FUSE)
    return found if remote else None


@lru_cache(maxsize=1)  # whoever looks at thousands of shards finds the same table each time
def _mounts(table: str) -> list[tuple[tuple[str, ...], str]]:
    """List the mount points, as the parts of their paths, with the types of their file systems."""
    lines = (fields for line in table.splitlines() if len(fields := line.split(" ")) >= 3)
    return [
        (PurePosixPath(_ESCAPE.sub(lambda match: chr(int(match[1], 8)), point)).parts, kind)
        for _, point, kind, *_ in lines
    ]
