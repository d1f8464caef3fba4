"""The job file as types, with ranges and defaults. The JSON Schema is made from them, the docstrings are its words.

Units: `qps` in calls a second, names that end in `_s` in seconds, scores from 0 to 1. Paths stay as they were written.
"""

import contextlib
from decimal import Decimal
from functools import cache, cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    Field,
    PrivateAttr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from pipeline.endpoints.parameters import Strict, was_run
from pipeline.endpoints.patsnap import d301, p014
from pipeline.endpoints.patsnap.codes import MAX_ANSWER_S
from pipeline.endpoints.patsnap.endpoints import SEARCHES, SearchSpec, names_for
from pipeline.job.api import ApiSpec
from pipeline.job.cluster import ClusterSpec
from pipeline.job.images import STDIN, ImageEntry
from pipeline.job.method import SUBMIT, of_method, unfit_for_submit
from pipeline.job.notify import NotifySpec
from pipeline.job.prices import Currency, Prices
from pipeline.job.report import ReportSpec
from pipeline.job.sections import Details, OutputSpec, TaskSpec, UploadSpec
from pipeline.models import PAID, Kind
from pipeline.system.wording import enumerated

MAX_INLINE = 10_000


Name = Annotated[str, Field(pattern=r"^[a-z0-9-]{1,64}$")]


class JobSpec(Strict):
    """A job: the pictures, how they are searched, and the tasks that are opened for the hits."""

    version: Literal[1]
    name: Name
    root: str = "."
    method: Literal["search-then-task", "submit"] = Field(
        default="search-then-task",
        description="submit: one paid call an item searches and opens the task; its report brings the hits",
    )
    images: Annotated[list[ImageEntry], Field(min_length=1, max_length=MAX_INLINE)]
    upload: Annotated[UploadSpec, Field(json_schema_extra={"default": {"public": False}})] = UploadSpec()
    search: SearchSpec = SEARCHES[0]()
    task: TaskSpec = TaskSpec()
    details: Details = None
    api: ApiSpec = ApiSpec()
    output: OutputSpec = OutputSpec()
    report: ReportSpec = ReportSpec()
    cluster: ClusterSpec | None = None
    notify: NotifySpec | None = None
    prices: Prices = Field(
        default_factory=dict, description="What one call costs, by the vendor's name of its endpoint, as {P009: 0.2}"
    )
    currency: Currency = Field(default="", description="The currency of `prices`, as it is written behind an amount")

    _folder: Path = PrivateAttr(default_factory=Path.cwd)
    _listed: Path | None = PrivateAttr(default=None)
    _shard: Path | None = PrivateAttr(default=None)

    @field_validator("images")
    @classmethod
    def _one_stdin(cls, images: list[ImageEntry]) -> list[ImageEntry]:
        if sum(entry.manifest == STDIN for entry in images) > 1:
            raise ValueError('stdin can be read once: only one `manifest: "-"`')
        return images

    @model_validator(mode="before")
    @classmethod
    def _sections_of_the_method(cls, data: Any) -> Any:
        return of_method(data)

    @model_validator(mode="after")
    def _fits_the_method(self, info: ValidationInfo) -> Self:
        fault = unfit_for_submit(self.task) if self.submits and not was_run(info) else None
        if fault is not None:
            raise ValueError(fault)
        return self

    @model_validator(mode="after")
    def _most_similar_first(self, info: ValidationInfo) -> Self:
        fault = self.search.filters.unfit_for_tasks() if self.task.enabled and not was_run(info) else None
        if fault is not None:
            raise ValueError(fault)
        return self

    @model_validator(mode="after")
    def _money_needs_prices(self, info: ValidationInfo) -> Self:
        unpriced = [name for name in (*self._billed().values(), *self._of_details()) if name not in self.prices]
        if self.api.budget.money is not None and unpriced and not was_run(info):
            names = enumerated(unpriced)
            raise ValueError(
                f"api.budget.money: nothing may exceed it, so each call needs a price, and {names} "
                f"{'has' if len(unpriced) == 1 else 'have'} none; write `prices: {{{unpriced[0]}: 0.2}}`, or 0 for "
                "what costs nothing"
            )
        return self

    @model_validator(mode="after")
    def _views_are_searched_together(self) -> Self:
        for index, entry in enumerate(self.images):
            if entry.views is not None and not self.search.TAKES_VIEWS:
                method = "`method: search-then-task` and " if self.submits else ""
                raise ValueError(
                    f"images[{index}].views: {self.search.endpoint} searches one picture at a time; write {method}"
                    "`search: {endpoint: P061}`, or list one `url` or `path`"
                )
        return self

    @model_validator(mode="after")
    def _accounts_in_one_place(self) -> Self:
        if self.accounts and self.api.account is not None:
            raise ValueError("api.account: the job names its accounts in cluster.accounts; write one of the two")
        return self

    @property
    def accounts(self) -> tuple[str, ...]:
        """The accounts that share the shards of this job, by their names; none where it has the one account."""
        return () if self.cluster is None else self.cluster.account_names

    def with_account(self, name: str) -> Self:
        """Return the same job for one of its accounts, with the calls per second of that one."""
        assert self.cluster is not None
        qps = self.cluster.qps_of(name)
        own = {"account": name} if qps is None else {"account": name, "qps": qps}
        return self.model_copy(update={"api": self.api.model_copy(update=own)})

    def qps_in_all(self, kind: Kind) -> float:
        """Return the calls of a kind a second that all accounts of this job allow together."""
        return sum(self.with_account(name).api.qps_of(kind) for name in self.accounts) or self.api.qps_of(kind)

    @property
    def submits(self) -> bool:
        """True if one call an item searches and opens the task (`method: submit`)."""
        return self.method == SUBMIT

    @property
    def sandbox(self) -> bool:
        """True if the job runs on the embedded sandbox."""
        return self.api.base_url == "sandbox"

    @property
    def rehearsal(self) -> bool:
        """True if drawn pictures stand for the URLs of the job."""
        return self.api.rehearse

    def rehearsed(self) -> Self:
        """Return the same job as a rehearsal: on the sandbox, past every proxy, and nothing leaves this machine."""
        changes = {"base_url": "sandbox", "rehearse": True, "proxy": None, "ca_file": None}
        rehearsal = self.model_copy(update={"api": self.api.model_copy(update=changes), "cluster": None})
        rehearsal.__dict__.pop("vendor", None)  # the copy keeps what was cached of the real vendor
        return rehearsal

    @cached_property
    def vendor(self) -> str:
        """The vendor as records name it: host and port, or `sandbox`."""
        return "sandbox" if self.sandbox else urlsplit(self.api.base_url).netloc

    @property
    def host(self) -> str:
        """The vendor that a run directory belongs to: its host without a port, or `sandbox`."""
        return "sandbox" if self.sandbox else urlsplit(self.api.base_url).hostname or ""

    @property
    def folder(self) -> Path:
        """The folder that relative paths of the job start at: where its file lies."""
        return self._folder

    def with_folder(self, folder: Path) -> Self:
        """Return the same job with its relative paths starting at `folder`."""
        placed = self.model_copy()
        placed._folder = folder
        return placed

    @property
    def listed(self) -> Path | None:
        """The file with the list that came in on stdin; None before it is there, or when the job has none."""
        return self._listed

    def with_listed(self, file: Path) -> Self:
        """Return the same job with the list from stdin in a file."""
        placed = self.model_copy()
        placed._listed = file
        return placed

    @property
    def shard(self) -> Path | None:
        """The file with the items of the shard that this is the job of; None for a whole job."""
        return self._shard

    def of_shard(self, items: Path) -> Self:
        """Return the job of one shard: the same, but with the items in a file, and for one machine."""
        part = self.model_copy(update={"cluster": None})
        part._shard = items
        return part

    @property
    def root_path(self) -> Path:
        """The folder that local pictures may not leave, absolute."""
        return self.place(self.root).resolve()

    def place(self, path: str) -> Path:
        """Return where a path of the job lies: it starts at the job's folder, or with `~` at the person's home."""
        if path.startswith("~") and not (self._folder / path.partition("/")[0]).exists():
            with contextlib.suppress(RuntimeError):  # nobody knows where that home is: a folder of that name, then
                return Path(path).expanduser()
        return self._folder / path

    def kinds(self, *, local: bool) -> tuple[Kind, ...]:
        """List the kinds of paid calls that an item needs, in order; a `local` picture is uploaded first."""
        wanted = {Kind.UPLOAD: local, Kind.SEARCH: not self.submits, Kind.CREATE: self.task.enabled}
        return tuple(kind for kind, visits in wanted.items() if visits)

    def _billed(self) -> dict[Kind, str]:
        """Name the endpoints that a run of this job may call, by kind."""
        kinds = self.kinds(local=any(entry.url is None for entry in self.images))
        kinds += (Kind.QUERY,) if self.awaits_reports or self.reads_later else ()
        return {kind: name for kind, name in names_for(self.search).items() if kind in kinds}

    def price_of(self, kind: Kind) -> Decimal | None:
        """Return what one call of a kind costs, or one patent of details; None where the job names no price."""
        if kind is Kind.DETAILS:  # one budget for both endpoints, so the dearer price holds
            prices = [self.prices.get(name) for name in self._of_details()]
            return (
                max((price for price in prices if price is not None), default=None)
                if all(price is not None for price in prices)
                else None
            )
        price = self.prices.get(names_for(self.search).get(kind, ""))
        others = (self.search.further, self.search.of_picture("").endpoint) if kind is Kind.SEARCH else ()
        dearer = [other for name in others if (other := self.prices.get(name)) is not None]
        return price if price is None else max((price, *dearer))

    def _of_details(self) -> tuple[str, ...]:
        """Name the endpoints that give details of hits."""
        return () if self.details is None else (d301.NAME, p014.NAME) if self.details.family else (d301.NAME,)

    @property
    def names(self) -> dict[Kind, str]:
        """The vendor's names of the endpoints that this job may call, by kind."""
        return {**names_for(self.search), Kind.DETAILS: d301.NAME}

    @property
    def awaits_reports(self) -> bool:
        """True if an item ends with its report."""
        return self.task.enabled and self.task.report == "wait"

    @property
    def reads_later(self) -> bool:
        """True if reports are collected by another command."""
        return self.task.enabled and self.task.report == "later"

    @property
    def paced(self) -> tuple[Kind, ...]:
        """The kinds of calls that have a pace of their own in this job."""
        questions = (Kind.QUERY,) if self.awaits_reports else ()
        return (*PAID, *questions, *(() if self.details is None else (Kind.DETAILS,)))

    @property
    def max_in_flight(self) -> int:
        """Most items worked on at once: enough to use the whole QPS while each answer takes up to 10 s."""
        if self.api.max_in_flight is not None:
            return self.api.max_in_flight
        kinds = self.kinds(local=any(entry.url is None for entry in self.images))
        calls_per_s = sum(self.api.qps_of(kind) for kind in kinds)
        return max(1, min(2000, round(1.2 * MAX_ANSWER_S * calls_per_s)))

    def asked(self) -> dict[str, Any]:
        """Return what the job asks of the vendor. A run directory goes on with another question only after a yes."""
        return {
            "search": self.search.asked(),
            "task": self.task.model_dump(mode="json", exclude_none=True, exclude={"settle_s"}),
            "pictures": {"root": self.root},
        }


@cache
def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a job file; not to be changed."""
    return JobSpec.model_json_schema()
