"""Prices of a job: exact as they are written, by names that the vendor has; a cap of money needs them all."""

from decimal import Decimal
from pathlib import Path

import pytest

from pipeline.endpoints.interface import Request
from pipeline.endpoints.patsnap.billed import PATHS, name_of_path
from pipeline.endpoints.patsnap.endpoints import SEARCHES, name_of, names_for
from pipeline.endpoints.patsnap.p010 import PictureUpload
from pipeline.errors import SpecError
from pipeline.job.load import load_job, write_as_run
from pipeline.job.schema import JobSpec
from pipeline.models import KINDS, Kind
from tests.support.job_files import MINIMAL


def loaded(folder: Path, extra: str, *overrides: str) -> JobSpec:
    (folder / "job.yaml").write_text(f"{MINIMAL}{extra}\n")
    return load_job(folder / "job.yaml", overrides=overrides)


@pytest.mark.parametrize(
    ("written", "price"),
    [("0.2", "0.2"), ("1", "1"), ("0", "0"), ('"0.20"', "0.20"), ("0.000001", "0.000001"), ("999999999.999999",) * 2],
)
def test_price_is_exactly_what_is_written_and_is_kept_so(tmp_path: Path, written: str, price: str) -> None:
    spec = loaded(tmp_path, f"prices: {{P009: {written}}}")
    assert spec.price_of(Kind.SEARCH) == Decimal(price)
    assert spec.price_of(Kind.CREATE) is None
    kept = tmp_path / "spec.yaml"
    kept.write_bytes(write_as_run(spec)[0])
    assert load_job(kept, as_run=True).price_of(Kind.SEARCH) == Decimal(price)


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ("prices: {P009: -1}", "prices.P009: must be an amount from 0"),
        ("prices: {P009: 0.0000001}", "with at most 6 decimals"),
        ('prices: {P009: "0.1000000000000000000000000000000000001"}', "with at most 6 decimals"),
        ("prices: {P009: 1000000000}", "to below 1,000,000,000"),
        ("prices: {P009: true}", "must be an amount of money"),
        ("prices: {P009: cheap}", "must be an amount of money"),
        ('prices: {P009: "NaN"}', "must be an amount of money"),
        ("prices: {P09: 1}", "did you mean 'P009'?"),
        ("prices: {ai39-1: 1}", "did you mean 'AI39-1'?"),
        ("prices: {XYZ: 1}", "no endpoint of the vendor that is known here"),
        ('currency: "C N Y"', "currency: 'C N Y' is not allowed; allowed: text without blanks, at most 12 characters"),
        ("api: {budget: {money: 5}}", "api.budget.money: nothing may exceed it, so each call needs a price, and P009 "),
        ("prices: {P009: 1}\napi: {budget: {money: 5}}", "AI39-1 has none; write `prices: {AI39-1: 0.2}`"),
    ],
)
def test_price_that_cannot_be_meant_is_refused_with_what_to_write(tmp_path: Path, extra: str, said: str) -> None:
    with pytest.raises(SpecError) as refused:
        loaded(tmp_path, extra)
    assert said in " ".join(refused.value.lines[0].split("\n"))


@pytest.mark.parametrize(("written", "shown"), [("1e3", "1000"), ("-0", "0"), ('"5.000"', "5"), ("0.10", "0.1")])
def test_an_amount_is_shown_without_exponent_and_sign(tmp_path: Path, written: str, shown: str) -> None:
    assert str(loaded(tmp_path, f"prices: {{P009: {written}}}").price_of(Kind.SEARCH)) == shown


def test_prices_and_a_cap_may_be_given_on_the_command_line(tmp_path: Path) -> None:
    more = ["prices.P009=0.2", "prices.AI39-1=1.5", "api.budget.money=100", "currency=CNY"]
    spec = loaded(tmp_path, "", *more)
    assert (spec.price_of(Kind.CREATE), spec.api.budget.money, spec.currency) == (Decimal("1.5"), Decimal(100), "CNY")


def test_a_page_that_is_dearer_than_the_search_itself_is_what_a_search_costs(tmp_path: Path) -> None:
    """Both are one kind of call: a cap of money reckoned with the cheaper one would be exceeded."""
    prices = "prices: {P009-V2: 0.2, P009-V2-results: 0.5}"
    assert loaded(tmp_path, f"{prices}\nsearch: {{endpoint: P009-V2, depth: 300}}").price_of(Kind.SEARCH) == Decimal(
        "0.5"
    )
    assert loaded(tmp_path, f"{prices}\nsearch: {{endpoint: P009-V2}}").price_of(Kind.SEARCH) == Decimal("0.2")


def test_every_endpoint_of_a_job_may_have_a_price_and_is_known_by_its_path() -> None:
    """A cap of money that forgot a kind of call would be exceeded by it."""
    for search in SEARCHES:
        must = {"model": 1, "patent_type": "D"} if "model" in search.model_fields else {}
        made = search.model_validate({"endpoint": name_of(search), **must})
        names = names_for(made)
        assert set(names) == set(KINDS)
        assert set(names.values()) <= set(PATHS)
        asked: Request = made.request("https://pictures.example/1.png")
        assert name_of_path(asked.path) == names[Kind.SEARCH]
    assert PATHS["P010"] in str(PictureUpload.request.__code__.co_consts)
    assert name_of_path("/something/else") == "/something/else"
