"""tools/bench-peers: edgecam beside what one would run instead, on the same clip and with the same model."""
