"""Which tracks become events: the keys of `[events]`."""

from __future__ import annotations

from typing import Any

from pydantic import Field, ValidationInfo, field_validator

from edgecam.config.sections import Label, Score, Section, refusal

_LIMITS = ("area", "ratio")


class FilterSection(Section):
    """What one label needs, where that differs from what all need."""

    threshold: Score | None = Field(default=None, description="Least score.")
    min_area: Score | None = Field(default=None, description="Least part of the frame that its box covers.")
    max_area: Score | None = Field(default=None, description="Greatest part of the frame that its box covers.")
    min_ratio: float | None = Field(default=None, ge=0, le=1000, description="Least width by height, in pixels.")
    max_ratio: float | None = Field(default=None, gt=0, le=1000, description="Greatest width by height, in pixels.")
    min_duration: float | None = Field(default=None, ge=0, le=86400, description="Seconds it must be seen for.")
    cooldown: float | None = Field(default=None, ge=0, le=86400, description="Seconds without another after an event.")


class EventsSection(Section):
    """Which tracks become events."""

    threshold: Score = Field(default=0.5, description="Least score that counts.")
    thresholds: dict[Label, Score] = Field(default={}, description="Other least scores, by label.")
    labels: tuple[Label, ...] = Field(default=(), strict=False, description="Labels that count; empty: all.")
    exclude_labels: tuple[Label, ...] = Field(default=(), strict=False, description="Labels that do not count.")
    min_area: Score = Field(default=0.0, description="Least part of the frame that a box covers.")
    max_area: Score = Field(
        default=1.0, validate_default=True, description="Greatest part of the frame that a box covers."
    )
    min_ratio: float = Field(default=0.0, ge=0, le=1000, description="Least width of a box by its height, in pixels.")
    max_ratio: float = Field(
        default=1000.0, gt=0, le=1000, description="Greatest width of a box by its height, in pixels."
    )
    min_duration: float = Field(default=0.0, ge=0, le=86400, description="Seconds an object is seen before it counts.")
    cooldown: float = Field(
        default=0.0, ge=0, le=86400, description="Seconds without another event of a camera and label after one ended."
    )
    stationary_after: float = Field(
        default=10.0, gt=0, le=86400, description="Seconds in one place after which an object is stationary."
    )
    stationary_memory: float = Field(
        default=300.0, ge=0, le=86400, description="Seconds that one is remembered while it is not seen."
    )
    update_interval: float = Field(default=1.0, gt=0, le=3600, description="Seconds between the updates of an event.")
    filters: dict[Label, FilterSection] = Field(
        default={}, description="What single labels need instead: [events.filters.person]."
    )

    @field_validator("exclude_labels")
    @classmethod
    def _not_included(cls, excluded: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        both = [label for label in excluded if label in info.data.get("labels", ())]
        if both:
            raise ValueError(f"{', '.join(both)}: also in labels: keep it in one of the two")
        return excluded

    @field_validator("max_area", "max_ratio")
    @classmethod
    def _not_below_the_least(cls, most: float, info: ValidationInfo) -> float:
        least_name = str(info.field_name).replace("max", "min")
        least = info.data.get(least_name)
        if least is not None and least > most:
            raise ValueError(f"allowed is at least {least_name}, which is {least:g}")
        return most

    @field_validator("filters")
    @classmethod
    def _possible(cls, filters: dict[str, FilterSection], info: ValidationInfo) -> dict[str, FilterSection]:
        common = info.data
        for label, each in filters.items():
            own = each.model_dump(exclude_none=True)
            _check_limits((label,), own, {**common, **own})
            if "threshold" in own and label in common.get("thresholds", {}):
                raise refusal((label, "threshold"), own["threshold"], f"thresholds has {label} as well: keep one")
        return filters

    def timing(self) -> dict[str, Any]:
        """The keywords of `edgecam.events.EventRules`."""
        return {name: getattr(self, name) for name in ("update_interval", "stationary_after", "stationary_memory")}

    def filter(self, label: str | None = None) -> dict[str, Any]:
        """The keywords of `edgecam.filters.Filter` for one label, or for all that have no own."""
        keys = {name: getattr(self, name) for name in FilterSection.model_fields}
        if label is None:
            return keys
        own = self.filters[label].model_dump(exclude_none=True) if label in self.filters else {}
        return {**keys, "threshold": self.thresholds.get(label, self.threshold), **own}


def _check_limits(place: tuple[str, ...], own: dict[str, Any], whole: dict[str, Any]) -> None:
    """Raise where a least value is above the greatest; the complaint names the one that is `own`."""
    for what in _LIMITS:
        least, most = whole.get(f"min_{what}"), whole.get(f"max_{what}")
        if least is not None and most is not None and least > most:
            least_is_own = f"max_{what}" not in own
            name, value = (f"min_{what}", least) if least_is_own else (f"max_{what}", most)
            limit = (
                f"at most max_{what}, which is {most:g}" if least_is_own else f"at least min_{what}, which is {least:g}"
            )
            raise refusal((*place, name), value, f"allowed is {limit}")
