"""The texts of the program that no person is shown on a screen, with what they are instead."""

import re

# Whole files, by how their names begin.
FILES = {
    "offline/starting/job_text.py": "the comments of a job file that `init` writes",
    "results/exports/columns.py": "the words of an exported file",
    "results/exports/pdf.py": "the words of an exported file",
    "results/exports/workbook.py": "the words of an exported file",
    "results/exports/sheet.py": "the words of an exported file",
    "results/exports/sheet_formats.py": "the words of an exported file",
    "results/exports/sheets_of_text.py": "the words of an exported file",
    "results/exports/texts.py": "the words of an exported file",
    "results/page/left_out_words.py": "patterns of phrases, with the Chinese of the page",
    "results/page/marks.py": "markup",
    "results/page/runs.py": "the page",
    "results/page/shell.py": "the page",
    "results/page/text.py": "the page",
    "results/page/view.py": "a slip of this program",
    "sandbox/app.py": "the vendor's words",
    "sandbox/delivery.py": "the vendor's words",
    "sandbox/envelope.py": "the vendor's words",
    "sandbox/features.py": "the vendor's words",
    "sandbox/forms.py": "the vendor's words",
    "sandbox/patent_data.py": "the vendor's words",
    "sandbox/patents.py": "names of invented designs",
    "sandbox/pictures.py": "the vendor's words",
    "sandbox/reports.py": "the vendor's words",
    "sandbox/search_desk.py": "the vendor's words",
    "sandbox/search_names.py": "the vendor's words",
    "sandbox/statement.py": "the vendor's words",
    "sandbox/task_desk.py": "the vendor's words",
    "sandbox/tokens.py": "the vendor's words",
    "sandbox/validate.py": "the vendor's words",
    "system/chinese/": "patterns of the translation",
    "system/language.py": "why the language is English",
}

# Texts of such files that people are shown all the same, by their beginnings.
SHOWN = {
    "results/exports/pdf.py": ("there are Chinese, ", "the first {} products, "),
    "results/exports/workbook.py": (
        "Excel has no room ",
        "a workbook with more ",
        "the first {} [product|",
        "the sheet Hits has ",
    ),
}

# Texts by their form.
FORMS = {
    r"\s*(SELECT|INSERT|UPDATE|DELETE|CREATE|PRAGMA|BEGIN|WHERE|NULL AS|iif\(|ord >|state =) ?\S.*": "SQL",
    r"(item\.\{\w+\} )?([a-z_]+=[^ ]+ ?|\{\w+\} ?|%s ?)+": "the event log",
    r"--[a-z-]+ \S.*": "options to type",
    r"(pipeline|export|apt-get|pip|ray|timedatectl) [a-zA-Z{][^`]*|`[^`]*`": "commands to type",
    r"`?- \{?\{?(path|id): .*": "lines to write in a job file",
    r"(upload|output|api|columns|sheet|public|cluster)[.\w]*: [\w{].*": "lines to write in a job file",
    r"<.*|\(\?:.*|\\b.*|`\(pipeline.*": "markup, patterns and names of objects",
    r"(infringement-)?pipeline \{version\}.*": "the version",
}

# Single ones, by the beginning of their files.
TEXTS = {
    "__main__.py": {"stopped by SIGINT; run again to go on"},  # before anything is loaded
    "__init__.py": {"module 'pipeline' has no attribute {}"},
    "calls/attempt.py": {"Bearer {}"},
    "calls/statement.py": {"Bearer {}"},
    "calls/limiter.py": {"Limiter(qps={}, rate={}, sent={})"},
    "cli/app.py": {"pipeline {}"},
    "cli/commands/collect.py": {"{}: task.report: {}"},
    "cli/commands/doctor.py": {"{}  {}  {} {}"},
    "cli/commands/cluster_check.py": {"{}  all  {}: {}"},
    "cli/live.py": {"{}{}  {} %   {} of {}"},
    "cli/options.py": {"ID TASK"},
    "endpoints/interface.py": {"Request({}, {} {})"},
    "endpoints/patsnap/credentials.py": {"Credentials(client credentials)", "Credentials(API key)"},
    "endpoints/patsnap/endpoints.py": {"endpoint: {}{}", ", patent_type: U, model: {}"},
    "endpoints/patsnap/p010.py": {
        '--{}\r\nContent-Disposition: form-data; name="image"; filename="picture.{}"\r\nContent-Type: image/{}\r\n\r\n',
        "multipart/form-data; boundary={}",
    },
    "leases/account.py": {"SharedAccount({}, {})"},
    "leases/lease.py": {"Lease({}, renewals={}, allowed={})"},
    "errors.py": {"{}: a CallError never changes"},
    "job/faults.py": {  # parts of pydantic's words, and what stands for them
        "Value error, ({}): ",
        "Input should be",
        "must be",
        "List should have at least 1 item",
        r"valid dictionary( or instance of \w+)?",
        "mapping (key: value)",
        "a valid list",
        "a list (- one entry a line)",
        "a valid string",
        "--set {}",
        ": must be ",
        ", or ",
        "a valid integer",
        "a whole number",
        "a valid boolean",
        "Value error, ",
    },
    "job/load.py": {"# As run, every default written out. Relative paths start at the job's folder, {}.\n{}"},
    "job/slips.py": {"another document", "escape character", "hexdecimal number", "alphabetic or numeric character"},
    "journal/emergency.py": {"not recorded: item={} status={} task_id={}\n"},  # what a person copies into `resolve`
    "offline/decision_files.py": {"{} is {}"},
    "offline/doctor/job.py": {"public: true"},
    "offline/doctor/machine.py": {"api.drain_s ({})", "pipeline {}, Python {}, {}, SQLite {}, {} {}"},
    "offline/plan.py": {"it is", "they are"},
    "offline/shards/report.py": {"there was a shard to look at"},  # a slip of this program
    "offline/starting/begin.py": {".env\nruns/\n"},
    "results/decisions.py": {"patent number", "decided by", "decided at", "decided in"},  # names of columns
    "results/exports/changes.py": {"searched otherwise before", "not searched before"},
    "results/reading.py": {
        "Decode the report as the vendor sent it; None where there is none. Raises ValueError when it is none."
    },
    "sandbox/searching.py": {"the picture is larger than 4096 KB"},  # the vendor's words
    "run/begin.py": {"task.report: later"},
    "run/decided.py": {"{} and {}"},
    "sandbox/gallery.py": {"features {}\n"},
    "sources/pictures.py": {"{} KB"},
}


_SQL = re.compile(
    r"\b(SELECT|NULL|CASE|ORDER|NOT|AND|VALUES|GLOB|COLUMN|SAVEPOINT|AS|RELEASE|ROLLBACK|CAST|iif|coalesce|json_extract)\b|"
    r"= \?|\? ?ORDER|\bord\b|\bIN \("
)


def is_not_for_people(template: str, normal: str, file: str) -> bool:
    """Return whether nobody is shown this text of this file."""
    if any(file.startswith(beginning) for beginning in FILES):
        return not normal.startswith(SHOWN.get(file, ()))
    if file.startswith("journal/sql/") and _SQL.search(template):
        return True
    if normal in TEXTS.get(file, ()):
        return True
    if file == "cluster/detached.py" and normal.startswith("\nfolder=$1;"):  # a script
        return True
    if file == "offline/starting/begin.py" and normal.startswith(("id,url,", "# Copy this file")):
        return True
    return any(re.fullmatch(form, template, re.DOTALL) for form in FORMS)
