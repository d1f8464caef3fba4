"""The pictures that a job lists, as types: one entry of `images`, and the columns of a manifest."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, ValidationInfo, model_validator

from pipeline.endpoints.parameters import Strict, was_run
from pipeline.job.checks import MANIFEST_ENDINGS, WORKBOOK_ENDINGS, ZIP, check_id, check_url
from pipeline.job.reach import check_picture_url
from pipeline.system.wording import enumerated
from pipeline.views import LEAST, MOST, fault_of_view, is_url

STDIN = "-"  # the manifest that comes in on stdin
LISTED = "stdin.txt"  # its copy in the run directory

Id = Annotated[str, AfterValidator(check_id)]


def _picture_url(value: str, info: ValidationInfo) -> str:
    return check_url(value) if was_run(info) else check_picture_url(value)


PictureUrl = Annotated[str, AfterValidator(_picture_url)]
Labels = dict[Annotated[str, Field(min_length=1, max_length=64)], Annotated[str, Field(max_length=1000)]]


# A byte order mark in the file wins over it.
Encoding = Literal[
    "utf-8", "utf-16", "gb18030", "gbk", "big5", "cp950", "shift_jis", "cp932", "euc-kr", "cp949", "latin-1", "cp1250",
    "cp1251", "cp1252", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp1258", "windows-1250", "windows-1251",
    "windows-1252", "windows-1253", "windows-1254", "windows-1255", "windows-1256", "windows-1257", "windows-1258",
]  # fmt: skip


def _view(value: str, info: ValidationInfo) -> str:
    if fault := fault_of_view(value):
        raise ValueError(fault)
    return _picture_url(value, info) if is_url(value) else value


View = Annotated[str, Field(min_length=1), AfterValidator(_view)]
Views = Annotated[list[View], Field(min_length=LEAST, max_length=MOST)]
VIEW_COLUMNS = [f"view_{number}" for number in range(1, MOST + 1)]


class Columns(Strict):
    """Names of a manifest's columns: by default id, url, path and view_1 to view_4; all others are labels."""

    id: str = "id"
    url: str = "url"
    path: str = "path"
    views: Annotated[list[str], Field(min_length=1, max_length=MOST)] = Field(default=VIEW_COLUMNS)
    labels: list[str] | None = None


class ImageEntry(Strict):
    """One entry of `images`: a url, a path (a glob, a folder or a zip makes many items), or a manifest."""

    id: Id | None = None
    url: PictureUrl | None = None
    path: Annotated[str, Field(min_length=1)] | None = Field(
        default=None, description="Local pictures inside `root`: a file, a pattern, a folder or a .zip"
    )
    manifest: Annotated[str, Field(min_length=1)] | None = Field(
        default=None, description="A table: .csv, .jsonl, .xlsx, .xls, .ods, or `-` for a list on stdin"
    )
    columns: Columns = Columns()
    sheet: Annotated[str, Field(min_length=1)] | None = Field(
        default=None, description="Of a workbook; by default its first sheet that is not hidden"
    )
    encoding: Encoding = "utf-8"
    labels: Labels = Field(default_factory=dict)
    views: Views | None = Field(
        default=None, description="2 to 4 pictures of one product, URLs or paths, the most telling first (P061)"
    )

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        named = [key for key in ("url", "path", "views", "manifest") if getattr(self, key) is not None]
        if len(named) != 1:
            here = f"; here: {', '.join(named)}" if named else ""
            raise ValueError(f"name exactly one of url, path, views, manifest{here}")
        if self.id is not None and self.manifest:
            raise ValueError("an id belongs to one picture; in a manifest each row has its own")
        if self.id is not None and self.path and any(c in self.path for c in "*?["):
            raise ValueError("an id belongs to one picture; this path is a pattern and may name many")
        if self.id is not None and self.path and self.path.lower().endswith(ZIP):
            raise ValueError("an id belongs to one picture; a zip may hold many")
        if self.manifest and self.manifest != STDIN and not self.manifest.lower().endswith(MANIFEST_ENDINGS):
            raise ValueError(f"a manifest is a {enumerated(MANIFEST_ENDINGS, 'or')} file, or `-` for stdin")
        if self.sheet is not None and not (self.manifest or "").lower().endswith(WORKBOOK_ENDINGS):
            raise ValueError(f"a sheet is one of a manifest that is a workbook ({', '.join(WORKBOOK_ENDINGS)})")
        return self

    @property
    def listing(self) -> str:
        """The manifest as people call it."""
        return "stdin" if self.manifest == STDIN else self.manifest or ""
