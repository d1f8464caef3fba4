"""A create that a job lets be sent again though it may have been executed: whatever follows, it stays in doubt."""

from collections.abc import Sequence

from pipeline.errors import CallError, InDoubt, ItemRefused, PipelineError, RunPaused, RunStopped


def last_word(attempts: Sequence[CallError], end: PipelineError) -> PipelineError:
    """What a call is to end with that came to `end`, after `attempts` each of which may have been executed.

    Only a job that says so (`api.errors`, `create: fail`) ends it without a doubt, and only where it was sent once. An
    end that ends the run, too, is carried by the doubt: that is recorded first.
    """
    if not attempts or (len(attempts) == 1 and attempts[0] is end and isinstance(end, InDoubt | ItemRefused)):
        return end
    last = attempts[-1]
    message = last.message
    if len(attempts) > 1:
        requests = ", ".join(str(attempt.request_id) for attempt in attempts)
        message += f"; it was sent {len(attempts)} times, and each of them may exist (requests {requests})"
    if end is not last:
        message += f"; and then: {end}"
    doubt = InDoubt(message, code=last.code)
    doubt.condition = last.condition
    doubt.request_id, doubt.correlation_id = last.request_id, last.correlation_id
    doubt.then = end if isinstance(end, RunPaused | RunStopped) else getattr(end, "then", None)
    return doubt
