"""Like the package of this name on PyPI: tools for an atlas of coral reefs."""

__version__ = "0.1.0"
