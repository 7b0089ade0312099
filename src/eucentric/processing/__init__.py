"""From recorded images to tomograms: pure functions on arrays and records, no files."""
