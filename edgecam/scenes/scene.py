"""Owns a scene: a place in a light with its traffic, rendered at any moment together with exact boxes."""

from dataclasses import dataclass

import cv2
import numpy as np

from edgecam.scenes.canvas import Area, Canvas, Image
from edgecam.scenes.light import LIGHTS, Light, finish, graded, lit, make_light
from edgecam.scenes.painter import Cutout
from edgecam.scenes.places import PLACES, Place, make_place
from edgecam.scenes.shapes import RGB
from edgecam.scenes.world import Actor, Traffic
from edgecam.types import BBox

LABELS = ("person", "car", "dog", "bird")
_SMALL, _NARROW = 0.05, 0.02


@dataclass(frozen=True)
class SceneObject:
    """One actor in view.

    `bbox` is tight around its visible pixels; `object_id` is the same throughout its passage; `visible` is the part of
    its pixels that is neither hidden nor cut off by the frame's edge.
    """

    label: str
    bbox: BBox
    object_id: int
    visible: float

    @property
    def difficult(self) -> bool:
        """True if mostly hidden, or tiny: a detector is neither blamed for missing nor praised for finding it.

        This is PASCAL VOC's rule for its objects of that name.
        """
        return self.visible < 0.5 or self.bbox.width < _NARROW or self.bbox.height < _SMALL


@dataclass(frozen=True, eq=False)
class View:
    """What the camera sees at one moment: uint8 RGB [height, width, 3] and the actors in it, the nearest last."""

    image: Image
    objects: tuple[SceneObject, ...]


class Scene:
    """A street or a garden that goes on for ever; the same seed shows the same at any size."""

    def __init__(
        self, seed: int, *, width: int = 1280, height: int = 720, place: str | None = None, light: str | None = None
    ) -> None:
        """Choose and paint everything that does not move.

        Args:
            seed: any non-negative integer; decides all that the other arguments leave open.
            width: picture width in pixels.
            height: picture height in pixels.
            place: "street" or "garden".
            light: "day", "dusk" or "rain".

        Raises:
            ValueError: for a place or a light that does not exist.
        """
        if (place or PLACES[0]) not in PLACES or (light or LIGHTS[0]) not in LIGHTS:
            raise ValueError(
                f"no such place or light: {place!r}, {light!r}; "
                f"places: {', '.join(PLACES)}; lights: {', '.join(LIGHTS)}"
            )
        rng = np.random.Generator(np.random.PCG64([seed, 1]))
        chosen_place, chosen_light = PLACES[int(rng.random() < 0.45)], LIGHTS[int(rng.choice(3, p=[0.5, 0.25, 0.25]))]
        self.place, self.light_name = place or chosen_place, light or chosen_light
        self._light: Light = make_light(self.light_name, rng)
        built: Place = make_place(self.place, seed, width, height, self._light)
        self._wet = self.place == "street" and self.light_name == "rain"
        self._backdrop, self._glow = lit(self._light, built.painter.image, built.painter.lamps)
        self._cutouts = sorted(built.painter.cutouts, key=lambda cutout: cutout.ground)
        self._traffic = Traffic(
            seed, built.routes, built.camera, rainy=self.light_name == "rain", lights_on=self._light.lamps_on
        )

    def render(self, t: float) -> View:
        """The view `t` seconds (>= 0) after the beginning; depends on nothing but the seed, `t` and the size."""
        canvas = Canvas(self._backdrop.copy())
        actors = self._traffic.actors(t)
        touched = [area for actor in actors if not (area := self._cast(canvas, actor)).empty]
        waiting = list(self._cutouts)
        areas: list[tuple[Area, int]] = []
        for number, actor in enumerate(actors, start=1):
            while waiting and waiting[0].ground <= actor.ground:
                self._cover(canvas, waiting.pop(0), touched)
            colours = self._colours(actor)
            if actor.label is None:
                canvas.draw(actor.shapes, actor.at, colours)
                areas.append((Area(0, 0, 0, 0), 1))
                continue
            areas.append(
                canvas.paint(actor.shapes, actor.at, number, colours, self._light.contour, -np.sign(self._light.lean))
            )
            touched.append(areas[-1][0])
            touched += [canvas.glow(shape, actor.at, 0.5 * actor.at.scale) for shape in actor.shapes if shape.shining]
        for cutout in waiting:
            self._cover(canvas, cutout, touched)
        return View(finish(self._light, canvas.frame, self._glow, t), _objects(canvas, actors, areas))

    def _colours(self, actor: Actor) -> list[RGB]:
        """The colours of an actor's shapes in this light; lamps keep theirs."""
        colours = graded(self._light, [shape.colour for shape in actor.shapes])
        return [shape.colour if shape.shining else colour for shape, colour in zip(actor.shapes, colours, strict=True)]

    def _cast(self, canvas: Canvas, actor: Actor) -> Area:
        """Lay an actor's shadow on the ground, and its reflection where that is wet; returns the pixels touched."""
        light = self._light
        if actor.label is None:
            return Area(0, 0, 0, 0)
        foot = actor.at._replace(y=actor.ground + (actor.ground - actor.at.y) * light.fall)
        silhouette, reach = canvas.project(
            [shape for shape in actor.shapes if shape.outlined], foot, -light.fall, light.lean
        )
        if self._wet:
            mirrored, below = canvas.project(actor.shapes, actor.at._replace(y=2 * actor.ground - actor.at.y), -0.9)
            canvas.mirror(mirrored, below, self._colours(actor), 0.2)
            return canvas.darken(silhouette, reach, light.shadow).union(canvas.inside(below))
        return canvas.darken(silhouette, reach, light.shadow)

    def _cover(self, canvas: Canvas, cutout: Cutout, touched: list[Area]) -> None:
        """Put a standing thing back in front of what was painted over it."""
        for area in touched:
            shared = area.common(cutout.area)
            if shared.empty:
                continue
            rows, columns = slice(shared.y0, shared.y1), slice(shared.x0, shared.x1)
            alpha = cutout.alpha[
                shared.y0 - cutout.area.y0 : shared.y1 - cutout.area.y0,
                shared.x0 - cutout.area.x0 : shared.x1 - cutout.area.x0,
            ]
            weight = alpha.astype(np.float32) / 255
            window = canvas.frame[rows, columns]
            canvas.frame[rows, columns] = cv2.blendLinear(self._backdrop[rows, columns], window, weight, 1 - weight)
            canvas.owner[rows, columns][alpha > 127] = 0


def _objects(canvas: Canvas, actors: list[Actor], areas: list[tuple[Area, int]]) -> tuple[SceneObject, ...]:
    """The boxes of all actors of whom a pixel is visible."""
    objects = []
    for number, (actor, (area, whole)) in enumerate(zip(actors, areas, strict=True), start=1):
        if actor.label is None or area.empty:
            continue
        mask = cv2.inRange(canvas.owner[area.y0 : area.y1, area.x0 : area.x1], number, number)
        x, y, width, height = cv2.boundingRect(mask)
        if not width:
            continue
        left, top = area.x0 + x, area.y0 + y
        box = BBox(
            left / canvas.width, top / canvas.height, (left + width) / canvas.width, (top + height) / canvas.height
        )
        objects.append(SceneObject(actor.label, box, actor.object_id, min(1.0, cv2.countNonZero(mask) / whole)))
    return tuple(objects)
