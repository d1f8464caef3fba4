"""Words that console: none of ours says what a likeness means in law."""

import re

FORBIDDEN = re.compile(
    r"\b(safe|safely|clear|cleared|clean|harmless|(not|non|no|isn't|doesn't)[ -]infring\w*|"
    r"(no|without|low)[ -]risk|risk[ -]free)\b",
    re.IGNORECASE,
)
FORBIDDEN_ZH = re.compile("安全|无风险|低风险|没有风险|风险|不侵权|未侵权|无侵权|没有侵权|合法|放心|无虞|无害")
