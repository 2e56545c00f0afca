"""A folder for PYTHONPATH, with a `pycoral` that is as unrelated to Edge TPUs as the one on PyPI."""
