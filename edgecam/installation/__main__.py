"""`python3 -m edgecam.installation`: installing out of a checkout, with nothing but Python."""

from __future__ import annotations

import sys


def main(arguments: list[str]) -> int:
    """Install or uninstall. Returns the exit code: 0 fine, 1 failed, 2 usage."""
    if sys.version_info < (3, 11):  # noqa: UP036 -- this may be the system's Python, whatever it is
        _tell(f"Python {sys.version_info[0]}.{sys.version_info[1]}: edgecam needs 3.11 or newer (Debian 12 or newer)")
        return 1
    from edgecam.errors import EdgecamError
    from edgecam.installation.arguments import run

    try:
        return run(arguments, _tell)
    except (EdgecamError, OSError) as error:
        _tell(str(error))
        return 1
    except KeyboardInterrupt:
        return 130


def _tell(line: str) -> None:
    print(f"edgecam: {line}", file=sys.stderr, flush=True)  # noqa: T201 -- there is no console before edgecam is there


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
