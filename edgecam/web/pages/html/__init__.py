"""Putting the pages together: each is one frame around a part of its own."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from importlib.resources import files
from string import Template

from edgecam.web.pages.files import SentFile

PAGES = {"/": "live", "/review": "review", "/zones": "zones", "/condition": "condition", "/login": "login"}
"""The pages' paths and names."""
_TITLES = {"live": "Live", "review": "Review", "zones": "Zones", "condition": "Condition", "login": "Log in"}
_IMPORT = re.compile(rb'^(?:import|export|\}) ?[^"\n]*"\./([a-z_]+\.js)"', re.MULTILINE)


def page(name: str, version: str, static: Mapping[str, SentFile], *, boxes: bool) -> SentFile:
    """The page of this name. `boxes`: whether the videos have the boxes in their pictures."""
    script = f"{name}.js"
    text = _template("frame.html").substitute(
        page=name,
        title=_TITLES[name],
        version=version,
        boxes="in" if boxes else "beside",
        script=script,
        preloads="\n".join(
            f'<link rel="modulepreload" href="static/{version}/{each}">' for each in sorted(imports(script, static))
        ),
        content=_template(f"{name}.html").substitute(version=version),
        **{f"at_{each}": 'aria-current="page"' if each == name else "" for each in _TITLES},
    )
    return SentFile.of("page.html", text.encode())


def imports(script: str, static: Mapping[str, SentFile]) -> set[str]:
    """The modules that a script needs, and those that they need: fetched at once, not one after another."""
    found: set[str] = set()
    left = [script]
    while left:
        needed = {name.decode() for name in _IMPORT.findall(static[left.pop()].content)}
        left.extend(needed - found)
        found |= needed
    return found


def manifest(version: str) -> SentFile:
    """What a phone shows where the pages are put on its first screen. It is in a folder of its own to no browser."""
    icons = [
        {"src": f"static/{version}/icon.svg", "sizes": "any", "type": "image/svg+xml"},
        {"src": f"static/{version}/icon-180.png", "sizes": "180x180", "type": "image/png"},
    ]
    told = {"name": "edgecam", "short_name": "edgecam", "start_url": "./", "display": "standalone", "icons": icons}
    return SentFile.of("manifest.webmanifest", json.dumps(told).encode())


def _template(name: str) -> Template:
    return Template((files("edgecam.web.pages.html") / name).read_text(encoding="utf-8"))
