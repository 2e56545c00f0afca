"""The sinks behind `ports.Sink`: one module per way out, imported on use."""
