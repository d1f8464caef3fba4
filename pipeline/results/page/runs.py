"""index.html beside the run directories: one line a run, the newest first, with a link to its page."""

import logging
from itertools import groupby
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from pipeline.journal.places import REPORT
from pipeline.models import PAID
from pipeline.results.earlier_runs import KnownRun, runs_in
from pipeline.results.page.dictionary import in_language, words
from pipeline.results.page.shell import joined, rendered
from pipeline.results.page.text import period, tidy
from pipeline.system.files import write_whole

INDEX = "index.html"
MARK = "infringement-pipeline runs"
_MOST = 500  # lines

_log = logging.getLogger(__name__)


class _Line(NamedTuple):
    name: str
    page: str
    practice: bool
    period: str
    products: str
    similar: str
    at_least: str
    new: str
    since: str
    open: str
    calls: str
    money: str
    end: str


def write_runs(folder: Path, *, lang: str = "en") -> bool:
    """Write the list of the runs in a folder; return whether it was. A file of that name that is not ours stays."""
    place = folder / INDEX
    try:
        if place.exists() and MARK.encode() not in place.read_bytes()[:2000]:
            return False
        runs = sorted(runs_in(folder)[:_MOST], key=lambda one: one.job)  # stable: the newest of each job stays first
        jobs = [(tidy(job, 128), [_line(one) for one in some]) for job, some in groupby(runs, key=lambda one: one.job)]
        style = joined("css", ("base", "runs"))
        page = rendered("runs", lang=in_language(lang), w=words(lang), style=style, jobs=jobs, mark=MARK)
        write_whole(place, page, durable=False, several_writers=True)
    except OSError as exc:  # the runs are there without it
        _log.warning("runs.not_listed %s cannot be written anew (%s)", place, exc.strerror)
        return False
    return True


def _line(run: KnownRun) -> _Line:
    similar, money = run.similar, run.money
    spent = "" if not money else f"{money.get('spent', '')} {money.get('currency', '')}".strip()
    sent = sum(int(run.calls.get(kind.value, {}).get("sent", 0)) for kind in PAID)
    return _Line(
        name=tidy(run.run, 200),
        page=f"{quote(run.run)}/{REPORT}" if (run.folder / REPORT).is_file() else "",
        practice=run.vendor == "sandbox",
        period=period(run.started_at, run.finished_at),
        products=f"{run.items.get('all', 0):,}",
        similar="" if similar is None else f"{similar.products:,}",
        at_least="" if similar is None else f"{similar.at_least:g}",
        new="" if similar is None or similar.new is None else f"{similar.new:,}",
        since="" if similar is None else tidy(similar.since, 200),
        open=f"{run.items.get('open', 0) + run.items.get('not_started', 0):,}",
        calls=f"{sent:,}",
        money=tidy(spent, 80),
        end=tidy(run.exit_reason, 160),
    )
