"""The newer pair's submit: one paid call that searches a picture and opens an infringement task.

The vendor gives the pair the names of the older one (AI39-1 and AI39-2); here they are AI39-submit and AI39-report. It
has no idempotency key. Assumed, since the vendor's document does not say it: a task lives 8 hours, as AI39-1's do.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from pipeline.endpoints.interface import Answer, Request
from pipeline.endpoints.patsnap.ai39_1 import read_task
from pipeline.models import Kind, Task


@dataclass(frozen=True, slots=True)
class TaskSubmission:
    """The endpoint that opens tasks which search by themselves.

    lang     the language of the report: cn or en
    country  the authorities to search and compare with; at least one
    params   more parameters, as the vendor's names and values
    """

    lang: str
    country: list[str]
    params: Mapping[str, Any] = field(default_factory=dict)
    kind = Kind.CREATE

    def request(self, asked: str) -> Request:
        """Ask for a task for the picture at a URL."""
        body = msgspec.json.encode({"url": asked, "country": self.country, "lang": self.lang, **self.params})
        return Request(Kind.CREATE, "POST", "/ai/image-search/submit", body=body, content_type="application/json")

    def read(self, answer: Answer) -> Task:
        """Read the created task. Raises Refusal for anything less than a task id."""
        return read_task(answer)
