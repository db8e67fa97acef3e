"""Backup and restore: a whole home in one encrypted file, and a copy that does not write before it is shown to be the
newest.
"""
