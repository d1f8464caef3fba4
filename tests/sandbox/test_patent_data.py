"""Data of patents in the sandbox: found ones are billed, some are not found, fields are missing here and there."""

import pytest

from pipeline.endpoints.patsnap.d301 import STATUSES
from pipeline.sandbox.faults import FaultPlan
from pipeline.sandbox.patent_data import detail_of, family_of, is_refused
from pipeline.sandbox.patents import invent_patent
from pipeline.sandbox.server import SandboxServer
from tests.support.fixtures import Start
from tests.support.sandbox_calls import Reply, call, search

pytestmark = pytest.mark.anyio

PATH = "/basic-patent-data/patent-detail-aggregation"
FAMILY = "/basic-patent-data/patent-family"
PATENTS = [invent_patent(f"bag-{design}-{number}.png") for design in range(8) for number in (1, 2, 3)]


async def ask(server: SandboxServer, ids: str, *, path: str = PATH) -> Reply:
    return await call(server, "GET", path, params={"patent_id": ids})


async def test_found_patents_are_billed_and_the_others_are_missing(start: Start) -> None:
    server = start()
    hits = (await search(server, limit="100")).data["patent_messages"]
    ids = [hit["patent_id"] for hit in hits]
    before = server.stats.units
    reply = await ask(server, ",".join([*ids, "unknown"]))
    found = [entry["patent_id"] for entry in reply.data]
    assert set(found) < {*ids, "unknown"}
    assert "unknown" not in found
    assert server.stats.units - before == len(found) == int(reply.headers["x-openapi-amount"])
    assert found != [id_ for id_ in ids if id_ in found]  # by no order that a client could count on
    assert server.stats.patents_asked == dict.fromkeys([*ids, "unknown"], 1)


async def test_fields_are_missing_or_null_here_and_there_and_words_are_chinese() -> None:
    data = [detail_of(patent) for patent in (*PATENTS, *(invent_patent(f"lamp-{at}-1.png") for at in range(40)))]
    assert not all("current_assignee" in entry for entry in data)
    assert any(entry["expiration_date"] is None for entry in data)
    assert any(entry["images"] is None for entry in data)
    words = {entry["simple_legal_status"] for entry in data}
    assert {"有效", "失效", "审中"} < words
    assert words - set(STATUSES)


async def test_families_lie_inside_or_beside_and_are_those_of_the_design() -> None:
    entries = [family_of(patent) for patent in PATENTS]
    inside = [entry for entry in entries if "simple_family_id" in entry["patent_family"]]
    assert 0 < len(inside) < len(entries)
    numbers = [entry["patent_family"].get("simple_family_id", entry.get("simple_family_id")) for entry in entries]
    assert len(set(numbers)) == 8


async def test_one_refused_id_spoils_a_whole_call_which_is_not_billed(start: Start) -> None:
    server = start(refused_patents=0.1)
    ids = [hit["patent_id"] for hit in (await search(server, limit="100")).data["patent_messages"]]
    refused = [id_ for id_ in ids if is_refused(id_, 0.1)]
    assert 0 < len(refused) < 30
    before = server.stats.units
    assert (await ask(server, ",".join(ids))).code == (await ask(server, refused[0])).code == 68300004
    assert (await ask(server, ids[0], path=FAMILY)).code == (68300004 if ids[0] in refused else 0)
    assert (await ask(server, ",".join(id_ for id_ in ids if id_ not in refused))).data
    assert server.stats.units > before


@pytest.mark.parametrize("ids", ["", ",", "a,,b", ",".join(map(str, range(101)))])
async def test_no_patent_or_too_many_are_refused(ids: str, start: Start) -> None:
    assert (await ask(start(), ids)).code == 68300004


@pytest.mark.parametrize(("name", "path"), [("D301", PATH), ("P014", FAMILY)])
async def test_each_needs_a_permission_of_its_own(name: str, path: str, start: Start) -> None:
    server = start(denied=frozenset({name}))
    assert (await ask(server, "p1", path=path)).code == 67200004
    assert (await ask(server, "p1", path=FAMILY if path == PATH else PATH)).code == 0


async def test_they_have_faults_of_their_own(start: Start) -> None:
    server = start(faults=FaultPlan.parse("details:http_502@1"))
    assert (await ask(server, "p1")).status == 502
    assert (await ask(server, "p1")).code == 0
