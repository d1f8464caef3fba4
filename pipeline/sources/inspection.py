"""Every local picture of a job, opened before a run: it is free, and what cannot be sent is known at once."""

from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from msgspec.structs import replace

from pipeline.errors import Code
from pipeline.job.schema import JobSpec
from pipeline.models import Item, Problem
from pipeline.sources.decoding import PictureRefused
from pipeline.sources.items import Note, read_items
from pipeline.sources.looks import Looks, Verdict, looking
from pipeline.sources.pictures import look_at_picture, stamp_of
from pipeline.sources.pixels import Firsts
from pipeline.sources.stamps import Stamp
from pipeline.sources.unreadable import FIT
from pipeline.system.processes import cores
from pipeline.system.wording import count, enumerated
from pipeline.views import local_views

Watch = Callable[[int], None]
_AHEAD = 8  # pictures a processor has before it, so that it never waits; each takes up to 4 MB


def inspect_items(
    spec: JobSpec,
    *,
    quick: bool = False,
    hashed: bool = False,
    watch: Watch | None = None,
    note: Note | None = None,
    made_fit: "MadeFit | None" = None,
) -> Iterator[Item]:
    """Yield the job's items, each local picture opened on all processors; one that cannot be sent has a problem.

    `quick` opens none and tells copies of a file by nothing but their paths. `watch` is told how many pictures were
    looked at to the end, `made_fit` which of them would be made fit. `hashed` and `note` are as `read_items` says.
    Raises SpecError as `read_items` does.
    """
    if quick:
        yield from read_items(spec, contents=False, hashed=hashed, note=note)
        return
    workers = cores()
    with looking() as looks, ThreadPoolExecutor(workers) as pool:
        ahead: deque[tuple[Item, list[_Look]]] = deque()
        seen = 0

        def judged() -> Item:
            nonlocal seen
            item, looks_at = ahead.popleft()
            verdicts = [(look.source, look.verdict()) for look in looks_at]
            if verdicts:
                seen += len(verdicts)
                if watch is not None:
                    watch(seen)
            if made_fit is not None:
                for source, verdict in verdicts:
                    made_fit.note(source, verdict)
            bad = [(source, verdict.fault) for source, verdict in verdicts if verdict.fault]
            return _with_fault(item, *bad[0]) if bad else item

        for item in map(Firsts().named, read_items(spec, hashed=hashed, note=note)):
            is_picture = item.local and item.problem is None
            sources = local_views(item.source) if is_picture else ()
            ahead.append((item, [_Look(spec, source, looks, pool) for source in sources]))
            if len(ahead) > workers * _AHEAD:
                yield judged()
        while ahead:
            yield judged()


class MadeFit:
    """The pictures that `upload.fit` turns or re-encodes, or would, each once."""

    def __init__(self, spec: JobSpec) -> None:
        self._does = spec.upload.fit
        self._found: dict[int, str] = {}  # by the hash of the source; there may be a million

    def note(self, source: str, verdict: Verdict) -> None:
        """Take in the verdict on a picture."""
        if verdict.fitted or verdict.helps:
            self._found[hash(source)] = verdict.fitted or "refused"

    def __len__(self) -> int:
        return len(self._found) if self._does else 0

    @property
    def would_help(self) -> bool:
        """True if some are refused as they are, and would not be with `upload.fit`."""
        return not self._does and any(kind != "turned" for kind in self._found.values())

    def texts(self) -> list[str]:
        """Say how many there are, and what to write where they would be."""
        kinds = Counter(self._found.values())
        turned = kinds.pop("turned", 0)
        if self._does and self._found:
            named = enumerated(
                [f"{number:,} {kind}" for kind, number in sorted({**kinds, "turned": turned}.items()) if number]
            )
            return [f"{count(len(self._found), 'picture is', 'pictures are')} made fit before the upload: {named}"]
        texts = []
        if kinds:
            refused = count(kinds.total(), "picture that is", "pictures that are")
            texts.append(f"upload.fit would make fit {refused} refused: write `{FIT}`")
        if turned:
            are = count(turned, "picture is", "pictures are")
            texts.append(f"{are} stored turned, and uploaded so: to send them upright, write `{FIT}`")
        return texts


class _Look:
    """A look at one picture, under way or known already."""

    def __init__(self, spec: JobSpec, source: str, looks: Looks, pool: ThreadPoolExecutor) -> None:
        self.source = source
        self._looks = looks
        self._fit = spec.upload.fit
        self._stamp = _stamp_of(spec.root_path, source)
        self._known = looks.verdict(self._stamp, fit=self._fit) if self._stamp is not None else None
        self._future: Future[Verdict] | None = None
        if self._known is None:
            self._future = pool.submit(_verdict_on, spec.root_path, source, self._fit)

    def verdict(self) -> Verdict:
        """Wait for the verdict."""
        if self._future is None:
            return self._known or Verdict()
        verdict = self._future.result()
        if self._stamp is not None:
            self._looks.note_verdict(self._stamp, verdict, fit=self._fit)
        return verdict


def _stamp_of(root: Path, source: str) -> Stamp | None:
    try:
        return stamp_of(root, source)
    except (OSError, RuntimeError, ValueError):
        return None


def _verdict_on(root: Path, source: str, fit: bool) -> Verdict:
    try:
        return Verdict(fitted=look_at_picture(root, source, fit=fit))
    except PictureRefused as refused:
        return Verdict.of(refused)


def _with_fault(item: Item, source: str, fault: str) -> Item:
    message = f"{item.origin}: {source}: {fault}"
    return replace(item, problem=Problem("read", Code.PICTURE, message, "fail", True))
