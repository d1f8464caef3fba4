"""Screen a folder of pictures: `python screen_folder.py PHOTOS`; on the sandbox until you say otherwise."""

import json
import sys
from pathlib import Path

from pipeline import RunOptions, RunSummary, plan_job, run_job

VENDOR = "sandbox"  # https://connect.patsnap.com, once PATSNAP_CLIENT_ID and PATSNAP_CLIENT_SECRET are set


def screen(folder: Path) -> RunSummary:
    """Search every picture in a folder and open a task for its hits; go on where an earlier call stopped."""
    job = {
        "version": 1,
        "name": "folder",
        "root": str(folder.resolve()),
        "images": [{"path": "."}],
        "upload": {"public": True, "fit": True},
        "api": {"base_url": VENDOR, "qps": 20, "budget": {"search_calls": 500, "create_calls": 500}},
    }
    path = Path("folder.yaml")
    path.write_text(json.dumps(job))  # JSON is YAML
    plan = plan_job(path)
    print(f"{plan.items} pictures, {plan.paid_calls} calls, {plan.fitted} made fit before the upload")
    return run_job(path, options=RunOptions(say=print))


if __name__ == "__main__":
    summary = screen(Path(sys.argv[1]))
    print(summary.exit_reason, summary.items)
    sys.exit(summary.exit_code)
