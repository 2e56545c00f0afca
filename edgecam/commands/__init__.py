"""The commands, one module for each group; each has `register(app)` and imports what is heavy when it runs."""
