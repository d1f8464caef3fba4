"""Jobs on a real Ray cluster of several nodes: a first pass whose node dies in its middle, and two accounts at once."""

import io
import os
import shutil
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from pipeline.cluster.detached import going
from tests.proof.test_ray import NAMED, no_worker_left
from tests.support.jobs import job, pipeline, started
from tests.support.lengths import THOROUGH, only_thorough
from tests.support.processes import command_lines, ended, until
from tests.support.ray_cluster import RayCluster, needs_ray, ray_cluster
from tests.support.two_accounts import CREDENTIALS, assert_each_once, vendor_of_two
from tests.support.workers import HELD, THREE_ARE_THERE, TOGETHER, WORKER, most_in_a_second, sent_in

pytestmark = [pytest.mark.proofs, needs_ray]

OF_A_PART, PARTS = 4, 6
# A command whose first pass goes by parts of four pictures, each of which notes the node that does it. A victim hangs
# in the middle of its first part, once a picture is made fit; nobody else ends a part before, nor before two of them
# have one. Without a victim two nodes wait for each other.
DRIVER = """
import time
from pathlib import Path
from pipeline.cluster import first_pass
first_pass._OF_A_PART = 4
notes, victim, *words = sys.argv[1:]
def noted(part):
    import ray
    from pipeline.sources.made_ahead import MadeAhead
    node, keep = ray.get_runtime_context().get_node_id(), MadeAhead.keep
    def hang(self, *what):
        keep(self, *what)
        Path(notes, "hangs").touch()
        while Path(notes).is_dir():
            time.sleep(0.1)
    Path(notes, f"begun {node}").touch()
    while node != victim and len(list(Path(notes).glob("begun *"))) < (3 if victim else 2):
        time.sleep(0.02)
    while victim and node != victim and not Path(notes, "hangs").exists():
        time.sleep(0.02)
    MadeAhead.keep = hang if node == victim else keep
    done = first_pass.look_over(part)
    Path(notes, f"{part.number} {node}").touch()
    return done
if "--ray" in words:
    first_pass.look_over = noted
sys.exit(cli.run(words))
"""
# Each process that looks at the third part is killed, as the system does where there is no memory left.
KILLED = """
import os
from pipeline.cluster import first_pass, ray
first_pass._OF_A_PART, ray._REPEATS = 4, 1
def killed(part):
    return first_pass.look_over(part) if part.number != 2 else os.kill(os.getpid(), 9)
first_pass.look_over = killed
sys.exit(cli.run(sys.argv[1:]))
"""
# The command `cluster run --ray`, but for the worker: each notes its calls as they leave.
RUN = """
from pipeline.cli.commands import cluster_run as command
address, worker = sys.argv[1:]
command.worker_command = lambda path, overrides, busy: [sys.executable, "-c", worker]
sys.exit(cli.run(["cluster", "run", "job.yaml", "--ray", address, "--machines", "3", "--yes"]))
"""
BROKEN = ("cut off.jpg", "no picture.jpg", "empty.png", "huge.png")
LIMITS = {"main": {"search": 8, "create": 8}, "second": {"search": 20, "create": 12}}


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("ray-jobs")


@pytest.fixture(scope="module")
def cluster(state: Path) -> Iterator[RayCluster]:
    """Run a cluster whose nodes know the credentials of both accounts."""
    with ray_cluster({**os.environ, **CREDENTIALS, "XDG_STATE_HOME": str(state)}) as one:
        yield one


def picture(shade: int, file_type: str = "PNG", compress_level: int = 6) -> bytes:
    buffer, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = 6
    image = Image.radial_gradient("L").resize((80, 50)).point(lambda value: min(value, 100 + shade))
    image.convert("RGB").save(buffer, file_type, exif=exif, compress_level=compress_level)
    return buffer.getvalue()


def bomb() -> bytes:
    """Make a small PNG that says that it is huge."""
    whole = picture(0)
    head = b"IHDR" + struct.pack(">II", 60_000, 60_000) + whole[24:29]
    return whole[:12] + head + struct.pack(">I", zlib.crc32(head)) + whole[33:]


def photos(folder: Path) -> None:
    """Make pictures that are turned, two of them with the same pixels each, and broken ones among them."""
    folder.mkdir()
    for number in range(OF_A_PART * PARTS - len(BROKEN)):
        (folder / f"{number:02}.png").write_bytes(picture(5 * (number // 2), compress_level=1 + number % 2 * 8))
    broken = (picture(99, "JPEG")[:600], b"<html>404</html>", b"", bomb())
    for name, data in zip(BROKEN, broken, strict=True):
        (folder / name).write_bytes(data)


def job_of_photos(folder: Path) -> None:
    photos(folder / "photos")
    shared = {"shared": "shared", "shards": 3, "same_picture": "pixels", "accounts": ["main", "second"]}
    upload = {"public": True, "fit": True}
    job(folder, url="sandbox", images=[{"path": "photos/*"}], upload=upload, cluster=shared)


def made(shared: Path) -> dict[str, bytes]:
    """Return all that a first pass and the split after it leave, but for what is each run's own."""
    files = [*shared.glob(".prepared/**/*"), *shared.glob("*/shards/*/items.jsonl")]
    return {str(file.relative_to(shared)): file.read_bytes() for file in files if file.is_file()}


def assert_done_by_several(notes: Path, nodes: list[str]) -> None:
    """Each part was done, by two of these nodes or more, and by no other one."""
    done = [note.name.split() for note in notes.glob("[0-9]* *")]
    assert sorted({int(number) for number, _ in done}) == list(range(PARTS))
    by = {node for _, node in done}
    assert by <= {*nodes}
    assert len(by) >= 2


def test_a_first_pass_whose_node_dies_finds_what_the_cores_of_one_machine_find(
    cluster: RayCluster, tmp_path: Path
) -> None:
    """To the same bytes; and a check on all nodes names each broken picture in one line."""
    job_of_photos(tmp_path)
    for name in ("notes", "opened", "alone"):
        (tmp_path / name).mkdir(mode=0o700)
    words, ray = ("split", "job.yaml", "--prepare"), ("--ray", cluster.address)
    victim, *others = cluster.with_nodes(4)  # at once, since each start takes seconds; three are left
    cache = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    with started(tmp_path / "notes", victim, *words, *ray, cwd=tmp_path, code=DRIVER, **cache) as driver:
        until((tmp_path / "notes" / "hangs").exists, by=driver)
        cluster.remove(victim)
        alone = pipeline("-", "-", *words, "--set", "cluster.shared=alone", cwd=tmp_path, code=DRIVER)
        out, err = ended(driver)
    assert (driver.returncode, alone.returncode) == (0, 0), err + alone.stderr
    said = alone.stdout.replace(" --set cluster.shared=alone", "")
    assert (out, err) == (said.replace("/alone", "/shared"), alone.stderr.replace("/alone", "/shared"))
    assert f"{OF_A_PART * PARTS} local pictures looked at, {OF_A_PART * PARTS} of them now" in err
    assert_done_by_several(tmp_path / "notes", others)
    assert made(tmp_path / "shared") == made(tmp_path / "alone")
    assert len(made(tmp_path / "shared")) == 2 * PARTS + (OF_A_PART * PARTS - len(BROKEN)) + 3

    check = ("cluster", "check", "job.yaml")
    done = pipeline(tmp_path / "opened", "", *check, *ray, cwd=tmp_path, code=DRIVER, **cache, **CREDENTIALS)
    assert done.returncode == 2, done.stderr
    assert_done_by_several(tmp_path / "opened", others)
    places = [line for line in done.stderr.splitlines() if line.startswith("  at: ")]
    assert sorted(places) == sorted(f"  at: job.yaml: images[0]: photos/{name}" for name in BROKEN)
    assert done.stderr.count("error: ") == len(BROKEN)
    assert "Traceback" not in done.stdout + done.stderr


def test_two_accounts_on_the_nodes_keep_their_limits_and_their_secrets(
    cluster: RayCluster, state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the merged log of the calls of all nodes, and by every file of Ray's and of the run."""
    monkeypatch.setenv("XDG_STATE_HOME", str(state))
    pictures = 400 if THOROUGH else 72
    run = tmp_path / "shared" / "job"
    cluster.with_nodes(3)
    with vendor_of_two(tmp_path, main={}, second={}) as vendor, no_worker_left(run):
        accounts = {name: {"qps": qps} for name, qps in LIMITS.items()}
        shared = {"shared": "shared", "shards": 6, "lease_s": 2, "accounts": accounts}
        job(tmp_path, url=vendor.url, known=False, pictures=pictures, cluster=shared)
        worker = NAMED + WORKER.replace("MORE", TOGETHER + HELD.replace("UNTIL", THREE_ARE_THERE))
        with started(cluster.address, worker, cwd=tmp_path, code=RUN, **CREDENTIALS) as driver:
            until(lambda: len([one for one in going(str(run)) if log_of(tmp_path, one.name).exists()]) == 3, by=driver)
            typed = command_lines()
            said = "".join(ended(driver)).encode()
        assert driver.returncode == 0, said.decode()
        session = all_in(cluster.folder)
    assert_each_once(tmp_path, pictures)
    sent = {name: [one for one in sent_in(tmp_path) if one.account == name] for name in LIMITS}
    assert all(len(calls) > 30 for calls in sent.values())
    most = {name: {kind: most_in_a_second(sent[name], kind) for kind in kinds} for name, kinds in LIMITS.items()}
    assert all(most[name][kind] <= qps for name, kinds in LIMITS.items() for kind, qps in kinds.items()), most
    looked_at = {"typed": typed, "said": said, "session": session, "run": all_in(tmp_path / "shared")}
    secrets = [value.encode() for value in CREDENTIALS.values()]
    told = [(secret, where) for where, text in looked_at.items() for secret in secrets if secret in text]
    assert told == []
    assert cluster.address.encode() in session, "Ray's own files are among those that were looked at"
    assert b"LocalExecutor" in typed, "so are the commands of workers, which hold the code of this test"


def log_of(folder: Path, worker: str) -> Path:
    return folder / f"{worker}.sent"


def all_in(folder: Path) -> bytes:
    return b"\n".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())


@only_thorough
def test_what_ends_a_first_pass_on_a_cluster_is_one_line(cluster: RayCluster, tmp_path: Path) -> None:
    """A part that ends every process, and last the head of the cluster."""
    job_of_photos(tmp_path)
    (tmp_path / "notes").mkdir()
    words = ("split", "job.yaml", "--prepare", "--ray", cluster.address)
    node, *_ = cluster.with_nodes(1)
    done = pipeline(*words, cwd=tmp_path, code=KILLED)
    assert done.returncode == 2
    assert "a process that looks at 4 pictures from 'photos/08.png' to 'photos/11.png' dies each time" in done.stderr
    assert "Traceback" not in done.stderr
    shutil.rmtree(tmp_path / "shared" / ".prepared")  # or only that part would be left to look at
    with started(tmp_path / "notes", node, *words, cwd=tmp_path, code=DRIVER) as driver:
        until((tmp_path / "notes" / "hangs").exists, by=driver)
        cluster.do("kill-head")
        said = ended(driver)[1]
    assert driver.returncode == 4, said
    assert said.splitlines()[-1].startswith("the head of the Ray cluster is gone, and no more pictures")
    assert "Traceback" not in said
