"""What tools/labs/camera is made of."""
