"""A folder mounted at another place, which can be cut there as a network file system can.

    python -m tests.support.cuttable_folder FOLDER MOUNT_POINT CUT

While the file CUT holds an errno every call fails with it, as on a soft mount. While it holds "hang" no call is taken,
as on a hard mount: whoever makes one waits, and can be killed, until the file is gone. Nothing is cached, so that
several such mounts of one folder agree. It speaks the kernel's FUSE protocol itself (linux/fuse.h), so that it needs
no library: root and /dev/fuse are enough.
"""

import ctypes
import errno
import os
import select
import stat
import struct
import sys
import threading
import time
from pathlib import Path
from typing import NamedTuple

TYPE = "fuse.cuttable"  # a network file system to whoever looks, as all of FUSE's are

HANG = "hang"
_REQUEST = struct.Struct("<IIQQIIIHH")  # length, number of the call, of this one, inode, user, group, process
_ANSWER = struct.Struct("<IiQ")
_ATTRIBUTES = struct.Struct("<6Q10I")
_SET = struct.Struct("<IIQQQQQQIIIIIIII")
_IO = struct.Struct("<QQIIQII")  # handle, offset, size
_LARGEST = 128 << 10
_TRUNCATES_AS_IT_OPENS, _LARGE_WRITES = 1 << 3, 1 << 5
_ROOT = 1
_FORGET, _INIT, _INTERRUPT, _FORGET_MANY = 2, 26, 36, 42
_UNANSWERED = (_FORGET, _INTERRUPT, _FORGET_MANY)
_NEVER_CUT = (_INIT, 18, 29, *_UNANSWERED)  # what only closes succeeds
_OURS = os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW  # flags that are the kernel's business, or done already


class _Call(NamedTuple):
    node: int
    body: bytes

    def unpack(self, form: str) -> tuple[int, ...]:
        return struct.unpack_from("<" + form, self.body)

    def names(self, after: int = 0) -> list[bytes]:
        """The names that follow so many bytes."""
        return self.body[after:].split(b"\0")[:-1]


class Folder:
    """The files of a folder, by the numbers that the kernel knows them by; an O_PATH descriptor keeps each."""

    def __init__(self, folder: Path) -> None:
        self._nodes = {_ROOT: os.open(folder, os.O_PATH)}
        self._numbers: dict[tuple[int, int], int] = {}  # by device and inode
        self._lookups: dict[int, int] = {}
        self._next = _ROOT + 1
        self._lock = threading.Lock()

    def answer(self, number: int, call: _Call) -> bytes:
        """Carry out a call. Raises OSError."""
        if (method := _METHODS.get(number)) is None:
            raise OSError(errno.ENOSYS, "")
        return bytes(getattr(self, method)(call))

    def forget(self, node: int, times: int) -> None:
        """Close a file that the kernel has no use for any more."""
        with self._lock:
            self._lookups[node] = left = self._lookups.get(node, 0) - times
            if left <= 0 and node != _ROOT and (descriptor := self._nodes.pop(node, None)) is not None:
                status = os.fstat(descriptor)
                self._numbers.pop((status.st_dev, status.st_ino), None)
                os.close(descriptor)

    def _entry(self, node: int, name: bytes) -> bytes:
        """Look a name up; the kernel knows what it names from now on."""
        with self._lock:
            descriptor = os.open(name, os.O_PATH | os.O_NOFOLLOW, dir_fd=self._nodes[node])
            status = os.fstat(descriptor)
            known = self._numbers.get((status.st_dev, status.st_ino))
            if known is None:
                known, self._next = self._next, self._next + 1
                self._numbers[status.st_dev, status.st_ino], self._nodes[known] = known, descriptor
                self._lookups[known] = 0
            else:
                os.close(descriptor)
            self._lookups[known] += 1
        return struct.pack("<4QII", known, 0, 0, 0, 0, 0) + _attributes(status)

    def _path(self, node: int) -> str:
        return f"/proc/self/fd/{self._nodes[node]}"

    def lookup(self, call: _Call) -> bytes:
        return self._entry(call.node, call.names()[0])

    def getattr(self, call: _Call) -> bytes:
        return bytes(16) + _attributes(os.fstat(self._nodes[call.node]))

    def setattr(self, call: _Call) -> bytes:
        valid, _, _, size, _, accessed, modified, *rest = _SET.unpack_from(call.body)
        path, mode, user, group = self._path(call.node), rest[4], rest[6], rest[7]
        if valid & 1:
            os.chmod(path, stat.S_IMODE(mode))
        if valid & 6:
            os.chown(path, user if valid & 2 else -1, group if valid & 4 else -1)
        if valid & 8:
            os.truncate(path, size)
        if valid & 0x180:
            os.utime(path)
        elif valid & 0x30:
            os.utime(path, ns=(accessed * 10**9 + rest[1], modified * 10**9 + rest[2]))
        return self.getattr(call)

    def readlink(self, call: _Call) -> bytes:
        return os.readlink(b"", dir_fd=self._nodes[call.node])

    def mkdir(self, call: _Call) -> bytes:
        name = call.names(8)[0]
        os.mkdir(name, stat.S_IMODE(call.unpack("I")[0]), dir_fd=self._nodes[call.node])
        return self._entry(call.node, name)

    def unlink(self, call: _Call) -> bytes:
        os.unlink(call.names()[0], dir_fd=self._nodes[call.node])
        return b""

    def rmdir(self, call: _Call) -> bytes:
        os.rmdir(call.names()[0], dir_fd=self._nodes[call.node])
        return b""

    def rename(self, call: _Call) -> bytes:
        return self._rename(call, *call.names(8))

    def rename_with_flags(self, call: _Call) -> bytes:
        if call.unpack("QI")[1]:
            raise OSError(errno.EINVAL, "")
        return self._rename(call, *call.names(16))

    def _rename(self, call: _Call, old: bytes, new: bytes) -> bytes:
        folder = self._nodes[call.unpack("Q")[0]]
        os.rename(old, new, src_dir_fd=self._nodes[call.node], dst_dir_fd=folder)
        return b""

    def link(self, call: _Call) -> bytes:
        name = call.names(8)[0]
        os.link(self._path(call.unpack("Q")[0]), name, dst_dir_fd=self._nodes[call.node], follow_symlinks=True)
        return self._entry(call.node, name)

    def open(self, call: _Call) -> bytes:
        return struct.pack("<QII", os.open(self._path(call.node), call.unpack("I")[0] & ~_OURS), 0, 0)

    def create(self, call: _Call) -> bytes:
        flags, mode = call.unpack("II")
        name = call.names(16)[0]
        flags = flags & ~_OURS | os.O_CREAT | flags & os.O_EXCL
        handle = os.open(name, flags, stat.S_IMODE(mode), dir_fd=self._nodes[call.node])
        return self._entry(call.node, name) + struct.pack("<QII", handle, 0, 0)

    def read(self, call: _Call) -> bytes:
        handle, offset, size, *_ = _IO.unpack_from(call.body)
        return os.pread(handle, size, offset)

    def write(self, call: _Call) -> bytes:
        handle, offset, size, *_ = _IO.unpack_from(call.body)
        return struct.pack("<II", os.pwrite(handle, call.body[_IO.size : _IO.size + size], offset), 0)

    def statfs(self, call: _Call) -> bytes:
        disk = os.fstatvfs(self._nodes[call.node])
        counts = (disk.f_blocks, disk.f_bfree, disk.f_bavail, disk.f_files, disk.f_ffree)
        return struct.pack("<5Q4I24x", *counts, disk.f_bsize, disk.f_namemax, disk.f_frsize, 0)

    def release(self, call: _Call) -> bytes:
        os.close(call.unpack("Q")[0])
        return b""

    def fsync(self, call: _Call) -> bytes:
        handle, only_data = call.unpack("QI")
        (os.fdatasync if only_data & 1 else os.fsync)(handle)
        return b""

    def fallocate(self, call: _Call) -> bytes:
        handle, offset, length, mode = call.unpack("QQQI")
        if mode:
            raise OSError(errno.EOPNOTSUPP, "")
        os.posix_fallocate(handle, offset, length)
        return b""

    def readdir(self, call: _Call) -> bytes:
        handle, offset, size, *_ = _IO.unpack_from(call.body)
        found = b""
        for number, name in enumerate(sorted(os.listdir(handle))[offset:], offset + 1):
            raw = os.fsencode(name)
            entry = struct.pack("<QQII", number, number, len(raw), 0) + raw
            entry += bytes(-len(entry) % 8)
            if len(found) + len(entry) > size:
                break
            found += entry
        return found

    def init(self, call: _Call) -> bytes:
        major, _, ahead, _ = call.unpack("4I")
        flags = _TRUNCATES_AS_IT_OPENS | _LARGE_WRITES
        return struct.pack("<4IHHII32x", major, 31, ahead, flags, 16, 12, _LARGEST, 1)


# No flush (25): the kernel waits for it even where whoever closes a file was killed.
_METHODS = {
    1: "lookup",
    3: "getattr",
    4: "setattr",
    5: "readlink",
    9: "mkdir",
    10: "unlink",
    11: "rmdir",
    12: "rename",
    13: "link",
    14: "open",
    15: "read",
    16: "write",
    17: "statfs",
    18: "release",
    20: "fsync",
    _INIT: "init",
    27: "open",
    28: "readdir",
    29: "release",
    30: "fsync",
    35: "create",
    43: "fallocate",
    45: "rename_with_flags",
}


def _attributes(status: os.stat_result) -> bytes:
    times = [divmod(at, 10**9) for at in (status.st_atime_ns, status.st_mtime_ns, status.st_ctime_ns)]
    return _ATTRIBUTES.pack(
        *(status.st_ino, status.st_size, status.st_blocks, *(whole for whole, _ in times)),
        *(*(rest for _, rest in times), status.st_mode, status.st_nlink, status.st_uid, status.st_gid),
        *(status.st_rdev, status.st_blksize, 0),
    )


def _serve(device: int, folder: Folder, cut: Path) -> None:
    """Answer calls until the mount is gone."""
    waiting = select.poll()
    waiting.register(device, select.POLLIN)
    while True:
        if _said(cut) == HANG:
            time.sleep(0.02)
            continue
        waiting.poll(100)
        if _said(cut) == HANG:
            continue
        try:
            asked = os.read(device, _LARGEST + 4096)
        except OSError as error:
            if error.errno in (errno.EINTR, errno.EAGAIN, errno.ENOENT):
                continue
            return  # unmounted
        _, number, unique, node, *_ = _REQUEST.unpack_from(asked)
        call = _Call(node, asked[_REQUEST.size :])
        if number == _FORGET:
            folder.forget(node, call.unpack("Q")[0])
        elif number == _FORGET_MANY:
            for one in range(call.unpack("I")[0]):
                folder.forget(*struct.unpack_from("<QQ", call.body, 8 + 16 * one))
        if number in _UNANSWERED:
            continue
        failure, body = 0, b""
        try:
            if number not in _NEVER_CUT and (said := _said(cut)) not in ("", HANG):
                raise OSError(int(said), "")
            body = folder.answer(number, call)
        except OSError as error:
            failure = -(error.errno or errno.EIO)
        try:
            os.write(device, _ANSWER.pack(_ANSWER.size + len(body), failure, unique) + body)
        except FileNotFoundError:
            continue  # whoever asked was killed


def _said(cut: Path) -> str:
    try:
        return cut.read_text()
    except FileNotFoundError:
        return ""


def main(folder: Path, place: Path, cut: Path) -> None:
    """Mount the folder at a place and serve it; a line on stdout tells that it is there."""
    os.umask(0)
    device = os.open("/dev/fuse", os.O_RDWR | os.O_NONBLOCK)
    options = f"fd={device},rootmode=40000,user_id=0,group_id=0,allow_other".encode()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"shared", os.fsencode(place), TYPE.encode(), 0, options):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    files = Folder(folder)
    os.write(1, b"mounted\n")
    threads = [threading.Thread(target=_serve, args=(device, files, cut)) for _ in range(4)]
    for thread in threads:
        thread.start()


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
