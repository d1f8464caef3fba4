"""The command `pipeline pack`."""

from pathlib import Path

from pipeline.cli.errors import say
from pipeline.cli.screen import show_lines
from pipeline.offline.pack import pack
from pipeline.run.load import folder_of
from pipeline.system.wording import count


def pack_command(path: Path, to: Path | None) -> int:
    """Make an archive of a run; print where it is."""
    packed = pack(folder_of(path), to, say=say)
    files = count(packed.files, "file")
    show_lines([f"packed: {packed.path} ({files}, {packed.size / 1e6:,.1f} MB); each file is proved by its SHA-256"])
    return 0
