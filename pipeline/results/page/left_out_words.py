"""The phrases of what was not looked at, for the page: each in both languages, with the explanation it is told by."""

import re
from typing import NamedTuple

from pipeline.system.wording import count

_OF = re.compile(r"(?P<phrase>.*) \((?P<some>[\d,]+) of (?P<all>[\d,]+) searched items?(?P<more> (?:has|have) more)?\)")
_N = r"([\d,]+)"


class Phrase(NamedTuple):
    """One thing that was left out of sight."""

    en: str
    zh: str
    why: str  # the explanation of it in `assets/words.json`, as `why.<why>`


# Phrases of the endpoints and of `left_out`, the Chinese for each, and its explanation.
_KNOWN: tuple[tuple[str, str, str], ...] = (
    ("utility models", "实用新型", "utility"),
    ("designs", "外观设计", "designs"),
    (rf"hits beyond the first {_N}", "每次检索前 {} 件之后的命中", "beyond"),
    ("hits beyond those returned", "供应商未返回的命中", "beyond"),
    ("designs outside Locarno (.+)", "洛迦诺分类 {} 以外的外观设计", "filter"),
    ("patents of anyone but (.+)", "权利人不是 {} 的专利", "filter"),
    ("patents whose legal status is not (.+)", "法律状态不是 {} 的专利", "filter"),
    ("patents that are not (.+)", "状态不是 {} 的专利", "filter"),
    ("patents outside (.+)", "{} 以外国家或地区的专利", "country"),
    (
        "patents without (.+) in their texts, names, numbers and classes",
        "文本、名称、号码和分类中没有 {} 的专利",
        "filter",
    ),
    ("patents that the query (.+) does not find", "检索式 {} 找不到的专利", "filter"),
    ("applications before (.+)", "{} 以前申请的专利", "filter"),
    ("applications after (.+)", "{} 以后申请的专利", "filter"),
    ("publications before (.+)", "{} 以前公开的专利", "filter"),
    ("publications after (.+)", "{} 以后公开的专利", "filter"),
    (rf"the first {_N} hits", "前 {} 件命中", "filter"),
    ("pages after one that ends with a hit below (.+)", "末位命中低于 {} 分之后的各页", "beyond"),
    (
        r"hits scored below (.+) \(kept in the record, left out of the task\)",
        "低于 {} 分的命中(保留在记录中,不进入任务)",
        "task",
    ),
    (
        rf"{_N} hits? that (?:is|are) in no task \(of {_N} items?: below the asked score, incomplete, or too many\)",
        "{1} 个产品的 {0} 件命中未进入任务(低于所设分数、信息不全或数量过多)",
        "task",
    ),
    (rf"{_N} open items? that (?:was|were) not searched", "{} 个未完成且未检索的产品", "open"),
    (
        rf"{_N} searched items? that (?:is|are) open without a known task",
        "{} 个已检索、未完成且没有已知任务的产品",
        "open",
    ),
    (rf"{_N} tasks? that (?:is|are) paid and whose reports? (?:is|are) not in", "{} 个已付费但报告未到的任务", "open"),
    (rf"{_N} items? that (?:was|were) not started", "{} 个未开始的产品", "not_started"),
    (
        rf"products of {_N} shards? that (?:is|are) missing or cannot be read",
        "{} 个缺失或无法读取的分片中的产品",
        "not_read",
    ),
    (rf"products beyond the {_N} most alike, of {_N}: not on this page", "{1} 个产品中最相似的 {0} 个以外的", "most"),
    (rf"{_N} pictures? that changed since (?:it was|they were) searched: .*", "{} 张图片在检索后已改变", "changed"),
)
_COMPILED = [(re.compile(english), chinese, why) for english, chinese, why in _KNOWN]
# What no search of this vendor covers, whatever was asked.
_NEVER = (
    Phrase("unregistered designs, copyright and trade marks", "未注册外观设计、著作权和商标", "rights"),
    Phrase("lawsuits and court orders", "诉讼和法院命令", "lawsuits"),
)


def phrases_of(not_looked_at: list[str], *, otherwise: int = 0) -> list[Phrase]:
    """Write each phrase in both languages; one that is not known stays English in both.

    `otherwise` counts the products that cannot be compared with the run before.
    """
    return [*map(_phrase, not_looked_at), *_not_compared(otherwise), *_NEVER]


def _not_compared(otherwise: int) -> list[Phrase]:
    if not otherwise:
        return []
    english = f"changes of {count(otherwise, 'product')} that the run before searched otherwise"
    return [Phrase(english, f"上次运行检索条件不同的 {otherwise:,} 个产品的变化", "otherwise")]


def _phrase(english: str) -> Phrase:
    some = _OF.fullmatch(english)
    alone = some["phrase"] if some else english
    for pattern, chinese, why in _COMPILED:
        if (found := pattern.fullmatch(alone)) is not None:
            words = chinese.format(*found.groups())
            return Phrase(english, f"{words}{_of(some)}", why)
    return Phrase(english, english, "filter")


def _of(some: re.Match[str] | None) -> str:
    if some is None:
        return ""
    return f"({some['all']} 个已检索产品中的 {some['some']} 个{'还有更多' if some['more'] else ''})"
