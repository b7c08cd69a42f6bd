"""Sets made here: rendered, morphed, prepared."""
