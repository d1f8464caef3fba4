"""Dangerous YAML is refused before it is composed; all other text becomes plain data with its places."""

import subprocess
import sys

import pytest

from pipeline.job.document import MAX_BYTES, MAX_DEPTH, MAX_NODES, Mark, parse


def fault(text: str | bytes) -> tuple[Mark | None, str]:
    document = parse(text if isinstance(text, bytes) else text.encode())
    assert document.data is None
    [(place, words, _)] = document.faults
    return place, words


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        pytest.param("a: &x 1\n", (1, 4), "anchors", id="anchor on a scalar"),
        pytest.param("a: &x [1]\n", (1, 4), "anchors", id="anchor on a list"),
        pytest.param("b: 1\na: &x {k: 1}\n", (2, 4), "anchors", id="anchor on a mapping"),
        pytest.param("a: *x\n", (1, 4), "aliases", id="alias"),
        pytest.param("a:\n  <<: {b: 1}\n", (2, 3), "merges", id="merge"),
        pytest.param("a: [<<]\n", (1, 5), "merges", id="merge as a value"),
        pytest.param("a: [1\n", (2, 1), "this is not YAML", id="unclosed list"),
        pytest.param("a:\n\t- 1\n", (2, 1), "this is not YAML", id="tab as indentation"),
        pytest.param("a: 1\n---\nb: 2\n", (2, 1), "this is not YAML", id="two documents"),
        pytest.param("a: b: c\n", (1, 5), "this is not YAML", id="two colons"),
    ],
)
def test_what_could_hurt_or_mislead_is_refused_with_its_place(text: str, place: tuple[int, int], words: str) -> None:
    where, said = fault(text)
    assert where == place
    assert words in said


def test_a_nul_character_which_no_path_can_hold_is_refused_wherever_it_stands() -> None:
    document = parse(b'a:\n  b: "x\\0y"\n')
    assert [(one.place, "NUL" in one.text) for one in document.faults] == [(Mark(2, 3), True)]


def test_an_alias_bomb_is_refused_at_its_first_anchor() -> None:
    levels = "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 9))
    assert fault("a0: &a0 [x]\n" + levels)[0] == (1, 5)


def test_a_quoted_merge_sign_is_a_plain_key() -> None:
    assert parse(b'"<<": 1\n').data == {"<<": 1}


def test_nesting_up_to_the_limit_is_read_and_one_more_level_is_not() -> None:
    assert not parse(("[" * MAX_DEPTH + "]" * MAX_DEPTH).encode()).faults
    place, words = fault("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1))
    assert place == (1, MAX_DEPTH + 1)
    assert str(MAX_DEPTH) in words


@pytest.mark.proofs
def test_values_up_to_the_limit_are_read_and_one_more_is_not() -> None:
    fits = "\n".join(["- 1"] * (MAX_NODES - 1))  # the list itself counts too
    assert len(parse(fits.encode()).data) == MAX_NODES - 1
    place, words = fault(fits + "\n- 1")
    assert place == (MAX_NODES, 3)
    assert "100,000" in words


def test_a_file_up_to_1_mib_is_read_and_one_byte_more_is_not() -> None:
    fits = b"a: " + b"x" * (MAX_BYTES - 3)
    assert parse(fits).data == {"a": "x" * (MAX_BYTES - 3)}
    assert "1 MiB" in fault(fits + b"x")[1]


@pytest.mark.parametrize("opener", ["[", "{", "[{a: ", "- ", "? "])
def test_very_deep_nesting_does_not_crash_the_process(opener: str) -> None:
    """libyaml segfaults when it composes this, so a process of its own tries: a crash must not end the tests."""
    code = (
        "import sys\n"
        "from pipeline.job.document import parse\n"
        "document = parse((sys.argv[1] * 200_000)[:1_000_000].encode())\n"
        "assert document.data is None\n"
        "print(document.faults[0].text)\n"
    )
    child = subprocess.run([sys.executable, "-c", code, opener], capture_output=True, text=True, check=False)
    assert child.returncode == 0, child.stderr[-500:]
    assert "nested deeper than 20 levels" in child.stdout


def test_text_that_is_not_utf_8_is_refused_with_its_line() -> None:
    assert fault("name: a\ntitle: \u4e2d".encode("gb18030")) == (
        (2, 1),
        "this is not UTF-8 text; save the file as UTF-8",
    )


@pytest.mark.parametrize("raw", [b"a: \x00", b"a: \x07", "a: \ufffe".encode(), b"\xef\xbb\xbf\xef\xbb\xbfa: 1\n"])
def test_characters_yaml_forbids_never_escape_as_an_exception(raw: bytes) -> None:
    document = parse(raw)
    assert document.faults or document.data


def test_a_byte_order_mark_is_no_part_of_the_first_key() -> None:
    assert parse(b"\xef\xbb\xbfversion: 1\n").data == {"version": 1}


@pytest.mark.parametrize("raw", [b"", b"\n\n", b"# only a remark\n", b"---\n"], ids=["empty", "lines", "remark", "---"])
def test_a_text_without_a_value_is_nothing(raw: bytes) -> None:
    document = parse(raw)
    assert (document.data, document.faults) == (None, [])


@pytest.mark.parametrize(
    "text",
    [
        "a: !!python/object/apply:os.system [ls]\n",
        "a: !!python/name:os.system\n",
        "a: !!binary aGVsbG8=\n",
        "a: !!set {x}\n",
        "a: !!omap [x: 1]\n",
        "a: !own {x: 1}\n",
        'a: !!int ""\n',
        "a: !!int x\n",
        'a: !!float ""\n',
        "a: !!bool maybe\n",
    ],
)
def test_tags_build_nothing_and_are_refused(text: str) -> None:
    document = parse(text.encode())
    assert [found.place for found in document.faults] == [(1, 1)]


def test_a_duplicate_key_is_refused_where_it_comes_again_and_all_of_them_at_once() -> None:
    document = parse(b"a: 1\nb: {x: 1, y: 2, x: 3}\na: 2\n")
    assert [(found.place, found.text.split(";")[0]) for found in document.faults] == [
        ((2, 17), "the key 'x' is here twice"),
        ((3, 1), "the key 'a' is here twice"),
    ]


def test_a_key_that_is_a_list_or_a_mapping_is_refused() -> None:
    document = parse(b"? [a]\n: 1\n{b: 1}: 2\n")
    assert [found.text for found in document.faults] == ["a key is plain text", "a key is plain text"]


def test_keys_stay_text_whatever_yaml_makes_of_them() -> None:
    assert parse(b"no: 1\n010: 2\n2024-01-01: 3\n").data == {"no": 1, "010": 2, "2024-01-01": 3}


def test_every_value_has_its_place_and_what_was_written() -> None:
    document = parse(b"a:\n  - 010\n  - {b: yes}\n")
    assert document.marks[("a",)] == (1, 1)
    assert document.marks[("a", 0)] == (2, 5)
    assert document.marks[("a", 1, "b")] == (3, 6)
    assert document.written[("a", 0)] == "010"
    assert document.written[("a", 1, "b")] == "yes"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("root: @here", 'a value that begins with @ goes into quotes: "@here"', id="at"),
        pytest.param("root: %TEMP%", 'a value that begins with % goes into quotes: "%TEMP%"', id="per cent"),
        pytest.param("root: `pwd`", 'a value that begins with ` goes into quotes: "`pwd`"', id="backquote"),
        pytest.param("images:\n  - path: *.jpg", 'a value that begins with * goes into quotes: "*.jpg"', id="star"),
        pytest.param("images: [{path: **/*.jpg}]", 'begins with * goes into quotes: "*', id="stars"),
        pytest.param('root: "C:\\Users\\me"', "in double quotes a \\ begins an escape; write / in paths", id="windows"),
        pytest.param("a: 1\n---\na: 2", "a second document begins here (---)", id="two documents"),
        pytest.param("version: 1\nname：case\nimages: 2", "line 2 has a full-width colon", id="full-width colon"),
        pytest.param("a:\n\tb: 1", "a tab here; indent with spaces", id="tab"),
        pytest.param("images:\n\u00a0\u00a0- url: x", "(U+00A0) stands before '- url'; indent with spaces", id="nbsp"),
    ],
)
def test_slip_that_people_make_often_is_told_with_the_way_to_write_it(text: str, words: str) -> None:
    [fault] = parse(text.encode()).faults
    assert words in fault.text
