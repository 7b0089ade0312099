"""The twin: a simulated microscope, honest enough to rehearse on."""
