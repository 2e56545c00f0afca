"""The project's own world: rendered streets and gardens with people, cars, dogs and birds, and exact boxes."""

from edgecam.scenes.scene import LABELS, Scene, SceneObject, View

__all__ = ["LABELS", "Scene", "SceneObject", "View"]
