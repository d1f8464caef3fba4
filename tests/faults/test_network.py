"""T9: whole runs over networks that fail in sixteen ways, for searches and for creates: every request is counted.

A server in a thread of its own counts what arrives and keeps the truth about creates (the worst: whatever it has read
whole, it has executed). The job's credentials are marked, and no form of them may be in any output or file (T14).
"""

import base64
import json
import socket
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

import pytest

from pipeline import RunOptions, RunSummary, run_job
from pipeline.models import Kind
from tests.proof.history import Created, read_history, violations
from tests.support import misbehaving as bad
from tests.support.jobs import job
from tests.support.misbehaving import Caller, Proxied, Script, Seen, http, serving
from tests.support.patience import GiveUp, giving_up_when_told

ITEMS = 20
ALWAYS = tuple(range(4, ITEMS, 5))  # these items' calls always meet the trouble
ONCE = (1, 2)  # ... and these meet it at their first attempt

CLIENT_ID, CLIENT_SECRET, ISSUED = "canary-t9-id+&=/", "canary-t9-secret%?~", "canary-t9-token/+~"
API_KEY = "canary-t9-key'&/"
ACCOUNT = {"PATSNAP_CLIENT_ID": CLIENT_ID, "PATSNAP_CLIENT_SECRET": CLIENT_SECRET}


async def late(caller: Caller) -> None:
    """The right answer, when the client has given up."""
    seen = await caller.request()
    await caller.outlast(seen)
    await caller.say(answer_to(seen))


# What meets a call that was read whole, by the name of the trouble; the others come before that.
MODES: dict[str, Script] = {
    "reset after the request": bad.reset_after_request,
    "reset in the status line": bad.reset_after_status,
    "reset after the headers": bad.reset_after_headers,
    "reset in the body": bad.reset_mid_body,
    "hang": bad.hang,
    "slow drip": bad.slow_drip,
    "half a body": bad.half_body,
    "garbage": bad.garbage,
    "HTTP 307": bad.redirect(307, "http://127.0.0.1:9/stolen"),
    "HTTP 502 with a page": bad.bad_gateway,
    "a gzip bomb": bad.bomb(64 << 20),
    "a body without end": bad.oversized,
    "late": late,
}
# After these the connection is good for another request, and one that is closed all the same may lose that request.
WHOLE = ("garbage", "HTTP 307", "HTTP 502 with a page", "a gzip bomb", "a body without end", "late")
STOPPING = "HTTP 307"
RESET_AT_ONCE, RESET_EARLY = "reset at once", "reset at the first bytes"


def picture(number: int) -> str:
    return f"https://cdn.example/{number}.jpg"


def number_of(seen: Seen) -> int:
    [url] = json.loads(seen.body)["urls"] if seen.method == "POST" else [dict(seen.query)["url"]]
    return int(url.rpartition("/")[2].removesuffix(".jpg"))


def answer_to(seen: Seen) -> bytes:
    """The right answer."""
    if seen.path.endswith("token"):
        return http(200, json.dumps({"token": ISSUED, "expires_in": 1799, "status": "approved"}).encode())
    if seen.method == "GET":
        n = number_of(seen)
        hit = {"patent_id": f"p-{n}", "patent_pn": f"US{n}", "title": "x", "url": f"https://img.example/{n}.png"}
        data = {"patent_messages": [hit | {"score": 0.9}], "total_search_result_count": 1}
    else:
        data = {"task_id": task_id(number_of(seen))}
    return http(200, json.dumps({"data": data, "status": True, "error_code": 0, "error_msg": ""}).encode())


def task_id(number: int) -> str:
    return f"task-{number:04}"


class Vendor:
    """Answers well, but for what `mode` does to calls of `kind`. All it tells was counted in its own thread."""

    def __init__(self, mode: str, kind: Kind, give_up: GiveUp) -> None:
        self.give_up = give_up
        self.asked: Counter[Kind] = Counter()
        self.met = 0
        self.executed: list[Created] = []
        self.mode = mode
        self.kind = kind
        self.connections = 0
        self._tries: Counter[tuple[Kind, int]] = Counter()
        self._early: Counter[Kind | None] = Counter()

    async def __call__(self, caller: Caller) -> None:
        self.connections += 1
        if self.mode == RESET_AT_ONCE and self.connections % 5 == 4:
            self.met += 1
            await caller.reset()
            return
        while True:
            if self.mode == RESET_EARLY and await self._reset_early(caller):
                return
            seen = await caller.request()
            if seen.path.endswith("token"):
                await caller.say(answer_to(seen))
                continue
            kind, number = Kind.SEARCH if seen.method == "GET" else Kind.CREATE, number_of(seen)
            self.asked[kind] += 1
            self._tries[kind, number] += 1
            hit = number in ALWAYS or (number in ONCE and self._tries[kind, number] == 1)
            troubled = kind is self.kind and hit and self.mode in MODES
            if kind is Kind.CREATE:
                self.executed.append(Created(picture(number), task_id(number), (f"p-{number}",)))
            if not troubled:
                await caller.say(answer_to(seen))
                continue
            self.met += 1
            await MODES[self.mode](_AlreadyRead(caller, seen))
            if self.mode not in WHOLE:
                return

    async def _reset_early(self, caller: Caller) -> bool:
        """Reset every fifth call of the kind when its first bytes are there and the rest is not read."""
        start = await caller.reader.readexactly(8)
        kind = {b"GET /ima": Kind.SEARCH, b"POST /ai": Kind.CREATE}.get(start)
        self._early[kind] += 1
        if kind is not self.kind or self._early[kind] % 5 != 4:
            caller.reader._buffer[:0] = start  # type: ignore[attr-defined]
            return False
        self.asked[kind] += 1
        self.met += 1
        await caller.reset()
        return True


class _AlreadyRead(Caller):
    """A connection whose request was read to see which trouble it is to meet; scripts may ask for it again."""

    def __init__(self, caller: Caller, seen: Seen) -> None:
        super().__init__(caller.server, caller.reader, caller.writer)
        self._seen = seen

    async def request(self) -> Seen:
        return self._seen


@pytest.fixture(autouse=True)
def give_up(monkeypatch: pytest.MonkeyPatch) -> Iterator[GiveUp]:
    """Patience that ends when the vendor says so, and retries at once: nothing here hangs on how long either takes."""
    monkeypatch.setattr("random.random", lambda: 0.0)
    with giving_up_when_told() as tell:
        yield tell


def run(path: Path, account: Mapping[str, str] = ACCOUNT) -> RunSummary:
    """Run as if nobody had used the account just before: a second run would rest for a second."""
    with tempfile.TemporaryDirectory() as state, pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", state)
        return run_job(path, options=RunOptions(environment=account))


def assert_all_is_accounted_for(folder: Path, summary: RunSummary, vendor: Vendor, *, uncounted: int = 0) -> None:
    """What the server saw, the summary says; what it executed, the journal knows; and both files agree."""
    for kind in (Kind.SEARCH, Kind.CREATE):
        lost = uncounted if kind is vendor.kind or vendor.mode == RESET_AT_ONCE else 0
        assert 0 <= summary.calls_this_run[kind] - vendor.asked[kind] <= lost
    history = read_history(folder, executed=vendor.executed, asked={k.value: n for k, n in vendor.asked.items()})
    assert violations(history) == []
    sums: Counter[str] = Counter()
    for row in history.rows:
        sums.update(json.loads(row.calls))
    for kind in (Kind.SEARCH, Kind.CREATE):
        assert sums[kind] == summary.calls_this_run[kind] == history.reserved[kind][1] == history.reserved[kind][0]


def assert_silent(folder: Path, said: str) -> None:
    pair = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
    secrets = (CLIENT_ID, CLIENT_SECRET, ISSUED, API_KEY)
    forms = {pair, "canary-t9", *secrets, *(quote(text, safe="") for text in secrets)}
    forms |= {base64.b64encode(text.encode()).decode().rstrip("=") for text in secrets}
    texts = {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()} | {"said": said.encode()}
    assert [(place, form) for form in forms for place, text in texts.items() if form.encode() in text] == []


@pytest.mark.parametrize("kind", [Kind.SEARCH, Kind.CREATE], ids=["search", "create"])
@pytest.mark.parametrize("mode", [*MODES, RESET_AT_ONCE, RESET_EARLY])
def test_every_request_that_reaches_the_server_is_counted_and_every_create_known(
    tmp_path: Path, mode: str, kind: Kind, give_up: GiveUp, capfd: pytest.CaptureFixture[str]
) -> None:
    vendor = Vendor(mode, kind, give_up)
    folder = tmp_path / "runs/job"
    with serving(vendor, vendor.give_up) as url:
        pictures = [picture(number) for number in range(ITEMS)]
        path = job(tmp_path, url=url, pictures=pictures, api={"max_in_flight": ITEMS})
        summary = run(path)
        assert vendor.met >= (1 if mode in (STOPPING, RESET_AT_ONCE, RESET_EARLY) else len(ALWAYS) + len(ONCE))
        # Whether a byte got out before a reset at once is luck, and counted as if it had.
        assert_all_is_accounted_for(folder, summary, vendor, uncounted=vendor.met if mode == RESET_AT_ONCE else 0)
        if mode == STOPPING:
            assert summary.exit_code == 3
        else:
            assert summary.exit_code in (0, 1)
            assert summary.items["not_started"] == 0
        doubts = summary.items["in_doubt"]
        if kind is Kind.SEARCH and mode != RESET_AT_ONCE:
            assert doubts == 0
        assert len({created.url for created in vendor.executed}) <= summary.items["tasked"] + doubts
        vendor.mode = "healthy"
        asked = vendor.asked.copy()
        again = run(path)  # goes on where something was left, and repeats nothing that is settled or in doubt
        for each in (Kind.SEARCH, Kind.CREATE):
            assert again.calls_this_run[each] == vendor.asked[each] - asked[each]
        history = read_history(folder, executed=vendor.executed, ended=True)
        assert violations(history) == []
        assert again.items["tasked"] + again.items["in_doubt"] == ITEMS
        assert again.items["in_doubt"] == doubts
        assert again.calls_this_run["create"] == ITEMS - summary.items["tasked"] - doubts
    said = capfd.readouterr()
    assert_silent(tmp_path / "runs", said.out + said.err)


def test_of_a_refused_connection_nothing_is_counted_and_the_next_run_does_all(
    tmp_path: Path, give_up: GiveUp, capfd: pytest.CaptureFixture[str]
) -> None:
    """The sixteenth way, for both kinds at once: nobody listens. With an API key, for there is no token to fetch."""
    key = {"PATSNAP_API_KEY": API_KEY}
    folder = tmp_path / "runs/job"
    pictures = [picture(number) for number in range(ITEMS)]

    with socket.socket() as holder:  # bound, so that nobody else gets the port, and not listening
        holder.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{holder.getsockname()[1]}"
        summary = run(job(tmp_path, url=url, pictures=pictures, api={"max_in_flight": ITEMS, "patience_s": 1}), key)
    assert summary.exit_code == 4
    assert summary.calls_this_run == {"upload": 0, "search": 0, "create": 0}
    assert (summary.items["in_doubt"], summary.items["not_started"]) == (0, ITEMS)
    vendor = Vendor("healthy", Kind.SEARCH, give_up)
    with serving(vendor, vendor.give_up) as url:
        again = run(job(tmp_path, url=url, pictures=pictures, api={"max_in_flight": ITEMS}), key)
    assert (again.exit_code, again.items["tasked"]) == (0, ITEMS)
    assert_all_is_accounted_for(folder, again, vendor)
    said = capfd.readouterr()
    assert_silent(tmp_path / "runs", said.out + said.err)


@pytest.mark.parametrize("status", [403, 407])
def test_a_proxy_that_lets_nothing_through_ends_the_run_as_wrong_settings_do(tmp_path: Path, status: int) -> None:
    log: list[Proxied] = []
    with serving(bad.proxy(log, refuse=["CONNECT"], status=status)) as way:
        summary = run(job(tmp_path, url="https://127.0.0.1:9", api={"proxy": way}))
    assert (summary.exit_code, summary.ended_by, summary.items["not_started"]) == (2, "proxy", 5)
    assert summary.exit_reason.startswith(f"the proxy {way} ")
    assert summary.duration_s < 60
    assert {asked.target for asked in log} == {"127.0.0.1:9"}
    assert sum(summary.calls_this_run.values()) == 0


def test_the_canary_of_this_file_would_be_found(tmp_path: Path) -> None:
    """A negative control."""
    assert_silent(tmp_path, "nothing")
    (tmp_path / "run.log.jsonl").write_text(f'{{"url": "?apikey={quote(CLIENT_ID, safe="")}"}}')
    with pytest.raises(AssertionError):
        assert_silent(tmp_path, "nothing")
    with pytest.raises(AssertionError):
        assert_silent(tmp_path / "empty", f"Bearer {ISSUED}")
