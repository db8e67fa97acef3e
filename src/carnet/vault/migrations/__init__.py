"""The history of the store's schema, applied by Alembic when a home is founded or opened for writing."""
