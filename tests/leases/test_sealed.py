"""The seal of a token: closed to all who have not the secret."""

import pytest

from pipeline.leases.sealed import Seal

SECRET, TOKEN = "the-client-secret", b'{"value":"canary"}'


def test_who_has_the_secret_opens_it() -> None:
    assert Seal(SECRET, "acme").open(Seal(SECRET, "acme").close(TOKEN)) == TOKEN


@pytest.mark.parametrize(("secret", "account"), [("another", "acme"), (SECRET, "other")])
def test_nobody_else_does(secret: str, account: str) -> None:
    assert Seal(secret, account).open(Seal(SECRET, "acme").close(TOKEN)) is None


@pytest.mark.parametrize("text", ["", "no base64!", "AAAA", "A" * 64])
def test_what_is_no_seal_is_not_opened(text: str) -> None:
    assert Seal(SECRET, "acme").open(text) is None


def test_a_changed_one_is_not_opened() -> None:
    sealed = Seal(SECRET, "acme").close(TOKEN)
    changed = sealed[:-6] + ("A" if sealed[-6] != "A" else "B") + sealed[-5:]
    assert Seal(SECRET, "acme").open(changed) is None


def test_it_shows_nothing_and_is_never_the_same_twice() -> None:
    seal = Seal(SECRET, "acme")
    sealed = seal.close(TOKEN)
    assert "canary" not in sealed
    assert sealed != seal.close(TOKEN)
    assert SECRET not in repr(seal) + str(vars(seal))
