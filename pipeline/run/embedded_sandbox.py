"""The embedded sandbox: a server for as long as a run lasts, and the pictures behind its URLs."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.job.schema import JobSpec
from pipeline.system.folders import cache_folder


@contextmanager
def address(spec: JobSpec, folder: Path, preparing: Callable[[int, int], None]) -> Iterator[str]:
    """Yield the vendor's address; for the sandbox, start one in a thread of its own until the block ends.

    The first sandbox on a machine draws its gallery, which takes seconds: `preparing` is called meanwhile, with the
    number of drawings done and of all.
    """
    if not spec.sandbox:
        yield spec.api.base_url
        return
    from pipeline.sandbox.server import SandboxServer  # heavy, and only jobs on the sandbox need it
    from pipeline.sandbox.settings import SandboxSettings

    settings = SandboxSettings(
        folder=folder / "sandbox",
        cache_dir=cache_folder(),
        stand_ins=spec.rehearsal,
        preparing=preparing,
    )
    with SandboxServer(settings) as server:
        yield server.url


def hit_picture(spec: JobSpec, folder: Path) -> Callable[[str], bytes | None]:
    """Return a function that reads the picture behind a URL of the sandbox; a vendor's are left to the browser."""
    if not spec.sandbox:
        return lambda _: None
    from pipeline.sandbox.pictures import open_pictures
    from pipeline.sandbox.settings import SandboxSettings

    store = open_pictures(SandboxSettings(folder=folder / "sandbox", stand_ins=spec.rehearsal))

    def read(url: str) -> bytes | None:
        path = store.local_file(url)
        return path.read_bytes() if path else None

    return read
