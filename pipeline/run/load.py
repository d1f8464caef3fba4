"""A job ready to run: its file as a spec, the credentials it needs, and remarks for the person."""

import contextlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from pipeline.calls.account import account_of
from pipeline.endpoints.patsnap.credentials import Credentials, credentials_from, variable
from pipeline.errors import SpecError
from pipeline.job.environment import Environment, read_environment
from pipeline.job.load import load_job
from pipeline.job.outlook import warnings
from pipeline.job.schema import JobSpec
from pipeline.journal.places import goes_on_with
from pipeline.journal.sql.database import Database
from pipeline.journal.storage import reading_only
from pipeline.run.cluster_runs import refuse_not_split
from pipeline.run.directory import JOB_FOLDER, SPEC, run_folder
from pipeline.system.fault import Fault, settings, typed
from pipeline.system.masking import hide
from pipeline.system.wording import enumerated

ARCHIVE = ".zip"  # the ending of what `pipeline pack` makes
SANDBOX_CREDENTIALS = Credentials(client_id="sandbox", client_secret="sandbox-secret")  # noqa: S106 - it guards nothing
PUBLIC = ("sandbox", "sandbox-secret", "sandbox-key")  # a sandbox's credentials are words that any text may hold


@dataclass(frozen=True, slots=True)
class Job:
    """A job that can be run."""

    spec: JobSpec
    credentials: Credentials
    remarks: tuple[str, ...] = ()  # sentences that a person should read before anything is paid
    file: Path | None = None  # the job file; None for one that a run directory keeps
    overrides: tuple[str, ...] = ()  # what changes that file
    accounts: Mapping[str, Credentials] = field(default_factory=dict)  # by their names, where the job has several

    @property
    def words(self) -> list[object]:
        """The words that name the job in a command: its file, and what changes it."""
        return ["JOB" if self.file is None else self.file, *settings(self.overrides)]

    def with_account(self, name: str) -> "Job":
        """Return the same job for one of its accounts, with the credentials and the calls per second of that one."""
        return replace(self, spec=self.spec.with_account(name), credentials=self.accounts[name])

    def each_account(self) -> "list[Job]":
        """Return the job for each of its accounts in turn; itself where it has the one account."""
        return [self.with_account(name) for name in self.accounts] or [self]

    @property
    def account(self) -> str:
        """The account by the digest that names it (calls/account.py)."""
        return account_of(self.spec.api.base_url, self.credentials)


def load_spec(
    path: Path,
    *,
    overrides: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    rehearse: bool = False,
) -> JobSpec:
    """Load a job file that will not be run: no credentials are needed. With `rehearse` none are read, either."""
    _refuse_archive(path)
    if rehearse:
        return load_job(path, overrides=overrides).rehearsed()
    return load_job(path, overrides=overrides, environment=_environment(path, environment))


def load(
    path: Path,
    *,
    overrides: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    rehearse: bool = False,
    account: str | None = None,
) -> Job:
    """Load a job file and the credentials it needs, of one `account` of the job's alone where it is named.

    A rehearsal reads none. Raises SpecError.
    """
    _refuse_archive(path)
    found = Environment() if rehearse else _environment(path, environment)
    spec = load_job(path, overrides=overrides, environment=found)
    job = _job(spec.rehearsed() if rehearse else spec, found, account)
    return replace(job, file=path, overrides=tuple(overrides))


def load_again(folder: Path, *, overrides: Sequence[str] = (), environment: Mapping[str, str] | None = None) -> Job:
    """Load the job of a run directory as it was run, with the credentials that lie beside its job file.

    `overrides` may change how the vendor is called and no more: an item that is retried is asked as it was before.
    """
    keys = [text.partition("=")[0].strip() for text in overrides]
    fixed = ("api.base_url", "api.rehearse", "api.account")
    if wrong := [key for key in keys if not key.startswith("api.") or key.startswith(fixed)]:
        only = "only keys of api but base_url, rehearse and account can be set here, such as api.qps=10"
        raise SpecError(*(Fault(only, where=f"--set {key}", fix="") for key in wrong))
    home = _job_folder(folder)
    rehearsal = load_job(folder / SPEC, as_run=True).rehearsal
    found = Environment() if rehearsal else _environment(home / SPEC, environment)
    spec = load_job(folder / SPEC, overrides=overrides, environment=found, as_run=True)
    return _job(spec.with_folder(home), found)


def _refuse_archive(path: Path) -> None:
    if path.suffix.lower() == ARCHIVE:
        what = (
            "a job file is wanted here, and this is a zip: an archive of a run is only looked at, by `status`, "
            "`report` and `export`, and one of pictures is begun with `init`"
        )
        raise SpecError(Fault(what, where=str(path)))


def folder_of(path: Path, *, environment: Mapping[str, str] | None = None) -> Path:
    """Return the run directory that a path names, itself or by its job file.

    Raises SpecError where it is neither, JournalError for a job of many machines that was not split here.
    """
    if path.is_file():
        return run_of_job(path, load_spec(path, environment=environment))
    if not path.is_dir():
        what = "no run directory and no job file; a file system that is not mounted looks the same"
        raise SpecError(Fault(what, where=str(path)))
    return path


def run_of_job(file: Path, spec: JobSpec) -> Path:
    """Return the run directory of a job.

    Raises SpecError for a job that was rehearsed and not run yet, and JournalError for one of many machines that was
    not split here.
    """
    now = datetime.now().astimezone()
    folder = run_folder(spec, now=now)
    if spec.cluster is not None:
        refuse_not_split(folder, [file])
    elif not folder.exists() and (tried := run_folder(spec.rehearsed(), now=now)).exists():
        what = "this job was rehearsed, and not run yet; name the rehearsal's run directory, not the job file"
        raise SpecError(Fault(what, where=str(tried)))
    return folder


def account_known(
    path: Path, spec: JobSpec, name: str | None = None, *, environment: Mapping[str, str] | None = None
) -> str | None:
    """Return the account that a job file would be run with, as calls/account names it; None without credentials.

    Of a job of several accounts it is that of a `name`, or the first.
    """
    with contextlib.suppress(SpecError):
        return _job(spec, _environment(path, environment), name).account
    return None


def known_home(db: Database) -> Path | None:
    """Return where the job file of a run lay, if that is known and still there."""
    known = db.meta(JOB_FOLDER)
    return Path(known) if known is not None and Path(known).is_dir() else None


def _job_folder(folder: Path) -> Path:
    """Return where the job file of a run lay. Raises SpecError when that is not known, or not there any more."""
    with reading_only(folder) as db:
        known = db.meta(JOB_FOLDER)
    if known is None:
        goes_on = f"`pipeline {goes_on_with(folder)}` that job file once, then retry"
        what = f"it does not say where its job file lies; {goes_on}"
        raise SpecError(Fault(what, where=str(folder)))
    if not Path(known).is_dir():
        what = f"its job file's folder {known} is gone; put it back, or `pipeline {goes_on_with(folder)}` the job file"
        raise SpecError(Fault(what, where=str(folder)))
    return Path(known)


def _environment(path: Path, process: Mapping[str, str] | None) -> Environment:
    """Read the settings for a job file once, and keep their secrets out of every text from here on."""
    found = read_environment(path, os.environ if process is None else process)
    hide(secret for secret in found.secrets if secret not in PUBLIC)
    return found


def _job(spec: JobSpec, found: Environment, account: str | None = None) -> Job:
    names = _wanted(spec, account)
    if spec.sandbox:
        each = {name: replace(SANDBOX_CREDENTIALS, client_id=f"sandbox-{name}") for name in names}
        return Job(spec, SANDBOX_CREDENTIALS, tuple(warnings(spec)), accounts=each)
    read = {name: credentials_from(found.values, name) for name in names or (spec.api.account,)}
    for credentials, _ in read.values():
        hide(secret for secret in credentials.secrets if secret not in PUBLIC)
    remarks = [*dict.fromkeys(remark for _, remark in read.values()), found.remark, *warnings(spec)]
    job = Job(spec, next(iter(read.values()))[0], tuple(text for text in remarks if text))
    return replace(job, accounts=_apart({name: read[name][0] for name in names}, spec)) if names else job


def _wanted(spec: JobSpec, account: str | None) -> tuple[str, ...]:
    """Return the accounts whose credentials are needed. Raises SpecError for one that the job does not name."""
    if account is None:
        return spec.accounts
    if account not in spec.accounts:
        what, fix = "the job names no accounts", "cluster: {accounts: [main, second]}"
        if spec.accounts:
            what = f"cluster.accounts names {enumerated(spec.accounts)}"
            fix = typed("work", "JOB", "--account", spec.accounts[0])
        raise SpecError(Fault(f"no such account: {what}", where=f"--account {account}", fix=fix))
    return (account,)


def _apart(each: Mapping[str, Credentials], spec: JobSpec) -> Mapping[str, Credentials]:
    """Return the credentials of accounts. Raises SpecError where two names are one account, with one limit for both."""
    known: dict[str, str] = {}
    for name, credentials in each.items():
        first = known.setdefault(account_of(spec.api.base_url, credentials), name)
        if first != name:
            key = "CLIENT_ID" if credentials.client_id else "API_KEY"
            same = enumerated([variable(key, one) for one in (first, name)])
            what = f"{first} and {name} are one account: {same} have one value. It has one limit, whatever it is called"
            fix = f"cluster: {{accounts: {[one for one in each if one != name]}}}".replace("'", "")
            raise SpecError(Fault(what, where="cluster.accounts", fix=fix))
    return each
