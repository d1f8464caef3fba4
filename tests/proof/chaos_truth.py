"""The judgement of a run of the chaos campaign: the vendor's tasks beside the records, and all calls of all workers."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.jobs import lines
from tests.support.workers import after_lease, doubted, most_in_a_second, sent_in, told_by, truth_of

KINDS = ("search", "create")
_A_FREEZE = len(KINDS)  # a call of each kind may have its permit when its worker is frozen


@dataclass
class Judged:
    """What one run, or all of them together, came to.

    twice       pictures with more than one task
    untracked   pictures with a task that no record has, and no doubt
    invented    ids of recorded tasks that the vendor never made
    miscounted  pictures with no record and no open line, or with more than one
    in_doubt    of them `really` were created
    failed      open for good, as the vendor refuses the picture
    other       neither settled nor in doubt nor failed
    worst       the most calls of a kind in any second of all workers
    after_lease calls whose permit was given after the lease's end
    late        calls that left after it, whose permit was given before
    claims      of shards, by whatever worker
    """

    pictures: int = 0
    calls: int = 0
    claims: int = 0
    twice: list[str] = field(default_factory=list)
    untracked: list[str] = field(default_factory=list)
    invented: list[str] = field(default_factory=list)
    miscounted: list[str] = field(default_factory=list)
    in_doubt: int = 0
    really: int = 0
    failed: int = 0
    other: int = 0
    worst: dict[str, int] = field(default_factory=dict)
    after_lease: int = 0
    late: int = 0

    def __iadd__(self, one: "Judged") -> "Judged":
        for name in ("pictures", "calls", "claims", "in_doubt", "really", "failed", "other", "after_lease", "late"):
            setattr(self, name, getattr(self, name) + getattr(one, name))
        for name in ("twice", "untracked", "invented", "miscounted"):
            getattr(self, name).extend(getattr(one, name))
        self.worst = {kind: max(self.worst.get(kind, 0), one.worst.get(kind, 0)) for kind in KINDS}
        return self

    def __str__(self) -> str:
        return (
            f"{self.pictures:,} pictures, {len(self.twice)} twice, {len(self.untracked)} untracked, "
            f"{self.in_doubt} in doubt ({self.really} created), worst second {max(self.worst.values(), default=0)}, "
            f"{self.after_lease} after a lease"
        )

    def broken(self, qps: int, stops: int) -> list[str]:
        """Return what was promised and does not hold, for so many calls a second and workers that were frozen."""
        return [
            *(f"created twice: {picture}" for picture in self.twice),
            *(f"created, and in no record, open line or doubt: {picture}" for picture in self.untracked),
            *(f"recorded, but never created: task {task}" for task in self.invented),
            *(f"not told once: {picture}" for picture in self.miscounted),
            *[f"{self.other} pictures are neither settled nor in doubt"] * bool(self.other),
            *(f"{most} calls of {kind} in one second" for kind, most in self.worst.items() if most > qps),
            *[f"{self.after_lease} permits after a lease's end"] * bool(self.after_lease),
            *[f"{self.late} calls after a lease's end, {stops} stops"] * (self.late > _A_FREEZE * stops),
        ]


def judge(folder: Path, pictures: int) -> Judged:
    """Judge the run of a job of so many pictures, whose machines have all ended."""
    run = folder / "shared" / "job"
    truth = truth_of(folder, run)
    tasks = lines(folder / "vendor" / "tasks.jsonl")
    created = {task["urls"][0] for task in tasks}
    records, open_ = told_by(run)
    made = {task["task_id"] for task in tasks}
    told = Counter(one["image"]["source"] for one in (*records, *open_))
    listed = {row.partition(",")[2] for row in (folder / "list.csv").read_text().splitlines()[1:]}
    assert len(listed) == pictures
    failed = sum(one["status"] == "failed" and not one["error"]["retryable"] for one in open_)
    sent = sent_in(folder)
    after = after_lease(sent)
    return Judged(
        pictures=pictures,
        calls=len(sent),
        claims=len(list(run.glob("shards/*/e*"))),
        twice=truth.twice,
        untracked=truth.untracked,
        invented=[task for one in records if one.get("task") and (task := one["task"]["task_id"]) not in made],
        miscounted=sorted(one for one in listed | set(told) if told[one] != 1),
        in_doubt=truth.in_doubt,
        really=len(doubted(open_) & created),
        failed=failed,
        other=truth.other - failed,
        worst={kind: most_in_a_second(sent, kind) for kind in KINDS},
        after_lease=len(after),
        late=sum(one.noted_at > one.lease_until for one in sent) - len(after),
    )
