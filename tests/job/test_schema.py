"""The schema of a job, key by key: defaults, ranges, what belongs together."""

from pathlib import Path

import pytest

from pipeline.job.schema import MAX_INLINE
from pipeline.models import Kind
from tests.support.fixtures import Faults, Load
from tests.support.job_files import GOOD, MINIMAL, P060, WHOLE


def test_only_version_name_and_images_are_required(load: Load) -> None:
    spec = load(MINIMAL)
    assert spec.name == "autumn"
    assert (spec.root, spec.vendor, spec.sandbox) == (".", "connect.patsnap.com", False)
    assert (spec.upload.public, spec.upload.fit) == (False, False)
    assert (spec.search.endpoint, spec.search.limit, spec.search.min_score) == ("P009", 100, 0.0)
    assert spec.search.filters.asked() == {}
    assert (spec.task.enabled, spec.task.report_lang, spec.task.country) == (True, "en", None)
    assert (spec.task.max_hits, spec.task.report) == (100, "off")
    assert (spec.api.qps, spec.api.max_in_flight, spec.api.on_in_doubt, spec.api.drain_s) == (5, None, "hold", 60)
    assert (spec.api.proxy, spec.api.ca_file) == (None, None)
    assert [spec.api.budget_of(kind) for kind in (Kind.UPLOAD, Kind.SEARCH, Kind.CREATE)] == [None, None, None]
    assert (spec.output.dir, spec.output.run, spec.output.hits) == ("runs", "{name}", "all")


@pytest.mark.parametrize("key", ["version", "name", "images"])
def test_a_required_key_that_is_missing_is_named(faults: Faults, key: str) -> None:
    others = {"version": "version: 1", "name": "name: a", "images": "images: [{url: 'https://h.example/a.jpg'}]"}
    text = "\n".join(line for name, line in others.items() if name != key)
    assert faults(text) == [f"job.yaml:1:1: {key}: this key is required"]


def test_the_whole_schema_of_the_design_is_read(load: Load) -> None:
    spec = load(WHOLE)
    assert spec.images[0].id == "SKU-1001"
    assert spec.images[0].labels == {"client": "acme", "market": "US"}
    assert spec.images[2].columns.labels == ["client", "market"]
    assert spec.task.report == "off"  # a bare off is false in YAML 1.1
    assert spec.api.budget_of(Kind.SEARCH) == 10000
    assert spec.max_in_flight == 120


def test_p060_takes_its_own_keys(load: Load) -> None:
    spec = load(P060 + "  model: 3\n  patent_type: U\n  filters: {country: [US], simple_legal_status: [1, 2]}\n")
    assert spec.search.endpoint == "P060"
    assert spec.search.params["patent_type"] == "U"
    assert spec.search.filters.asked() == {"country": ["US"], "simple_legal_status": "1,2"}


@pytest.mark.parametrize("extra", [pytest.param(text, id=name) for name, text in GOOD])
def test_what_the_schema_allows_is_read(load: Load, extra: str) -> None:
    assert load(f"{MINIMAL}{extra}\n").version == 1


BAD: list[tuple[str, str, str, str]] = [
    ("version 2", "version: 2", "version", "2 is not allowed; allowed: 1"),
    ("version as text", "version: '1'", "version", "'1' is not allowed; allowed: 1"),
    ("name with capitals", "name: Autumn", "name", "small letters"),
    ("name empty", "name: ''", "name", "small letters"),
    ("name of 65", f"name: {'a' * 65}", "name", "1 to 64"),
    ("name with a line break", 'name: "a\\n"', "name", "small letters"),
    ("limit 0", "search: {limit: 0}", "search.limit", "0: must be greater than or equal to 1"),
    ("limit 101", "search: {limit: 101}", "search.limit", "101: must be less than or equal to 100"),
    ("limit as text", "search: {limit: '5'}", "search.limit", "'5': must be a whole number"),
    ("limit as a fraction", "search: {limit: 5.0}", "search.limit", "5.0: must be a whole number"),
    ("limit as yes", "search: {limit: yes}", "search.limit", "yes: must be a whole number"),
    ("limit octal", "search: {limit: 010}", "search.limit", "010: must be a whole number"),
    ("limit sexagesimal", "search: {limit: 1:30}", "search.limit", "1:30: must be a whole number"),
    ("limit hexadecimal", "search: {limit: 0x1F}", "search.limit", "0x1F: must be a whole number"),
    ("min_score above 1", "search: {min_score: 1.01}", "search.min_score", "less than or equal to 1"),
    ("min_score below 0", "search: {min_score: -0.1}", "search.min_score", "greater than or equal to 0"),
    ("min_score not a number", "search: {min_score: .nan}", "search.min_score", ".nan: must be"),
    ("an unknown code", "search: {filters: {legal_status: 4}}", "search.filters.legal_status", "unknown code '4'"),
    ("no codes", "search: {filters: {legal_status: []}}", "search.filters.legal_status", "unknown code ''"),
    ("locarno words", "search: {filters: {loc: shoes}}", "search.filters.loc", "Locarno codes"),
    ("locarno brackets", "search: {filters: {loc: '(06-01'}}", "search.filters.loc", "a parenthesis is not closed"),
    ("locarno AND first", "search: {filters: {loc: AND 07-01}}", "search.filters.loc", "'AND' is not expected"),
    ("locarno OR last", "search: {filters: {loc: 07-01 OR}}", "search.filters.loc", "missing at the end"),
    ("locarno glued", "search: {filters: {loc: 07-0106-01}}", "search.filters.loc", "is not a LOC code"),
    ("locarno turned", "search: {filters: {loc: ')07-01('}}", "search.filters.loc", "is not expected"),
    (
        "a day with a blank",
        "search: {filters: {apply_end_time: '2024 131'}}",
        "search.filters.apply_end_time",
        "yyyyMMdd",
    ),
    (
        "applied before it starts",
        "search: {filters: {apply_start_time: '20240201', apply_end_time: '20240131'}}",
        "search.filters.apply_end_time",
        "20240131 is before apply_start_time (20240201)",
    ),
    (
        "published before it starts",
        "search: {endpoint: P060, filters: {public_start_time: '20240201', public_end_time: '20240131'}}",
        "search.filters.public_end_time",
        "20240131 is before public_start_time (20240201)",
    ),
    ("owners of blanks", "search: {filters: {assignees: '  '}}", "search.filters.assignees", "only blanks"),
    ("an offset with tasks", "search: {filters: {offset: 100}}", "search.filters.offset", "the 100 most similar hits"),
    ("a new code on P009", "search: {filters: {legal_status: 12}}", "search.filters.legal_status", "unknown code '12'"),
    ("a day that is none", "search: {filters: {apply_end_time: '20230229'}}", "search.filters.apply_end_time", "date"),
    ("a day too short", "search: {filters: {apply_end_time: '2023011'}}", "search.filters.apply_end_time", "date"),
    ("offset 1001", "search: {filters: {offset: 1001}}", "search.filters.offset", "less than or equal to 1000"),
    ("sort with tasks", "search: {filters: {field: APD}}", "search.filters.field", "would not be the most similar"),
    ("worst first", "search: {filters: {order: asc}}", "search.filters.order", "least similar hits first"),
    (
        "a P060 filter",
        "search: {filters: {country: [US]}}",
        "search.filters.country",
        "P009-V2, P060, P060-beta and P061;",
    ),
    ("a P060 key", "search: {model: 1}", "search.model", "belongs to endpoint P060, P060-beta and P061"),
    ("an endpoint unknown", "search: {endpoint: P008}", "search", "allowed: P009, P009-V2, P060, P060-beta, P061"),
    ("an endpoint as a list", "search: {endpoint: [P009]}", "search", "allowed: P009, P009-V2, P060"),
    ("max_hits 0", "task: {max_hits: 0}", "task.max_hits", "greater than or equal to 1"),
    ("max_hits 101", "task: {max_hits: 101}", "task.max_hits", "less than or equal to 100"),
    ("a language", "task: {report_lang: fr}", "task.report_lang", "'fr' is not allowed; allowed: 'cn' or 'en'"),
    ("report on", "task: {report: on}", "task.report", "on is not allowed; allowed: 'off', 'wait' or 'later'"),
    ("a country's name", "task: {country: [Norway]}", "task.country", "two capitals"),
    ("no countries", "task: {country: []}", "task.country", "at least one entry"),
    ("Norway", "task: {country: [US, NO]}", "task.country[1]", 'YAML reads NO as yes/no; put it in quotes: "NO"'),
    ("qps 0", "api: {qps: 0}", "api.qps", "1 to 1000000 whole calls"),
    ("qps -1", "api: {qps: -1}", "api.qps", "1 to 1000000 whole calls"),
    ("qps 1.5", "api: {qps: 1.5}", "api.qps", "1 to 1000000 whole calls"),
    ("qps too high", "api: {qps: 1000001}", "api.qps", "1 to 1000000 whole calls"),
    ("qps infinite", "api: {qps: .inf}", "api.qps", ".inf: must be"),
    ("qps a date", "api: {qps: 2024-01-01}", "api.qps", "2024-01-01: must be"),
    ("qps of a kind", "api: {qps: {search: 0}}", "api.qps.search", "1 to 1000000 whole calls"),
    ("max_in_flight 0", "api: {max_in_flight: 0}", "api.max_in_flight", "greater than or equal to 1"),
    ("max_in_flight 10001", "api: {max_in_flight: 10001}", "api.max_in_flight", "less than or equal to 10000"),
    ("budget -1", "api: {budget: {search_calls: -1}}", "api.budget.search_calls", "greater than or equal to 0"),
    ("drain too long", "api: {drain_s: 3601}", "api.drain_s", "less than or equal to 3600"),
    ("plain http", "api: {base_url: 'http://h.example'}", "api.base_url", "plain http"),
    ("almost loopback", "api: {base_url: 'http://127.0.0.1.h.example'}", "api.base_url", "plain http"),
    ("a path in the address", "api: {base_url: 'https://h.example/v1'}", "api.base_url", "only scheme and host"),
    ("no scheme", "api: {base_url: h.example}", "api.base_url", "a URL starts with https://"),
    ("a port too high", "api: {base_url: 'https://h.example:99999'}", "api.base_url", "this is no URL"),
    ("a proxy without scheme", "api: {proxy: 'proxy:3128'}", "api.proxy", "a URL starts with https://"),
    ("an empty section", "api:", "api", "nothing: must be a mapping"),
    ("a section as a list", "api: [1]", "api", "a list: must be a mapping"),
    ("hits 1101", "output: {hits: 1101}", "output.hits", "less than or equal to 1100"),
    ("hits some", "output: {hits: some}", "output.hits", "'some' is not allowed; allowed: 'all'"),
    ("run with a slash", "output: {run: 'a/b'}", "output.run", "letters, digits"),
    ("run hidden", "output: {run: '.a'}", "output.run", "letters, digits"),
    ("run unknown word", "output: {run: '{hour}'}", "output.run", "letters, digits"),
    ("run too long a name", "output: {run: '" + "x" * 201 + "'}", "output.run", "longer than 200 letters"),
    ("run empty", "output: {run: ''}", "output.run", "letters, digits"),
    ("dir empty", "output: {dir: ''}", "output.dir", "at least 1 character"),
]


@pytest.mark.parametrize(("extra", "field", "words"), [pytest.param(*row[1:], id=row[0]) for row in BAD])
def test_what_the_schema_does_not_allow_is_refused_in_words(faults: Faults, extra: str, field: str, words: str) -> None:
    key = extra.partition(":")[0]
    kept = [line for line in MINIMAL.splitlines() if not line.startswith(f"{key}:")]
    [line] = faults("\n".join([*kept, extra]) + "\n")
    place, said = line.split(": ", 1)
    assert place.startswith(f"job.yaml:{len(kept) + 1}:")
    assert said.startswith(f"{field}: ")
    assert words in said


@pytest.mark.parametrize(
    ("keys", "good"),
    [
        ("model: 1\n  patent_type: D", True),
        ("model: 2\n  patent_type: D", True),
        ("model: 3\n  patent_type: U", True),
        ("model: 4\n  patent_type: U", True),
        ("model: 3", False),
        ("patent_type: U", False),
        ("model: 1\n  patent_type: U", False),
        ("model: 4\n  patent_type: D", False),
    ],
)
def test_models_and_kinds_of_patent_go_together(load: Load, faults: Faults, keys: str, good: bool) -> None:
    text = f"{P060}  {keys}\n"
    if good:
        assert load(text).search.endpoint == "P060"
    else:
        assert "model 1 and 2 go with patent_type D" in faults(text)[0]


@pytest.mark.parametrize(
    ("image", "words"),
    [
        pytest.param("{}", "name exactly one of url, path, views, manifest", id="nothing"),
        pytest.param("{id: a}", "name exactly one of url, path, views, manifest", id="only an id"),
        pytest.param("{url: 'https://h.example/a', path: a.jpg}", "here: url, path", id="two sources"),
        pytest.param("{id: a, manifest: a.csv}", "each row has its own", id="an id for a manifest"),
        pytest.param("{id: a, path: '*.jpg'}", "may name many", id="an id for a pattern"),
        pytest.param("{manifest: a.txt}", ".csv, .jsonl, .xlsx, .xls or .ods", id="another manifest"),
        pytest.param("{manifest: a.csv, sheet: A}", "a manifest that is a workbook", id="a sheet of a text file"),
        pytest.param("{path: ''}", "at least 1 character", id="an empty path"),
        pytest.param("{manifest: a.csv, encoding: ebcdic}", "'ebcdic' is not allowed", id="another encoding"),
        pytest.param("{manifest: a.csv, columns: {ID: x}}", "did you mean 'id'?", id="another column"),
        pytest.param("{url: 'ftp://h/a.jpg'}", "a URL starts with https://", id="another scheme"),
        pytest.param("{url: 'https:///a.jpg'}", "a URL starts with https://", id="no host"),
        pytest.param("{url: 'https://h.example/a b.jpg'}", "no spaces", id="a space in a URL"),
        pytest.param('{url: "https://h.example/a\\nb"}', "no spaces or control", id="a line break in a URL"),
        pytest.param(f"{{url: 'https://h.example/{'a' * 4096}'}}", "4,096", id="a URL too long"),
        pytest.param("{url: 'https://[::1/a'}", "this is no URL", id="half an address"),
        pytest.param("{url: 'https://me:word@h/a.jpg'}", "user name or password", id="userinfo"),
        pytest.param("{url: 'https://me@h/a.jpg'}", "user name or password", id="a user name"),
        pytest.param("{url: 'https://@h/a.jpg'}", "user name or password", id="an empty user name"),
        pytest.param("{id: '', url: 'https://h.example/a'}", "1 to 128", id="an empty id"),
        pytest.param(f"{{id: {'x' * 129}, url: 'https://h.example/a'}}", "1 to 128", id="a long id"),
        pytest.param('{id: "a\\tb", url: "https://h.example/a"}', "printable", id="a tab in an id"),
        pytest.param('{id: "a\\u202eb", url: "https://h.example/a"}', "printable", id="a hidden turn in an id"),
        pytest.param("{id: ' a', url: 'https://h.example/a'}", "outer spaces", id="a space before an id"),
        pytest.param('{id: "e\\u0301", url: "https://h.example/a"}', "NFC", id="an id that is not NFC"),
        pytest.param("{id: a, url: 'https://h.example/a', labels: {x: 1}}", "YAML reads 1 as a number", id="number"),
        pytest.param("{id: a, url: 'https://h.example/a', labels: [x]}", "must be a mapping", id="labels as a list"),
    ],
)
def test_an_image_that_cannot_be_meant_is_refused(faults: Faults, image: str, words: str) -> None:
    [line] = faults(f"version: 1\nname: a\nimages:\n  - {image}\n")
    assert line.startswith("job.yaml:4:")
    assert "images[0]" in line
    assert words in line


def test_views_belong_to_the_search_that_takes_several(faults: Faults) -> None:
    [line] = faults("version: 1\nname: a\nimages:\n  - {id: a, views: [a.jpg, b.jpg]}\n")
    assert "images[0].views: P009 searches one picture at a time; write `search: {endpoint: P061}`" in line


VIEWS = [
    ("[a.jpg]", "at least 2"),
    ("[a.jpg, b.jpg, c.jpg, d.jpg, e.jpg]", "at most 4"),
    ("[a.jpg, 'b | c.jpg']", "a view's name holds no ' | '"),
    ("[a.jpg, 'ftp://h.example/a.jpg', '']", "at least 1 character"),
    ("[a.jpg, 'https://user:pw@h.example/a.jpg']", "user name or password"),
    ("[a.jpg, b.jpg], url: https://h.example/a.jpg", "name exactly one of url, path, views, manifest"),
]


@pytest.mark.parametrize(("views", "words"), VIEWS)
def test_views_that_cannot_be_meant_are_refused(faults: Faults, views: str, words: str) -> None:
    text = f"version: 1\nname: a\nsearch: {{endpoint: P061}}\nimages:\n  - {{views: {views}}}\n"
    assert any(words in line for line in faults(text)), faults(text)


@pytest.mark.proofs
def test_as_many_inline_images_as_allowed_are_read_and_one_more_is_not(load: Load, faults: Faults) -> None:
    text = "version: 1\nname: a\nimages:\n" + "  - url: https://h.example/a.jpg\n" * MAX_INLINE
    assert len(load(text).images) == MAX_INLINE
    [line] = faults(text + "  - url: https://h.example/a.jpg\n")
    assert line.startswith("job.yaml:3:1: images: 10,001 entries; at most 10,000")
    assert "manifest" in line


def test_no_images_are_refused(faults: Faults) -> None:
    assert "images" in faults("version: 1\nname: a\nimages: []\n")[0]


# --- what the rest of the program asks a job ---


@pytest.mark.parametrize(
    ("api", "search", "create", "upload"),
    [
        ("{}", 5.0, 5.0, 5.0),
        ("{qps: 0.5}", 0.5, 0.5, 0.5),
        ("{qps: {search: 50, create: 2}}", 50.0, 2.0, 5.0),
    ],
)
def test_qps_is_one_number_for_all_or_one_for_each(
    load: Load, api: str, search: float, create: float, upload: float
) -> None:
    spec = load(f"{MINIMAL}api: {api}\n")
    asked = [spec.api.qps_of(kind) for kind in (Kind.SEARCH, Kind.CREATE, Kind.UPLOAD)]
    assert asked == [search, create, upload]


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        pytest.param("", 120, id="5 + 5 calls a second, 10 s each, a fifth more"),
        pytest.param("task: {enabled: false}", 60, id="searches alone"),
        pytest.param("api: {qps: 0.01}", 1, id="at least one"),
        pytest.param("api: {qps: 1000}", 2000, id="at most 2000 by itself"),
        pytest.param("api: {qps: 1000, max_in_flight: 7}", 7, id="as written"),
    ],
)
def test_items_in_flight_follow_from_the_qps(load: Load, extra: str, expected: int) -> None:
    assert load(f"{MINIMAL}{extra}\n").max_in_flight == expected


@pytest.mark.parametrize("image", ["path: a.jpg", "manifest: a.csv"])
def test_items_in_flight_count_uploads_where_there_may_be_some(load: Load, image: str) -> None:
    assert load(f"version: 1\nname: a\nimages: [{{{image}}}]\n").max_in_flight == 180


@pytest.mark.parametrize(
    "extra",
    [
        "search: {limit: 99}",
        "search: {min_score: 0.5}",
        "search: {endpoint: P060}",
        "search: {filters: {loc: 06-01}}",
        "task: {enabled: false}",
        "task: {report_lang: cn}",
        "task: {country: [US]}",
        "task: {max_hits: 99}",
    ],
)
def test_a_change_of_search_or_task_changes_what_is_asked(load: Load, extra: str) -> None:
    assert load(f"{MINIMAL}{extra}\n").asked() != load(MINIMAL).asked()


@pytest.mark.parametrize(
    "extra",
    [
        "api: {qps: 50, max_in_flight: 9, drain_s: 1, budget: {search_calls: 1}}",
        "api: {base_url: 'https://connect.zhihuiya.com', proxy: 'http://p:1', ca_file: ca.pem}",
        "output: {hits: 3, dir: elsewhere, run: 'x'}",
        "upload: {public: true}",
        "search: {limit: 100, endpoint: P009, filters: {}}",
        "task: {report: off, enabled: true}",
    ],
)
def test_an_operational_change_or_a_written_default_changes_nothing_asked(load: Load, extra: str) -> None:
    assert load(f"{MINIMAL}{extra}\n").asked() == load(MINIMAL).asked()


@pytest.mark.parametrize(
    ("base_url", "vendor"),
    [
        ("sandbox", "sandbox"),
        ("https://connect.zhihuiya.com/", "connect.zhihuiya.com"),
        ("http://127.0.0.1:8080", "127.0.0.1:8080"),
    ],
)
def test_the_vendor_is_named_by_its_host(load: Load, base_url: str, vendor: str) -> None:
    spec = load(f"{MINIMAL}api: {{base_url: '{base_url}'}}\n")
    assert spec.vendor == vendor
    assert not spec.api.base_url.endswith("/")


def test_paths_start_at_the_job_file_wherever_one_stands(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    spec = load(MINIMAL + "root: pictures\n")
    assert spec.folder == tmp_path.resolve()
    assert spec.root_path == tmp_path.resolve() / "pictures"


def test_a_job_can_be_given_another_folder_and_nothing_else_changes(load: Load, tmp_path: Path) -> None:
    spec = load(MINIMAL + "root: pictures\n")
    moved = spec.with_folder(tmp_path / "moved")
    assert (moved.folder, moved.root_path) == (tmp_path / "moved", tmp_path.resolve() / "moved" / "pictures")
    assert moved.model_dump() == spec.model_dump()
    assert spec.folder == tmp_path.resolve()
