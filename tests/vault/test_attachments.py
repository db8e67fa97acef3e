"""Files of passports on each kind of database."""

from __future__ import annotations

from hashlib import sha256

from carnet.vault.attachments import compute_file_id, drop_files, find_kept, keep_file, measure_files, read_file
from carnet.vault.people.store import PeopleStore

CHAIN, OTHER, KEY, OTHER_KEY = b"c" * 16, b"d" * 16, b"k" * 32, b"l" * 32


def test_files__are_kept_found_measured_and_dropped(people_store: PeopleStore) -> None:
    with people_store.write() as connection:
        first, second = (
            keep_file(connection, CHAIN, KEY, data, salt=bytes([place]) * 16, now=7)
            for place, data in enumerate((b"first", b"the second"))
        )
        keep_file(connection, OTHER, OTHER_KEY, b"first", salt=b"s" * 16, now=7)
    assert first == sha256(b"first").hexdigest()
    with people_store.read() as connection:
        assert read_file(connection, CHAIN, KEY, first) == b"first"
        assert read_file(connection, OTHER, OTHER_KEY, first) == b"first"
        assert read_file(connection, OTHER, OTHER_KEY, second) is None
        assert find_kept(connection, CHAIN, KEY, [first, second, "0" * 64]) == {first, second}
        assert (measure_files(connection, CHAIN), measure_files(connection, b"e" * 16)) == (15, 0)
    with people_store.write() as connection:
        assert drop_files(connection, CHAIN, [compute_file_id(KEY, first), b"x" * 32]) == 1
        assert drop_files(connection, OTHER) == 1
    with people_store.read() as connection:
        assert find_kept(connection, CHAIN, KEY, [first, second]) == {second}
        assert read_file(connection, OTHER, OTHER_KEY, first) is None
