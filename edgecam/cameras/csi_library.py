"""picamera2 and libcamera, loaded on use; what they raise, in our words."""

from __future__ import annotations

import logging
import os
import threading
from typing import Any, NamedTuple

from edgecam.errors import InputError

#: What picamera2 and the bindings below it raise; they have no errors of their own.
LIBRARY_ERRORS = (RuntimeError, OSError, ValueError, TypeError, LookupError, AttributeError, AssertionError)

#: Held while a camera is opened or closed: picamera2 keeps its cameras and their one thread in a list that does not
#: stand one being closed while another is opened.
OPENING = threading.Lock()


class Library(NamedTuple):
    """The two modules."""

    picamera2: Any
    libcamera: Any


def load() -> Library:
    """Import them. Raises InputError, which says how to install them."""
    # Their lesser messages would stand between ours; what fails is said once, by us.
    os.environ.setdefault("LIBCAMERA_LOG_LEVELS", "*:ERROR")
    logging.getLogger("picamera2").setLevel(logging.CRITICAL)
    try:
        import libcamera
        import picamera2
    except ModuleNotFoundError as error:
        raise InputError(
            f"camera type 'picamera2': the Python package {error.name!r} is missing: `sudo apt install -y"
            " python3-picamera2 --no-install-recommends`; a virtual environment needs --system-site-packages"
        ) from error
    except (ImportError, *LIBRARY_ERRORS) as error:
        raise InputError(
            f"camera type 'picamera2': picamera2 cannot be loaded: {error}: `sudo apt full-upgrade` brings"
            " picamera2 and libcamera to versions that match"
        ) from error
    return Library(picamera2, libcamera)


def reason(error: BaseException) -> str:
    """What was wrong at first, in one line: picamera2 wraps its errors several deep."""
    while error.__cause__ is not None:
        error = error.__cause__
    return " ".join(str(error).split()) or type(error).__name__
