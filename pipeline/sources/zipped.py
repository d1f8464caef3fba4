"""Names of pictures in zip archives: `photos.zip!/front/a.jpg` is the member `front/a.jpg` of `photos.zip`."""

import re
from pathlib import PurePosixPath

ZIP = ".zip"
_MARK = re.compile(r"\.zip!/", re.IGNORECASE)


def member_name(archive: str, member: str) -> str:
    """Name a member of an archive as jobs and journals do."""
    return f"{archive}!/{member}"


def split_name(source: str) -> tuple[str, str] | None:
    """Split the name of a picture in an archive into archive and member; None for another file's name."""
    found = _MARK.search(source, 1)
    return (source[: found.start() + len(ZIP)], source[found.end() :]) if found is not None else None


def leaves_its_archive(member: str) -> bool:
    """Return whether a member's name would leave the folder that it is unpacked to, which no sound one does."""
    path = PurePosixPath(member)
    return path.is_absolute() or ".." in path.parts or member[1:2] == ":" or not member.isprintable()
