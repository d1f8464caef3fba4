"""The job as it is run, written back as YAML: what a run directory keeps beside its results."""

import hashlib
import json

import yaml

from pipeline.job.schema import JobSpec


def write_as_run(spec: JobSpec) -> tuple[bytes, str]:
    """Write the job with every default and `--set` written out; return it with the SHA-256 of these bytes."""
    plain = spec.model_dump(mode="json", exclude_none=True)
    body = yaml.safe_dump(plain, allow_unicode=True, sort_keys=False, width=110)
    folder = json.dumps(spec.folder.name)
    raw = f"# As run, every default written out. Relative paths start at the job's folder, {folder}.\n{body}".encode()
    return raw, hashlib.sha256(raw).hexdigest()
