"""The vendor's envelope, as bytes."""

import json

from pipeline.sandbox.envelope import failure, success


def test_a_success_wraps_its_data_as_they_are() -> None:
    answer = success(b'{"a": 1}', units=1)
    assert answer == (b'{"data":{"a": 1},"status":true,"error_code":0,"error_msg":""}', 0, 1)


def test_a_failure_has_the_contracts_text_and_the_detail_behind_it() -> None:
    answer = failure(68300004, "limit is too large")
    expected = {"status": False, "error_code": 68300004, "error_msg": "invalid parameter: limit is too large"}
    assert json.loads(answer.body) == {"data": None, **expected}
    assert (answer.code, answer.units) == (68300004, 0)


def test_a_code_that_the_contract_does_not_list_has_a_general_text() -> None:
    assert json.loads(failure(99999999).body)["error_msg"] == "unknown error"
