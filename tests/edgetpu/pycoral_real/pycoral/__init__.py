"""What Coral's own pycoral 2.0 offers of Edge TPUs, on top of whichever runtime is installed; for tests only."""

__version__ = "2.0.0"
