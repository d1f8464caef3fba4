"""Helpers of the tests, imported one way: `from tests.support...`."""
