"""Jobs that share an account on one machine never exceed its QPS together, in real processes."""

import hashlib
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from pipeline.calls.account import Part, account_of, use_account
from pipeline.endpoints.patsnap.credentials import Credentials
from pipeline.errors import JournalError, RunLocked, SpecError
from pipeline.models import Kind
from tests.support.jobs import ACCOUNT, job, lines, pipeline, vendor
from tests.support.machines import Machine, assert_never_above
from tests.support.processes import ended, python, running, until_lines, until_said
from tests.support.told import faults_in

pytestmark = pytest.mark.usefixtures("quiet_second")

QPS = 20
HOLD = (
    "import sys, time; from pathlib import Path; from pipeline.calls.account import use_account\n"
    "with use_account(Path(sys.argv[1]), 'a', job='theirs', share=float(sys.argv[2]), say=print):\n"
    "    print('held', flush=True); time.sleep(600)"
)

# Takes permits for searches as a run does, and prints when: the monotonic clock is one for the whole machine.
SEND = """
import sys; from pathlib import Path; import anyio
from pipeline.calls.account import use_account; from pipeline.run.client import limiters_for
from pipeline.models import Kind; from pipeline.job.schema import JobSpec
spec = JobSpec.model_validate(
    {"version": 1, "name": "job", "images": [{"url": "https://x.example/1.jpg"}], "api": {"qps": 1}}
)
async def send(part):
    limiter = limiters_for(spec, part, say)[Kind.SEARCH]
    for _ in range(int(sys.argv[2])):
        print(await limiter.permit(), flush=True)
def say(line):
    print(line, file=sys.stderr, flush=True)
with use_account(Path(sys.argv[1]), "a", job="sender", waits=lambda: True, say=say) as part:
    anyio.run(send, part)
"""


# Runs a job and notes the kind and the permit's time of each call, the moment it is sent.
RUN = """
import sys; from pipeline import RunOptions, run_job
path, log, share, busy = sys.argv[1:]
def say(line):
    print(line, file=sys.stderr, flush=True)
with open(log, "w", buffering=1) as sent:
    def on_sent(kind, at):
        sent.write(f"{kind} {at!r}\\n")
    options = RunOptions(share=float(share), busy=busy, say=say, on_sent=on_sent)
    sys.exit(run_job(path, options=options).exit_code)
"""


@contextmanager
def holder(folder: Path, share: float) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds a share."""
    with running(python(HOLD, folder, str(share))) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process


def take(folder: Path, share: float = 1.0, account: str = "a") -> Part:
    with use_account(folder, account, job="ours", share=share, say=pytest.fail) as part:
        return part


def test_a_second_process_is_refused_and_told_who_holds_the_account(tmp_path: Path) -> None:
    with holder(tmp_path, 1.0) as other:
        with pytest.raises(RunLocked, match=rf"pid {other.pid} \(job theirs\)") as refusal:
            take(tmp_path)
        assert refusal.value.exit_code == 6
        assert "\n" not in str(refusal.value)
        take(tmp_path, account="b")


def test_processes_that_lease_the_account_at_one_place_share_it_there_and_others_find_it_in_use(tmp_path: Path) -> None:
    with use_account(tmp_path, "a", job="leasing", leases="here", say=pytest.fail):
        with use_account(tmp_path, "a", job="ours", leases="here", say=pytest.fail) as part:
            assert part == Part()
        for leases in ("", "there"):
            with (
                pytest.raises(RunLocked, match=rf"pid {os.getpid()} \(job leasing\), which leases it \(api.leases\)"),
                use_account(tmp_path, "a", job="ours", leases=leases, say=pytest.fail),
            ):
                pytest.fail("the account is shared with those who lease it elsewhere")
    assert take(tmp_path).used_before
    with (
        holder(tmp_path, 0.5),
        pytest.raises(RunLocked, match="job theirs"),
        use_account(tmp_path, "a", job="ours", leases="here", say=pytest.fail),
    ):
        pytest.fail("the account is used by one that does not lease it")


def test_a_dead_process_frees_its_share_at_once(tmp_path: Path) -> None:
    with holder(tmp_path, 1.0) as other:
        other.send_signal(signal.SIGKILL)
        other.wait()
        assert take(tmp_path).used_before


def test_after_one_that_ended_well_nobody_is_quiet_for_longer_than_from_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 500.0
    monkeypatch.setattr("pipeline.calls.account.steady", lambda: now)
    assert take(tmp_path).quiet_s(5, now=now) == 0.0  # nobody before us
    now = 500.25
    assert take(tmp_path).quiet_s(5, now=now) == pytest.approx(1.004 - 0.25)
    now = 502.0
    assert take(tmp_path).quiet_s(5, now=now) == 0.0
    now = 7.0  # the machine was started anew
    assert take(tmp_path).quiet_s(5, now=now) == 0.0


@pytest.mark.parametrize(
    "note",
    [None, "", '{"share": 1.0, "pid": 1, "job": "died"}', '{"ended": "x"}'],
    ids=["none", "empty", "died", "bad"],
)
def test_after_one_that_did_not_say_when_it_ended_everyone_is_quiet_for_a_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, note: str | None
) -> None:
    monkeypatch.setattr("pipeline.calls.account.steady", lambda: 500.0)
    take(tmp_path)
    (tmp_path / "a.0.json").unlink() if note is None else (tmp_path / "a.0.json").write_text(note)
    assert take(tmp_path).quiet_s(5, now=500.0) == pytest.approx(1.004)


@pytest.mark.proofs
@pytest.mark.parametrize(
    ("theirs", "ours", "fits"),
    [
        pytest.param([0.5], 0.5, True, id="two halves"),
        pytest.param([0.5], 0.6, False, id="more than all"),
        pytest.param([0.3, 0.3], 0.4, True, id="three parts"),
        pytest.param([0.3, 0.3], 0.5, False, id="three parts, too many"),
        pytest.param([0.5], 1.0, False, id="one that wants all"),
        pytest.param([0.1, 0.2, 0.3, 0.3], 0.1, True, id="fractions that floats cannot add"),
    ],
)
def test_the_shares_of_all_live_processes_add_up_to_one_at_most(
    tmp_path: Path, theirs: list[float], ours: float, fits: bool
) -> None:
    with ExitStack() as others:
        for share in theirs:
            others.enter_context(holder(tmp_path, share))
        if fits:
            assert take(tmp_path, ours).share == ours
        else:
            with pytest.raises(RunLocked, match=f"{sum(theirs):g} of 1 taken"):
                take(tmp_path, ours)


@pytest.mark.parametrize(
    ("theirs", "ours", "said"),
    [
        pytest.param(
            [1.0], 0.5, "nothing of it is free: wait .* start that one anew with a share too", id="one has all"
        ),
        pytest.param([0.5, 0.5], 0.5, "nothing of it is free", id="two have all"),
        pytest.param(
            [0.5], 1.0, r"0.5 of 1 is free, and 1 was asked for: take less \(--share 0.5\)", id="half is free"
        ),
        pytest.param([0.3, 0.3], 0.5, r"0.4 of 1 is free, and 0.5 was asked for", id="some is free"),
        pytest.param([0.33333], 1.0, r"take less \(--share 0.66\)", id="never more than there is"),
    ],
)
def test_who_is_turned_away_is_told_how_much_is_free_and_what_would_work(
    tmp_path: Path, theirs: list[float], ours: float, said: str
) -> None:
    with ExitStack() as others:
        for share in theirs:
            others.enter_context(holder(tmp_path, share))
        with pytest.raises(RunLocked, match=said) as refusal:
            take(tmp_path, ours)
        if advised := re.search(r"--share ([0-9.]+)\)", str(refusal.value)):
            assert take(tmp_path, float(advised[1])).share == float(advised[1])


@pytest.mark.parametrize(("theirs", "ours"), [("", "here"), ("here", "")], ids=["ours", "theirs"])
@pytest.mark.parametrize("share", [0.5, 1.0])
def test_where_the_account_is_leased_no_share_of_it_is_advised(
    tmp_path: Path, theirs: str, ours: str, share: float
) -> None:
    with (
        use_account(tmp_path, "a", job="theirs", share=share, leases=theirs, say=pytest.fail),
        pytest.raises(RunLocked, match=r"needs all of it here: wait for it \(--busy wait\)") as refusal,
        use_account(tmp_path, "a", job="ours", leases=ours, say=pytest.fail),
    ):
        pass
    assert "--share" not in str(refusal.value)


def test_one_that_waits_and_is_asked_to_end_waits_no_longer(tmp_path: Path) -> None:
    said: list[str] = []
    with (
        holder(tmp_path, 1.0),
        pytest.raises(RunLocked),
        use_account(tmp_path, "a", job="ours", waits=lambda: not said, say=said.append),
    ):
        pass
    assert len(said) == 1


def test_whoever_comes_beside_another_is_quiet_as_if_the_limit_was_used_up_just_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its calls of the last second count for the account too, whatever share it holds from now on."""
    monkeypatch.setattr("pipeline.calls.account.steady", lambda: 500.0)
    with use_account(tmp_path, "a", job="theirs", share=0.5, say=pytest.fail):
        beside = take(tmp_path, 0.5)
    assert (beside.used_before, beside.since) == (True, 500.0)
    assert beside.quiet_s(5, now=500.0) == pytest.approx(1.004)


def test_one_that_is_turned_away_keeps_nothing_of_the_account(tmp_path: Path) -> None:
    with use_account(tmp_path, "a", job="theirs", share=0.5, say=pytest.fail):
        with pytest.raises(RunLocked) as refusal:
            take(tmp_path, 0.6)
        assert take(tmp_path, 0.5).share == 0.5
        assert refusal.value.exit_code == 6


def test_a_share_of_a_dead_process_between_live_ones_is_free(tmp_path: Path) -> None:
    with holder(tmp_path, 0.5) as first, holder(tmp_path, 0.5):
        first.kill()
        first.wait()
        assert take(tmp_path, 0.5).used_before
        with pytest.raises(RunLocked):
            take(tmp_path, 0.6)


def test_a_share_that_cannot_be_read_counts_as_all(tmp_path: Path) -> None:
    with holder(tmp_path, 0.5):
        (tmp_path / "a.0.json").write_text('{"share": ')
        with pytest.raises(RunLocked):
            take(tmp_path, 0.5)


def test_one_that_waits_says_so_once_and_goes_on_when_the_account_is_free(tmp_path: Path) -> None:
    said: list[str] = []
    with holder(tmp_path, 1.0) as other:

        def say(line: str) -> None:
            said.append(line)
            other.kill()

        with use_account(tmp_path, "a", job="ours", waits=lambda: True, say=say) as part:
            assert part.used_before
    assert f"pid {other.pid}" in said[0]
    assert len(said) == 2


def test_the_files_name_nobody_and_are_for_their_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "state" / "accounts"
    credentials = Credentials(client_id="canary-id", client_secret="canary-secret")
    take(folder, account=account_of("https://connect.example.com", credentials))
    files = list(folder.iterdir())
    assert len(files) == 3
    assert not [path.name for path in [folder, *files] if path.stat().st_mode & 0o077]
    assert not [path.name for path in files if "canary" in path.name or "canary" in path.read_text()]


def test_an_account_is_an_identity_at_an_address() -> None:
    first = Credentials(client_id="one", client_secret="x")
    at = "https://connect.example.com"
    assert account_of(at, first) == account_of("HTTPS://Connect.Example.com:443", Credentials("one", "another"))
    others = [
        account_of("https://other.example.com", first),
        account_of("https://connect.example.com:8443", first),
        account_of(at, Credentials(client_id="two", client_secret="x")),
        account_of(at, Credentials(api_key="one")),
    ]
    assert len({account_of(at, first), *others}) == 5


@pytest.mark.parametrize(
    "spellings",
    [
        ["https://connect.patsnap.com", "https://connect.zhihuiya.com", "https://CONNECT.patsnap.com.:443"],
        [
            "http://127.0.0.1:8080",
            "http://127.1:8080",
            "http://[::1]:8080",
            "http://[::ffff:127.0.0.1]:8080",
            "http://localhost:8080",
            "http://LOCALHOST.:8080",
        ],
        ["https://[2001:db8::1]", "https://[2001:DB8:0:0::1]:443"],
    ],
    ids=["the vendor's two addresses", "this machine", "IPv6"],
)
def test_however_a_host_is_spelled_it_is_one_account(spellings: list[str]) -> None:
    who = Credentials(api_key="one")
    assert len({account_of(url, who) for url in spellings}) == 1


def test_the_usual_address_keeps_the_slots_of_the_version_before() -> None:
    """Its processes may still be running."""
    digest = hashlib.sha256(b"https://connect.patsnap.com\nkey one").hexdigest()
    assert account_of("https://connect.patsnap.com", Credentials(api_key="one")) == digest


def test_a_folder_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalError, match="XDG_STATE_HOME"):
        take(tmp_path / "file" / "accounts")


@pytest.mark.parametrize(
    ("share", "qps", "ours"),
    [
        (1.0, 5, 5),
        (1.0, 0.5, 0.5),
        (0.5, 5, 2),
        (0.5, 7, 3),
        (0.5, 2, 1),
        (0.7, 10, 7),
        (0.29, 100, 29),
        (0.3, 10, 3),
        (0.99, 20, 19),
    ],
)
def test_a_share_is_rounded_down_to_whole_calls_a_second(share: float, qps: float, ours: float) -> None:
    assert Part(share).qps(qps) == ours


@pytest.mark.parametrize(("share", "qps"), [(0.5, 1), (0.1, 5), (0.9, 0.5)])
def test_a_share_of_less_than_one_call_a_second_is_refused(share: float, qps: float) -> None:
    """Two processes at half a call a second may each send one within the same second."""
    with pytest.raises(SpecError, match="less than one"):
        Part(share).qps(qps)


@pytest.mark.parametrize(
    ("part", "qps", "quiet_s"),
    [
        pytest.param(Part(since=100.0), 5, 0.0, id="nobody before us"),
        pytest.param(Part(since=100.0, used_before=True), 5, 0.704, id="a second from when we came"),
        pytest.param(Part(since=100.0, used_before=True), 0.1, 9.704, id="one call in ten seconds"),
        pytest.param(Part(since=90.0, used_before=True), 5, 0.0, id="that was long ago"),
    ],
)
def test_whoever_comes_after_another_is_quiet_as_if_the_limit_was_used_up_just_then(
    part: Part, qps: float, quiet_s: float
) -> None:
    assert part.quiet_s(qps, now=100.3) == pytest.approx(quiet_s)


@pytest.mark.proofs
def test_no_second_holds_more_than_the_limit_across_a_kill_and_a_restart(tmp_path: Path) -> None:
    """The next process stands ready when one is killed, so that it goes on within a fraction of a second.

    One call a second: a restart that took the limit for unused would be seen at once.
    """
    with running(python(SEND, tmp_path, "100000")) as killed:
        assert killed.stdout is not None
        times = [float(killed.stdout.readline())]
        with running(python(SEND, tmp_path, "2")) as waiting:
            until_said(waiting, f"pid {killed.pid}")
            times += [float(killed.stdout.readline()) for _ in range(2)]
            killed.kill()
            times += [float(line) for line in ended(killed)[0].split()]
            times += [float(line) for line in ended(waiting)[0].split()]
    assert len(times) >= 5
    assert min(later - earlier for earlier, later in pairwise(times)) > 1.0


# --- whole runs: what counts is when each call took its permit, which does not depend on who is slow ---


@contextmanager
def run(folder: Path, url: str, *, pictures: int, share: float = 1.0, busy: str = "exit") -> Iterator[Machine]:
    """A run in a process of its own that notes when it sends which call."""
    folder.mkdir()
    path = job(folder, url=url, pictures=pictures, api={"qps": QPS})
    command = python(RUN, path, folder / "sent", str(share), busy)
    with running(command, cwd=folder, env={**os.environ, **ACCOUNT}) as process:
        yield Machine(process, folder)


@pytest.mark.proofs
def test_two_processes_that_share_an_account_never_exceed_the_limit_together(tmp_path: Path) -> None:
    with vendor(tmp_path) as server, run(tmp_path / "first", server.url, pictures=5000, share=0.5) as first:
        until_lines(first.log, by=first.process)
        with run(tmp_path / "second", server.url, pictures=15, share=0.5) as second:
            _, said = ended(second.process)
            assert second.process.returncode == 0, said
        assert first.process.poll() is None, "they went side by side"
        first.process.kill()
        ended(first.process)
        assert len(lines(second.results)) == 15
        assert_never_above(QPS, first, second)
        for one in (first, second):
            assert_never_above(QPS // 2, one)
        assert server.stats.calls("search") <= len(first.sent(Kind.SEARCH) + second.sent(Kind.SEARCH))


@pytest.mark.proofs
def test_a_restart_after_a_kill_never_exceeds_the_limit_with_the_one_before(tmp_path: Path) -> None:
    """The second process stands ready when the first is killed, so it goes on within a fraction of a second."""
    with vendor(tmp_path) as server, run(tmp_path / "first", server.url, pictures=5000) as killed:
        until_lines(killed.log, by=killed.process)
        with run(tmp_path / "second", server.url, pictures=15, busy="wait") as waiting:
            until_said(waiting.process, f"pid {killed.process.pid} (job job)")
            until_lines(killed.log, 2 * QPS + 5, by=killed.process)
            killed.process.kill()
            ended(killed.process)
            _, said = ended(waiting.process)
            assert waiting.process.returncode == 0, said
        assert_never_above(QPS, killed, waiting)


@pytest.mark.proofs
def test_a_second_process_exits_with_6_and_leaves_no_run_directory(tmp_path: Path) -> None:
    with vendor(tmp_path) as server, run(tmp_path / "first", server.url, pictures=5000) as first:
        until_lines(first.log, by=first.process)
        (tmp_path / "second").mkdir()
        path = job(tmp_path / "second", url=server.url)
        turned_away = pipeline("run", path, cwd=path.parent, **ACCOUNT)
    assert turned_away.returncode == 6
    assert f"pid {first.process.pid} (job job)" in turned_away.stderr
    assert len(faults_in(turned_away.stderr)) == 1
    assert not (path.parent / "runs").exists()


@pytest.mark.proofs
def test_the_sandbox_is_nobodys_account(tmp_path: Path) -> None:
    state = Path(os.environ["XDG_STATE_HOME"]) / "infringement-pipeline" / "accounts"
    before = sorted(state.glob("*")) if state.is_dir() else []
    (tmp_path / "job.yaml").write_text(
        'version: 1\nname: job\nimages: [{url: "https://sandbox.invalid/gallery/bag-0-1.png"}]\n'
        "api: {base_url: sandbox}\n"
    )
    assert pipeline("run", "job.yaml", "--quiet", cwd=tmp_path).returncode == 0
    assert (sorted(state.glob("*")) if state.is_dir() else []) == before
