"""Reasons to stop a run: pictures are refused alike (SystemicRefusals), or many creates end in doubt (DoubtRate).

TaskIds finds a task that the vendor named for another item before. The engine reports outcomes to the other two, and
stops the run when one of them raises RunStopped.
"""

from collections import Counter, OrderedDict, deque

from pipeline.errors import Code, RunStopped


class SystemicRefusals:
    """Refusals of pictures for the same reason, so many that the job must be wrong, not the pictures.

    Too many are 20 items in a row with one code, or half of the first 50 (and at least 10).
    """

    FIRST, LEAST, ROW = 50, 10, 20

    def __init__(self) -> None:
        self._codes: Counter[str] = Counter()
        self._seen = 0
        self._row: tuple[str, int] = ("", 0)

    def passed(self) -> None:
        """Count an item that was not refused."""
        self._seen += 1
        self._row = ("", 0)

    def refused(self, code: str, message: str, *, by_contract: bool = True) -> None:
        """Count a refused item. Raises RunStopped when too many are refused with this code.

        `by_contract`: the vendor refused it as agreed; otherwise it broke its contract, and no job file mends that.
        """
        self._seen += 1
        self._codes[code] += 1
        self._row = (code, self._row[1] + 1 if self._row[0] == code else 1)
        early = self._seen <= self.FIRST and self._codes[code] >= self.LEAST and self._codes[code] * 2 >= self._seen
        if early or self._row[1] >= self.ROW:
            raise RunStopped(
                (
                    f"{self._codes[code]} of the first {self._seen} pictures were refused alike: {message}. "
                    if early
                    else f"{self.ROW} pictures in a row were refused alike: {message}. "
                )
                + (
                    "Check the job file; once it is right, start a new run (`run --new`)"
                    if by_contract
                    else "Each is paid and no such answer is agreed: ask the vendor, then run again"
                ),
                code=code,
            )


class DoubtRate:
    """The rate of creates that end in doubt: each may be paid, and a person has to look after each.

    Too many are 20 of the last 100 creates of this process, if they are at least a quarter of them; or five answers
    that say success and name no task, with no known outcome between them, for then the vendor's contract is broken.
    """

    LAST, LEAST, SHARE = 100, 20, 0.25
    ROW = 5

    def __init__(self) -> None:
        self._doubtful: deque[bool] = deque(maxlen=self.LAST)
        self._nameless = 0

    def known(self) -> None:
        """Count a create whose outcome is known: a task, or a refusal."""
        self._doubtful.append(False)
        self._nameless = 0

    def doubtful(self, code: str, *, names_no_task: bool) -> None:
        """Count a create that ended in doubt. Raises RunStopped when there are too many.

        `names_no_task`: the answer called it a success, and named no task.
        """
        self._doubtful.append(True)
        self._nameless += names_no_task
        if self._nameless >= self.ROW:
            raise RunStopped(
                f"{self._nameless} creates in a row were called a success without a task id of their own; they are in "
                "doubt. Ask the vendor before you go on",
                code=code,
            )
        count, seen = sum(self._doubtful), len(self._doubtful)
        if count >= self.LEAST and count >= self.SHARE * seen:
            raise RunStopped(
                f"{count} of the last {seen} creates are in doubt (the last one: {code}), and each may be paid; look "
                "at open.jsonl and the vendor's console before you go on",
                code=Code.MAX_IN_DOUBT,
            )


class TaskIds:
    """The last task ids that the vendor named in this process, each with the first item it was named for."""

    KEPT = 10_000

    def __init__(self) -> None:
        self._items: OrderedDict[str, str] = OrderedDict()

    def owner(self, task_id: str, item: str) -> str:
        """Return the first item that this task was named for; `item` itself when it is new."""
        owner = self._items.setdefault(task_id, item)
        if len(self._items) > self.KEPT:
            self._items.popitem(last=False)
        return owner
