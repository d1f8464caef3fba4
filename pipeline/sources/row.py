"""A row of a manifest, as its reader hands it on."""

from itertools import repeat

import msgspec

ALL = repeat(True)  # of rows, or items, one after the other: each is wanted


class Row(msgspec.Struct, frozen=True, gc=False):  # made a million times: a dataclass takes three times as long
    """One row of a manifest.

    line: where the row ends in the file, counted from 1
    id, url, path: the cells of these columns; "" when empty
    labels: name to text; None when there are none
    fault: why the row cannot be used; "" when it can
    views: the cells of the columns of views that are not empty, in their order
    view_labels: the labels that these are to a job that searches no views
    sheet: the sheet of a workbook that it stands in; "" in other files
    """

    line: int
    id: str = ""
    url: str = ""
    path: str = ""
    labels: dict[str, str] | None = None
    fault: str = ""
    sheet: str = ""
    views: tuple[str, ...] = ()
    view_labels: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        """The place in its file, for people."""
        return f"{self.sheet}!{self.line}" if self.sheet else str(self.line)
