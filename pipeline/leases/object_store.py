"""The store of leases in a bucket: an entry is an object that is created only where none has its name.

S3, GCS and Azure have such puts. The credentials are those of the machine's environment; no message holds any.
"""

import os
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, cast

from obstore import delete, get, put
from obstore import list as listed
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import ObjectStore as Bucket
from obstore.store import from_url

from pipeline.errors import SpecError
from pipeline.leases.store import Entry, StoreUnknown, parts_of
from pipeline.system.fault import Fault

if TYPE_CHECKING:
    from obstore.store import ClientConfig

_DIGITS = 12
_ANSWER_S = timedelta(seconds=5)
_OF_ENVIRONMENT = ("allow_http", "proxy_url", "proxy_ca_certificate")
_RETRYING_S = timedelta(seconds=2)  # the lease tries again by itself, and must know soon


class ObjectStore:
    """A bucket, or what lies under a prefix in it, as a store.

    `known` holds entries that were read, or put here: they never change, so each is read once.
    """

    def __init__(self, bucket: Bucket, place: str) -> None:
        self._bucket = bucket
        self._place = place
        self._known: dict[str, Entry] = {}

    def __repr__(self) -> str:
        return f"ObjectStore({self._place!r})"

    @classmethod
    def open(cls, place: str, shown: str) -> "ObjectStore":
        """Open a bucket by its address, which messages name as `shown`; nothing is sent yet. Raises SpecError."""
        try:
            bucket = from_url(
                place,
                client_options=_options(os.environ),
                retry_config={"max_retries": 1, "retry_timeout": _RETRYING_S},
            )
        except (BaseError, ValueError) as error:
            why = str(error).partition("\n")[0].replace(place, shown)
            raise SpecError(Fault(f"the store of leases cannot be used: {why}", where=shown)) from None
        return cls(bucket, shown)

    def put_new(self, series: str, number: int, value: bytes) -> bool:
        """Put an entry; return False where the name existed already."""
        try:
            put(self._bucket, _path(series, number), value, mode="create")
        except AlreadyExistsError:
            return False
        except BaseError as error:
            raise StoreUnknown(f"{self._place}: {_said(error)}") from None
        self._known[series] = Entry(number, value)
        return True

    def read(self, series: str, number: int) -> bytes | None:
        """Return an entry; None where it is not there."""
        try:
            return bytes(get(self._bucket, _path(series, number)).bytes())
        except FileNotFoundError:
            return None
        except BaseError as error:
            raise StoreUnknown(f"{self._place}: {_said(error)}") from None

    def newest(self, room: str) -> dict[str, Entry]:
        """Return the newest entry of each series below a room."""
        numbers: dict[str, int] = {}
        try:
            for batch in listed(self._bucket, prefix="/".join(parts_of(room))):
                for one in batch:
                    series, _, number = one["path"].rpartition(".")
                    if number.isdecimal():
                        numbers[series] = max(numbers.get(series, 0), int(number))
        except BaseError as error:
            raise StoreUnknown(f"{self._place}: {_said(error)}") from None
        return {series: entry for series, number in numbers.items() if (entry := self._entry(series, number))}

    def drop(self, series: str, number: int) -> None:
        """Delete an entry; do nothing where there is none."""
        try:
            delete(self._bucket, _path(series, number))
        except FileNotFoundError:
            return
        except BaseError as error:
            raise StoreUnknown(f"{self._place}: {_said(error)}") from None

    def _entry(self, series: str, number: int) -> Entry | None:
        known = self._known.get(series)
        if known is None or known.number != number:
            value = self.read(series, number)
            if value is None:  # dropped meanwhile, so it was not the newest
                return None
            known = self._known[series] = Entry(number, value)
        return known


def _options(environment: Mapping[str, str]) -> "ClientConfig":
    """Return the options of the connection; options of ours make the library forget those of the environment."""
    names = {f"{vendor}_{name.upper()}": name for vendor in ("AWS", "GOOGLE", "AZURE") for name in _OF_ENVIRONMENT}
    given = {names[name]: value for name, value in environment.items() if name in names}
    return cast("ClientConfig", {"timeout": _ANSWER_S, **given})


def _path(series: str, number: int) -> str:
    return f"{'/'.join(parts_of(series))}.{number:0{_DIGITS}}"


def _said(error: Exception) -> str:
    """Name an error by its class and the end of its first line: the rest may show an address that is signed."""
    _, dash, why = str(error).partition("\n")[0].rpartition(" - ")
    return f"{type(error).__name__}: {why.strip(' :')}" if dash and "://" not in why else type(error).__name__
