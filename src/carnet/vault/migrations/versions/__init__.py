"""One module for each step of the schema, oldest first; a released one never changes."""
