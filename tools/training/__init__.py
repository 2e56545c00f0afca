"""From labelled pictures to a detector that edgecam runs; run it as tools/train."""
