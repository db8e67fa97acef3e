"""The steps that bring a store of people up to date, and how Alembic meets it."""
