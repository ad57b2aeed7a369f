"""Where a file lies: SQLite's write-ahead log needs shared memory and locks that network drives lack.

On NFS or SMB a catalog works for weeks and is then corrupt; so it is refused there from the start
(https://www.sqlite.org/wal.html, "all processes ... must be on the same host computer").
"""

import re
from pathlib import Path

from restar.errors import CatalogError

__all__ = ["file_system", "refuse_network"]

_MOUNTS = Path("/proc/self/mounts")
_NETWORK = re.compile(
    r"nfs\d*|cifs|smb\w*|9p|afs|ceph|lustre|glusterfs|gpfs|beegfs\w*|ocfs2|gfs2|vboxsf|davfs|ncpfs"
    r"|fuse\..+"
)


def refuse_network(path: Path) -> None:
    """Raise CatalogError if `path` is, or would be, on a network file system."""
    kind = file_system(path)
    if _NETWORK.fullmatch(kind):
        raise CatalogError(
            f"{path}: is on a network file system ({kind}), where SQLite loses data; put RESTAR_HOME "
            "on a local disk, or set RESTAR_DATABASE to a PostgreSQL server"
        )


def file_system(path: Path) -> str:
    """Return the type of the file system that holds `path` ("ext4"); "" if that is unknown."""
    try:
        mounts = _MOUNTS.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ""
    target = path.resolve()
    deepest, kind = -1, ""
    for line in mounts.splitlines():
        _device, where, what, *_rest = line.split(" ")
        mount = Path(re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), where))
        if target.is_relative_to(mount) and len(mount.parts) >= deepest:
            deepest, kind = len(mount.parts), what
    return kind
