"""What a run did to the disk, in order, and what it made known to the world meanwhile; `recorder` writes it down."""

import itertools
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from pipeline.models import Kind
from tests.proof.history import Created
from tests.proof.told import Told


class Write(NamedTuple):
    """Bytes went to a file; not yet to the disk."""

    node: int
    offset: int
    data: bytes


class Truncate(NamedTuple):
    """A file was cut; not yet on the disk."""

    node: int
    size: int


class Sync(NamedTuple):
    """All that went to a file is on the disk; for a folder, all changes of names in it."""

    node: int


class Names(NamedTuple):
    """Names of a folder changed, all or none of them: they mean a node now, or nothing."""

    folder: int
    names: Mapping[str, int | None]


class Sent(NamedTuple):
    """A paid call left."""

    kind: Kind


class Executed(NamedTuple):
    """The vendor made a task."""

    created: Created


class Acknowledged(NamedTuple):
    """The engine was told that an item is done."""

    id: str
    crc: int


class Failed(NamedTuple):
    """The engine was told that the journal cannot be written."""


Event = Write | Truncate | Sync | Names | Sent | Executed | Acknowledged | Failed | Told


@dataclass
class Tape:
    """The events of one recording below `root`, whose content at the start counts as on the disk.

    `folders` are the nodes that are folders; node 0 is `root`. `content` is what the other nodes held at the start.
    """

    root: Path
    events: list[Event] = field(default_factory=list)
    folders: dict[int, dict[str, int]] = field(default_factory=dict)
    content: dict[int, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._paths: dict[str, int] = {}
        self._sizes: dict[int, int] = {}
        self._numbers = itertools.count()
        self._seen(self.root)

    def sent(self, kind: Kind) -> None:
        self.events.append(Sent(kind))

    def executed(self, created: Created) -> None:
        self.events.append(Executed(created))

    def acknowledged(self, id_: str, crc: int) -> None:
        self.events.append(Acknowledged(id_, crc))

    def failed(self) -> None:
        self.events.append(Failed())

    def told(self, told: Told) -> None:
        self.events.append(told)

    # --- what the recorder calls ---

    def node(self, path: Path | str) -> int | None:
        """The node behind a path, None when it is not ours."""
        return self._paths.get(os.path.abspath(path))

    def created(self, path: Path | str, *, folder: bool = False) -> int:
        """A name appeared, for a new file or folder."""
        node = next(self._numbers)  # one for each, whichever threads make files at once
        self._sizes[node] = 0
        self._paths[os.path.abspath(path)] = node
        if folder:
            self.folders[node] = {}
        self._named(path, node)
        return node

    def deleted(self, path: Path | str) -> None:
        """A name disappeared."""
        if self._paths.pop(os.path.abspath(path), None) is not None:
            self._named(path, None)

    def renamed(self, old: Path | str, new: Path | str) -> None:
        """A file took another's name, at once."""
        node = self._paths.pop(os.path.abspath(old))
        self._paths[os.path.abspath(new)] = node
        parent = self._paths[os.path.dirname(os.path.abspath(new))]
        self.events.append(Names(parent, {os.path.basename(old): None, os.path.basename(new): node}))

    def wrote(self, node: int, offset: int | None, data: bytes) -> None:
        """Bytes went to a file, at its end when `offset` is None."""
        at = self._sizes[node] if offset is None else offset
        self._sizes[node] = max(self._sizes[node], at + len(data))
        self.events.append(Write(node, at, data))

    def cut(self, node: int, size: int) -> None:
        """A file was given a size."""
        self._sizes[node] = size
        self.events.append(Truncate(node, size))

    def synced(self, node: int | None) -> None:
        """A file or folder was synced."""
        if node is not None:
            self.events.append(Sync(node))

    def parent(self, path: str) -> int | None:
        """The folder of a path."""
        return self._paths.get(os.path.dirname(os.path.abspath(path)))

    def size(self, node: int) -> int:
        """How long a file is now, as far as it was noted."""
        return self._sizes[node]

    def _named(self, path: Path | str, node: int | None) -> None:
        parent = self.parent(str(path))
        if parent is not None:
            self.events.append(Names(parent, {os.path.basename(path): node}))

    def _seen(self, path: Path) -> int:
        node = next(self._numbers)  # one for each, whichever threads make files at once
        self._sizes[node] = 0
        self._paths[os.path.abspath(path)] = node
        if path.is_dir():
            self.folders[node] = {}
            self.folders[node] |= {child.name: self._seen(child) for child in sorted(path.iterdir())}
        else:
            self.content[node] = path.read_bytes()
            self._sizes[node] = len(self.content[node])
        return node
