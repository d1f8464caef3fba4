"""A browser for tests: Debian's Chromium without a screen, driven over its own protocol."""

import asyncio
import base64
import itertools
import json
import os
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
BROWSER = next((found for name in NAMES if (found := shutil.which(name))), None)
PATIENCE_S = 60.0
_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
)


class Tab:
    """A tab of a browser. What its console says is in `console`, files that it saves are in `downloads`."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, session: str, downloads: Path) -> None:
        self._socket, self._session = socket, session
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._events: list[tuple[str, Callable[[dict[str, Any]], bool], asyncio.Future[dict[str, Any]]]] = []
        self.downloads = downloads
        self.console: list[str] = []

    async def listen(self) -> None:
        """Hear what the browser says, until it ends."""
        async for message in self._socket:
            told = json.loads(message.data)
            if "id" in told and (waiting := self._waiting.pop(told["id"], None)) is not None:
                if not waiting.done():
                    waiting.set_result(told)
            elif "method" in told:
                self._hear(told["method"], told.get("params", {}))

    def _hear(self, method: str, params: dict[str, Any]) -> None:
        if method == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.console.append(details.get("exception", {}).get("description") or details["text"])
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
            self.console.append(str([one.get("value") for one in params["args"]]))
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.console.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")
        for name, fits, future in self._events:
            if name == method and not future.done() and fits(params):
                future.set_result(params)

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Send one command of the protocol; return its result."""
        number = next(self._numbers)
        future = self._waiting[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "method": method, "params": params, "sessionId": self._session})
        told = await asyncio.wait_for(future, PATIENCE_S)
        if "error" in told:
            raise RuntimeError(f"{method}: {told['error']}")
        return dict(told["result"])

    async def event(self, method: str, fits: Callable[[dict[str, Any]], bool] = lambda _: True) -> dict[str, Any]:
        """Wait for an event."""
        future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._events.append((method, fits, future))
        return await asyncio.wait_for(future, PATIENCE_S)

    async def run(self, script: str) -> Any:
        """Run an expression in the page, or a promise of one; return its value."""
        told = await self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in told:
            details = told["exceptionDetails"]
            raise RuntimeError(details.get("exception", {}).get("description") or details["text"])
        return told["result"].get("value")

    async def until(self, script: str) -> Any:
        """Wait until an expression is true in the page; return its value."""
        for _ in range(int(PATIENCE_S / 0.05)):
            if value := await self.run(script):
                return value
            await asyncio.sleep(0.05)
        raise AssertionError(f"never true: {script}; console: {self.console}")

    async def open(self, page: Path, hash_: str = "") -> None:
        """Open a page from the disk, and wait until its script has shown it."""
        await self.call("Page.navigate", url="about:blank")
        await self.call("Page.navigate", url=page.as_uri() + hash_)
        await self.until("document.documentElement?.dataset.ready === 'yes'")

    async def size(self, width: int, height: int, *, scale: float = 1.0, mobile: bool = False) -> None:
        """Set the size of the window."""
        await self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=mobile
        )

    async def dark(self, *, dark: bool = True) -> None:
        """Wish for dark colours, or for light ones."""
        features = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        await self.call("Emulation.setEmulatedMedia", features=features)

    async def click(self, selector: str) -> None:
        """Click an element."""
        await self.run(f"document.querySelector({json.dumps(selector)}).click()")

    async def press(self, key: str) -> None:
        """Press a key."""
        text = {"text": key} if len(key) == 1 else {}
        codes = {"Escape": 27, "ArrowLeft": 37, "ArrowRight": 39, "Enter": 13}
        code = {"windowsVirtualKeyCode": codes[key]} if key in codes else {}
        await self.call("Input.dispatchKeyEvent", type="keyDown", key=key, **text, **code)
        await self.call("Input.dispatchKeyEvent", type="keyUp", key=key, **code)

    async def picture(self, path: Path) -> None:
        """Save a picture of the window."""
        told = await self.call("Page.captureScreenshot", format="png")
        path.write_bytes(base64.b64decode(told["data"]))

    async def pdf(self) -> bytes:
        """Print the page."""
        told = await self.call("Page.printToPDF", preferCSSPageSize=True, printBackground=True)
        return base64.b64decode(told["data"])


@asynccontextmanager
async def browser(folder: Path) -> AsyncIterator[Tab]:
    """Start a browser with a profile of its own in a folder; it is ended when the block ends."""
    assert BROWSER is not None, f"none of {', '.join(NAMES)} is installed"
    profile, downloads = folder / "profile", folder / "downloads"
    downloads.mkdir(parents=True, exist_ok=True)
    process = subprocess.Popen(
        [BROWSER, *_FLAGS, f"--user-data-dir={profile}", "about:blank"],
        env=os.environ | {"HOME": str(folder)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        port, path = await _address(profile / "DevToolsActivePort", process)
        async with (
            aiohttp.ClientSession() as client,
            client.ws_connect(f"ws://127.0.0.1:{port}{path}", max_msg_size=0) as socket,
        ):
            tab = await _attached(socket, downloads)
            listening = asyncio.create_task(tab.listen())
            try:
                for domain in ("Page", "Runtime", "Log", "Performance"):
                    await tab.call(f"{domain}.enable")
                yield tab
            finally:
                listening.cancel()
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def look(folder: Path, steps: Callable[[Tab], Awaitable[None]]) -> None:
    """Take steps in a browser; its console must have told of no error."""

    async def looking() -> None:
        async with browser(folder / "browser") as tab:
            await tab.size(1280, 900)
            await steps(tab)
            assert tab.console == []

    asyncio.run(looking())


async def _address(file: Path, process: subprocess.Popen[bytes]) -> tuple[str, str]:
    for _ in range(int(PATIENCE_S / 0.05)):
        lines = file.read_text().split() if file.exists() else []
        if len(lines) == 2:
            return lines[0], lines[1]
        assert process.poll() is None, "the browser ended at once"
        await asyncio.sleep(0.05)
    raise AssertionError("the browser did not say where it listens")


async def _attached(socket: aiohttp.ClientWebSocketResponse, downloads: Path) -> Tab:
    async def ask(number: int, method: str, **params: Any) -> dict[str, Any]:
        await socket.send_json({"id": number, "method": method, "params": params})
        while True:
            told = json.loads((await socket.receive(PATIENCE_S)).data)
            if told.get("id") == number:
                return dict(told["result"])

    targets = (await ask(-1, "Target.getTargets"))["targetInfos"]
    target = next(one["targetId"] for one in targets if one["type"] == "page")
    session = (await ask(-2, "Target.attachToTarget", targetId=target, flatten=True))["sessionId"]
    await ask(-3, "Browser.setDownloadBehavior", behavior="allow", downloadPath=str(downloads), eventsEnabled=True)
    return Tab(socket, session, downloads)
