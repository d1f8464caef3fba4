"""Rows and pictures that a plan names: what cannot be used, equal faults once, and what shares a picture."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from PIL import Image

from pipeline.cli import main as cli
from pipeline.offline.plan import Plan, plan_job
from tests.support.jobs import drawings, job

VENDOR = "https://connect.example.com"


def plan(folder: Path, rows: str, **parts: Any) -> Plan:
    path = job(folder, url=VENDOR, pictures=1, upload={"public": True}, **parts)
    (folder / "list.csv").write_text(f"id,url,path\n{rows}")
    return plan_job(path)


def picture(folder: Path, *names: str) -> None:
    noise = Image.effect_noise((64, 64), 80)
    for name in names:
        noise.save(folder / name)


def test_a_plan_names_the_rows_and_pictures_that_cannot_be_used_and_equal_faults_once(tmp_path: Path) -> None:
    good, other = drawings(2)
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    rows = f"a,{good},\nb,oops,\nc,oops2,\na,{other},\nd,,broken.jpg\n"
    found = plan(tmp_path, rows)
    assert found.bad == sum(fault.times for fault in found.bad_rows) == 4
    assert [(fault.where, fault.times) for fault in found.bad_rows] == [
        ("list.csv:3", 2),
        ("list.csv:5", 1),
        ("list.csv:6: broken.jpg", 1),
    ]
    assert "the id 'a' is already used by list.csv:2 for another picture" in found.bad_rows[1].what


def test_a_plan_names_the_items_that_share_a_picture_and_the_calls_that_this_saves(tmp_path: Path) -> None:
    [url] = drawings(1)
    picture(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    rows = f"one,{url},\na,,a.jpg\nb,,b.jpg\nagain,{url}#again,\nc,,c.jpg\n"
    found = plan(tmp_path, rows)
    assert [(one.item, one.source, one.copies, one.times) for one in found.copies] == [
        ("one", url, [f"again ({url}#again)"], 1),
        ("a", "a.jpg", ["b (b.jpg)", "c (c.jpg)"], 2),
    ]
    assert found.saved == {"upload": 2, "search": 3, "create": 3}
    assert plan(tmp_path, rows, task={"enabled": False}).saved == {"upload": 2, "search": 3, "create": 0}
    assert found.paid_calls == 5


def test_both_are_on_the_screen_and_in_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture(tmp_path, "a.jpg", "b.jpg")
    told = json.loads(msgspec.json.encode(plan(tmp_path, "a,,a.jpg\nb,,b.jpg\nslip,oops,\n")))
    assert cli.run(["plan", str(tmp_path / "job.yaml")]) == 0
    shown = capsys.readouterr().out
    assert "same picture as a (a.jpg): b (b.jpg)" in shown
    assert "calls that shared pictures save (1 upload, 1 search, 1 create)" in shown
    assert "cannot be used: list.csv:4: " in shown
    assert [fault["where"] for fault in told["bad_rows"]] == ["list.csv:4"]
    assert told["copies"] == [{"item": "a", "source": "a.jpg", "copies": ["b (b.jpg)"], "times": 1}]
