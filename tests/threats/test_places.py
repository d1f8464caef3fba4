"""T15: whatever a job lists, we connect to `api.base_url` alone, and read regular files inside `root` alone."""

import csv
import json
import os
import re
import shutil
import socket
from pathlib import Path

import pytest

from pipeline.cli.main import run
from pipeline.sandbox.resources import resource
from tests.support.jobs import ACCOUNT, drawings, job, lines, pipeline, vendor
from tests.support.processes import completed, python

# Every attempt to reach anything by network, told by the interpreter itself.
AUDITED = """
import json, sys

def hook(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "urllib.Request"):
        told = arguments[1] if event in ("socket.connect", "socket.sendto") else arguments[0]
        print(json.dumps(["AUDIT", event, str(told)]), file=sys.stderr, flush=True)

sys.addaudithook(hook)
from pipeline.cli import main as cli
for command in json.loads(sys.argv[1]):
    print(json.dumps(["COMMAND", command[0], cli.run(command)]), file=sys.stderr, flush=True)
"""
HOSTS = ["127.0.0.1", "localhost", "0.0.0.0", "0", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "017700000001"]
HOSTS += ["[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:ffff:169.254.169.254]", "[fe80::1]"]
HOSTS += ["169.254.169.254", "metadata.google.internal", "100.64.0.1", "10.0.0.1", "172.16.0.1", "192.168.0.1"]
HOSTS += [
    "[fd00::1]",
    "[fe80::1%25eth0]",
    "localtest.me",
    "127.0.0.1.nip.io",
    "spoofed.burpcollaborator.net",
    "a.invalid",
]
HOSTS += ["LOCALHOST", "localhost.", "①②⑦.⓪.⓪.①", "xn--1-0ca.example", "224.0.0.1", "255.255.255.255", "192.0.2.1"]
URLS = [f"http://{host}/latest/meta-data/" for host in HOSTS]
URLS += [f"https://{host}:22/" for host in HOSTS[:10]]
URLS += [
    "http://user:word@127.0.0.1/",
    "http://127.0.0.1#@a.example/",
    "http://a.example@127.0.0.1/",
    "http://127.0.0.1\\@a/",
]
URLS += ["file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://127.0.0.1:6379/_SET", "dict://127.0.0.1:11211/stat"]
URLS += ["data:image/png;base64,AAAA", "javascript:alert(1)", "jar:http://127.0.0.1!/x", "//127.0.0.1/x", "http:///x"]
URLS += [
    "http://[::1",
    "http://127.0.0.1:99999/",
    "http://a b/",
    "http://%31%32%37.0.0.1/",
    "https://a.example/" + "x" * 9_000,
]


def test_there_are_sixty_of_them() -> None:
    assert len(set(URLS)) >= 60


def test_no_listed_url_is_ever_visited(tmp_path: Path) -> None:
    """Those that the vendor can never reach stay here, it gets the others as text; this program asks nobody itself."""
    with vendor(tmp_path) as server:
        path = job(tmp_path, url=server.url, pictures=1, api={"max_in_flight": 4})
        with (tmp_path / "list.csv").open("w", newline="", encoding="utf-8") as file:
            table = csv.writer(file)
            table.writerow(["id", "url"])
            good = drawings(2 * len(URLS))  # first and between, so that the job as a whole does not look wrong
            table.writerows([f"G{number:03}", url] for number, url in enumerate(good))
            for number, url in enumerate(URLS):
                table.writerows([[f"U{number:02}", url], [f"H{number:02}", f"{good[number]}&again"]])
        commands = [["check", str(path)], ["plan", str(path)], ["run", str(path), "-q"], ["status", "runs/job"]]
        done = completed(python(AUDITED, json.dumps(commands)), cwd=tmp_path, env={**os.environ, **ACCOUNT})
        told = [json.loads(line) for line in done.stderr.splitlines() if line.startswith(('["AUDIT"', '["COMMAND"'))]
        asked: dict[str, set[str]] = {}
        reached: set[str] = set()
        for what, name, value in told:  # the addresses that a command reached come before the line of its end
            if what == "COMMAND":
                asked[name], reached = reached, set()
                assert value in (0, 1, 2 if name == "check" else 0), done.stderr[-2000:]
            else:
                reached.add(value)
        assert list(asked) == ["check", "plan", "run", "status"], done.stderr[-2000:]
        host, _, port = server.url.removeprefix("http://").partition(":")
        assert asked["run"]
        assert asked.pop("run") <= {str((host, int(port))), host}
        assert not any(asked.values())
        records = [*lines(tmp_path / "runs/job/results.jsonl"), *lines(tmp_path / "runs/job/open.jsonl")]
    assert len(records) == 4 * len(URLS)
    refused = {record["item"]: record["error"]["message"] for record in records if record.get("error")}
    public = {"spoofed.burpcollaborator.net", "xn--1-0ca.example"}
    for number, host in enumerate(HOSTS):
        kept = refused.get(f"U{number:02}", "")
        assert ("the vendor cannot reach" in kept) is (host not in public), (host, kept)
    page = (tmp_path / "runs/job/report.html").read_text()
    linked = re.findall(r"""(?:href|src)=["']?([^"'>]*)""", page)
    assert linked
    assert [to for to in linked if not to.startswith(("https://", "http://", "data:image/", "./", "#"))] == []


def test_the_hook_would_have_told(tmp_path: Path) -> None:
    """A negative control."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        code = (
            AUDITED.partition("from pipeline.cli")[0]
            + f"import socket\nsocket.create_connection(('127.0.0.1', {port}))"
        )
        done = completed(python(code), cwd=tmp_path)
    assert "socket.connect" in done.stderr
    assert str(port) in done.stderr


@pytest.mark.parametrize(
    "base_url",
    [
        *("http://connect.patsnap.com", "http://10.0.0.1", "http://a.example:443", "ftp://a.example", "//a.example"),
        *("https://user:word@a.example", "https://", "file:///etc", "https://a.example/path?x=1"),
        *("http://127.0.0.1.nip.io", "http://0x7f000001"),
    ],
)
def test_calls_go_over_tls_or_to_this_machine(
    tmp_path: Path, base_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = job(tmp_path, url=base_url, pictures=1)
    assert run(["check", str(path)]) == 2
    assert "base_url" in capsys.readouterr().err


def hostile_files(root: Path, outside: Path) -> dict[str, str]:
    """Paths as a manifest may name them; none may be read, or none leads to a picture."""
    picture = (resource("products") / "mug-0.jpg").read_bytes()
    (outside / "secret.jpg").write_bytes(picture)
    (root / "inside").mkdir()
    (root / "link.jpg").symlink_to(outside / "secret.jpg")
    (root / "folder-link").symlink_to(outside)
    (root / "inside" / "up.jpg").symlink_to(Path("../../outside/secret.jpg"))
    (root / "loop.jpg").symlink_to("loop.jpg")
    (root / "dangling.jpg").symlink_to("nothing.jpg")
    (root / "zero.jpg").symlink_to("/dev/zero")
    (root / "proc.jpg").symlink_to("/proc/self/environ")
    os.mkfifo(root / "pipe.jpg")
    (root / "empty.jpg").write_bytes(b"")
    (root / "huge.jpg").write_bytes(picture + b"\0" * (5 << 20))
    (root / "directory.jpg").mkdir()
    paths = ["link.jpg", "folder-link/secret.jpg", "inside/up.jpg", "loop.jpg", "dangling.jpg", "zero.jpg", "proc.jpg"]
    paths += [
        "pipe.jpg",
        "empty.jpg",
        "huge.jpg",
        "directory.jpg",
        "../outside/secret.jpg",
        str(outside / "secret.jpg"),
    ]
    paths += ["inside/../../outside/secret.jpg", "./../outside/secret.jpg", "/etc/passwd", "/dev/stdin", "~/secret.jpg"]
    paths += [
        "$HOME/secret.jpg",
        "file:///etc/passwd",
        "..\\outside\\secret.jpg",
        "\\\\host\\share\\x.jpg",
        "C:\\x.jpg",
    ]
    paths += ["nothing.jpg", ".", "..", "x" * 5_000, "link.jpg/", "folder-link/../outside/secret.jpg", "a\x00b.jpg"]
    paths += ["a\nb.jpg", "*.jpg", "%2e%2e/outside/secret.jpg"]
    return {f"F{number:02}": path for number, path in enumerate(paths)}


def test_no_file_leaves_but_a_regular_picture_inside_the_root(tmp_path: Path) -> None:
    """Thirty-odd paths; the one good picture is uploaded, nothing else, and no pipe or device holds the run up."""
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    hostile = hostile_files(root, outside)
    assert len(hostile) >= 25
    shutil.copy(resource("products") / "mug-1.jpg", root / "good.jpg")
    with (tmp_path / "list.jsonl").open("w", encoding="utf-8") as file:
        for id_, path in {**hostile, "GOOD": "good.jpg"}.items():
            file.write(json.dumps({"id": id_, "path": path}) + "\n")
    with vendor(tmp_path) as server:
        spec = job(
            tmp_path, url=server.url, root="root", images=[{"manifest": "../list.jsonl"}], upload={"public": True}
        )
        text = json.loads(spec.read_text())
        text["images"] = [{"manifest": "list.jsonl"}]
        spec.write_text(json.dumps(text))
        done = pipeline("run", spec, "-q", cwd=tmp_path, **ACCOUNT)
        assert done.returncode == 1, done.stderr
        assert server.stats.calls("upload") == 1
    folder = tmp_path / "runs/job"
    assert [record["item"] for record in lines(folder / "results.jsonl")] == ["GOOD"]
    failed = {record["item"]: record["error"] for record in lines(folder / "open.jsonl")}
    assert len(failed) == len(hostile)
    assert {error["stage"] for error in failed.values()} == {"read"}
    assert all(error["message"].isascii() or error["message"].isprintable() for error in failed.values())
