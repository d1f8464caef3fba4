"""What an item still costs, and what the budgets allow."""

import pytest

from pipeline.engine.cost import Allowance, Paid, calls_for, upload_lasts
from pipeline.models import EXPIRY_MARGIN_S, UPLOAD_LIFE_S, Kind
from tests.support.fakes import NOW

UPLOAD, SEARCH, CREATE = Kind.UPLOAD, Kind.SEARCH, Kind.CREATE
GONE = {"local": True, "changed": True}


@pytest.mark.parametrize(
    ("standing", "calls"),
    [
        pytest.param({}, (SEARCH, CREATE), id="a-url"),
        pytest.param({"local": True}, (UPLOAD, SEARCH, CREATE), id="a-local-picture"),
        pytest.param({"local": True, "uploaded": True}, (SEARCH, CREATE), id="an-uploaded-one"),
        pytest.param({"local": True, "searched": True}, (UPLOAD, CREATE), id="a-searched-one-whose-upload-is-too-old"),
        pytest.param({"searched": True}, (CREATE,), id="a-searched-one"),
        pytest.param({"tasks": False}, (SEARCH,), id="no-tasks"),
        pytest.param({"tasks": False, "local": True, "searched": True}, (), id="no-tasks-and-searched"),
        pytest.param(GONE, (UPLOAD, SEARCH, CREATE), id="replaced-and-nothing-paid"),
        pytest.param(GONE | {"uploaded": True}, (UPLOAD, SEARCH, CREATE), id="replaced-after-its-upload"),
        pytest.param(GONE | {"searched": True}, (), id="replaced-and-the-hits-are-of-another-picture"),
        pytest.param(GONE | {"doubtful": True}, (), id="replaced-and-the-create-is-of-another-picture"),
        pytest.param(GONE | {"searched": True, "uploaded": True}, (CREATE,), id="replaced-and-all-is-paid-of-the-old"),
    ],
)
def test_an_item_costs_what_is_not_paid_for_it_yet(standing: dict[str, bool], calls: tuple[Kind, ...]) -> None:
    paid = {"local": False, "uploaded": False, "searched": False} | standing
    tasks = paid.pop("tasks", True)
    assert calls_for(Paid(**paid), tasks=tasks) == calls


def test_an_upload_that_ends_within_the_margin_or_came_from_the_future_is_made_anew() -> None:
    assert upload_lasts(NOW + EXPIRY_MARGIN_S, now=NOW)
    assert not upload_lasts(NOW + EXPIRY_MARGIN_S - 1, now=NOW)
    assert not upload_lasts(NOW + 2 * UPLOAD_LIFE_S, now=NOW)


def test_an_item_fits_when_every_kind_of_call_that_it_needs_is_left() -> None:
    allowance = Allowance({SEARCH: 2, CREATE: 1, UPLOAD: None}.__getitem__)
    allowance.take((UPLOAD, SEARCH, CREATE))
    assert allowance.lacks((UPLOAD, SEARCH)) is None
    assert allowance.lacks((UPLOAD, SEARCH, CREATE)) is CREATE
    allowance.give_back((CREATE,))
    assert allowance.lacks((UPLOAD, SEARCH, CREATE)) is None
