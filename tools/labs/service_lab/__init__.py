"""edgecam as a service of a real systemd, in a container of Debian packages: tools/labs/service."""
