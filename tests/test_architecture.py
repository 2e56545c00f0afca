"""The shape of the house: imports point down, device libraries stay in their rooms, functions and files stay small."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "edgecam"

LAYERS = [
    {"__init__", "errors", "late_picture", "picture_pool", "types"},
    {"config", "ports"},
    {
        "allocator", "assignment", "backoff", "bundled", "canvas", "clock", "events", "families", "filters", "frigate",
        "glyphs", "interpolation", "kalman", "labels", "latency", "lettering", "lines", "logbook", "marks", "masks",
        "modelfile", "models", "mosaic", "newest", "outlines", "overlay", "plates", "preroll", "retention", "ring",
        "scenes", "scoring", "stationary", "story", "switches", "tiling", "tracker", "turns", "yuv", "zones",
    },
    {
        "backlog", "clip_store", "errands", "event_search", "event_store", "journal", "journal_faults",
        "journal_schema", "outbox", "outlet", "parking", "patient_outbox", "spool", "supervision", "systemd",
        "worker",
    },
    {
        "cameras", "capture", "clip_files", "detection", "detectors", "evaluation", "event_removal", "event_upkeep",
        "health", "housekeeping", "inference", "live_feed", "mqtt", "output", "publisher", "recording", "sinks",
        "storing", "testing", "thinning", "web",
    },
    {
        "app", "benchmark", "composition", "condition", "demonstration", "doctor", "installation", "messaging",
        "pipeline", "reloading", "service", "viewing",
    },
    {"__main__", "cli", "commands", "console"},
]  # fmt: skip
RANK = {room: rank for rank, layer in enumerate(LAYERS) for room in layer}
DEVICE_ROOMS = {"cameras", "detectors", "sinks"}
LIBRARY_ROOMS = {*DEVICE_ROOMS, "benchmark", "mqtt", "recording"}
WEB_LIBRARIES = {"anyio", "argon2", "fastapi", "h11", "starlette", "tomlkit", "uvicorn", "websockets"}
DEVICE_LIBRARIES = {"av", "ai_edge_litert", "libcamera", "paho", "picamera2", "pygame", "tflite_runtime"}
THREADS = {"capture", "detection", "housekeeping", "inference", "output", "publisher", "storing"}
MODULES = sorted(PACKAGE.rglob("*.py"))


def room_of(module: Path) -> str:
    first = module.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def imports_of(module: Path) -> set[str]:
    """Dotted names a module imports, wherever in the file."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def rooms_used(module: Path) -> set[str]:
    used = {name.split(".")[1] for name in imports_of(module) if name.startswith("edgecam.")}
    return used & RANK.keys()


def module_id(module: Path) -> str:
    return str(module.relative_to(PACKAGE))


@pytest.mark.parametrize("module", MODULES, ids=module_id)
def test_every_module_has_a_room_and_imports_point_down(module: Path) -> None:
    room = room_of(module)
    assert room in RANK, f"{module_id(module)}: say in LAYERS where it belongs"
    too_high = {used for used in rooms_used(module) if RANK[used] > RANK[room]}
    assert not too_high, f"{module_id(module)} imports upward: {sorted(too_high)}"


@pytest.mark.parametrize("module", MODULES, ids=module_id)
def test_device_libraries_stay_in_their_rooms(module: Path) -> None:
    libraries = {name.split(".")[0] for name in imports_of(module)} & DEVICE_LIBRARIES
    assert not libraries or room_of(module) in LIBRARY_ROOMS


@pytest.mark.parametrize("module", MODULES, ids=module_id)
def test_the_libraries_of_the_web_stay_in_its_room(module: Path) -> None:
    libraries = {name.split(".")[0] for name in imports_of(module)} & WEB_LIBRARIES
    assert not libraries or room_of(module) == "web"


@pytest.mark.parametrize("module", MODULES, ids=module_id)
def test_threads_and_devices_meet_only_in_the_ports(module: Path) -> None:
    room, used = room_of(module), rooms_used(module)
    if room in THREADS:
        assert not used & DEVICE_ROOMS
    if room in DEVICE_ROOMS:
        assert not used & THREADS


def test_there_is_no_import_cycle_between_rooms() -> None:
    wants: dict[str, set[str]] = {}
    for module in MODULES:
        wants.setdefault(room_of(module), set()).update(rooms_used(module) - {room_of(module)})
    while wants:
        free = [room for room, needed in wants.items() if not needed & wants.keys()]
        assert free, f"import cycle among {sorted(wants)}"
        for room in free:
            del wants[room]


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function without its docstring."""
    first = function.body[0]
    documented = ast.get_docstring(function) is not None
    docstring = (first.end_lineno or 0) - first.lineno + 1 if documented else 0
    return (function.end_lineno or 0) - function.lineno + 1 - docstring


@pytest.mark.parametrize("module", MODULES, ids=module_id)
def test_functions_and_files_stay_small(module: Path) -> None:
    source = module.read_text(encoding="utf-8")
    assert source.count("\n") <= 300
    functions = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)]
    assert not [f"{function.name}: {length(function)} lines" for function in functions if length(function) > 45]


@pytest.mark.parametrize("module", MODULES, ids=module_id)
def test_every_module_says_what_it_owns(module: Path) -> None:
    assert ast.get_docstring(ast.parse(module.read_text(encoding="utf-8")))


def test_except_exception_stands_once() -> None:
    broad = [
        f"{module_id(module)}:{node.lineno}"
        for module in MODULES
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8")))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or (isinstance(node.type, ast.Name) and node.type.id in {"Exception", "BaseException"}))
    ]
    assert len(broad) == 1, broad
    assert broad[0].startswith("worker.py")
