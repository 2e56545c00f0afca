"""Putting edgecam on a machine and taking it off. Standard library only: it runs before edgecam is there."""
