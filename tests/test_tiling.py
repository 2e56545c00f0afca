"""Tiles: where they are, what their detections become in the picture, and a detector that looks at them."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path
from typing import get_args

import cv2
import numpy as np
import pytest
import tiny_models
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgecam import models
from edgecam.config import Config
from edgecam.detectors.tflite import TfliteDetector
from edgecam.detectors.tiled import TiledDetector, suited
from edgecam.errors import DetectorError
from edgecam.evaluation import evaluate
from edgecam.inference import InferenceWorker
from edgecam.labels import parse_labels
from edgecam.modelfile import ModelForm
from edgecam.modelfile.form import Resize, write_form
from edgecam.ports import Detector
from edgecam.testing import ScriptedDetector, make_frame
from edgecam.tiling import CUT, MAX_OVERLAP, MOST, Tile, Tiling, merged
from edgecam.types import BBox, Detection, DetectorInfo, Frame
from edgecam.yuv import lores_from_i420, rgb_to_i420

sides = st.integers(1, MOST)
tilings = st.builds(Tiling, sides, sides, st.floats(0, 0.5))
sizes = st.tuples(st.integers(1, 2000), st.integers(1, 2000))


class TestWhereTheTilesAre:
    @given(tilings, sizes)
    def test_the_whole_comes_first_and_the_others_cover_it(self, tiling: Tiling, size: tuple[int, int]) -> None:
        whole, *others = tiling.tiles(*size)
        assert whole == (0, 0, *size)
        assert len(others) == tiling.passes - 1
        seen = np.zeros((size[1], size[0], 1), np.uint8)
        for tile in others:
            assert 0 <= tile.left < tile.right <= size[0]
            assert 0 <= tile.top < tile.bottom <= size[1]
            tile.of(seen)[...] = 1
        if others and tiling.columns <= size[0] and tiling.rows <= size[1]:
            assert seen.all()

    @given(tilings, st.tuples(st.integers(100, 2000), st.integers(100, 2000)))
    def test_neighbours_share_the_overlap(self, tiling: Tiling, size: tuple[int, int]) -> None:
        tiles = tiling.tiles(*size)[1:]
        for left, right in pairwise(tiles):
            if left.top == right.top:
                shared = (left.right - right.left) / (left.right - left.left)
                assert shared == pytest.approx(tiling.overlap, abs=4 * MOST / 100)

    def test_two_by_two(self) -> None:
        assert Tiling(2, 2, 0.5).tiles(300, 150) == [
            (0, 0, 300, 150), (0, 0, 200, 100), (100, 0, 300, 100), (0, 50, 200, 150), (100, 50, 300, 150),
        ]  # fmt: skip

    @given(tilings, sizes, st.tuples(st.integers(32, 640), st.integers(32, 640)))
    def test_a_picture_is_as_large_as_its_tiles_need_it(
        self, tiling: Tiling, size: tuple[int, int], wanted: tuple[int, int]
    ) -> None:
        picture = tiling.picture_size(size, wanted, keep_shape=False)
        tile = tiling.tiles(*picture)[-1]
        for got, side, new, old in zip(
            (tile.right - tile.left, tile.bottom - tile.top), wanted, picture, size, strict=True
        ):
            assert new <= old
            assert got == side or new == old

    def test_a_picture_whose_shape_is_kept_fits_in(self) -> None:
        assert Tiling(1, 1).picture_size((1280, 720), (416, 416), keep_shape=True) == (416, 234)
        assert Tiling(2, 2, 0.5).picture_size((1280, 720), (416, 416), keep_shape=True) == (624, 351)
        assert Tiling(1, 1).picture_size((320, 240), (416, 416), keep_shape=True) == (320, 240)


class TestWhatIsSaid:
    def test_it_is_columns_times_rows(self) -> None:
        assert Tiling.parse("3x2", 0.1) == Tiling(3, 2, 0.1)
        assert Tiling.parse("") is None

    @pytest.mark.parametrize("text", ["1x1", "0x2", "2", "2x5", "2 x 2", "axb", "2x2x2", "-2x2"])
    def test_anything_else_is_refused_there_and_in_the_configuration(self, text: str) -> None:
        with pytest.raises(ValueError, match='allowed are columns x rows such as "2x2"'):
            Tiling.parse(text)
        with pytest.raises(ValueError, match='allowed are columns x rows such as "2x2"'):
            Config.model_validate({"detector": {"tiles": text}})

    @given(sides, sides)
    def test_what_the_configuration_takes_is_taken(self, columns: int, rows: int) -> None:
        if (columns, rows) != (1, 1):
            section = Config.model_validate({"detector": {"tiles": f"{columns}x{rows}"}}).detector
            assert Tiling.parse(section.tiles, section.tile_overlap) == Tiling(columns, rows)

    @pytest.mark.parametrize("overlap", [-0.1, 0.6, float("nan")])
    def test_an_overlap_is_up_to_a_half(self, overlap: float) -> None:
        with pytest.raises(ValueError, match=r"allowed are 1x1 to 4x4, and 0 to 0\.5"):
            Tiling(2, 2, overlap)


def dog(*box: float, score: float = 0.5, label: str = "dog") -> Detection:
    return Detection(label, score, BBox(*box))


class TestMerging:
    TILES = Tiling(2, 1, 0.5).tiles(300, 100)
    """The whole, and two tiles of two thirds of its width."""

    def test_boxes_are_put_where_they_are_in_the_picture(self) -> None:
        found = merged([[], [dog(0.25, 0.1, 0.5, 0.3)], [dog(0.5, 0.6, 0.75, 0.9, score=0.8)]], self.TILES)
        assert [each.score for each in found] == [0.8, 0.5]
        assert found[0].bbox == pytest.approx((2 / 3, 0.6, 5 / 6, 0.9))
        assert found[1].bbox == pytest.approx((1 / 6, 0.1, 1 / 3, 0.3))

    def test_what_two_tiles_see_is_there_once_with_the_better_score(self) -> None:
        found = merged([[], [dog(0.6, 0.2, 0.8, 0.6)], [dog(0.1, 0.2, 0.3, 0.6, score=0.7)]], self.TILES)
        assert [each.score for each in found] == [0.7]

    def test_another_label_stays(self) -> None:
        found = merged([[dog(0, 0, 1, 1)], [], [dog(0.02, 0, 1, 1, label="cat")]], self.TILES)
        assert {each.label for each in found} == {"dog", "cat"}

    @pytest.mark.parametrize(
        ("tile", "box", "kept"),
        [
            (0, (0.0, 0.0, 1.0, 1.0), 1),
            (1, (0.0, 0.0, 0.5, 1.0), 1),  # the picture ends there
            (1, (0.6, 0.2, 1.0, 0.6), 0),  # it goes on
            (1, (0.6, 0.2, 1 - 2 * CUT, 0.6), 1),
            (2, (0.5 * CUT, 0.2, 0.4, 0.6), 0),
            (2, (0.6, 0.2, 1.0, 0.6), 1),
        ],
    )
    def test_what_an_inner_edge_cuts_is_left_out(self, tile: int, box: tuple[float, ...], kept: int) -> None:
        found: list[list[Detection]] = [[], [], []]
        found[tile] = [dog(*box)]
        assert len(merged(found, self.TILES)) == kept

    def test_the_whole_alone_is_taken_as_it_is(self) -> None:
        twice = [dog(0.1, 0.1, 0.5, 0.5), dog(0.1, 0.1, 0.5, 0.5)]
        assert merged([twice], [Tile(0, 0, 10, 10)]) == twice

    @given(
        st.lists(
            st.lists(
                st.builds(
                    lambda left, top, width, height, score, label: dog(
                        left, top, min(1.0, left + width), min(1.0, top + height), score=score, label=label
                    ),
                    *[st.floats(0, 0.95)] * 2, *[st.floats(0.01, 1)] * 2, st.floats(0, 1), st.sampled_from("ab"),
                ),
                max_size=8,
            ),
            min_size=5, max_size=5,
        )
    )  # fmt: skip
    def test_none_overlaps_a_better_one_of_its_label(self, found: list[list[Detection]]) -> None:
        kept = merged(found, Tiling(2, 2).tiles(640, 480))
        assert [each.score for each in kept] == sorted((each.score for each in kept), reverse=True)
        for place, one in enumerate(kept):
            assert -1e-9 <= one.bbox.xmin < one.bbox.xmax <= 1 + 1e-9
            for other in kept[:place]:
                assert one.label != other.label or one.bbox.iou(other.bbox) <= MAX_OVERLAP + 1e-9


class BrightestSpot(ScriptedDetector):
    """Finds one thing where a picture is brightest, 2 pixels wide; remembers the sizes it was given."""

    def __init__(self, input_size: tuple[int, int] = (32, 32), slots: int = 1) -> None:
        super().__init__(input_size=input_size, slots=slots)
        self.sizes: list[tuple[int, int]] = []
        self.most_under_way = 0
        self.fault: DetectorError | None = None

    def submit(self, image: NDArray[np.uint8]) -> None:
        super().submit(image)
        self.most_under_way = max(self.most_under_way, len(self.under_way))

    def detect(self, image: NDArray[np.uint8]) -> list[Detection]:
        if self.fault:
            raise self.fault
        height, width = image.shape[:2]
        self.sizes.append((width, height))
        top, left = np.unravel_index(int(image[:, :, 0].argmax()), (height, width))
        if not image[top, left, 0]:
            return []
        box = BBox(left / width, top / height, min(1.0, (left + 2) / width), min(1.0, (top + 2) / height))
        return [Detection("spot", 0.5 + 100 / (200 + width), box)]


def spot(width: int, height: int, left: int, top: int) -> NDArray[np.uint8]:
    picture = np.zeros((height, width, 3), np.uint8)
    picture[top : top + 2, left : left + 2] = 255
    return picture


class TestTiledDetector:
    def test_it_finds_in_a_tile_what_it_finds_in_the_picture(self) -> None:
        with TiledDetector(BrightestSpot(), Tiling(2, 2)) as detector:
            found = detector.detect(spot(170, 170, 150, 20))
        assert [each.bbox for each in found] == [pytest.approx((150 / 170, 20 / 170, 152 / 170, 22 / 170))]

    @pytest.mark.parametrize("slots", [1, 2, 8])
    def test_pictures_under_way_come_back_in_order_and_the_device_is_kept_busy(self, slots: int) -> None:
        inner = BrightestSpot(slots=slots)
        pictures = [spot(170, 170, 10 * number, 5 * number) for number in range(1, 9)]
        with TiledDetector(inner, Tiling(2, 2)) as detector:
            expected = [detector.detect(picture) for picture in pictures]
            found: list[list[Detection]] = []
            submitted = 0
            while len(found) < len(pictures):
                while submitted < len(pictures) and submitted - len(found) < detector.slots:
                    detector.submit(pictures[submitted])
                    submitted += 1
                    assert inner.under_way
                if done := detector.collect(timeout=5):
                    found.append(done.detections)
            assert detector.collect(timeout=0) is None
        assert found == expected
        assert inner.most_under_way == slots

    def test_without_a_device_nothing_is_taken(self) -> None:
        inner = BrightestSpot(slots=0)
        with TiledDetector(inner, Tiling(2, 2)) as detector:
            assert detector.slots == 0
            assert detector.collect(timeout=0) is None

    def test_a_collect_that_runs_out_of_time_goes_on_where_it_was(self) -> None:
        with TiledDetector(BrightestSpot(), Tiling(2, 2)) as detector:
            detector.submit(spot(170, 170, 150, 20))
            answers = [detector.collect(timeout=0) for _ in range(5)]
            assert [answer is not None for answer in answers] == [False] * 4 + [True]

    def test_after_a_fault_it_starts_afresh(self) -> None:
        inner = BrightestSpot()
        with TiledDetector(inner, Tiling(2, 2)) as detector:
            detector.submit(spot(170, 170, 150, 20))
            inner.fault = DetectorError("gone")
            with pytest.raises(DetectorError, match="gone"):
                detector.collect(timeout=1)
            detector.close()
            inner.fault = None
            detector.open()
            assert detector.slots == 1
            detector.submit(spot(170, 170, 20, 150))
            done = detector.collect(timeout=1)
            assert done is not None
            assert done.detections[0].bbox.ymin == pytest.approx(150 / 170)

    def test_cameras_share_a_detector_in_tiles_tile_by_tile(self) -> None:
        worker = InferenceWorker(BrightestSpot(slots=2))
        shares = [TiledDetector(worker.share(name), Tiling(2, 2)) for name in ("one", "two")]
        worker.start()
        try:
            for share in shares:
                share.open()
            pictures = [spot(170, 170, 150, 20), spot(170, 170, 20, 150)]
            found: dict[int, list[Detection]] = {}
            for share, picture in zip(shares, pictures, strict=True):
                while not share.turn(5):
                    pass
                share.submit(picture)
            while len(found) < 2:
                for number, share in enumerate(shares):
                    if number not in found and (done := share.collect(timeout=0.05)):
                        found[number] = done.detections
            assert found[0][0].bbox.xmin == pytest.approx(150 / 170)
            assert found[1][0].bbox.ymin == pytest.approx(150 / 170)
        finally:
            assert worker.stop_within(10) is None

    def test_of_a_frame_it_takes_the_main_picture_at_the_size_it_needs(self) -> None:
        main = rgb_to_i420(spot(1280, 720, 640, 360))
        frame = Frame(0, 0.0, main, lores_from_i420(main, (300, 300)))
        with TiledDetector(BrightestSpot((300, 300)), Tiling(2, 2)) as tiled:
            assert tiled.picture_of(frame).shape == (510, 510, 3)
        with TiledDetector(BrightestSpot((416, 416)), Tiling(1, 1), keep_shape=True) as letterboxed:
            assert letterboxed.picture_of(frame).shape == (234, 416, 3)
        plain: Detector = BrightestSpot()
        assert plain.picture_of(frame) is frame.lores

    def test_labels_are_those_of_the_detector_where_it_says_them(self) -> None:
        class Named(BrightestSpot):
            labels = parse_labels(b"cat\ndog\n", "names")

        assert TiledDetector(Named(), Tiling(2, 2)).labels is Named.labels
        assert TiledDetector(BrightestSpot(), Tiling(2, 2)).labels is None
        assert isinstance(TiledDetector(BrightestSpot(), Tiling(2, 2)).info, DetectorInfo)


class TestWhatAModelWants:
    @pytest.mark.parametrize("resize", get_args(Resize))
    def test_a_letterbox_model_gets_pictures_with_their_shape_kept(self, tmp_path: Path, resize: Resize) -> None:
        path = tmp_path / "form.tflite"
        outputs = {"boxes": (1, 42, 4), "scores": (1, 42, 3)}
        content = tiny_models.heads((32, 32), outputs, tiny_models.UINT8, zero_point=0)
        path.write_bytes(write_form(content, ModelForm("ssd-heads", resize, {"scores": "sigmoid"})))
        model = models.resolve(str(path))
        inner = TfliteDetector(path)
        frame = make_frame(0, size=(64, 48))
        with suited(inner, model) as detector:
            assert (detector is inner) == (resize == "stretch")
            assert detector.picture_of(frame).shape[:2] == (24, 32)
        with suited(inner, model, Tiling(2, 2, 0.5)) as tiled:
            assert tiled.picture_of(frame).shape[:2] == ((36, 48) if resize == "letterbox" else (48, 48))


def test_small_things_are_found_that_one_pass_does_not_see() -> None:
    """A detector that sees nothing below 2 pixels of its own input: a spot of 2 pixels of 96, and an input of 32."""

    class Coarse(BrightestSpot):
        def detect(self, image: NDArray[np.uint8]) -> list[Detection]:
            small = np.asarray(cv2.resize(image, (32, 32), interpolation=cv2.INTER_AREA), np.uint8)
            return super().detect(np.where(small > 60, small, 0).astype(np.uint8))

    picture = spot(96, 96, 70, 20)
    with Coarse() as plain, TiledDetector(Coarse(), Tiling(3, 3)) as tiled:
        assert plain.detect(picture) == []
        assert [each.label for each in tiled.detect(picture)] == ["spot"]


@pytest.mark.skipif(os.environ.get("EDGECAM_LABS") != "1", reason="474 inferences, a minute or more: EDGECAM_LABS=1")
def test_of_the_small_objects_of_coco_half_as_many_again_are_found(assets: Path) -> None:
    pytest.importorskip("pycocotools", reason="the extra `eval` is not installed")
    model = assets / "models" / "coco_ssd_mobilenet_v1_1.0_quant_2018_06_29.tflite"
    images = assets / "images" / "coco_val"
    with TfliteDetector(model) as plain:
        once = evaluate(plain, images, images / "instances.json")
        tiled = evaluate(TiledDetector(plain, Tiling(2, 2)), images, images / "instances.json")
    assert tiled["AP_small"] >= 1.5 * once["AP_small"]
    assert tiled["AP"] > once["AP"]
