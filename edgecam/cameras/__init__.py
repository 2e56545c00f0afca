"""The cameras behind `ports.Camera`: one module per kind, imported on use."""
