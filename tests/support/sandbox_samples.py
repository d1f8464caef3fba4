"""Recorded answers, `samples/api/<case>/<status>.<json|html>`: successes of the sandbox, failures after the contract.

`python -m tests.support.sandbox_samples` writes them; run it after a change of the contract or of the gallery. Clock,
signing key, token and task id are fixed, so that a second run writes the same bytes.
"""

import dataclasses
import json
import tempfile
from pathlib import Path

import anyio

from pipeline.sandbox.envelope import CODE_TEXTS, failure, success
from pipeline.sandbox.fates import ReportPlan
from pipeline.sandbox.resources import resource
from pipeline.sandbox.server import SandboxServer
from pipeline.sandbox.settings import SandboxSettings
from pipeline.sandbox.shapes import SHAPES
from tests.support.sandbox_calls import (
    NOON,
    PRODUCT,
    QUERY,
    RESULTS,
    SEARCH_ID,
    SINGLE,
    Reply,
    call,
    create,
    multiple,
    report,
    search,
    single,
    submit,
    token,
    upload,
)

SAMPLES = Path(__file__).parents[2] / "samples"

TOKEN = "sample-token"
SEARCH_ID_SAID = "5F0A-1-D"
TASK_ID = "80d42f2c-1c57-4a5e-9d0b-5f6f2a1f8f11"

HIT = {
    "url": "https://sandbox.invalid/gallery/bag-0-1.png",
    "score": 0.99,
    "title": "Handbag",
    "patent_id": "718ead9c-4f3c-4674-8f5a-24e126827269",
    "patent_pn": "USD0554568S1",
}


def _page(title: str) -> bytes:
    return f"<html>\r\n<head><title>{title}</title></head>\r\n<body><h1>{title}</h1></body>\r\n</html>\r\n".encode()


def _success(data: object) -> bytes:
    return json.dumps({"data": data, "status": True, "error_code": 0, "error_msg": ""}, ensure_ascii=False).encode()


def _hits(*hits: dict[str, object], total: int = 1) -> bytes:
    return _success({"patent_messages": list(hits), "total_search_result_count": total})


_WHOLE = _hits(HIT)

WRITTEN: dict[str, bytes] = {
    **{f"error_{code}/200.json": failure(code).body for code in CODE_TEXTS},
    "error_unknown_67209999/200.json": failure(67209999).body,
    "error_unknown_99999999/200.json": failure(99999999).body,
    "error_without_data/200.json": b'{"status":false,"error_code":68300008,"error_msg":"service error"}',
    "create_201/201.json": _success({"task_id": TASK_ID}),
    "create_no_task_id/200.json": _success({}),
    "create_task_id_empty/200.json": _success({"task_id": ""}),
    "create_task_id_number/200.json": _success({"task_id": 17}),
    "create_task_id_blank/200.json": success(SHAPES["blank_task_id"]).body,
    **{f"{kind}/200.json": success(SHAPES[kind]).body for kind in ("absent_hits", "lost_hits")},
    "no_data/200.json": b'{"status":true,"error_code":0,"error_msg":""}',
    "no_hits_data_empty/200.json": b'{"data":{},"status":true,"error_code":0}',
    "no_hits_null/200.json": b'{"data":{"patent_messages":null},"status":true,"error_code":0,"error_msg":""}',
    "hits_missing/200.json": _hits(total=20783),
    "no_status/200.json": b'{"data":{"patent_messages":[],"total_search_result_count":0},"error_code":0}',
    "gateway_html/502.html": _page("502 Bad Gateway"),
    "gateway_timeout/504.html": _page("504 Gateway Time-out"),
    "html_with_200/200.html": _page("Maintenance"),
    "rate_limited/429.json": failure(67200002).body,
    "unauthorized/401.json": failure(67200003).body,
    "forbidden/403.json": failure(67200004).body,
    "not_found/404.json": failure(67200101).body,
    "server_error/500.json": failure(68300008).body,
    "empty/200.json": b"",
    "truncated/200.json": _WHOLE[: len(_WHOLE) // 2],
    "duplicate_keys/200.json": _WHOLE.replace(b'"title": "Handbag"', b'"title": "Handbag", "title": "Bag"'),
    "duplicate_status/200.json": _WHOLE.replace(b'"status": true', b'"status": false, "status": true'),
    "not_utf8/200.json": _WHOLE.replace(b"Handbag", "Sac à main".encode("latin-1")),
    "not_a_number/200.json": _WHOLE.replace(b"0.99", b"NaN"),
    "deep/200.json": _WHOLE.replace(b'"Handbag"', b"[" * 2000 + b"]" * 2000),
    "hits_pretty_crlf/200.json": json.dumps(json.loads(_WHOLE), indent=1).replace("\n", "\r\n").encode(),
    "hits_unknown_fields/200.json": _hits(
        {**HIT, "title": "手提包 Sac à main", "family": {"id": 12345678901234567890}}
    ),
    "hits_one_without_title/200.json": _hits({**HIT, "title": None}, HIT, {"patent_id": "p"}, total=3),
    "hits_score_text/200.json": _hits({**HIT, "score": "0.99"}),
    "query_unknown_fields/200.json": _success(
        {
            "task_id": TASK_ID,
            "task_status": 2,
            "comparisons": [{"patent_id": HIT["patent_id"], "score": 80, "similar": "同一 même", "img_id": "i1"}],
            "operate_date": 1795262400000,
        }
    ),
    "report_hits_missing/200.json": _success(
        {"task_id": TASK_ID, "task_status": 2, "patent_messages": {"total_search_result_count": 156}, "report": {}}
    ),
    "report_without_a_drawing/200.json": _success(
        {
            "task_id": TASK_ID,
            "task_status": 2,
            "line_drawing_base64": "data:image/svg+xml;base64,PHN2Zy8+",
            "patent_messages": {"patent_messages": [HIT], "total_search_result_count": 156},
            "report": {"comparisons": [{"patent_id": HIT["patent_id"], "score": 0.45, "risk_level": "Low"}]},
        }
    ),
    "statement_ok/200.json": _success(
        {
            "usage": [
                {
                    "request_path": "/search/patent/image-single",
                    "serial_number": "P060",
                    "request_path_name": "<cn>x</cn><us>x</us>",
                    "usage_times": 120,
                    "fee_times": 118,
                    "used_money": 236.0,
                }
            ],
            "usage_money": 236.0,
            "combo_usage": [
                {"url": "/ai/image-search/submit", "url_name": "<cn>y</cn><us>y</us>", "used_num": 40},
            ],
            "combo_use_num": 40,
            "combo_usage_num": 40,
        }
    ),
    "statement_nothing_used/200.json": _success({}),
    "hits_not_a_list/200.json": _success({"patent_messages": {"0": HIT}, "total_search_result_count": 1}),
}

# Case -> the fates of all tasks (pipeline/sandbox/fates.py).
REPORTS = {
    "query_running": "never=1,running=plain",
    "query_running_bare": "never=1,running=bare",
    "query_running_null": "never=1,running=null",
    "query_running_data_empty": "never=1,running=data",
    "query_ok_fraction": "scores=fraction",
    "query_no_status": "no_status=1,scores=fraction",
    "query_no_status_running": "silent=1",
    "query_nothing_compared": "empty=1",
    "query_nothing_compared_null": "null=1",
    "query_failed": "failed=1",
    "query_unknown_task": "forgotten=1",
}

# The same of the newer pair; the countries are few, so that a sample stays short.
WHOLE_REPORTS = {
    "report_ok": "",
    "report_running": "never=1,running=plain",
    "report_running_data_empty": "never=1,running=data",
    "report_no_status": "no_status=1",
    "report_no_status_running": "silent=1",
    "report_nothing_compared": "empty=1",
    "report_nothing_compared_null": "null=1",
    "report_failed": "failed=1",
    "report_lost_hits": "lost_hits=1",
    "report_unknown_task": "forgotten=1",
}
_SUBMITTED = {"country": ["JP"], "loc_items": ["03-01"]}


async def record(folder: Path, *, cache: Path | None = None) -> dict[str, bytes]:
    """Return the bodies of the successes, each by the name of its file; `cache` may hold the gallery's index."""
    (folder / "signing.key").write_bytes(b"0" * 64)
    replies: dict[str, Reply] = {}
    settings = SandboxSettings(
        folder=folder,
        clock=lambda: NOON,
        cache_dir=cache or folder / "cache",
        report_after_s=0,
        reports=ReportPlan.parse("running=plain,scores=per_cent"),
    )
    with SandboxServer(settings) as server:
        hits = replies["p009_ok"] = await search(server, limit="3")
        replies["p009_hundred"] = await search(server, limit="100")
        replies["p009_no_hits"] = await search(server, loc="99-99")
        params = {"url": PRODUCT, "limit": "3", "country": "US,KR"}
        named = replies["p009_v2_ok"] = await call(server, "GET", SEARCH_ID, params=params)
        by_name = {"search_id": named.data["search_id"], "limit": "3", "country": "US,KR"}
        replies["p009_v2_page"] = await call(server, "GET", RESULTS, params={**by_name, "offset": "3"})
        replies["p009_v2_past_the_end"] = await call(server, "GET", RESULTS, params={**by_name, "offset": "900"})
        replies["p009_past_the_end"] = await search(server, limit="100", offset="900")
        old = {**by_name, "search_id": "0" * 32 + "-1-D"}
        replies["p009_v2_old_search_id"] = await call(server, "GET", RESULTS, params=old)
        replies["p060_ok"] = await single(server, limit=3)
        replies["p060_beta_ok"] = await call(
            server, "POST", f"{SINGLE}/beta", json={"url": PRODUCT, "model": 1, "patent_type": "D", "limit": 3}
        )
        replies["p061_ok"] = await multiple(server, "bag-0", "bag-1", limit=3)
        replies["p061_no_hits"] = await multiple(server, "bag-0", "bag-1", loc="99-99")
        replies["p061_one_view"] = await multiple(server, "bag-0")
        replies["p060_no_hits"] = await single(server, loc="99-99")
        replies["upload_ok"] = await upload(server, (resource("products") / "bag-0.jpg").read_bytes())
        replies["create_ok"] = await create(server, patent_messages=hits.data["patent_messages"], country=["US", "EU"])
        task_id = replies["create_ok"].data["task_id"]
        replies["query_ok"] = await call(server, "POST", QUERY, json={"task_id": task_id})
        replies["submit_ok"] = await submit(server, **_SUBMITTED)
        submitted = replies["submit_ok"].data["task_id"]
        nothing = (await submit(server, country=["JP"], loc_items=["99-99"])).data["task_id"]
        replies["report_no_hits"] = await report(server, nothing)
        replies["token_ok"] = flat = await token(server)
    with SandboxServer(dataclasses.replace(settings, token_shape="nested")) as server:
        replies["token_nested"] = nested = await token(server)
    for case, plan in REPORTS.items():
        with SandboxServer(dataclasses.replace(settings, reports=ReportPlan.parse(plan))) as server:
            replies[case] = await call(server, "POST", QUERY, json={"task_id": task_id})
    for case, plan in WHOLE_REPORTS.items():
        with SandboxServer(dataclasses.replace(settings, reports=ReportPlan.parse(plan))) as server:
            replies[case] = await report(server, submitted)
    fixed = {task_id: TASK_ID, flat.envelope["token"]: TOKEN, nested.data["token"]: TOKEN}
    fixed |= {submitted: TASK_ID, nothing: TASK_ID}
    fixed[named.data["search_id"]] = SEARCH_ID_SAID
    return {f"{case}/200.json": _fixed(reply.body, fixed) for case, reply in replies.items()}


def _fixed(body: bytes, fixed: dict[str, str]) -> bytes:
    for drawn, constant in fixed.items():
        body = body.replace(drawn.encode(), constant.encode())
    return body


def main() -> None:
    """Write every sample."""
    with tempfile.TemporaryDirectory() as folder:
        recorded = anyio.run(record, Path(folder))
    for name, body in {**recorded, **WRITTEN}.items():
        target = SAMPLES / "api" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(body)


if __name__ == "__main__":
    main()
