"""Errors made of refusals by the table, and the changes of the table that a job may make."""

import pytest

from pipeline.endpoints.consequences import CLASSES, Override, end_of_run
from pipeline.endpoints.patsnap.codes import ROWS, TABLE, table_with
from pipeline.errors import CallError, InDoubt, ItemRefused, RunStopped, TryAgain
from pipeline.models import Kind
from tests.support.refusals import error_for


def ruled(kind: Kind, condition: str, override: Override, *, under: str = "", code: str = "") -> CallError:
    """Make an error under a table with one row changed."""
    table = table_with({under or condition: override})
    return error_for(kind, condition, code=code, detail="said", retry_after_s=7.0, table=table)


@pytest.mark.parametrize(
    ("kind", "condition", "override", "error", "attempts", "base_s"),
    [
        pytest.param(Kind.CREATE, "68300008", Override(create="fail"), ItemRefused, 1, 1.0, id="create: fail"),
        pytest.param(Kind.SEARCH, "68300008", Override(create="fail"), TryAgain, 4, 2.0, id="the other column stays"),
        pytest.param(Kind.CREATE, "67200100", Override(create="retry"), TryAgain, 4, 1.0, id="create: retry"),
        pytest.param(Kind.SEARCH, "68300005", Override(attempts=10), TryAgain, 10, 1.0, id="attempts"),
        pytest.param(Kind.UPLOAD, "68300005", Override(search="fail"), ItemRefused, 3, 1.0, id="upload like search"),
        pytest.param(Kind.SEARCH, "no_answer", Override(base_s=0.5), TryAgain, 4, 0.5, id="base_s"),
        pytest.param(Kind.CREATE, "no_answer", Override(base_s=0.5), InDoubt, 1, 0.5, id="a doubt stays a doubt"),
        pytest.param(Kind.SEARCH, "67200007", Override(search="stop", attempts=2), RunStopped, 2, 1.0, id="stop"),
        pytest.param(
            Kind.SEARCH, "67200005", Override(search="retry", attempts=2), TryAgain, 2, 1.0, id="retry with attempts"
        ),
    ],
)
def test_a_job_may_change_a_row(
    kind: Kind, condition: str, override: Override, error: type[CallError], attempts: int, base_s: float
) -> None:
    found = ruled(kind, condition, override)
    assert (type(found), found.attempts, found.base_s) == (error, attempts, base_s)
    assert found.message == error_for(kind, condition, detail="said").message
    assert (found.code, found.condition, found.sent, found.retry_after_s) == (condition, condition, True, 7.0)


@pytest.mark.parametrize(
    ("condition", "code", "under", "changed"),
    [
        pytest.param("683", "68300099", "68300099", True, id="a code without a row gets one"),
        pytest.param("683", "68300098", "68300099", False, id="another code of that prefix does not"),
        pytest.param("683", "68300098", "683", True, id="a prefix counts for its codes"),
        pytest.param("68300008", "68300008", "683", False, id="a row of its own wins over the prefix"),
        pytest.param("http_5xx", "http_503", "http_503", True, id="one status"),
        pytest.param("http_5xx", "http_502", "http_503", False, id="another status"),
        pytest.param("http_5xx", "http_502", "http_5xx", True, id="all of them"),
    ],
)
def test_the_nearest_row_counts(condition: str, code: str, under: str, changed: bool) -> None:
    found = ruled(Kind.SEARCH, condition, Override(search="stop"), under=under, code=code)
    assert isinstance(found, RunStopped) is changed


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if row.may_exist])
def test_no_table_calls_a_create_not_executed_that_may_have_been(name: str) -> None:
    for word in {*CLASSES} - {"in_doubt", "fail", "retry"}:
        with pytest.raises(ValueError, match="may have been executed"):
            table_with({name: Override(create=word)})


def test_the_table_itself_is_never_changed() -> None:
    before = dict(ROWS)
    table_with({"67200005": Override(search="stop", attempts=3), "68300099": Override(create="fail")})
    assert before == ROWS


@pytest.mark.parametrize("condition", sorted(ROWS))
def test_a_create_that_was_not_sent_is_never_in_doubt(condition: str) -> None:
    table = table_with({condition: Override(create="in_doubt")})
    for sent in (False, True):
        error = error_for(Kind.CREATE, condition, sent=sent, table=table)
        assert (isinstance(error, InDoubt), error.may_exist) == (sent, sent)


@pytest.mark.parametrize("condition", ["http_3xx", "certificate"])
def test_a_redirect_or_a_bad_certificate_ends_the_run_and_is_in_doubt_only_if_sent(condition: str) -> None:
    sent, unsent = error_for(Kind.CREATE, condition), error_for(Kind.CREATE, condition, sent=False)
    assert isinstance(sent, InDoubt)
    assert isinstance(end_of_run(sent, TABLE), RunStopped)
    assert isinstance(unsent, RunStopped)
    assert isinstance(error_for(Kind.SEARCH, condition), RunStopped)


def test_any_other_doubt_lets_the_run_go_on() -> None:
    errors = {name: error_for(Kind.CREATE, name) for name in ROWS}
    ending = {name for name, error in errors.items() if isinstance(error, InDoubt) and end_of_run(error, TABLE)}
    assert ending == {"http_3xx", "certificate"}


def test_every_class_of_the_table_has_a_word() -> None:
    used = {rule.error for row in ROWS.values() for rule in (row.repeatable, row.create)}
    assert used == set(CLASSES.values())


@pytest.mark.parametrize("name", sorted(ROWS))
def test_by_default_a_create_is_in_doubt_just_where_it_may_have_been_executed(name: str) -> None:
    row = ROWS[name]
    assert row.may_exist == (row.create.error is InDoubt)


@pytest.mark.parametrize("word", ["fail", "retry"])
def test_a_job_that_calls_a_doubt_something_else_changes_nothing_about_what_may_exist(word: str) -> None:
    table = table_with({"67200100": Override(create=word)})
    error = error_for(Kind.CREATE, "67200100", table=table)
    assert (type(error), error.may_exist) == (CLASSES[word], True)
    assert not error_for(Kind.SEARCH, "67200100", table=table).may_exist


def test_each_property_of_a_code_stands_in_its_row() -> None:
    having = {
        name: {key for key in row._fields if getattr(row, key) is True and key != "may_exist"}
        for name, row in TABLE.items()
    }
    assert {name: keys for name, keys in having.items() if keys} == {
        "67200004": {"denied"},
        "67200007": {"daily"},
        "68300010": {"about_picture"},
        "672": {"unknown"},
        "683": {"unknown"},
        "unknown_code": {"unknown"},
        "http_3xx": {"ends_run"},
        "certificate": {"ends_run"},
        "no_data": {"alive"},
        "no_task_id": {"names_no_task", "alive"},
        "of_another": {"alive"},
        "hits_missing": {"alive"},
        "picture": {"about_picture"},
        "changed": {"about_picture"},
        "incomplete_hits": {"about_picture"},
        "task_twice": {"names_no_task"},
        "quota": {"daily"},
    }


@pytest.mark.parametrize("name", sorted(ROWS))
def test_a_job_changes_about_picture_and_nothing_else_beside_the_rules(name: str) -> None:
    row, changed = ROWS[name], table_with({name: Override(search="fail", about_picture=not ROWS[name].about_picture)})
    assert changed[name] == row._replace(
        repeatable=row.repeatable._replace(error=ItemRefused), about_picture=not row.about_picture
    )
    assert {**changed, name: row} == TABLE
