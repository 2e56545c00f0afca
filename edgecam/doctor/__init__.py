"""The doctor: what stands between this machine and a camera that sees, each fault with its remedy."""

from edgecam.doctor.examination import CHECKS, examine
from edgecam.doctor.finding import Finding, State
from edgecam.doctor.surroundings import Surroundings, look

__all__ = ["CHECKS", "Finding", "State", "Surroundings", "examine", "look"]
