"""Faults: their text form, by number and at random."""

import pytest

from pipeline.sandbox.faults import Fault, FaultDice, FaultPlan


def test_the_command_lines_example_is_understood() -> None:
    plan = FaultPlan.parse("create:lost=0.01, search:67200002=0.02,*:http_502=0.005,create:hang.before@3-5")
    assert [(r.endpoint, str(r.fault), r.rate, r.first, r.last) for r in plan.rules] == [
        ("create", "reset.after", 0.01, 0, 0),
        ("search", "67200002", 0.02, 0, 0),
        ("*", "http_502", 0.005, 0, 0),
        ("create", "hang.before", 0.0, 3, 5),
    ]


def test_an_empty_text_is_no_fault() -> None:
    assert FaultPlan.parse("") == FaultPlan()


@pytest.mark.parametrize(
    ("text", "executed"),
    [
        ("lost", True),
        ("reset", False),
        ("reset.after", True),
        ("hang", True),
        ("hang.before", False),
        ("67200100", False),
        ("67200100.after", True),
        ("http_504.after", True),
        ("truncated", True),
        ("http_201", True),
        ("http_201_68300008", False),
        ("http_500_68300008.after", True),
        ("lost_hits", True),
        ("another", True),
    ],
)
def test_a_fault_says_whether_the_call_was_executed(text: str, executed: bool) -> None:
    assert Fault.parse(text).executed is executed


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("create", "write it as"),
        ("create:lost", "write it as"),
        ("create:lost=", "write it as"),
        ("create:lost=often", "write it as"),
        ("create:lost=1.5", "between 0 and 1"),
        ("create:lost=-1", "between 0 and 1"),
        ("create:lost=1e", "between 0 and 1"),
        ("creat:lost=0.1", "unknown endpoint 'creat'"),
        ("create:lsot=0.1", "unknown fault 'lsot'"),
        ("create:http_200=0.1", "unknown fault"),
        ("create:http_204=0.1", "unknown fault"),
        ("create:http_500_7=0.1", "unknown fault"),
        ("create:http_201.before=0.1", "always executed"),
        ("search:no_hits.before=0.1", "always executed"),
        ("create:lost.before=0.1", "unknown fault"),
        ("create:hang.later=0.1", "'before' or 'after'"),
        ("create:truncated.before=0.1", "always executed"),
        ("create:lost@0", "count from 1"),
        ("create:lost@5-3", "goes upwards"),
        ("*:lost=0.6,create:hang=0.6", "add up to more than 1"),
    ],
)
def test_a_mistake_is_one_line(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint) as error:
        FaultPlan.parse(text)
    assert "\n" not in str(error.value)


def test_scripted_faults_come_at_their_call_and_only_there() -> None:
    dice = FaultDice(FaultPlan.scripted({"create": ["ok", "lost", "", "67200005"]}))
    assert [dice.next("create") for _ in range(5)] == [None, Fault("reset", True), None, Fault("67200005", False), None]
    assert dice.next("search") is None


def test_a_script_for_an_unknown_endpoint_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown endpoint"):
        FaultPlan.scripted({"searches": ["lost"]})


def test_random_faults_come_about_as_often_as_said() -> None:
    dice = FaultDice(FaultPlan.parse("search:lost=0.1,*:http_502=0.2", seed=7))
    kinds = [str(dice.next("search")) for _ in range(5000)]
    assert 400 < kinds.count("reset.after") < 600
    assert 850 < kinds.count("http_502") < 1150


def test_the_same_seed_gives_the_same_faults_however_endpoints_interleave() -> None:
    plan = FaultPlan.parse("*:lost=0.5", seed=3)
    alone, mixed = FaultDice(plan), FaultDice(plan)
    expected = [alone.next("create") for _ in range(50)]
    actual = []
    for _ in range(50):
        mixed.next("search")
        actual.append(mixed.next("create"))
    assert actual == expected
    assert [FaultDice(FaultPlan.parse("*:lost=0.5", seed=4)).next("create") for _ in range(50)] != expected
