"""The program: as `python -m pipeline`, and as the command `pipeline`.

Nothing is loaded before `main` listens: Ctrl-C in the first moments, too, is one line and no traceback.
"""

import os


def main() -> None:
    """Load the command line and run it; the process exits with its code."""
    try:
        from pipeline.cli.main import main as run

        run()
    except KeyboardInterrupt as stop:  # before the command line could say it, or while it did
        os.write(2, f"{str(stop) or 'stopped by SIGINT; run again to go on'}\n".encode())
        os._exit(getattr(stop, "exit_code", 130))


if __name__ == "__main__":
    main()
