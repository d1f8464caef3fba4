"""The token call alone: the one question to the vendor that is free, asked to see whether an account is ready."""

import contextlib
import uuid
from collections import Counter
from email.utils import parsedate_to_datetime
from typing import NamedTuple

import anyio

from pipeline.calls.access import TokenAttempt
from pipeline.calls.transport import open_transport
from pipeline.endpoints.consequences import consequence
from pipeline.endpoints.interface import Answer, Refusal
from pipeline.endpoints.patsnap.codes import TABLE
from pipeline.endpoints.patsnap.credentials import Credentials
from pipeline.endpoints.patsnap.oauth import AccessToken
from pipeline.errors import PipelineError
from pipeline.job.api import ApiSpec
from pipeline.models import Kind
from pipeline.system.masking import hide

_TOKEN = AccessToken()


class TokenAsked(NamedTuple):
    """The outcome of one token call.

    lifetime_s  how long the token lives; None where there is none
    error       what was said or met instead; its class says what follows from it
    ahead_s     how far this machine's clock is ahead of the vendor's Date header, to the second; None without an answer
    """

    lifetime_s: float | None = None
    error: PipelineError | None = None
    ahead_s: float | None = None


def ask_for_token(api: ApiSpec, credentials: Credentials) -> TokenAsked:
    """Ask the vendor for an access token, once; nothing is paid, and the token is thrown away.

    Raises SpecError where the job's `ca_file` cannot be read.
    """
    return anyio.run(_ask, api, credentials)


async def _ask(api: ApiSpec, credentials: Credentials) -> TokenAsked:
    attempt = TokenAttempt(uuid.uuid4().hex, credentials.basic, Counter())
    answer: Answer | None = None
    async with open_transport(api.base_url, proxy=api.proxy, ca_file=api.ca_file) as transport:
        try:
            answer = await transport.exchange(_TOKEN.request(None), attempt)
            token = _TOKEN.read(answer)
        except Refusal as refusal:
            error = consequence(refusal, Kind.TOKEN, table=TABLE, sent=attempt.sent)
            return TokenAsked(error=error, ahead_s=_ahead_s(answer))
        except PipelineError as error:
            return TokenAsked(error=error)
    hide([token.value], passing=True)
    return TokenAsked(token.lifetime_s, ahead_s=_ahead_s(answer))


def _ahead_s(answer: Answer | None) -> float | None:
    if answer is None:
        return None
    with contextlib.suppress(ValueError, TypeError):  # no such header, or one that is no date
        return round(answer.at - parsedate_to_datetime(answer.headers.get("Date", "")).timestamp())
    return None
