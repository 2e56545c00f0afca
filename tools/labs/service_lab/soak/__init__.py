"""The soak: the whole appliance for an hour in the service lab, with faults drawn at random."""
