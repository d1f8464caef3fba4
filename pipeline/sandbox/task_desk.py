"""The endpoints that open tasks and tell of them."""

import asyncio

import msgspec
from aiohttp import web

from pipeline.sandbox.envelope import INVALID_PARAMETER, Answer, Refused, success
from pipeline.sandbox.pictures import ExpiredPicture, Picture, PictureStore, UnknownPicture
from pipeline.sandbox.reports import encode_report
from pipeline.sandbox.searching import Searcher
from pipeline.sandbox.settings import SandboxSettings
from pipeline.sandbox.stats import SandboxStats
from pipeline.sandbox.submitted import Found, encode_whole_report, line_drawing, search_of
from pipeline.sandbox.tasks import LoggedTask, TaskLog
from pipeline.sandbox.validate import Creation, Query, Submission, read_body, refuse_parameters
from pipeline.system.structs import decode


class TaskDesk:
    """The tasks of one account, each with its fate."""

    def __init__(
        self, settings: SandboxSettings, searcher: Searcher, pictures: PictureStore, stats: SandboxStats
    ) -> None:
        self._clock = settings.clock
        self._fates = settings.reports
        self._done_after_s = settings.report_range_s
        self._searcher = searcher
        self._pictures = pictures
        self._stats = stats
        self._log = TaskLog(settings.folder, clock=settings.clock)

    async def create(self, request: web.Request) -> Answer:
        """Open a task: AI39-1."""
        refuse_parameters(request.query)
        body = await request.read()
        creation = read_body(body, Creation)
        for url in creation.urls:
            find_picture(self._pictures, url)
        for number, message in enumerate(creation.patent_messages):
            self._check_hit(message.url, f"patent_messages[{number}].url")
        task = self._log.add(creation, request=body)
        return success(msgspec.json.encode({"task_id": task.task_id}))

    async def query(self, request: web.Request) -> Answer:
        """Tell of a task: AI39-2."""
        refuse_parameters(request.query)
        task = self._asked_about(read_body(await request.read(), Query).task_id)
        fate = self._fates.of(task.task_id)
        return success(encode_report(task, self._searcher.patent, fate, running=self._is_running(task)))

    async def submit(self, request: web.Request) -> Answer:
        """Search, and open a task of what was found: the newer pair's submit."""
        refuse_parameters(request.query)
        body = await request.read()
        submission = read_body(body, Submission)
        picture = find_picture(self._pictures, submission.url)
        found = decode(await self._searcher.data(search_of(submission), picture), Found)
        patents = tuple(found.patent_messages or ())
        task = self._log.submit(submission, patents, found.total_search_result_count, request=body)
        return success(msgspec.json.encode({"task_id": task.task_id}))

    async def report(self, request: web.Request) -> Answer:
        """Tell of a task of the newer pair: its hits, its report and a line drawing."""
        refuse_parameters(request.query)
        task = self._asked_about(read_body(await request.read(), Query).task_id, submitted=True)
        fate, running = self._fates.of(task.task_id), self._is_running(task)
        drawing = "" if running else await self._drawing(task, large=fate.drawing == "large")
        return success(encode_whole_report(task, self._searcher.patent, fate, running=running, drawing=drawing))

    def close(self) -> None:
        """Close the log."""
        self._log.close()

    async def _drawing(self, task: LoggedTask, *, large: bool) -> str:
        """Draw the lines of a task's picture, in a thread: it takes some milliseconds."""
        try:
            picture = self._pictures.find(task.urls[0])
        except (UnknownPicture, ExpiredPicture):
            return ""
        return await asyncio.to_thread(line_drawing, picture.path, large=large)

    def _asked_about(self, task_id: str, *, submitted: bool = False) -> LoggedTask:
        self._stats.polled(task_id)
        task = self._log.find(task_id)
        if task is None or task.submitted != submitted or self._fates.of(task_id).kind == "forgotten":
            raise Refused(INVALID_PARAMETER, "task_id is unknown or older than eight hours")
        return task

    def _is_running(self, task: LoggedTask) -> bool:
        fate = self._fates.of(task.task_id)
        earliest_s, latest_s = self._done_after_s
        after_s = earliest_s + fate.share * (latest_s - earliest_s)
        return fate.kind == "never" or self._clock() < task.at.timestamp() + after_s

    def _check_hit(self, url: str, field: str) -> None:
        try:
            self._pictures.check(url)
        except (UnknownPicture, ExpiredPicture) as exc:
            raise Refused(INVALID_PARAMETER, f"{field}: {exc}") from None


def find_picture(pictures: PictureStore, url: str) -> Picture:
    """Return the product picture at a URL. Raises Refused where there is none, or none any more."""
    try:
        return pictures.find(url)
    except (UnknownPicture, ExpiredPicture) as exc:
        raise Refused(INVALID_PARAMETER, f"url: {exc}") from None
