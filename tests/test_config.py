"""The configuration: what is accepted, what is refused and how, and the documented example."""

from __future__ import annotations

import inspect
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from edgecam.bundled import example_config
from edgecam.config import Config, Picamera2Config, SyntheticConfig, V4l2Config, VideoFileConfig, load, to_toml
from edgecam.config.complaints import key_lines
from edgecam.config.sections import Section
from edgecam.config.zones import LineSection, MarkedSection, ZoneSection
from edgecam.detectors.edgetpu import parse_choice
from edgecam.errors import ConfigError, InputError

Refusal = Callable[..., list[str]]

MARKS = set(MarkedSection.model_fields)
BESIDE_THE_MODEL = {"device", "isolate", "tiles", "tile_overlap"}
KINDS = '"picamera2", "synthetic", "v4l2", "video_file"'


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    return tmp_path / "edgecam.toml"


@pytest.fixture
def refusal(config_file: Path) -> Refusal:
    """Loads a text that must be refused; returns the complaints, without the path of the file."""

    def complaints(text: str, **options: bool) -> list[str]:
        config_file.write_text(text, encoding="utf-8")
        with pytest.raises(ConfigError) as caught:
            load(config_file, **options)
        lines = str(caught.value).split("\n")
        assert all(line.startswith(f"{config_file}:") for line in lines)
        return [line.removeprefix(str(config_file)) for line in lines]

    return complaints


def test_an_empty_file_gives_the_defaults(config_file: Path) -> None:
    config_file.touch()
    assert load(config_file) == Config()


def test_values_are_taken_as_written(config_file: Path) -> None:
    config_file.write_text(
        """
        detector.threads = 2
        events = { threshold = 1, thresholds = { "traffic light" = 0.25 }, labels = ["person"] }
        [cameras.front-1]
        type = "video_file"
        path = "rtsp://user:secret@camera.lan/1"
        size = [640, 360]
        [cameras.back]
        type = "synthetic"
        enabled = false
        """
    )
    config = load(config_file)
    assert config.detector.threads == 2
    assert config.events.threshold == 1.0
    assert config.events.thresholds == {"traffic light": 0.25}
    assert config.events.labels == ("person",)
    front = config.cameras["front-1"]
    assert isinstance(front, VideoFileConfig)
    assert front.path == "rtsp://user:secret@camera.lan/1"
    assert front.size == (640, 360)
    assert list(config.enabled_cameras) == ["front-1"]


def test_relative_paths_start_from_the_folder_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "edgecam.toml").write_text(
        """
        data_dir = "data"
        detector = { model = "own/model.tflite", labels = "labels.txt" }
        cameras.a = { type = "video_file", path = "clips/a.mp4" }
        cameras.b = { type = "video_file", path = "/srv/b.mp4" }
        """
    )
    monkeypatch.chdir(tmp_path)
    config = load(Path("etc/edgecam.toml"))
    assert config.data_dir == tmp_path / "etc" / "data"
    assert config.detector.model == str(tmp_path / "etc/own/model.tflite")
    assert config.detector.labels == str(tmp_path / "etc/labels.txt")
    paths = {name: camera.path for name, camera in config.cameras.items() if isinstance(camera, VideoFileConfig)}
    assert paths == {"a": str(tmp_path / "etc/clips/a.mp4"), "b": "/srv/b.mp4"}


@pytest.mark.parametrize("model", ["auto", "demo", "ssd_mobilenet_v1"])
def test_the_name_of_a_model_is_no_path(config_file: Path, model: str) -> None:
    config_file.write_text(f'detector.model = "{model}"')
    assert load(config_file).detector.model == model


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("events.threshold = 40", ":1: events.threshold: 40: allowed is a number from 0 to 1"),
        ("events.threshold = nan", ":1: events.threshold: nan: allowed is a number from 0 to 1"),
        ("events.threshold = true", ":1: events.threshold: true: allowed is a number from 0 to 1"),
        ('events.threshold = "0.5"', ':1: events.threshold: "0.5": allowed is a number from 0 to 1'),
        ("[video]\n\ncrf = 23.5", ":3: video.crf: 23.5: allowed is a whole number from 0 to 51"),
        ("tracker.max_age = 0", ":1: tracker.max_age: 0: allowed is a number above 0 and at most 60"),
        ("overlay.clock = 1", ":1: overlay.clock: 1: allowed is true or false"),
        (
            "journal.enabled = false",
            (
                ": clips.enabled: true: needs [journal] enabled = true, which knows the clips: set that, or"
                " clips.enabled = false"
            ),
        ),
        ("clips.pre_roll = 61", ":1: clips.pre_roll: 61: allowed is a number from 0 to 60"),
        ("clips.max_length = 59", ":1: clips.max_length: 59: allowed is a number from 60 to 3600"),
        ("data_dir = 5", ":1: data_dir: 5: allowed is text"),
        ('data_dir = "a\\u0000"', ':1: data_dir: "a\\u0000": allowed is a path without NUL characters'),
        ("detector = []", ":1: detector: []: allowed is a table"),
        ("journal = 2026-11-01", ":1: journal: 2026-11-01: allowed is a table"),
        ("events.labels = ['', 'dog']", ':1: events.labels[0]: "": allowed is text that is not empty'),
        ("events.labels = 'dog'", ':1: events.labels: "dog": allowed is a list of items, each text that is not empty'),
        (
            "[events.thresholds]\nperson = 0.6\n'a b' = -1",
            ':3: events.thresholds."a b": -1: allowed is a number from 0 to 1',
        ),
        (
            "tracker.confirm_hits = 7",
            ":1: tracker.confirm_window: 5: allowed is at least confirm_hits, which is 7",
        ),
        ("[detector]\nmodle = 'auto'", ":2: detector.modle: unknown key: did you mean model?"),
        ("[detecter]\nmodel = 'auto'", ":1: detecter: unknown key: did you mean detector?"),
        ("journal.wal = true", ":1: journal.wal: unknown key: known are enabled"),
        (
            "[cameras.front]\ntype = 'video_file'\npath = 'a.mp4'\npace = 'warp'",
            ':4: cameras.front.pace: "warp": allowed are "realtime", "fast"',
        ),
        (
            "[cameras.front]\ntype = 'video_file'",
            ":1: cameras.front.path: missing: allowed is text that is not empty",
        ),
        ("[cameras.front]", f":1: cameras.front.type: missing: allowed are {KINDS}"),
        ("cameras.front.type = 1", f":1: cameras.front.type: 1: allowed are {KINDS}"),
        (
            "cameras.a = { type = 'picamera2', rotation = 45 }",
            ":1: cameras.a.rotation: 45: allowed are 0, 90, 180, 270",
        ),
        (
            "cameras.a = { type = 'picamera2', camera = -1 }",
            ":1: cameras.a.camera: -1: allowed is a whole number at least 0, or an id",
        ),
        (
            "cameras.a = { type = 'picamera2', focus = 'manual' }",
            ':1: cameras.a.focus: "manual": allowed is "auto", or 0 to 100 dioptres',
        ),
        (
            "cameras.a = { type = 'picamera2', awb = [1.5] }",
            (
                ":1: cameras.a.awb: [1.5]: allowed is one of auto, incandescent, tungsten, fluorescent, indoor,"
                " daylight, cloudy, or a list of the gains of red and blue"
            ),
        ),
        ("cameras.front = 1", ":1: cameras.front: 1: allowed is a table"),
        (
            "cameras.Front = { type = 'synthetic' }",
            ':1: cameras.Front: "Front" as a name: allowed is text matching [a-z0-9_-]+',
        ),
        (
            "cameras.a = { type = 'synthetic', size = [640, 361] }",
            ":1: cameras.a.size[1]: 361: allowed is an even whole number from 16 to 8192",
        ),
        (
            "cameras.a = { type = 'synthetic', size = [640] }",
            ":1: cameras.a.size: [640]: allowed is a list of 2 items, each an even whole number from 16 to 8192",
        ),
        (
            "cameras.a = { type = 'synthetic', light = 'night' }",
            ':1: cameras.a.light: "night": allowed are "day", "dusk", "rain"',
        ),
    ],
)
def test_a_complaint_names_line_key_value_and_what_is_allowed(refusal: Refusal, text: str, complaint: str) -> None:
    assert refusal(text) == [complaint]


def test_all_complaints_come_at_once_in_the_order_of_the_file(refusal: Refusal) -> None:
    text = """
        # of several lines, and with a text that looks like a key
        detector.labels = '''
        threads = 1
        '''
        events.labels = [
            "person",
            7,
        ]
        [cameras.back]
        type = "synthetic"
        colour = "red"
        seed = -1
        [detector.speed]
        """.replace("        ", "")
    assert [complaint.split(": ")[:2] for complaint in refusal(text)] == [
        [":6", "events.labels[1]"],
        [":12", "cameras.back.colour"],
        [":13", "cameras.back.seed"],
        [":14", "detector.speed"],
    ]


def test_a_long_value_is_cut(refusal: Refusal) -> None:
    (complaint,) = refusal(f"events.threshold = '{'x' * 5000}'")
    assert len(complaint) < 150


@pytest.mark.parametrize(
    ("text", "position"),
    [("a = 1\nb =\n", ":2:4: "), ("a = 1\n[b\n", ":2:3: "), ('a = "', ":1: "), ("a = 1\na = 2\n", ":2:6: ")],
)
def test_what_is_not_toml_is_placed(refusal: Refusal, text: str, position: str) -> None:
    (complaint,) = refusal(text)
    assert complaint.startswith(f"{position}not TOML: ")


@pytest.mark.parametrize("text", ["a = " + "[" * 100_000, f"a = 1{'0' * 5000}", "a = 2026-02-30"])
def test_toml_that_python_cannot_hold_is_refused(refusal: Refusal, text: str) -> None:
    assert len(refusal(text)) == 1


def test_an_unusable_file_is_refused(tmp_path: Path, config_file: Path) -> None:
    def message(path: Path) -> str:
        with pytest.raises(ConfigError) as caught:
            load(path)
        return str(caught.value)

    assert message(config_file) == f"{config_file}: not found: name the configuration with -c FILE or EDGECAM_CONFIG"
    assert message(tmp_path) == f"{tmp_path}: cannot be read: Is a directory"
    config_file.write_bytes(b"# fine\n# gr\xfc\xdfe\n")
    assert message(config_file) == f"{config_file}:2: byte 0xfc: not UTF-8: save the file as UTF-8"
    config_file.write_bytes(b"#" * (1 << 20) + b"\n")
    assert "larger than 1 MiB" in message(config_file)
    assert "cannot be read" in message(Path("a\0b"))


def test_windows_line_ends_and_byte_order_marks_are_taken(config_file: Path) -> None:
    config_file.write_bytes(b"\xef\xbb\xbf[events]\r\nthreshold = 0.25\r\n")
    assert load(config_file).events.threshold == 0.25


@pytest.mark.parametrize("text", ["", "cameras.a = { type = 'synthetic', enabled = false }"])
def test_a_camera_may_be_demanded(refusal: Refusal, text: str) -> None:
    (complaint,) = refusal(text, cameras_needed=True)
    assert complaint.startswith(": cameras: none is enabled")


def test_the_display_shows_a_camera_that_there_is(refusal: Refusal) -> None:
    cameras = "[cameras.front]\ntype = 'synthetic'\n[cameras.back]\ntype = 'synthetic'\n"
    (complaint,) = refusal(f"[display]\nlayout = 'single'\ncamera = 'drive'\n{cameras}")
    assert complaint == ':3: display.camera: "drive": no camera has this name: give one of front, back'


def _complaints(path: Path) -> list[str]:
    try:
        load(path)
    except ConfigError as error:
        return str(error).split("\n")
    return []


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(st.one_of(st.text(), st.binary().map(lambda data: data.decode("latin-1"))))
def test_any_text_is_a_configuration_or_an_error_of_ours(tmp_path: Path, text: str) -> None:
    path = tmp_path / "any.toml"
    path.write_text(text, encoding="utf-8", newline="")
    assert all(line.startswith(str(path)) for line in _complaints(path))


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner.filter(lambda v: v is not None), max_size=3)
        | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=12,
)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from([*Config.model_fields, "other"]), _VALUES, max_size=4))
def test_any_document_is_a_configuration_or_an_error_of_ours(tmp_path_factory: Any, document: dict[str, Any]) -> None:
    path = tmp_path_factory.mktemp("config", numbered=True) / "any.toml"
    path.write_text(to_toml(document), encoding="utf-8", newline="")
    assert all(line.startswith(str(path)) for line in _complaints(path))


def _without_none(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _without_none(item) for name, item in value.items() if item is not None}
    return [_without_none(item) for item in value] if isinstance(value, list) else value


@settings(deadline=None)
@given(st.dictionaries(st.text(max_size=5), _VALUES, max_size=4))
def test_written_toml_reads_back(document: dict[str, Any]) -> None:
    assert tomllib.loads(to_toml(document)) == _without_none(document)


def test_the_line_of_every_key_is_found() -> None:
    text = example_config().read_text(encoding="utf-8")
    found, lines = key_lines(text), text.split("\n")
    expected = {path for path, _ in _leaves(tomllib.loads(text))}
    assert expected <= set(found)
    assert all(lines[found[path] - 1].startswith(f"{path[-1]} =") for path in expected)


def test_what_is_shown_holds_no_secret(config_file: Path) -> None:
    class WithSecret(Section):
        password: SecretStr

    assert "hunter2" not in str(WithSecret(password=SecretStr("hunter2")).model_dump(mode="json"))
    for url in ("rtsp://user:hunter2@camera.lan:554/1", "rtsp://user:a@hunter2@camera.lan/1"):
        config_file.write_text(f'cameras.a = {{ type = "video_file", path = "{url}" }}')
        config = load(config_file)
        assert config.cameras["a"].options()["path"] == url
        shown = config.model_dump(mode="json")
        assert "hunter2" not in str(shown)
        assert "rtsp://user:***@camera.lan" in shown["cameras"]["a"]["path"]


def _leaves(table: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, value in table.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, (*path, name))
        else:
            yield (*path, name), value


class TestExample:
    """`config/edgecam.toml` documents every key with its default."""

    def test_it_equals_the_defaults(self) -> None:
        example = load(example_config(), cameras_needed=True)
        assert example.model_copy(update={"cameras": {}}) == Config()
        assert example.cameras == {"demo": SyntheticConfig(type="synthetic")}

    def test_it_has_every_key(self, config_file: Path) -> None:
        """Also those without a default, and the cameras that are not in force: both stand behind a `#`."""
        config_file.write_text(re.sub("(?m)^#(?=[a-z\\[])", "", example_config().read_text(encoding="utf-8")))
        whole = load(config_file).model_dump()
        assert {path for path, value in _leaves(whole) if value is None} == set()
        written = {path for path, _ in _leaves(tomllib.loads(config_file.read_text()))}
        unwritten = {path for path, _ in _leaves(whole)} - written
        assert not written - {path for path, _ in _leaves(whole)}
        others = whole["cameras"].keys() - {"front"}
        assert unwritten == {("cameras", name, mark) for name in others for mark in MARKS}, "shown at one camera"
        front, door, pi = (whole["cameras"][name] for name in ("front", "door", "pi"))
        for shown, defaults in (
            (front, VideoFileConfig(type="video_file", path=front["path"]).model_dump()),
            (door, V4l2Config(type="v4l2", path=door["path"]).model_dump()),
            (pi, Picamera2Config(type="picamera2").model_dump()),
        ):
            assert {key: value for key, value in shown.items() if defaults[key] is not None and key not in MARKS} == {
                key: value for key, value in defaults.items() if value is not None and key not in MARKS
            }
        assert ZoneSection(polygon=front["zones"]["drive"]["polygon"]).model_dump() == front["zones"]["drive"]
        assert LineSection(points=front["lines"]["gate"]["points"]).model_dump() == front["lines"]["gate"]

    def test_every_key_is_explained(self) -> None:
        lines = example_config().read_text(encoding="utf-8").split("\n")
        keys = [number for number, line in enumerate(lines) if re.match(r"#?[a-z_]+ = ", line)]
        unexplained = [lines[number] for number in keys if not lines[number - 1].startswith("# ")]
        assert unexplained == ['type = "synthetic"', '#type = "video_file"', '#type = "v4l2"', '#type = "picamera2"']


def test_every_key_of_the_schema_has_a_description() -> None:
    schema = Config.model_json_schema()
    tables = [schema, *schema["$defs"].values()]
    without = [
        f"{table['title']}.{name}"
        for table in tables
        for name, field in table["properties"].items()
        if "description" not in field and "$ref" not in field
    ]
    assert without == []
    assert all("description" in table for table in tables)


PLACED = "[cameras.a]\ntype = 'synthetic'\n"
SQUARE = "polygon = [[0, 0], [1, 0], [1, 1], [0, 1]]"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (
            f"{PLACED}zones.b.polygon = [[0, 0], [1, 1]]",
            (":3: cameras.a.zones.b.polygon: [[0, 0], [1, 1]]: allowed are at least 3 points, each [right, down] from 0"
            " to 1"),
        ),
        (
            f"{PLACED}zones.b.polygon = [[0, 0], [1, 1], [1, 0], [0, 1]]",
            (":3: cameras.a.zones.b.polygon: [[0, 0], [1, 1], [1, 0], [0, 1]]: allowed is an outline that does not"
            " cross or touch itself: give its corners in order"),
        ),
        (
            f"{PLACED}masks = [[[0, 0], [0, 0], [1, 0], [1, 1]]]",
            (
                ":3: cameras.a.masks[0]: [[0, 0], [0, 0], [1, 0], [1, 1]]: allowed is an outline that does not cross or"
                " touch itself: give its corners in order"
            ),
        ),
        (
            f"{PLACED}masks = [[[0, 0], [1, 0], [1, 1], [0.5, 0], [0, 1]]]",
            (
                ":3: cameras.a.masks[0]: [[0, 0], [1, 0], [1, 1], [0.5, 0], [0, 1]]: allowed is an outline that does"
                " not cross or touch itself: give its corners in order"
            ),
        ),
        (
            f"{PLACED}masks = [[[0, 0], [0.5, 0.5], [1, 1]]]",
            (":3: cameras.a.masks[0]: [[0, 0], [0.5, 0.5], [1, 1]]: allowed is a polygon with an area: these points lie"
            " on one line"),
        ),
        (
            f"{PLACED}zones.b.polygon = [[0, 0], [1, 0], [1, 1.5]]",
            ":3: cameras.a.zones.b.polygon[2][1]: 1.5: allowed is a number from 0 to 1",
        ),
        (
            f"{PLACED}zones.Drive.{SQUARE}",
            ':3: cameras.a.zones.Drive: "Drive" as a name: allowed is text matching [a-z0-9_-]+',
        ),
        (f"{PLACED}zones.b = {{}}", (":3: cameras.a.zones.b.polygon: missing: allowed is a list of items, each a list"
         " of 2 items, each a number from 0 to 1")),
        (
            f"{PLACED}zones.a.{SQUARE}",
            ':3: cameras.a.zones.a: "a": a camera has this name: each zone needs its own, it becomes a topic',
        ),
        (
            f"{PLACED}zones.z.{SQUARE}\n[cameras.b]\ntype = 'synthetic'\nzones.z.{SQUARE}",
            ':6: cameras.b.zones.z: "z": a zone of a has this name: each zone needs its own, it becomes a topic',
        ),
        (
            "[web]\nenabled = true\n[cameras.events]\ntype = 'synthetic'",
            ':3: cameras.events: "events": /api/events is a path of its own: give another name',
        ),
        (
            f"{PLACED}zones.z.{SQUARE}\nrequired_zones = ['y']",
            ':4: cameras.a.required_zones: ["y"]: y: the zones of this camera are z',
        ),
        (
            f"{PLACED}required_zones = ['y']",
            ':3: cameras.a.required_zones: ["y"]: y: this camera has no zones',
        ),
        (
            f"{PLACED}lines.l.points = [[0.5, 0.5], [0.5, 0.501]]",
            (":3: cameras.a.lines.l.points: [[0.5, 0.5], [0.5, 0.501]]: allowed are two points that are at least 0.01"
            " apart"),
        ),
        (
            f"{PLACED}lines.l = {{ points = [[0, 0], [1, 1]], directions = ['up', 'up'] }}",
            ':3: cameras.a.lines.l.directions: ["up", "up"]: allowed are two different names',
        ),
        ("events.labels = ['dog']\nevents.exclude_labels = ['dog']",
         ':2: events.exclude_labels: ["dog"]: dog: also in labels: keep it in one of the two'),
        (
            "events.min_area = 0.5\nevents.max_area = 0.2",
            ":2: events.max_area: 0.2: allowed is at least min_area, which is 0.5",
        ),
        (
            "events.min_ratio = 3\nevents.max_ratio = 2",
            ":2: events.max_ratio: 2: allowed is at least min_ratio, which is 3",
        ),
        (
            "events.min_area = 0.5\nevents.filters.dog.max_area = 0.2",
            ":2: events.filters.dog.max_area: 0.2: allowed is at least min_area, which is 0.5",
        ),
        (
            "events.max_area = 0.5\nevents.filters.dog.min_area = 0.6",
            ":2: events.filters.dog.min_area: 0.6: allowed is at most max_area, which is 0.5",
        ),
        (
            "events.thresholds.dog = 0.5\nevents.filters.dog.threshold = 0.6",
            ":2: events.filters.dog.threshold: 0.6: thresholds has dog as well: keep one",
        ),
    ],
)  # fmt: skip
def test_what_is_marked_and_filtered_is_checked(refusal: Refusal, text: str, complaint: str) -> None:
    assert refusal(text) == [complaint]


def test_a_label_has_its_own_filter_and_else_that_of_all() -> None:
    options = Config.model_validate(
        {"events": {"min_area": 0.1, "thresholds": {"dog": 0.7}, "filters": {"cat": {"cooldown": 5.0}}}}
    ).events
    assert options.filter("dog") == options.filter() | {"threshold": 0.7}
    assert options.filter("cat") == options.filter() | {"cooldown": 5.0}
    assert options.filter()["min_area"] == 0.1


def test_the_marks_are_no_options_of_the_camera() -> None:
    camera = SyntheticConfig.model_validate(
        {"type": "synthetic", "zones": {"z": {"polygon": [[0, 0], [1, 0], [1, 1]]}}}
    )
    assert not MARKS & camera.options().keys()
    assert camera.marks()["zones"]["z"]["polygon"] == ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0))


def test_options_are_the_keys_that_are_left_for_the_constructor() -> None:
    assert SyntheticConfig(type="synthetic", enabled=False).options() == {
        "seed": 1,
        "size": (1280, 720),
        "fps": 25.0,
        "pace": "realtime",
        "duration": None,
        "place": None,
        "light": None,
    }


@given(st.from_regex(r"(auto|edgetpu|cpu|usb|pci)?(:[0-9a-z_.-]{0,7})?") | st.text(max_size=8))
@example("usb:2-1.4").via("a port")
@example("pci:apex_0").via("a name")
def test_a_device_is_allowed_exactly_where_the_detectors_understand_it(device: str) -> None:
    try:
        parse_choice(device)
    except InputError:
        with pytest.raises(ValidationError, match="allowed are"):
            Config.model_validate({"detector": {"device": device}})
    else:
        assert Config.model_validate({"detector": {"device": device}}).detector.device == device


@pytest.mark.parametrize(
    ("keys", "taken_by"),
    [
        (VideoFileConfig(type="video_file", path="a.mp4").options(), "edgecam.cameras.video_file:VideoFileCamera"),
        (V4l2Config(type="v4l2", path="/dev/video0").options(), "edgecam.cameras.v4l2:V4l2Camera"),
        (Picamera2Config(type="picamera2").options(), "edgecam.cameras.picamera2:Picamera2Camera"),
        (SyntheticConfig(type="synthetic").options(), "edgecam.cameras.synthetic:SyntheticCamera"),
        (Config().detector.model_dump(exclude=BESIDE_THE_MODEL), "edgecam.detectors.tflite:TfliteDetector"),
        (Config().edgetpu.model_dump(), "edgecam.detectors.process:ProcessOptions"),
        (Config().tracker.model_dump(), "edgecam.tracker:Tracker"),
        (Config().events.timing(), "edgecam.events:EventRules"),
        (Config().events.filter(), "edgecam.filters:Filter"),
        (ZoneSection(polygon=((0, 0), (1, 0), (1, 1))).model_dump(exclude={"thresholds"}), "edgecam.zones:Zone"),
        (LineSection(points=((0, 0), (1, 0))).model_dump(), "edgecam.lines:Line"),
        (Config(cameras={"a": SyntheticConfig(type="synthetic")}).cameras["a"].marks(), "edgecam.marks:named_marks"),
        (Config().video.model_dump(exclude={"enabled"}), "edgecam.sinks.video:VideoSink"),
        (Config().clips.recording(), "edgecam.sinks.clips:ClipSink"),
        (Config().clips.encoding(), "edgecam.recording.encoder:EncoderOptions"),
        (Config().display.screen(), "edgecam.sinks.screen:create"),
        (Config().display.arrangement(), "edgecam.sinks.display:Display"),
        (Config().snapshots.model_dump(exclude={"enabled"}), "edgecam.sinks.snapshot:SnapshotSink"),
    ],
    ids=lambda value: str(value).partition(":")[2] if isinstance(value, str) else "",
)
def test_keys_are_the_constructors_keywords(keys: dict[str, Any], taken_by: str) -> None:
    """With the same defaults, None there being empty here; but a detector built by hand takes one thread."""
    module, _, name = taken_by.partition(":")
    parameters = inspect.signature(getattr(import_module(module), name)).parameters
    assert set(keys) <= set(parameters)
    own = {name: parameters[name].default for name in keys if parameters[name].default is not inspect.Parameter.empty}
    differing = {name for name, default in own.items() if (keys[name] or None) != (default or None)}
    assert differing <= {"threads"}
