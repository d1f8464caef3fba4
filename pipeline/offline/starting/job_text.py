"""The job file as text: each key with its default, and a plain sentence above it."""

import json
from collections.abc import Iterator
from typing import Any

from pipeline.job.api import ApiSpec
from pipeline.job.report import ReportSpec
from pipeline.job.sections import OutputSpec, TaskSpec
from pipeline.offline.starting.draft import Draft
from pipeline.offline.starting.names import client_among, market_among
from pipeline.system.fault import typed
from pipeline.views import MOST

SCHEMA = "job.schema.json"
_RUN = "{name}-{month}"
_LONGEST_LABEL = 40  # that the page takes as one to group by


def job_text(draft: Draft, *, job: str, items: int, samples: str) -> str:
    """Write the job file of a draft for so many items; `samples` is the folder of the shipped pictures."""
    begun = f" from {_text(draft.source.name)}" if draft.source is not None and draft.source.name else ""
    lines = [
        f"# yaml-language-server: $schema=./{SCHEMA}",
        f"# Begun by `pipeline init`{begun}. The line above each key says what it does; from `search` on the values",
        f"# are the defaults, unless it says more. `{typed('check', job)}` names every mistake.",
        "",
        "# The version of this file's format.",
        "version: 1",
        "# The name of the job, on pages and of run directories: a-z, 0-9 and -.",
        f"name: {_text(draft.name)}",
        "# The folder at which the paths of pictures begin.",
        f"root: {_text(draft.root)}",
        "",
        *_images(draft, samples),
        *_upload(draft),
        *_search(draft),
        *_task(),
        *_api(items),
        *_report(draft.labels),
        *_output(),
    ]
    return "\n".join(lines) + "\n"


def _text(value: str) -> str:
    """Quote a text, so that it is one in YAML whatever is in it, also behind a `#`."""
    quoted = json.dumps(value, ensure_ascii=False)
    return "".join(char if char.isprintable() else f"\\U{ord(char):08x}" for char in quoted)


def _images(draft: Draft, samples: str) -> Iterator[str]:
    yield "# The pictures: a list, a folder, a zip, or several of them, one entry each."
    yield "images:"
    for entry in draft.entries:
        yield from _manifest(draft, entry) if "manifest" in entry else _pictures(entry)
    if draft.example:
        yield "# To try it with the drawn pictures that come with this program, write as `root:` and `images:`"
        yield f"#   root: {_text(samples)}"
        yield '#   images: [{path: "products"}]'
        yield "# or type `pipeline demo`, which runs them in a job of their own."
    yield ""


def _pictures(entry: dict[str, Any]) -> Iterator[str]:
    yield "  # All pictures there, each called as its file; a folder is read at every depth."
    yield f"  - path: {_text(entry['path'])}"
    yield from _labels(entry)


def _manifest(draft: Draft, entry: dict[str, Any]) -> Iterator[str]:
    yield "  # The list: a row is a product. Another list of the same columns may take its place next month."
    yield f"  - manifest: {_text(entry['manifest'])}"
    if "sheet" in entry:
        yield "    # The sheet of the workbook."
        yield f"    sheet: {_text(entry['sheet'])}"
    if "encoding" in entry:
        yield "    # The way in which the list's letters are stored."
        yield f"    encoding: {entry['encoding']}"
    yield from _labels(entry)
    yield "    # The columns by their names in the list."
    yield "    columns:"
    yield from _columns(draft, entry["columns"])


def _columns(draft: Draft, columns: dict[str, Any]) -> Iterator[str]:
    if "id" in columns:
        yield "      # One value a product, the same every month: decisions and comparisons go by it."
        yield f"      id: {_text(columns['id'])}"
    else:
        yield "      # The column with one value a product; without one, ids are made from the picture's URL or file."
        yield "      # id:"
    if "views" in columns:
        yield "      # Pictures of one product, the most telling first, searched together. To search one alone, write"
        yield f"      # `url: {_text(columns['views'][0])}` in place of this line, and `endpoint: P009` below `search`."
        yield f"      views: {_list(columns['views'])}"
    if "url" in columns:
        yield "      # The picture, as a URL that opens from anywhere."
        yield f"      url: {_text(columns['url'])}"
    if "path" in columns:
        yield "      # The picture, as a path that begins at `root`."
        yield f"      path: {_text(columns['path'])}"
    roles = draft.roles
    beside = [] if roles is None else [facts.name for facts in (*roles.pictures, *roles.beside)][:MOST]
    left_out = [] if roles is None else [facts.name for facts in roles.left_out]
    if len(beside) > 1 and "views" not in columns:
        yield "      # More pictures of each product. To search them together, write this in place of the line above,"
        yield "      # and `endpoint: P061` below `search`:"
        yield f"      # views: {_list(beside)}"
    if "labels" in columns:
        more = f" Left out: {', '.join(map(_text, left_out[:10]))}." if left_out else ""
        yield f"      # Columns to sort and filter by on the page.{more}"
        yield f"      labels: {_list(columns['labels'])}"


def _labels(entry: dict[str, Any]) -> Iterator[str]:
    if "labels" in entry:
        yield "    # Labels of every product of this entry."
        yield f"    labels: {{client: {_text(entry['labels']['client'])}}}"


def _list(names: list[str]) -> str:
    return f"[{', '.join(map(_text, names))}]"


def _upload(draft: Draft) -> Iterator[str]:
    if not draft.local:
        return
    yield "upload:"
    yield "  # A local picture is uploaded to a URL that anybody can open for 9 hours: write true once that is allowed."
    yield "  public: false"
    yield "  # true uploads them upright, as JPG or PNG, of at most 4,096 KB, whatever they are; the files stay."
    yield f"  fit: {'true' if draft.fit else 'false'}"
    yield ""


def _search(draft: Draft) -> Iterator[str]:
    yield "search:"
    if draft.has_views:
        yield "  # The vendor's search by several views; products with one picture are searched with P060."
        yield "  endpoint: P061"
    else:
        yield "  # The vendor's search: P009 is worldwide, P060 goes by country, P061 takes several views of a product."
        yield "  endpoint: P009"
    yield "  # The most similar designs that are asked for, 1 to 100 a product."
    yield "  limit: 100"
    yield "  # Designs that score less, from 0 to 1, are kept in the record and left out of the task."
    yield "  min_score: 0.0"
    yield ""


def _task() -> Iterator[str]:
    task = TaskSpec()
    yield "task:"
    yield "  # true opens a paid infringement task for what was found for each product; false searches alone."
    yield f"  enabled: {_word(task.enabled)}"
    yield "  # The language of the vendor's report: en or cn."
    yield f"  report_lang: {task.report_lang}"
    yield "  # Who reads it before it ends after 8 hours: the run (wait; advised: else it is paid in vain),"
    yield '  # `pipeline collect` (later), or nobody ("off", the default).'
    yield "  report: wait"
    yield ""


def _api(items: int) -> Iterator[str]:
    api = ApiSpec()
    need = f" This list needs about {items:,} of each." if items else ""
    yield "api:"
    yield "  # The vendor. `pipeline run ... --rehearse` takes a drawn world on this machine instead, for free."
    yield f"  base_url: {api.base_url}"
    yield "  # The calls a second that your account allows, for each kind of call."
    yield f"  qps: {api.qps}"
    yield f"  # The most calls that a run directory may ever pay for, retries included; null is no limit.{need}"
    yield "  budget: {search_calls: null, create_calls: null}"
    yield "  # The seconds that a stopped run takes at most to make tasks of what it has paid for."
    yield f"  drain_s: {api.drain_s}"
    yield ""


def _report(labels: list[str]) -> Iterator[str]:
    report = ReportSpec()
    labels = [name for name in labels if len(name) <= _LONGEST_LABEL]
    client = client_among(labels)
    market = market_among([name for name in labels if name != client])
    both = [name for name in (client, market) if name]
    groups = [*both, *(name for name in labels if name not in both)][:2] or report.group_by
    yield "report:"
    yield "  # Designs that score at least this are counted on the page, and are to be decided."
    yield f"  at_least: {report.at_least}"
    yield "  # The label that names a client, as `pipeline report --client NAME` takes it."
    yield f"  client_label: {_text(client or report.client_label)}"
    yield "  # The labels of the table on the page: its rows, its columns."
    yield f"  group_by: {_list(groups)}"
    yield ""


def _output() -> Iterator[str]:
    output = OutputSpec()
    yield "output:"
    yield "  # The folder of all results."
    yield f"  dir: {output.dir}"
    yield "  # The run directory in it: a new one each month, so that a month can be compared with the last."
    yield f"  run: {_text(_RUN)}"


def _word(value: bool) -> str:
    return "true" if value else "false"
