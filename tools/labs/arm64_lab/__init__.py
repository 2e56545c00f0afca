"""edgecam in an arm64 Debian under emulation: tools/labs/arm64."""
