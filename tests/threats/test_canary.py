"""T14: marked credentials through every way a run can fail, end to end: no form of them in any output or file."""

import base64
import html
import itertools
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar
from urllib.parse import quote, quote_plus

import pytest

from pipeline.system.masking import hide, masked
from tests.support.jobs import FaultPlan, job, vendor
from tests.support.lengths import THOROUGH
from tests.support.processes import completed

CLIENT_ID = 'canary-id/+&="é'
CLIENT_SECRET = 'canary-secret%"\\?é'
API_KEY = "canary-key~'\"\\"
ACCOUNT = {"PATSNAP_CLIENT_ID": CLIENT_ID, "PATSNAP_CLIENT_SECRET": CLIENT_SECRET}
ISSUED = "canary-token/+1~"

PASSING = {
    "search": [
        *("http_502", "reset", "lost", "garbage", "bomb", "truncated", "no_data"),
        *("68300004", "68300010", "99999999", "67200002", "67200003", "http_500", "67200100"),
    ],
    "create": ["lost", "garbage", "http_502", "67200100", "truncated", "no_data", "68300004", "67200002", "bomb"],
    "token": ["http_503", "garbage"],
}
AT_ONCE = "import random; random.random = lambda: 0.0"  # no wait before a retry
STOPPING = ["search:67200003=1", "search:67200008=1", "search:67200009=1", "search:http_401=1", "search:redirect=1"]
STOPPING += ["create:redirect=1", "token:http_401=1", "token:67200003=1"]


def forms(*secrets: str) -> set[str]:
    """Raw, percent-encoded, base64, and as JSON and Python write it."""
    secrets = secrets or (CLIENT_ID, CLIENT_SECRET, API_KEY, ISSUED)
    found = set()
    if CLIENT_ID in secrets:
        pair = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
        found = {pair, pair.rstrip("="), quote(pair, safe="")}
    for secret in secrets:
        found |= {secret, quote(secret), quote(secret, safe=""), quote_plus(secret), quote(secret, safe="/+&=?~")}
        found |= {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1], repr(secret)[1:-1]}
        encoded = base64.b64encode(secret.encode()).decode()
        found |= {re.sub("%..", lambda escape: escape[0].lower(), quote(secret, safe="")), html.escape(secret)}
        found |= {encoded, encoded.rstrip("="), base64.urlsafe_b64encode(secret.encode()).decode()}
    return found


def assert_silent(done: subprocess.CompletedProcess[str], *folders: Path) -> None:
    places = {"stdout": done.stdout.encode(), "stderr": done.stderr.encode()}
    for folder in folders:
        places |= {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    shown = [(place, form) for form in forms() for place, data in places.items() if form.encode() in data]
    assert shown == []
    assert [place for place, data in places.items() if b"canary" in data] == []  # whatever the form, its beginning


def run(*arguments: str | Path, cwd: Path, code: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    temporary = cwd / "tmp"
    temporary.mkdir(exist_ok=True)
    start = f"import sys\n{code}\nfrom pipeline.cli import main as cli\nsys.exit(cli.run(sys.argv[1:]))"
    talkative = ["-X", "dev", "-W", "ignore"] if THOROUGH else []  # asyncio then logs what it runs
    return completed(
        [sys.executable, *talkative, "-c", start, *arguments],
        cwd=cwd,
        env={**os.environ, "TMPDIR": str(temporary), **environment},
    )


def test_the_canary_would_be_found(tmp_path: Path) -> None:
    """A negative control: each form, in each place."""
    for form in forms():
        for done in (subprocess.CompletedProcess([], 0, form, ""), subprocess.CompletedProcess([], 0, "", form)):
            with pytest.raises(AssertionError):
                assert_silent(done)
    (tmp_path / "file").write_text(quote(CLIENT_SECRET))
    with pytest.raises(AssertionError):
        assert_silent(subprocess.CompletedProcess([], 0, "", ""), tmp_path)


def test_a_run_with_every_fault_that_passes_is_silent(tmp_path: Path) -> None:
    plan = FaultPlan.scripted(PASSING)
    with vendor(tmp_path, faults=plan, client_id=CLIENT_ID, client_secret=CLIENT_SECRET) as server:
        path = job(tmp_path, url=server.url, pictures=30, api={"max_in_flight": 4})
        done = run("run", path, cwd=tmp_path, code=AT_ONCE, **ACCOUNT)
        assert server.stats.calls("create") >= 9
    assert done.returncode in (1, 3), done.stderr
    status = run("status", "runs/job", cwd=tmp_path)
    assert_silent(done, tmp_path / "runs", tmp_path / "tmp")
    assert_silent(status)


@pytest.mark.parametrize("fault", STOPPING)
def test_a_run_that_is_stopped_is_silent(tmp_path: Path, fault: str) -> None:
    plan = FaultPlan.parse(fault)
    with vendor(tmp_path, faults=plan, client_id=CLIENT_ID, client_secret=CLIENT_SECRET) as server:
        done = run("run", job(tmp_path, url=server.url, pictures=3), "--json", cwd=tmp_path, **ACCOUNT)
    assert done.returncode in (1, 3, 4), done.stderr
    assert_silent(done, tmp_path / "runs", tmp_path / "tmp")


class Echo(BaseHTTPRequestHandler):
    """A vendor that says back whatever it was sent, in every form, in its text and in its headers."""

    protocol_version = "HTTP/1.1"
    calls: ClassVar[Iterator[int]]
    secrets: ClassVar[Sequence[str]]  # what the account holds: of others nothing can be known

    def _answer(self) -> None:
        number = next(self.calls)
        body: dict[str, Any] = {"token": ISSUED, "expires_in": 1799, "status": "approved"}
        if not self.path.startswith("/oauth"):
            sent = [self.path, *self.headers.values(), *sorted(forms(*self.secrets))]
            if number % 2:  # texts in which a secret lies across the place where they are cut
                secret = self.secrets[number // 2 % len(self.secrets)]
                sent = ["-" * (1999 - number // 2 % 20 - len("-")), secret * 40]
            body = {"status": False, "error_code": 68300004, "error_msg": " ".join(sent), "data": None}
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        raw = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(raw)))
        secret = self.secrets[number % len(self.secrets)]
        told = ["", "-" * (127 - number % 12)][number // 4 % 2] + secret
        coded = told if number % 3 else told.encode().decode("latin-1")  # as UTF-8, and as Latin-1
        self.send_header("x-correlation-id", coded)
        self.send_header("X-Request-ID", coded)
        self.end_headers()
        self.wfile.write(raw)

    do_GET = do_POST = _answer  # noqa: N815 - http.server's names

    def log_message(self, *_: object) -> None: ...


@contextmanager
def echoing() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("account", [ACCOUNT, {"PATSNAP_API_KEY": API_KEY}], ids=["client", "API key"])
def test_a_vendor_that_says_everything_back_is_not_repeated(tmp_path: Path, account: dict[str, str]) -> None:
    """In its error text the vendor repeats the URL with the apikey, the header with the token, and the rest."""
    # Forms of what this run does not hold cannot be known to it.
    with echoing() as url:
        Echo.calls = itertools.count()
        Echo.secrets = [*account.values(), *([ISSUED] if len(account) == 2 else [])]
        path = job(tmp_path, url=url, pictures=60, api={"errors": {"68300004": {"about_picture": True}}})
        done = run("run", path, cwd=tmp_path, **account)
        shown = run("status", "runs/job", cwd=tmp_path, **account)
    assert done.returncode == 1, done.stderr
    held = forms(*account.values(), *([ISSUED] if len(account) == 2 else []))
    files: dict[str | Path, bytes] = {
        path: path.read_bytes() for path in (tmp_path / "runs").rglob("*") if path.is_file()
    }
    texts: dict[str | Path, bytes] = {
        **files,
        "out": done.stdout.encode(),
        "err": done.stderr.encode(),
        "status": shown.stdout.encode(),
    }
    assert [(place, form) for form in held for place, data in texts.items() if form.encode() in data] == []
    assert [place for place, data in texts.items() if b"canary" in data] == []  # no part of any form either
    opened = [json.loads(line)["error"] for line in files[tmp_path / "runs/job/open.jsonl"].splitlines()]
    assert len(opened) == 60
    assert sum("***" in error["message"] for error in opened) > 15
    assert sum("***" in error["correlation_id"] for error in opened) > 15
    assert max(len(error["message"]) for error in opened) > 1900  # and so the cut was met


BUGS = [
    "raise ValueError('%s' % [job.credentials.secrets])",
    "1 / len(job.credentials.client_secret[:0])",
    "raise KeyError(__import__('json').dumps(job.credentials.client_secret))",
]


@pytest.mark.parametrize("code", BUGS, ids=["secrets in its text", "secrets in its variables", "escaped"])
def test_a_bug_writes_a_private_file_without_secrets(tmp_path: Path, code: str) -> None:
    code = f"import pipeline.run.local\nasync def bug(job, *_): {code}\npipeline.run.local._run = bug"
    with vendor(tmp_path) as server:
        done = run("run", job(tmp_path, url=server.url, pictures=1), cwd=tmp_path, code=code, **ACCOUNT)
    assert done.returncode == 70, done.stderr
    [file] = (tmp_path / "tmp").glob("pipeline-bug-*")
    assert file.stat().st_mode & 0o777 == 0o600
    assert "Error" in file.read_text()
    assert_silent(done, tmp_path / "runs", tmp_path / "tmp")


WHERE = {"a value": {"root": CLIENT_SECRET}, "a key": {CLIENT_SECRET: 1}, "apikey": {"api": {"apikey": CLIENT_SECRET}}}


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("command", ["check", "run"])
def test_a_secret_in_the_job_file_is_refused_and_not_repeated(tmp_path: Path, command: str, where: str) -> None:
    path = job(tmp_path, url="https://connect.example.com", pictures=1)
    path.write_text(json.dumps({**json.loads(path.read_text()), **WHERE[where]}))
    done = run(command, path, cwd=tmp_path, **ACCOUNT)
    assert done.returncode == 2
    assert "secrets do not belong in a job file" in done.stderr
    assert CLIENT_SECRET not in done.stdout + done.stderr
    assert json.dumps(CLIENT_SECRET)[1:-1] not in done.stdout + done.stderr
    assert repr(CLIENT_SECRET)[1:-1] not in done.stdout + done.stderr


def test_nothing_is_read_or_sent_of_real_credentials_on_the_sandbox(tmp_path: Path) -> None:
    path = job(tmp_path, url="sandbox", pictures=1)
    done = run("run", path, cwd=tmp_path, **ACCOUNT)
    assert done.returncode == 0, done.stderr
    assert_silent(done, tmp_path / "runs")


def test_masking_knows_every_form() -> None:
    """This masks for the rest of the session, so the secret is one that no other test could mean."""
    secret = 'mask-me/+&="é%\\?~'
    hide([secret])
    hide(["passing-token-of-old"], passing=True)
    shown = [form for form in forms(secret) if "mask-me" in form or form.startswith("bWFzay1tZS")]
    assert len(shown) >= 7
    for form in shown:
        assert masked(f"<{form}>") in ("<***>", "<***=>", "<***==>"), form
    for number in range(8):
        hide([f"passing-token-{number}"], passing=True)
    assert masked("passing-token-of-old") == "passing-token-of-old"
    assert masked("passing-token-7") == "***"
