"""Tasks that fail at the sandbox for as long as a test wants."""

import pytest

from pipeline.sandbox.fates import ReportPlan


def tasks_fail(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let every task that is asked about fail while the list that is returned holds something."""
    while_there = ["failed"]
    fate = ReportPlan().of("any")
    monkeypatch.setattr(ReportPlan, "of", lambda plan, task: fate._replace(kind=while_there[0] if while_there else ""))
    return while_there
