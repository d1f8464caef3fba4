"""Network file systems are known by their mounts."""

from pathlib import Path

import pytest

from pipeline.system.mounts import network_file_system

TABLE = """overlay / overlay rw,relatime 0 0
proc /proc proc rw 0 0
server:/export /mnt/nfs nfs4 rw 0 0
//server/share /mnt/with\\040space cifs rw 0 0
me@host: /data/me/remote fuse.sshfs rw 0 0
/dev/sda1 /mnt/nfs/local ext4 rw 0 0
/dev/sdb1 /media/stick fuseblk rw 0 0
broken line
"""


@pytest.mark.parametrize(
    ("folder", "found"),
    [
        ("/mnt/nfs", "nfs4"),
        ("/mnt/nfs/jobs/runs", "nfs4"),
        ("/mnt/nfs/local/runs", None),
        ("/mnt/nfs2", None),
        ("/mnt/with space/runs", "cifs"),
        ("/data/me/remote/a/b", "fuse.sshfs"),
        ("/media/stick/runs", None),
        ("/data/me", None),
    ],
)
def test_a_network_file_system_is_known_by_its_mount(folder: str, found: str | None) -> None:
    assert network_file_system(Path(folder), table=lambda: TABLE) == found


def test_of_two_mounts_on_one_point_the_later_counts() -> None:
    table = "a:/ /data nfs rw 0 0\n/dev/sda1 /data ext4 rw 0 0\n"
    assert network_file_system(Path("/data/runs"), table=lambda: table) is None


def test_no_mount_table_means_a_local_disk() -> None:
    assert network_file_system(Path("/anywhere"), table=lambda: "") is None
