"""How edgecam is: the facts its parts tell, and the documents made of them for whoever asks."""
