"""How fast it is here: the bare interpreter, the detector process and the whole pipeline, side by side."""
