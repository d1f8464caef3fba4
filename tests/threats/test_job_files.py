"""T12: two hundred hostile job files, each answered with clear lines, within bounds of CPU time and memory.

All are read in one child whose memory is capped; it tells of each how long it took.
"""

import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.jobs import pipeline
from tests.support.processes import completed, python

MILLION_STEPS = 60  # six times what the worst needs of the processor's time, in that of a million steps of Python
MEMORY = 200 << 20  # on top of what the interpreter with its libraries maps before the first file
READER = """
import json, resource, sys, time
from pathlib import Path
from pipeline.errors import SpecError
from pipeline.job.load import load_job
from tests.support.processor import million_steps_s
million_steps_s()
mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
limit = mapped + int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
for path in sorted(Path(sys.argv[1]).iterdir()):
    before = time.process_time()
    try:
        load_job(path)
        lines = []
    except SpecError as error:
        lines = list(error.lines)
    except BaseException as error:
        lines = [f"CRASH {type(error).__name__}: {error}"[:300]]
    print(json.dumps([path.name, (time.process_time() - before) / million_steps_s(), lines]), flush=True)
"""
HEAD = "version: 1\nname: job\nimages: [{url: 'https://a.example/1.jpg'}]\n"


def bombs() -> Iterator[tuple[str, bytes]]:
    """Names and contents; every one is to be refused."""
    for levels in (2, 5, 9, 20):
        for width in (2, 9, 50):
            text = "a0: &a0 [x]\n" + "".join(
                f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * width)}]\n" for n in range(1, levels)
            )
            yield f"aliases-{levels}x{width}", text.encode()
            text = "a0: &a0 {k: x}\n" + "".join(
                f"a{n}: &a{n}\n" + "".join(f"  k{m}: {{<<: *a{n - 1}}}\n" for m in range(width))
                for n in range(1, levels)
            )
            yield f"merges-{levels}x{width}", text.encode()
    for opener in ("[", "{a: ", "- ", "? ", "[{a: ", "!!seq [", "a: {", "[[[[", "- - - "):
        for count in (21, 1_000, 100_000):
            yield f"deep-{ord(opener[0])}{len(opener)}-{count}", (opener * count)[: 1 << 20].encode()
    for count in (100_001, 300_000):
        yield f"wide-list-{count}", b"[" + b"1," * count + b"1]"
        yield f"wide-lines-{count}", b"- 1\n" * count
        yield f"wide-map-{count}", "".join(f"k{n}: 1\n" for n in range(min(count, 110_000)))[: 1 << 20].encode()
    yield "many-urls", HEAD[:-1].replace("[{", "[" + "{url: 'https://a.example/1.jpg'}," * 11_000 + "{").encode()
    for size in (1 << 20, 3 << 20, 8 << 20):
        yield f"big-text-{size}", HEAD.encode() + b"root: " + b"x" * size
        yield f"big-comment-{size}", HEAD.encode() + b"# " + b"x" * size
        yield f"nul-{size}", b"\x00" * size
    for number in (
        "9" * 5_000,
        "9" * 100_000,
        "0x" + "f" * 100_000,
        "1" + ":59" * 20_000,
        "1e" + "9" * 1_000,
        "0b" + "1" * 90_000,
    ):
        yield f"number-{number[:2]}-{len(number)}", f"{HEAD}api: {{qps: {number}}}\n".encode()
    for key in ("x" * 100_000, "é" * 100_000, "\\u202e" * 1_000, "<<", "=", "~", "null", "!!binary x"):
        yield f"key-{ord(key[0])}-{len(key)}", f'{HEAD}"{key}": 1\n'.encode()
    yield "many-keys", (HEAD + "".join(f"k{n}: 1\n" for n in range(5_000))).encode()
    yield "many-twice", (HEAD + "name: job\n" * 5_000).encode()
    yield "many-bad-images", (HEAD[:-2] + ", {urll: 1}" * 5_000 + "]\n").encode()
    tags = ["!!python/object/apply:os.system [id]", "!!python/name:os.system", "!!binary aGk=", "!!set {a}", "!own x"]
    tags += [
        "!!python/object/new:type {args: [a]}",
        "!!timestamp 2001-01-01",
        "!!omap [a: 1]",
        "!<tag:x> y",
        "!!int []",
    ]
    for place, tag in enumerate(tags):
        yield f"tag-{place}", f"{HEAD}root: {tag}\n".encode()
        yield f"tag-of-all-{place}", f"{tag.split(' ')[0]} {{version: 1}}\n".encode()
    values = ["*x", "&x 1", "{<<: {a: 1}}", "[<<]", ".nan", ".inf", "-.inf", "1e999", "0o17", "010", "1:30", "12:30:00"]
    values += [
        "2001-01-01",
        "no",
        "~",
        "[]",
        "'\\x00'",
        '"\\x1b[31m"',
        '"\\ud800"',
        '"\\u202e"',
        "|-\n  a\n  b",
        "@a",
        "`a",
    ]
    for place, value in enumerate(values):
        yield f"value-{place:02}", f"{HEAD}search: {value}\n".encode()
        yield f"qps-{place:02}", f"{HEAD}api: {{qps: {value}}}\n".encode()
    encodings = ["utf-16", "utf-32", "utf-16-le", "cp037", "utf-7"]
    for encoding in encodings:
        yield f"as-{encoding}", (HEAD + "names: é\n").encode(encoding)
    yield "gb18030", (HEAD + "root: 中文\n").encode("gb18030")
    yield "gzip", bytes.fromhex("1f8b0800000000000003") + b"x" * 100
    yield "png", b"\x89PNG\r\n\x1a\n" + b"\x00" * 100
    yield "elf", b"\x7fELF" + bytes(range(256)) * 4
    yield "two-documents", (HEAD + "---\n" + HEAD).encode()
    yield "many-documents", b"--- 1\n" * 50_000
    yield "directives", b"%YAML 9.9\n%TAG ! tag:x,2000:\n--- a\n" + b"%FOO bar\n" * 1_000
    yield "flow-of-colons", b"{" + b":" * 100_000 + b"}"
    yield "question-marks", b"? " * 50_000
    yield "quotes", b'"' * 99_999
    yield "escapes", b'"' + b"\\x41" * 200_000 + b'"'
    yield "block-scalars", b"|\n" * 50_000
    yield "brackets-closing", b"]" * 100_000
    noise = random.Random(0)
    for place in range(40):
        pieces = [noise.choice("[]{}:,-?&*!|>'\"%@`\n \tab01") for _ in range(noise.randrange(10, 3_000))]
        yield f"noise-{place:02}", (HEAD + "x" + "".join(pieces)).encode()


CORPUS = dict(bombs())


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[float, list[str]]]:
    folder = tmp_path_factory.mktemp("bombs")
    for name, raw in CORPUS.items():
        (folder / name).write_bytes(raw)
    child = completed(python(READER, folder, str(MEMORY)))
    assert child.returncode == 0, f"after {child.stdout.splitlines()[-1:]}: {child.stderr[-2000:]}"
    told = [json.loads(line) for line in child.stdout.splitlines()]
    return {name: (took, lines) for name, took, lines in told}


def test_there_are_two_hundred_of_them() -> None:
    assert len(CORPUS) >= 200


def test_every_one_is_answered_and_none_is_a_crash(answers: dict[str, tuple[float, list[str]]]) -> None:
    assert set(answers) == set(CORPUS)
    assert {name: lines for name, (_, lines) in answers.items() if any("CRASH" in line for line in lines)} == {}
    assert [name for name, (_, lines) in answers.items() if not lines] == []


def test_every_answer_came_within_its_time(answers: dict[str, tuple[float, list[str]]]) -> None:
    assert {name: took for name, (took, _) in answers.items() if took > MILLION_STEPS} == {}


def test_every_line_is_short_and_can_be_printed(answers: dict[str, tuple[float, list[str]]]) -> None:
    shown = [(name, line) for name, (_, lines) in answers.items() for line in lines]
    assert [(name, line[:200]) for name, line in shown if not line.isprintable()] == []
    assert [(name, len(line), line[:100]) for name, line in shown if len(line) > 1_000] == []


def test_a_bomb_is_answered_in_one_line(answers: dict[str, tuple[float, list[str]]]) -> None:
    kinds = (
        "aliases-",
        "merges-",
        "deep-",
        "wide-",
        "nul-",
        "many-urls",
        "big-text-3",
        "as-",
        "two-",
        "many-documents",
    )
    bombs_of = {name: lines for name, (_, lines) in answers.items() if name.startswith(kinds)}
    assert len(bombs_of) > 60
    assert {name: lines for name, lines in bombs_of.items() if len(lines) != 1} == {}


def test_the_command_answers_a_bomb_with_exit_code_2_and_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "job.yaml").write_bytes(CORPUS["merges-20x50"])
    done = pipeline("check", "job.yaml", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    line, place = done.stderr.splitlines()
    assert line.startswith("error: anchors")
    assert place == "  at: job.yaml:1:5"
