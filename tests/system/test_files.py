"""Files that only their owner can read, replaced as a whole or not at all."""

import json
import os
import stat
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pipeline.system.files import append_line, ascii_line, private, sync_names, write_all, write_whole


def test_a_private_file_is_for_its_owner_and_never_behind_a_link(tmp_path: Path) -> None:
    os.close(private(tmp_path / "file", os.O_WRONLY | os.O_CREAT))
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o600
    (tmp_path / "link").symlink_to(tmp_path / "victim")
    with pytest.raises(OSError, match="link"):
        private(tmp_path / "link", os.O_WRONLY | os.O_CREAT)
    assert not (tmp_path / "victim").exists()


def test_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    for data, expected in ((b"old", b"old"), ([b"new", b"er"], b"newer"), (iter([b"x"]), b"x"), ([], b"")):
        write_whole(tmp_path / "file", data)
        assert (tmp_path / "file").read_bytes() == expected
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o600


def test_failure_while_writing_leaves_the_old_file(tmp_path: Path) -> None:
    write_whole(tmp_path / "file", b"old")

    def breaking_off():
        yield b"half"
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_whole(tmp_path / "file", breaking_off())
    assert (tmp_path / "file").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_new_file_is_on_disk_before_it_takes_the_old_ones_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contents, then name, then the folder's own entry."""
    write_whole(tmp_path / "file", b"old")
    events: list[str] = []
    fsync, replace = os.fsync, os.replace

    def syncing(fd: int) -> None:
        events.append("folder" if stat.S_ISDIR(os.fstat(fd).st_mode) else f"{os.fstat(fd).st_size} bytes")
        fsync(fd)

    def replacing(*names: object) -> None:
        events.append("replace")
        replace(*names)

    monkeypatch.setattr(os, "fsync", syncing)
    monkeypatch.setattr(os, "replace", replacing)
    write_whole(tmp_path / "file", b"newer")
    assert events == ["5 bytes", "replace", "folder"]


def test_link_in_the_place_of_the_new_file_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "victim").write_bytes(b"precious")
    (tmp_path / ".file.new").symlink_to(tmp_path / "victim")
    with pytest.raises(OSError, match="symbolic link"):
        write_whole(tmp_path / "file", b"x")
    assert (tmp_path / "victim").read_bytes() == b"precious"


def test_ascii_line_is_ascii_and_says_the_same() -> None:
    line = '{"item":"Täsche\u202e","n":1}\n'.encode()
    assert ascii_line(line) == b'{"item":"T\\u00e4sche\\u202e","n":1}\n'
    assert json.loads(ascii_line(line)) == json.loads(line)


def test_writers_of_the_same_file_do_not_meet_in_one_draft(tmp_path: Path) -> None:
    """A writer stops in the middle of its draft, while another one writes the whole file."""
    inside, done = threading.Event(), threading.Event()

    def slowly():
        yield b"slow "
        inside.set()
        assert done.wait(60)
        yield b"writer"

    slow = threading.Thread(target=lambda: write_whole(tmp_path / "file", slowly(), several_writers=True))
    slow.start()
    assert inside.wait(60)
    write_whole(tmp_path / "file", b"the other one", several_writers=True)
    assert (tmp_path / "file").read_bytes() == b"the other one"
    done.set()
    slow.join()
    assert (tmp_path / "file").read_bytes() == b"slow writer"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_what_can_be_made_again_is_not_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "fsync")
    write_whole(tmp_path / "file", b"x", durable=False)
    assert (tmp_path / "file").read_bytes() == b"x"


@pytest.mark.parametrize("system", ["with writev", "without"])
def test_short_writes_are_continued(tmp_path: Path, system: str, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[:5]))
    if system == "without":
        monkeypatch.delattr(os, "writev")
    else:
        monkeypatch.setattr(os, "writev", lambda fd, parts: write(fd, b"".join(parts)[:7]))
    descriptor = private(tmp_path / "file", os.O_WRONLY | os.O_CREAT)
    parts = [b"%d," % n for n in range(1_500)]
    write_all(descriptor, parts)
    os.close(descriptor)
    assert (tmp_path / "file").read_bytes() == b"".join(parts)


def test_names_are_synced_up_to_the_folders_of_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that is not ours cannot be synced, and need not: we have not made it."""
    synced: list[Path] = []
    fsync = os.fsync

    def recorded(descriptor: int) -> None:
        folder = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        if folder == tmp_path:
            raise PermissionError(13, "Permission denied")
        synced.append(folder)
        fsync(descriptor)

    (tmp_path / "runs" / "job").mkdir(parents=True)
    monkeypatch.setattr(os, "fsync", recorded)
    sync_names(tmp_path / "runs" / "job")
    assert synced[:2] == [tmp_path / "runs" / "job", tmp_path / "runs"]
    assert Path("/") in synced


def test_ascii_line_changes_nothing_else() -> None:
    """Hits in a line stay what the vendor sent: no number is read and written again."""
    line = '{"score": 0.90, "n":1e400, "face":"\U0001f600\x7f", "far":123456789012345678901234567890}\n'
    assert ascii_line(line.encode()) == line.replace("\U0001f600\x7f", "\\ud83d\\ude00\\u007f").encode()


def test_lines_that_threads_append_at_the_same_time_stay_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While one thread writes, the file ends in the middle of a line: no other may take that for a line cut short."""
    write = os.write

    def in_two_steps(descriptor: int, parts: list[bytes]) -> int:
        written = write(descriptor, b"".join(parts)[:7])
        time.sleep(0.001)  # so that another thread goes on here
        return written

    monkeypatch.setattr(os, "writev", in_two_steps)
    written = [b'{"line": %d}\n' % number for number in range(40)]
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda line: append_line(tmp_path / "lines", line, durable=False), written))
    assert sorted((tmp_path / "lines").read_bytes().splitlines(keepends=True)) == sorted(written)


def test_a_line_that_a_kill_cut_short_is_ended_before_the_next(tmp_path: Path) -> None:
    (tmp_path / "lines").write_bytes(b"whole\ncut sh")
    append_line(tmp_path / "lines", b"next\n")
    assert (tmp_path / "lines").read_bytes() == b"whole\ncut sh\nnext\n"
