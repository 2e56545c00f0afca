"""tools/bench-appliance: what the whole `edgecam run` costs, as a process of its own, beside the bare invoke."""
