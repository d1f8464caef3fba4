"""The command `pipeline schema`."""

import json
import sys

from pipeline.job.schema import json_schema


def schema_command() -> int:
    """Print the JSON Schema of a job file."""
    sys.stdout.write(json.dumps(json_schema(), indent=2) + "\n")
    return 0
