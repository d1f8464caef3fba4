"""The final error of a create that was retried although an earlier attempt may have been executed."""

from collections.abc import Sequence

from pipeline.errors import CallError, GivenUp, InDoubt, ItemRefused, RunPaused, RunStopped, Stopping
from pipeline.system.wording import count


def last_word(attempts: Sequence[CallError], end: CallError | GivenUp | Stopping) -> CallError | GivenUp | Stopping:
    """Decide the error of a call that was not answered well. Its last attempt or the run ended it with `end`.

    `attempts` are the errors of those attempts that may have been executed.

    1. There are none: the call ends with `end`.
    2. There is one, and it is the end: so too. It is in doubt, or failed where the job says so (`create: fail`).
    3. Otherwise the item is in doubt, whatever came last. What ends the run is given beside it: the doubt is recorded
       first.
    """
    failed, ends_run = (end.error, end.ends_run) if isinstance(end, GivenUp) else (end, None)
    if not attempts or (len(attempts) == 1 and attempts[0] is failed and isinstance(failed, InDoubt | ItemRefused)):
        return end
    last = attempts[-1]
    message = last.message
    if len(attempts) > 1:
        requests = ", ".join(str(attempt.request_id) for attempt in attempts)
        message += f"; it was sent {count(len(attempts), 'time')}, and each of them may exist (requests {requests})"
    if failed is not last:
        message += f"; and then: {failed}"
    doubt = InDoubt(
        message,
        code=last.code,
        condition=last.condition,
        may_exist=True,
        request_id=last.request_id,
        correlation_id=last.correlation_id,
    )
    if isinstance(failed, RunPaused | RunStopped):
        ends_run = failed
    return doubt if ends_run is None else GivenUp(doubt, ends_run)
