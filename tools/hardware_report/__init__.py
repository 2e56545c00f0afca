"""The steps of tools/hardware-check and the report that they make."""
