"""The big table: activations in fragments, written, committed and read back as matrices."""
