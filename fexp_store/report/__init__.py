"""Reports: several analyses put together for a reader."""
