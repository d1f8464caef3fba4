"""What is said where no cluster answers: with tokens, the token is named first, for a wrong one looks the same."""

from types import SimpleNamespace

import pytest

from pipeline.cluster import ray
from pipeline.errors import SpecError


class Refused(Exception):
    """What Ray raises for a token, where it says so."""


def no_ray(error: Exception) -> SimpleNamespace:
    """Stand in for Ray, to which nobody answers."""

    def init(**_: object) -> None:
        raise error

    return SimpleNamespace(init=init, exceptions=SimpleNamespace(AuthenticationError=Refused))


@pytest.mark.parametrize("error", [ConnectionError("nobody"), Refused("no")])
@pytest.mark.parametrize(("mode", "named"), [("token", True), ("disabled", False), ("", False)])
def test_a_token_is_named_as_the_likely_cause_where_tokens_are_asked_for(
    monkeypatch: pytest.MonkeyPatch, error: Exception, mode: str, named: bool
) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", mode)
    monkeypatch.setenv("RAY_AUTH_TOKEN", "never-shown")
    monkeypatch.setattr(ray, "_import_ray", lambda: no_ray(error))
    with pytest.raises(SpecError) as refused:
        ray.RayMachines("head:6379")
    [line] = refused.value.lines
    assert "head:6379" in line
    assert ("most likely its token is not the cluster's (RAY_AUTH_TOKEN" in line) is named
    assert "never-shown" not in line
