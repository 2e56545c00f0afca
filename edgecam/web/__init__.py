"""edgecam in the browser: a server with live pictures, an API and pages. The extra "web"; off, none of it runs."""
