"""The Chinese README says what the English one says: the same parts, commands, files, codes and links."""

import re

from tests.support.documents import ROOT, all_blocks

ENGLISH, CHINESE = ((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "README.zh-CN.md"))


def without_comments(block: str) -> list[str]:
    """Return the lines of a block up to their comments: those alone are translated."""
    return [re.sub(r"(?:^|\s+)#(?! yaml-language).*", "", line) for line in block.splitlines()]


def test_it_has_the_same_headings_tables_and_lists() -> None:
    shapes = [
        [re.match(r"#+ |\| ?|- ", line)[0] for line in text.splitlines() if re.match(r"#+ |\||- ", line)]  # type: ignore[index]
        for text in (ENGLISH, CHINESE)
    ]
    assert shapes[0] == shapes[1]


def test_it_shows_the_same_commands_jobs_and_programs() -> None:
    english, chinese = (
        [(language, without_comments(body)) for language, body in all_blocks(text)] for text in (ENGLISH, CHINESE)
    )
    assert chinese == english


def test_the_line_that_says_where_commands_are_typed_stands_above_them() -> None:
    for text in (ENGLISH, CHINESE):
        above = [part.splitlines()[-1] for part in text.split("\n\n```sh\n")[:-1]]
        assert above
        assert [line for line in above if not line.endswith(":")] == []


def words(text: str, pattern: str) -> list[str]:
    """Return all that a pattern finds, in order of the alphabet: sentences may say it in another order."""
    return sorted(re.findall(pattern, text))


def test_it_names_the_same_files_options_and_codes() -> None:
    assert words(CHINESE, r"`[^`\n]+`") == words(ENGLISH, r"`[^`\n]+`")
    codes = r"(?m)^\| ([\d /]+) \|"
    assert words(CHINESE, codes) == words(ENGLISH, codes)


def test_it_links_to_the_same_documents() -> None:
    links = r"\]\(([^)]+)\)"
    both = {"README.md", "README.zh-CN.md"}
    assert [one for one in words(CHINESE, links) if one not in both] == [
        one for one in words(ENGLISH, links) if one not in both
    ]
    assert "README.md" in words(CHINESE, links)
    assert "README.zh-CN.md" in words(ENGLISH, links)
