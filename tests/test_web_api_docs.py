"""docs/api.md says what the code does: every path and every key."""

from __future__ import annotations

import json
import re
import sys
from importlib import import_module
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="no web server: install edgecam[web]")

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))
api_docs = import_module("api_docs")

pytestmark = pytest.mark.any_runtime

TEXT = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")


def test_the_parts_that_the_code_knows_are_up_to_date() -> None:
    assert api_docs.written(TEXT) == TEXT, "run tools/api_docs.py"
    assert set(api_docs.PART.findall(TEXT)) == api_docs.parts().keys()


def test_frigates_paths_are_there() -> None:
    assert set(api_docs.FRIGATE) <= api_docs.openapi()["paths"].keys()


def test_every_path_and_key_is_told_in_words() -> None:
    for methods in api_docs.openapi()["paths"].values():
        for about in methods.values():
            assert about["description"]
    for schema in api_docs.openapi()["components"]["schemas"].values():
        for key, about in schema.get("properties", {}).items():
            assert about.get("description") or "$ref" in about, key


def test_the_example_is_an_event() -> None:
    from edgecam.web.api.events import EventDetails

    (example,) = re.findall(r"<!-- example-event -->\n```json\n(.*?)```", TEXT, re.DOTALL)
    EventDetails.model_validate(json.loads(example))
