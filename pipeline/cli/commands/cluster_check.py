"""The command `pipeline cluster check`."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline.cli.commands.check import check_command
from pipeline.cli.first_pass import look_over_pictures
from pipeline.cli.screen import show_lines
from pipeline.cluster.check import Question, Seen, View, compare, look, question_of, scratch
from pipeline.cluster.preparing import reads_stdin
from pipeline.errors import JournalError, SpecError
from pipeline.run.load import load_spec
from pipeline.system.fault import Fault


def cluster_check_command(path: Path, overrides: list[str], *, quick: bool, ray: str | None) -> int:
    """Check a job, and what this machine, or each node of a Ray cluster, sees of the folder that machines share.

    Those nodes also open the job's pictures, unless it is to be `quick`: on all their cores, and each once.
    Raises SpecError for the job and for machines that do not go together, JournalError for the folder.
    """
    question = question_of(path, overrides)
    with scratch(question):
        if ray is not None and not quick and not reads_stdin(spec := load_spec(path, overrides=overrides)):
            look_over_pictures(spec, ray, opened=True)
        check_command(path, overrides, quick=quick)
        views = _at_each_node(question, ray) if ray is not None else [look(question)]
    together = compare(views)
    show_lines(_lines(views, together))
    _end(question, views, together)
    return 0


def _at_each_node(question: Question, ray: str) -> list[View]:
    from pipeline.cluster.ray import RayMachines

    machines = RayMachines(ray)
    try:
        return machines.on_each(look, question)
    finally:
        machines.close()


def _lines(views: Sequence[View], together: Sequence[Seen]) -> Iterator[str]:
    for view in views:
        for seen in view.seen:
            yield f"{seen.verdict}  {view.host}  {seen.name}: {seen.text}"
    if len(views) > 1:
        yield from (f"{seen.verdict}  all  {seen.name}: {seen.text}" for seen in together)


def _end(question: Question, views: Sequence[View], together: Sequence[Seen]) -> None:
    bad = [(view.host, seen) for view in views for seen in view.seen if seen.bad]
    bad += [("all", seen) for seen in together if seen.bad]
    if not bad:
        show_lines([f"ready for many machines: {question.shared}"])
        return
    faults = [Fault(seen.text, where=f"{host}: {seen.name}", fix=seen.fix) for host, seen in bad]
    if any(seen.storage for _, seen in bad):
        raise JournalError(next(fault for fault, (_, seen) in zip(faults, bad, strict=True) if seen.storage))
    raise SpecError(*faults)
