"""A software Edge TPU with libedgetpu's interface, for tests of the product's own code."""
