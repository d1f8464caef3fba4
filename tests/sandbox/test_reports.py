"""Reports of tasks: the vendor's words and numbers, the search's scores, and no judgement."""

from datetime import UTC, datetime

import msgspec

from pipeline.sandbox.fates import Fate
from pipeline.sandbox.patents import Patent, invent_patent
from pipeline.sandbox.reports import encode_report
from pipeline.sandbox.tasks import LoggedPatent, LoggedTask
from tests.support.sandbox_calls import NOON, PRODUCT

LAMP = invent_patent("lamp-0-1.png")
AT = datetime.fromtimestamp(NOON, UTC)


def find(patent_id: str) -> Patent | None:
    return LAMP if patent_id == LAMP.patent_id else None


PLAIN = Fate("", "plain", "per_cent", "small", 0.0)


def report(*patents: LoggedPatent, running: bool = False) -> dict:
    task = LoggedTask("t-1", AT, (PRODUCT,), "en", ("US",), patents, "")
    return msgspec.json.decode(encode_report(task, find, PLAIN, running=running))


def patent(score: float | None, *, patent_id: str = LAMP.patent_id) -> LoggedPatent:
    return LoggedPatent(patent_id, "CN309000001S", "Lamp", score, "https://sandbox.invalid/gallery/lamp-0-1.png")


def test_a_report_has_every_field_with_statuses_as_numbers() -> None:
    data = report(patent(0.93), patent(0.8, patent_id="unknown"), patent(None))
    assert (data["task_id"], data["task_status"], data["user_image"], data["loc"]) == ("t-1", 2, PRODUCT, ["26-05"])
    assert [comparison["score"] for comparison in data["comparisons"]] == [93.0, 80.0, 0.0]
    assert [comparison["risk_level"] for comparison in data["comparisons"]] == ["High", "Medium", "Low"]
    assert all(comparison["status"] in (1, 2, 3) for comparison in data["comparisons"])
    assert [comparison["country"] for comparison in data["comparisons"]] == [LAMP.country, "CN", LAMP.country]
    assert (data["high_risk_country"], data["middle_risk_country"]) == ([LAMP.country], ["CN"])
    assert (data["suspected_infringement_count"], data["suspected_infringement_country"]) == (1, [LAMP.country])


def test_a_running_task_has_nothing_to_report_yet() -> None:
    assert report(patent(0.9), running=True) == {"task_id": "t-1", "task_status": 1, "comparisons": []}


def test_the_texts_judge_no_design() -> None:
    (comparison,) = report(patent(0.9))["comparisons"]
    texts = [comparison[key] for key in ("similar", "difference", "confusion", "risk_desc", "suggestion")]
    assert all("nobody looked at the designs" in text for text in texts)
    assert not any(word in text.lower() for text in texts for word in ("safe", "clear", "infring"))
