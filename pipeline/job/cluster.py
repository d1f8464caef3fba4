"""The section `cluster` of a job: many machines that work on it together, each on shards of its items."""

from collections import Counter
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, field_validator

from pipeline.endpoints.parameters import Strict
from pipeline.job.api import AccountName, EachOrAll

ITEMS_OF_A_SHARD = 10_000  # of `auto`; less takes longer in all, and more is lost when a machine is
MOST_SHARDS = 4_096
MOST_ACCOUNTS = 64


class AccountSpec(Strict):
    """One of several accounts; what is left out is as `api` says."""

    qps: EachOrAll | None = Field(default=None, description="As api.qps, of this account alone")


def _named_or_each(value: Any) -> str:
    return "each" if isinstance(value, dict) else "named"


Accounts = Annotated[
    Annotated[list[AccountName], Field(min_length=1, max_length=MOST_ACCOUNTS), Tag("named")]
    | Annotated[dict[AccountName, AccountSpec], Field(min_length=1, max_length=MOST_ACCOUNTS), Tag("each")],
    Discriminator(_named_or_each),
]


class ClusterSpec(Strict):
    """Many machines that share a job: `pipeline split` once and `pipeline work` on each, or `pipeline cluster run`."""

    shared: Annotated[str, Field(min_length=1)] = Field(
        description="A folder that is there at the same path on every machine; runs, their shards and leases lie in it"
    )
    shards: Literal["auto"] | Annotated[int, Field(ge=1, le=MOST_SHARDS)] = Field(
        default="auto", description="auto = one for each 10,000 items, at most 4,096; fixed when the items are split"
    )
    lease_s: Annotated[int | float, Field(ge=1, le=600)] = Field(
        default=10,
        description="A machine that is cut off sends nothing after so long; others take over after 1.5 x + 1",
    )
    same_picture: Literal["bytes", "pixels", "source"] = Field(
        default="bytes",
        description="Which items of all shards share a call: those of one file's bytes, of files that show the same "
        "pixels, whatever bytes they have, or of one path or URL alone",
    )
    accounts: Accounts | None = Field(
        default=None,
        description="Accounts that share the shards, as [main, second] or {main: {qps: 5}}, each with credentials of "
        "its name (PATSNAP_CLIENT_ID__MAIN); without it the one account",
    )

    @field_validator("accounts")
    @classmethod
    def _each_once(cls, accounts: Accounts | None) -> Accounts | None:
        variables = Counter(name.replace("-", "_") for name in accounts or ())
        if twice := [name for name in accounts or () if variables[name.replace("-", "_")] > 1]:
            raise ValueError(f"{twice[0]} and {twice[1]} have the same variables; each account needs its own")
        return accounts

    @property
    def account_names(self) -> tuple[str, ...]:
        """The accounts in their order; none where the job has the one account."""
        return tuple(self.accounts or ())

    def qps_of(self, account: str) -> EachOrAll | None:
        """Return the calls a second that are given for one of the accounts; None where `api` says it."""
        return self.accounts[account].qps if isinstance(self.accounts, dict) else None
