"""tools/fleet-sim: many appliances on one broker, with the product's own publisher."""
