"""The first pass over a job's local pictures, as the commands of many machines show it."""

from pipeline.cli.errors import say
from pipeline.cli.looking import counting_pictures
from pipeline.cluster.preparing import prepared
from pipeline.job.schema import JobSpec
from pipeline.sources.check import check_sources
from pipeline.system.wording import count


def look_over_pictures(spec: JobSpec, ray: str | None, *, ahead: bool = False, opened: bool = False) -> None:
    """Look over the local pictures of a job on all cores, here or of a Ray cluster, and say how many they are.

    With `ahead` they are also made fit, with `opened` judged. Raises SpecError or JournalError.
    """
    check_sources(spec)
    with counting_pictures() as watch:
        made = prepared(spec, ray=ray, watch=watch, ahead=ahead, opened=opened)
    said = f"{count(made.pictures, 'local picture')} looked at, {made.read:,} of them now"
    say(f"note: {said}; {made.unreadable:,} cannot be read" if made.unreadable else f"note: {said}")
    if made.ahead:
        say(f"note: {count(made.ahead, 'picture is', 'pictures are')} made fit ahead: workers upload what lies ready")
    if made.no_room:
        say(
            f"note: {count(made.no_room, 'picture was', 'pictures were')} not made fit ahead: the shared folder has "
            "less than 4 GB free; workers do it"
        )
