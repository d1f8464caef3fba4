"""The section `cluster` of a job: many machines that work on it together, each on shards of its items."""

from typing import Annotated, Literal

from pydantic import Field

from pipeline.endpoints.parameters import Strict

ITEMS_OF_A_SHARD = 10_000  # of `auto`; less takes longer in all, and more is lost when a machine is
MOST_SHARDS = 4_096


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
