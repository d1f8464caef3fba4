"""Answers that repeat what was asked: one that repeats something else answers somebody else's question.

A gateway that mixes two answers up would else put one product's report into another's record. An answer that does not
say what it answers is taken for ours: the vendor need not repeat it.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from pipeline.endpoints.interface import Answer, Endpoint, Refusal, Request
from pipeline.models import Kind
from pipeline.reports import Report

OF_ANOTHER = "of_another"  # the condition of such an answer
_LONGEST_ID = 128
_Patent = TypeVar("_Patent")


@dataclass(frozen=True, slots=True)
class ReportOf:
    """The question for the report of one task, whose answers must not name another."""

    endpoint: Endpoint[str, Report]
    task_id: str

    @property
    def kind(self) -> Kind:
        """The kind of its calls."""
        return self.endpoint.kind

    def request(self, asked: str) -> Request:
        """Ask for the report."""
        return self.endpoint.request(asked)

    def read(self, answer: Answer) -> Report:
        """Read the answer. Raises Refusal."""
        report = self.endpoint.read(answer)
        refuse_another("task_id", report.task_id, asked=self.task_id)
        return report


@dataclass(frozen=True, slots=True)
class PatentsOf(Generic[_Patent]):
    """The question for some patents; others are left out of its answers, which must not hold others alone."""

    endpoint: Endpoint[tuple[str, ...], Mapping[str, _Patent]]
    ids: Collection[str]

    @property
    def kind(self) -> Kind:
        """The kind of its calls."""
        return self.endpoint.kind

    def request(self, asked: tuple[str, ...]) -> Request:
        """Ask for the patents."""
        return self.endpoint.request(asked)

    def read(self, answer: Answer) -> Mapping[str, _Patent]:
        """Read the answer. Raises Refusal."""
        found = self.endpoint.read(answer)
        own = {id_: found[id_] for id_ in self.ids if id_ in found}
        if found and not own:
            raise Refusal(OF_ANOTHER, detail=f"no patent in it was asked for, as {next(iter(found))[:_LONGEST_ID]}")
        return own


def refuse_another(name: str, said: str, *, asked: str) -> None:
    """Refuse an answer that names another task, or search, than was asked about. Raises Refusal."""
    if said and said.strip().casefold() != asked.strip().casefold():
        raise Refusal(OF_ANOTHER, detail=f"{name} is {said[:_LONGEST_ID]}, asked was {asked}")


def text_of(name: object) -> str:
    """Read the name that an answer repeats, a text or a whole number; "" for anything else."""
    if isinstance(name, int) and not isinstance(name, bool):
        return str(name)
    return name.encode("utf-8", "replace").decode() if isinstance(name, str) else ""
