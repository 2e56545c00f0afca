"""Published models, fetched for the service; the bundled one needs nothing."""

from __future__ import annotations

from edgecam.installation.account import has_user
from edgecam.installation.files import give
from edgecam.installation.host import Host
from edgecam.installation.layout import DATA, MODELS, USER
from edgecam.installation.plan import Shortcoming, Step
from edgecam.installation.releases import Target


class PullModel(Step):
    """Have the new release fetch a model, which it verifies."""

    def __init__(self, target: Target, model: str) -> None:
        self._target = target
        self._model = model

    def describe(self) -> str:
        return f"fetch the model {self._model} into {MODELS}"

    def do(self) -> None:
        host = self._target.host
        folder = host.path(MODELS)
        make_data_folders(host)
        done = host.run(self._target.command(), "models", "pull", self._model, "--to", str(folder))
        if done.code:
            raise Shortcoming(f"the model {self._model}: {done.last_line}: `edgecam models pull` tries again")
        if host.is_whole and has_user(host):
            for path in folder.iterdir():
                give(path, USER, USER)


def make_data_folders(host: Host) -> None:
    """The service's folders, before systemd makes them at its first start."""
    for place in (DATA, MODELS):
        folder = host.path(place)
        folder.mkdir(parents=True, exist_ok=True)
        if host.is_whole and has_user(host):
            folder.chmod(0o750)
            give(folder, USER, USER)
