"""How fast it is here: the bare interpreter, the detector process and the whole pipeline, side by side."""

from __future__ import annotations

from edgecam.benchmark.figures import Figures
from edgecam.benchmark.rounds import Benchmark, Plan, Report
from edgecam.benchmark.subject import Subject

__all__ = ["Benchmark", "Figures", "Plan", "Report", "Subject"]
