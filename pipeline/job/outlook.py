"""Sentences about a job before and after it runs: what its search leaves out, and what is probably not meant."""

from urllib.parse import urlsplit

from pipeline.job.schema import JobSpec
from pipeline.models import SANDBOX_HOST
from pipeline.system.wording import count


def not_looked_at(spec: JobSpec) -> list[str]:
    """List what the search leaves out of sight, one phrase each."""
    phrases = spec.search.not_looked_at()
    if spec.search.min_score > 0 and spec.task.enabled:
        phrases.append(f"hits scored below {spec.search.min_score:g} (kept in the record, left out of the task)")
    return phrases


def warnings(spec: JobSpec) -> list[str]:
    """List what the job says that is allowed but probably not meant, one sentence each."""
    return [*_foreign_pictures(spec), *_search(spec), *spec.api.warnings()]


def _foreign_pictures(spec: JobSpec) -> list[str]:
    elsewhere = [entry.url for entry in spec.images if entry.url and urlsplit(entry.url).hostname != SANDBOX_HOST]
    if not spec.sandbox or not elsewhere:
        return []
    listed = count(len(elsewhere), "listed picture")
    return [f"the sandbox fetches no URLs: {listed} will fail; try it with local pictures"]


def _search(spec: JobSpec) -> list[str]:
    return spec.search.warnings(task_country=spec.task.country if spec.task.enabled else None)
