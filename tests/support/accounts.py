"""Accounts that have used every endpoint from this machine before, so that a run begins with all items at once."""

from collections.abc import Mapping

from pipeline.calls.account import account_of
from pipeline.endpoints.patsnap.credentials import credentials_from
from pipeline.engine.first_items import ENOUGH
from pipeline.run.first_calls import UsedEndpoints
from pipeline.system.folders import state_folder

ENDPOINTS = ("P009", "P009-V2", "P010", "P060", "P060-beta", "AI39-1")


def known_account(url: str, account: Mapping[str, str]) -> None:
    """Note that this account has used all endpoints."""
    state = state_folder()
    assert state is not None
    used = UsedEndpoints(state / "endpoints", account_of(url, credentials_from(account)[0]))
    for name in ENDPOINTS:
        used.keep(name, ENOUGH)
