"""A run while it goes on: the block on a terminal, the line elsewhere, and its problems."""

import io
from datetime import datetime
from typing import Any

import pytest
from rich.console import Console

from pipeline.cli import live
from pipeline.cli.live import BAR, PLAIN_EVERY_S, LiveBlock, PlainLines, Problems, block, counts, one_line
from pipeline.engine.causes import Cause
from pipeline.models import Kind, State
from pipeline.run.progress import Flow, Progress

NOW = 1_795_302_000.0


def progress(**changes: Any) -> Progress:
    flow = Flow(sent=30, per_s=4.0, limit_per_s=5, slowed_to_per_s=2.5, spent=31, budget=1_000)
    idle = Flow(sent=0, per_s=0.0, limit_per_s=5, slowed_to_per_s=5, spent=0, budget=None)
    plain: dict[str, Any] = {
        "elapsed_s": 65.0,
        "items": dict.fromkeys(State, 0) | {State.TASKED: 20, State.IN_DOUBT: 1, State.PENDING: 6, State.CREATING: 3},
        "in_flight": 4,
        "all_in": True,
        "flows": {Kind.UPLOAD: idle, Kind.SEARCH: flow},
        "units": 0.0,
        "paused_s": 0.0,
        "left_s": 90.0,
        "binds": "the limit of 2.5 search calls a second",
        "ending": None,
        "run": "autumn-2026-W48",
        "vendor": "connect.example.com",
    }
    return Progress(**plain | changes)


def test_the_line_of_a_run_says_how_far_it_is_and_what_binds() -> None:
    assert one_line(progress()) == (
        "1 min 5 s: 20 tasked; 1 in doubt; 4 under way; 5 not started; search 4.0/s of 5, slowed to 2.5, 31 of 1,000; "
        "about 1 min 30 s left, bound by the limit of 2.5 search calls a second"
    )


def test_the_line_of_a_run_that_pauses_or_ends_says_so() -> None:
    line = one_line(progress(left_s=None, paused_s=31.0, ending="stopped by SIGINT"))
    assert line.endswith("; all calls pause for 31 s; ending: stopped by SIGINT")
    assert "left" not in line


@pytest.mark.parametrize("in_flight", [0, 4, 9, 50])
def test_the_counts_add_up_whatever_is_in_flight(in_flight: int) -> None:
    now = progress(in_flight=in_flight)
    assert sum(counts(now).values()) == sum(now.items.values())


def test_without_a_terminal_a_line_comes_every_ten_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(live.time, "monotonic", lambda: now[0])
    stream = io.StringIO()
    lines = PlainLines(stream)
    for now[0] in (1.0, 9.9, PLAIN_EVERY_S, 10.3, 2 * PLAIN_EVERY_S):
        lines.update(progress())
    assert len(stream.getvalue().splitlines()) == 2


def test_the_preparation_of_the_gallery_is_one_plain_line() -> None:
    stream = io.StringIO()
    lines = PlainLines(stream)
    for done in range(3):
        lines.prepare(done, 3)
    assert stream.getvalue() == "preparing the sandbox's gallery, once: 3 drawings\n"


def test_on_a_terminal_the_preparation_of_the_gallery_counts() -> None:
    stream = io.StringIO()
    with LiveBlock(Console(file=stream, force_terminal=True, width=100)) as shown:
        shown.prepare(120, 432)
    assert "preparing the sandbox's gallery, once: 120 of 432 drawings" in stream.getvalue()


def clock(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds).astimezone():%H:%M:%S}"


def test_the_block_says_how_far_the_run_is_what_it_sends_and_when_it_ends() -> None:
    assert block(progress(), now=NOW) == [
        f"autumn-2026-W48   connect.example.com   {clock(NOW)}",
        "\u2588" * (BAR * 7 // 10) + "\u2591" * (BAR - BAR * 7 // 10) + "  70 %   21 of 30",
        "20 tasked \u00b7 1 in doubt \u00b7 4 under way \u00b7 5 not started",
        "search 4.0/s of 5, slowed to 2.5, 31 of 1,000",
        f"ends about {clock(NOW + 90)} (1 min 30 s): bound by the limit of 2.5 search calls a second",
    ]


def test_a_screen_without_utf8_gets_plain_letters() -> None:
    assert all(line.isascii() for line in block(progress(), now=NOW, letters="iso-8859-1"))


def test_a_hundred_percent_is_said_only_when_nothing_is_left() -> None:
    items = dict.fromkeys(State, 0) | {State.TASKED: 9_999, State.REPORT_PENDING: 1}
    assert "99 %   9,999 of 10,000" in block(progress(items=items), now=NOW)[1]
    assert "100 %" in block(progress(items=items | {State.REPORT_PENDING: 0}), now=NOW)[1]


def test_before_all_items_are_read_no_percent_is_said() -> None:
    assert block(progress(all_in=False, left_s=None), now=NOW)[1] == "21 of 30 that are read so far"


def test_without_an_estimate_the_block_says_how_long_the_run_goes_on() -> None:
    assert block(progress(left_s=None), now=NOW)[-1] == "since 1 min 5 s"


def cause(items: int, code: str = "68300010") -> Cause:
    return Cause(State.FAILED, code, items, "SKU-7", "the vendor refused the picture")


def test_a_cause_is_told_once_and_again_at_ten_times_as_many_items() -> None:
    problems = Problems()
    assert problems.new((cause(1),)) == ["failed: SKU-7: the vendor refused the picture"]
    assert [problems.new((cause(items),)) for items in (2, 9)] == [[], []]
    assert problems.new((cause(10),)) == ["failed: 10 items by now, code 68300010; the first: SKU-7"]
    assert [problems.new((cause(items),)) for items in (11, 99)] == [[], []]
    assert problems.new((cause(250),))[0].startswith("failed: 250 items")
    assert problems.new((cause(999),)) == []


def test_each_cause_is_told_for_itself() -> None:
    problems = Problems()
    assert len(problems.new((cause(1), cause(1, "66001007")))) == 2
    assert problems.new((cause(2), cause(2, "66001007"))) == []


def test_a_problem_stays_above_the_block_and_the_block_goes_in_the_end() -> None:
    stream = io.StringIO()
    with LiveBlock(Console(file=stream, force_terminal=True, width=100)) as shown:
        shown.update(progress(causes=(cause(1),)))
        shown.update(progress(causes=(cause(1),)))
    text = stream.getvalue()
    assert text.count("failed: SKU-7: the vendor refused the picture") == 1
    assert text.index("failed: SKU-7") < text.rindex("20 tasked")


def test_a_problem_without_a_terminal_is_a_line_at_once() -> None:
    stream = io.StringIO()
    PlainLines(stream).update(progress(causes=(cause(1),)))
    assert stream.getvalue() == "failed: SKU-7: the vendor refused the picture\n"


def test_a_problem_cannot_move_the_cursor() -> None:
    [line] = Problems().new((Cause(State.FAILED, "x", 1, "A\x1b[2J", "m\nn"),))
    assert line.isprintable()
