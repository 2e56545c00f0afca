"""A folder for PYTHONPATH, with a `pycoral` that keeps Google's contract."""
