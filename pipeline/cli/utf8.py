"""UTF-8 in every locale: names of files and ids are texts of any language, whatever the locale knows."""

import codecs
import os
import sys
from contextlib import suppress


def start_anew_in_utf8() -> None:
    """Start this process anew in Python's UTF-8 mode where the locale is another one; else do nothing.

    The terminal goes on to get its own encoding, unless that is ASCII. Where the words of the command or the current
    folder are written in the locale's encoding, nothing is changed: they could not be read any more.
    """
    if sys.flags.utf8_mode or not sys.executable or codecs.lookup(sys.getfilesystemencoding()).name == "utf-8":
        return
    if not all(map(_is_utf8, [*map(os.fsencode, sys.argv), os.fsencode(sys.executable), _current_folder()])):
        return
    environment = {**os.environ, "PYTHONUTF8": "1"}
    terminal = codecs.lookup(sys.stdout.encoding).name if sys.stdout is not None else "ascii"
    if terminal != "ascii":
        environment.setdefault("PYTHONIOENCODING", f"{terminal}:backslashreplace")
    with suppress(OSError):  # without it only names that the locale does not know are refused
        os.execve(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]], environment)  # noqa: S606


def _current_folder() -> bytes:
    try:
        return os.getcwdb()
    except OSError:
        return b""


def _is_utf8(name: bytes) -> bool:
    try:
        name.decode()
    except UnicodeDecodeError:
        return False
    return True
