"""The command `pipeline doctor`."""

import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path

import msgspec

from pipeline.cli.errors import printable
from pipeline.cli.looking import counting_pictures
from pipeline.cli.screen import show_json, show_lines
from pipeline.errors import SpecError
from pipeline.job.api import ApiSpec
from pipeline.job.environment import PROXY, Environment, read_environment
from pipeline.job.schema import JobSpec
from pipeline.offline.doctor.account import account
from pipeline.offline.doctor.finding import Finding, Verdict, failed, failures
from pipeline.offline.doctor.job import job
from pipeline.offline.doctor.machine import is_contained, machine
from pipeline.run.listed import list_at_hand
from pipeline.run.load import PUBLIC, load_spec
from pipeline.run.token_call import ask_for_token
from pipeline.system.fault import settings, typed
from pipeline.system.language import named, translated
from pipeline.system.masking import hide, masked
from pipeline.system.widths import padded, width
from pipeline.system.wording import count


class Health(msgspec.Struct, frozen=True):
    """All findings; `doctor --json` prints these fields. It is ready where none of them failed."""

    ready: bool
    findings: list[Finding]


def doctor_command(path: Path | None, overrides: list[str], *, grace_s: float | None, as_json: bool) -> int:
    """Print what was found of machine and account, and of a job where one is named; return 1 where something failed."""
    words = ["doctor", *([path] if path is not None else []), *settings(overrides)]
    found = [_complete(finding, words) for finding in _findings(path, overrides, grace_s)]
    health = Health(all(finding.verdict is not Verdict.FAIL for finding in found), found)
    if as_json:
        show_json(health)
    else:
        show_lines(_lines(found))
    return 0 if health.ready else 1


def _findings(path: Path | None, overrides: list[str], grace_s: float | None) -> list[Finding]:
    process, contained = os.environ, is_contained(os.environ)
    if path is None:
        here = Path.cwd()
        faults, found = _environment(here / "job.yaml", process)
        try:
            api = ApiSpec(proxy=found.proxy)
        except ValueError:  # pydantic's
            api, faults = ApiSpec(), [failed("proxy", f"{PROXY} is no URL of a proxy: write http://host:port")]
        of_account = faults or account(api, found, here, ask_for_token, process=process)
        return [*machine(api, contained=contained, grace_s=grace_s), *of_account]
    try:
        spec = load_spec(path, overrides=overrides)
    except SpecError as error:
        return [*machine(ApiSpec(), contained=contained, grace_s=grace_s), *failures("job", error)]
    faults, found = _environment(path, process)
    apis = [spec.with_account(name).api for name in spec.accounts] or [spec.api]
    of_each = [one for api in apis for one in account(api, found, path.parent, ask_for_token, process=process)]
    of_account = faults or of_each
    return [*machine(spec.api, contained=contained, grace_s=grace_s), *of_account, *_of_job(path, spec, overrides)]


def _environment(path: Path, process: Mapping[str, str]) -> tuple[list[Finding], Environment]:
    """Read the settings for a job file; what is wrong with its `.env` is a finding."""
    try:
        found = read_environment(path, process)
    except SpecError as error:
        return failures("credentials", error), Environment()
    hide(secret for secret in found.secrets if secret not in PUBLIC)
    return [], found


def _of_job(path: Path, spec: JobSpec, overrides: list[str]) -> list[Finding]:
    try:
        with list_at_hand(spec, anew=typed("run", path, "--new")) as listed, counting_pictures() as watch:
            return job(path, listed, now=datetime.now().astimezone(), overrides=overrides, watch=watch)
    except SpecError as error:
        return failures("job", error)


def _complete(finding: Finding, words: Sequence[object]) -> Finding:
    """Return a finding without secrets, whose line to type is a whole command where it was an option."""
    fix = f"{typed(*words)} {finding.fix}" if finding.fix.startswith("--") else finding.fix
    return msgspec.structs.replace(finding, text=masked(printable(finding.text)), fix=masked(fix))


def _lines(found: Sequence[Finding]) -> Iterator[str]:
    names, fix = [named(finding.name) for finding in found], translated("fix:")
    wide = max(map(width, names))
    for finding, name in zip(found, names, strict=True):
        yield f"{padded(named(finding.verdict.value), 4)}  {padded(name, wide)}  {translated(finding.text)}"
        if finding.fix:
            yield f"{'':<4}  {'':<{wide}}  {fix} {finding.fix}"
    bad = sum(finding.verdict is Verdict.FAIL for finding in found)
    warned = sum(finding.verdict is Verdict.WARN for finding in found)
    yield (
        f"{count(bad, 'thing')} must be mended"
        if bad
        else f"ready, with {count(warned, 'warning')}"
        if warned
        else "ready"
    )
