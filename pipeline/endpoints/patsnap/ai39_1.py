"""AI39-1: open an infringement task from a picture and the hits of its search. It has no idempotency key."""

from dataclasses import dataclass
from typing import Any

import msgspec

from pipeline.endpoints.interface import Answer, Creation, Refusal, Request, posting
from pipeline.endpoints.patsnap.envelope import read_data
from pipeline.models import Kind, Task
from pipeline.views import distinct_views


@dataclass(frozen=True, slots=True)
class TaskCreation:
    """The endpoint that opens tasks.

    report_lang  the language of the report: cn or en
    country      the authorities to compare with; None = all
    """

    report_lang: str
    country: list[str] | None = None
    kind = Kind.CREATE

    def request(self, asked: Creation) -> Request:
        """Ask for a task; the hits' bytes are spliced in as they came."""
        tail: dict[str, Any] = {"report_lang": self.report_lang}
        if self.country:
            tail["country"] = self.country
        urls, rest = msgspec.json.encode(distinct_views(asked.url)), msgspec.json.encode(tail)[1:]
        body = b"".join((b'{"urls":', urls, b',"patent_messages":', asked.choice.array, b",", rest))
        path = "/ai/infringement-detection-creation"
        return posting(Kind.CREATE, path, body)

    def read(self, answer: Answer) -> Task:
        """Read the created task. Raises Refusal for anything less than a task id."""
        return read_task(answer)


def read_task(answer: Answer) -> Task:
    """Read the created task of an answer to a create. Raises Refusal for anything less than a task id."""
    data, _ = read_data(Kind.CREATE, answer)
    task_id = data.get("task_id") if isinstance(data, dict) else None
    if not isinstance(task_id, str) or not task_id.strip() or len(task_id) > 128 or not task_id.isprintable():
        raise Refusal("no_task_id")
    return Task(task_id, answer.at)
