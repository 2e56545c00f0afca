"""As in Coral's pycoral: a package of the modules that matter."""
