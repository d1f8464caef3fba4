"""Accounts that have used every endpoint from this machine before, so that a run begins with all items at once."""

from collections.abc import Mapping

from pipeline.calls.account import account_of
from pipeline.endpoints.patsnap.credentials import credentials_from
from pipeline.engine.first_items import ENOUGH
from pipeline.run.first_calls import UsedEndpoints
from pipeline.system.folders import state_folder

ENDPOINTS = ("P009", "P009-V2", "P010", "P060", "P060-beta", "AI39-1", "D301")


def known_account(url: str, account: Mapping[str, str]) -> None:
    """Note that this account has used all endpoints."""
    used = used_by(url, account)
    for name in ENDPOINTS:
        used.keep(name, ENOUGH)


def used_by(url: str, account: Mapping[str, str]) -> UsedEndpoints:
    """Return what is noted of this account."""
    state = state_folder()
    assert state is not None
    return UsedEndpoints(state / "endpoints", account_of(url, credentials_from(account)[0]))
