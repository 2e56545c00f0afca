"""edgecam in the browser: a server with live pictures, an API and pages. Needs the extra "web"; off, none of it runs."""
