"""MQTT: what is said on which topic, the broker's connection, and what can be asked of edgecam there."""
