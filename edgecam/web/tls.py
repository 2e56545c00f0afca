"""TLS by the certificate's files, which may be renewed while edgecam runs."""

from __future__ import annotations

import logging
import ssl
from pathlib import Path

from edgecam.config.web import WebSection
from edgecam.errors import ConfigError

log = logging.getLogger(__name__)


class Certificate:
    """The certificate that is shown to browsers, read again when its files change."""

    def __init__(self, cert_file: str, key_file: str) -> None:
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.set_alpn_protocols(["http/1.1"])
        self._files = (cert_file, key_file)
        self._stamp: tuple[int, ...] = ()

    def load(self) -> None:
        """Read the files. Raises ConfigError."""
        cert, key = self._files
        self._stamp = self._changed()
        try:
            self.context.load_cert_chain(cert, key or None, password="")  # never ask at the terminal
        except ssl.SSLError as error:
            if error.reason == "KEY_VALUES_MISMATCH":
                raise ConfigError(f"web.key_file {key!r}: does not belong to the certificate {cert!r}") from None
            raise ConfigError(
                f"web.cert_file {cert!r}: certificate and key must be in PEM form, the key without a password, in this"
                " file or in web.key_file"
            ) from None
        except OSError as error:
            names = " or ".join(repr(name) for name in self._files if name)
            raise ConfigError(
                f"web.cert_file or key_file {names}: {error.strerror}: give files that this user may read"
            ) from None

    def renew(self) -> None:
        """Read the files if they have changed; with a fault in them the old certificate stays."""
        if self._changed() == self._stamp:
            return
        try:
            self.load()
        except ConfigError as error:
            log.warning("%s: the certificate before it stays", error)
        else:
            log.info("web: the certificate was read again")

    def _changed(self) -> tuple[int, ...]:
        try:
            return tuple(Path(name).stat().st_mtime_ns for name in self._files if name)
        except OSError:
            return self._stamp


def certificate(options: WebSection) -> Certificate | None:
    """The certificate that is configured, read; None without one. Raises ConfigError."""
    if not options.cert_file:
        return None
    made = Certificate(options.cert_file, options.key_file)
    made.load()
    return made
