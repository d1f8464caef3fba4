"""The end of a create that a job lets be sent again though it may have been executed: it stays in doubt."""

from collections.abc import Sequence

from pipeline.errors import CallError, GivenUp, InDoubt, ItemRefused, RunPaused, RunStopped, Stopping


def last_word(attempts: Sequence[CallError], end: CallError | GivenUp | Stopping) -> CallError | GivenUp | Stopping:
    """Decide the final error of a call that came to `end`; each of `attempts` may have been executed.

    Only a job that says so (`api.errors`, `create: fail`) ends it without a doubt, and only where it was sent once. An
    end of the run, too, is given beside the doubt, which is recorded first.
    """
    failed, ends_run = (end.error, end.ends_run) if isinstance(end, GivenUp) else (end, None)
    if not attempts or (len(attempts) == 1 and attempts[0] is failed and isinstance(failed, InDoubt | ItemRefused)):
        return end
    last = attempts[-1]
    message = last.message
    if len(attempts) > 1:
        requests = ", ".join(str(attempt.request_id) for attempt in attempts)
        message += f"; it was sent {len(attempts)} times, and each of them may exist (requests {requests})"
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
