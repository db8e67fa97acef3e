"""Reading a home, at one moment of its store."""

from carnet.node.reader.passports import is_id
from carnet.node.reader.reader import Reader, compute_opened_root, open_reader
from carnet.node.reader.records import Fingerprint, Passport, ShownEntry

__all__ = ["Fingerprint", "Passport", "Reader", "ShownEntry", "compute_opened_root", "is_id", "open_reader"]
