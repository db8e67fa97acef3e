"""Making a bundle: which links, records, leaves and lines a proof of one chain needs, and no more.

Pure: everything is asked of a `ProofSource`, which a node's store implements (and an in-memory network in the
tests). Spec: docs/spec/4-bundle.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from msgspec import Raw

from carnet.encoding import encode_trusted, unb64
from carnet.errors import Reason, Refused
from carnet.passport.fields import compute_field_digest
from carnet.passport.statement import get_author, parse_statement
from carnet.proof.bundle import VERSION, find_excess
from carnet.proof.shared import Shared
from carnet.proof.source import Document, OpenedEntry, PlacedLink, ProofSource, SignedTogether
from carnet.tlog.joint import join
from carnet.types import Basis, Mark


@dataclass(frozen=True, slots=True)
class Selection:
    """What to show. `is_shown(seq, kind)` chooses entries (seq 0 is always shown); `fields` restricts the fields
    shown (None: all);
    `since` is (size, root) of an older checkpoint to prove consistency with."""

    is_shown: Callable[[int, str], bool] = lambda seq, kind: True
    fields: frozenset[str] | None = None
    since: tuple[int, bytes] | None = None


EVERYTHING = Selection()
IDENTITY = "vehicle.identity/1"
ALWAYS_SHOWN = frozenset({"kind", "subject", "occurred"})


def assemble_bundle(
    source: ProofSource, chain: bytes, selection: Selection = EVERYTHING, shared: Shared | None = None
) -> bytes:
    """The bundle that proves the chain's selected entries, as `cj` bytes. `shared` is kept by whoever makes many.

    An erased entry is hidden, and judged where it targets a shown one.

    Raises Refused(PROOF_TOO_LARGE) if the bundle would be larger than a verifier reads.
    """
    shared = shared or Shared(source)
    size, note = shared.checkpoint()
    links = source.get_links(chain)
    draft = _Draft(source, shared, chain, links)
    shown = draft.choose(selection)
    items = [draft.make_item(seq, shown, selection) for seq in range(len(links))]
    census_index = source.get_census_index()
    draft.need_census(census_index)
    since = None
    if selection.since is not None:
        old_size, old_root = selection.since
        since = {
            "path": b"".join(source.get_consistency_path(old_size, size)),
            "root": old_root,
            "size": old_size,
        }
    # Trusted: its parts were checked when they were signed, and the verifier checks each again.
    bundle = encode_trusted(
        {
            "batches": draft.make_batches(),
            "carnet": VERSION,
            "census": {"path": b"".join(source.get_census_path(chain)), "record": census_index},
            "checkpoint": note,
            "genesis": shared.genesis(),
            "links": items,
            "members": draft.make_groups(),
            "records": draft.make_records(),
            "rules": draft.make_sections(),
            "since": since,
            "submissions": draft.make_submissions(),
            "tip": draft.tip,
        }
    )
    excess = find_excess(bundle)
    if excess is not None:
        raise Refused(Reason.PROOF_TOO_LARGE, f"no verifier would read this proof ({excess}): show fewer entries")
    return bundle


class _Draft:
    """A bundle in the making: remembers which records, leaves and lines the items so far have asked for."""

    def __init__(self, source: ProofSource, shared: Shared, chain: bytes, links: Sequence[PlacedLink]) -> None:
        self._source = source
        self._shared = shared
        self._chain = chain
        self._links = links
        self._opened: dict[int, OpenedEntry] = {}
        self._fields: dict[int, Mapping[str, tuple[str, object]]] = {}
        self._records: set[int] = set()
        self._placed: dict[int, list[int]] = {}
        self._submitted: dict[tuple[object, ...], tuple[int, SignedTogether, list[int]]] = {}
        self._members: dict[int, set[bytes]] = {}
        self._lines: dict[int, set[tuple[object, ...]]] = {}
        self._authors: set[bytes] = set()
        self.tip: Document | None = None

    def choose(self, selection: Selection) -> set[int]:
        """The seqs to show: the selected ones, seq 0, and the identity entries whose aliases the selected ones use."""
        shown = {0} | {
            seq for seq, link in enumerate(self._links) if not link.is_erased and selection.is_shown(seq, link.kind)
        }
        if any(link.is_erased and link.kind == IDENTITY for link in self._links):
            shown -= self._find_unnamed(shown)
        met = {self._open(0).subject}
        # An identity entry may itself be said under an alias that an earlier one declares: go on until nothing new is
        # asked for.
        while subjects := {self._open(seq).subject for seq in shown} - met:
            met |= subjects
            for seq, link in enumerate(self._links):
                alias = self._find_alias(seq) if link.kind == IDENTITY else None
                if isinstance(alias, dict) and encode_trusted(alias["subject"]) in subjects:
                    shown.add(seq)
        return shown

    def _find_unnamed(self, shown: set[int]) -> set[int]:
        """Entries under an alias of which no declaration is left that surely holds: their contents are here, but no
        verifier could tell any more that they are about this vehicle. Spec: 2.14, 5.5.5."""
        own = self._open(0).subject
        superseded = {link.target for link in self._links if link.mark == Mark.SUPERSEDES}
        unnamed = set[int]()
        for seq in sorted(shown):
            subject = self._open(seq).subject
            if subject == own:
                continue
            if not any(
                at not in unnamed and self._links[at].sid not in superseded and self._is_named(seq, at, subject)
                for at in range(seq)
            ):
                unnamed.add(seq)
        return unnamed

    def _is_named(self, seq: int, at: int, subject: bytes) -> bool:
        """Whether the entry at `at` declares this subject for the date of the entry at `seq`."""
        alias = self._find_alias(at) if self._links[at].kind == IDENTITY else None
        if not isinstance(alias, dict) or encode_trusted(alias["subject"]) != subject:
            return False
        basis = parse_statement(self._open(at).statement).basis
        occurred = cast("Document", self._value(seq, "occurred"))
        day, until = str(occurred["at"])[:10], alias["until"]
        is_within = str(alias["from"]) <= day and (until is None or day < str(until))
        return is_within and basis in (Basis.OWN_KEY, Basis.HOSTED)

    def make_item(self, seq: int, shown: set[int], selection: Selection) -> object:
        """One item of `links`. Spec: 4.5."""
        link = self._links[seq]
        if seq in shown:
            names = selection.fields
            if names is None:
                return self._make_entry(seq, _is_any)
            return self._make_entry(seq, lambda name: name in names or self._is_kept(seq, name))
        if link.mark in (Mark.SUPERSEDES, Mark.CONTESTS) and any(self._links[s].sid == link.target for s in shown):
            return self._make_entry(seq, None)
        hidden = link.sid + link.signed + (bytes((link.mark,)) + link.target if link.mark else b"")
        if seq == len(self._links) - 1:
            self.tip = self._make_placement(link)
        return hidden

    def need_census(self, index: int) -> None:
        """Ask for the census record, its home's leaf, its class line, and every author's leaf as of the census."""
        self._records.add(index)
        census = self._shared.census(index)
        self._members.setdefault(census.members, set()).update((census.home, *census.endorsers), self._authors)
        self._lines.setdefault(census.rules, set()).add(("class", census.class_))

    def make_records(self) -> Document:
        """Spec: 4.2."""
        indices = tuple(sorted(self._records))
        logged = [self._shared.record(index) for index in indices]
        return {"logged": logged, "path": self._shared.records_path(indices)}

    def make_batches(self) -> list[bytes]:
        """Spec: 4.12."""
        return [self._source.get_batch_path(seal, sorted(self._placed[seal])) for seal in sorted(self._placed)]

    def make_submissions(self) -> list[Document]:
        """Spec: 4.11."""
        return [
            {
                "at": submission.created_ms,
                "count": submission.count,
                "path": b"" if submission.tree is None else join(submission.tree, sorted(indices)),
                "signature": submission.signature,
            }
            for _, submission, indices in self._submitted.values()
        ]

    def make_groups(self) -> list[Raw]:
        """Spec: 4.3."""
        return [self._shared.group(index, frozenset(self._members[index])) for index in sorted(self._members)]

    def make_sections(self) -> list[Raw]:
        """Spec: 4.4."""
        return [self._shared.section(index, frozenset(self._lines[index])) for index in sorted(self._lines)]

    def _make_entry(self, seq: int, is_shown: Callable[[str], bool] | None) -> Document:
        link = self._links[seq]
        entry = self._open(seq) if is_shown is not None else self._source.get_judged(self._chain, seq)
        seal = self._shared.seal(link.seal)
        author = get_author(entry.statement)
        self._authors.add(author)
        self._members.setdefault(seal.members, set()).add(author)
        fields: object = None
        if is_shown is not None:
            self._lines.setdefault(seal.rules, set()).add(("kind", entry.kind))
            fields = Raw(entry.shown)
            if is_shown is not _is_any:
                fields = {
                    name: (salt, value) if is_shown(name) else compute_field_digest(unb64(salt), name, value)
                    for name, (salt, value) in entry.read_fields().items()
                }
        return {
            "fields": fields,
            "placement": self._make_placement(link),
            "statement": entry.statement,
            "submission": {"index": entry.index, "number": self._number(entry)},
        }

    def _number(self, entry: OpenedEntry) -> int:
        """The number of the entry's submission: they stand in the order of their first use."""
        one = entry.submission
        key = (one.key_digest, one.created_ms, one.count, one.signature)
        found = self._submitted.get(key)
        if found is None:
            found = self._submitted[key] = len(self._submitted), one, []
        found[2].append(entry.index)
        return found[0]

    def _make_placement(self, link: PlacedLink) -> Document:
        placed = self._placed.get(link.seal)
        if placed is not None:
            placed.append(link.position)
        else:
            self._placed[link.seal] = [link.position]
            self._records.add(link.seal)
            seal = self._shared.seal(link.seal)
            self._members.setdefault(seal.members, set()).update((seal.home, *seal.endorsers))
            self._lines.setdefault(seal.rules, set()).add(("class", seal.class_))
        return {"index": link.position, "record": link.seal}

    def _is_kept(self, seq: int, name: str) -> bool:
        """Fields that are shown whatever was asked: those of every statement, and the alias of an identity entry."""
        return name in ALWAYS_SHOWN or (name == "alias" and self._links[seq].kind == IDENTITY)

    def _find_alias(self, seq: int) -> object:
        """The alias that an identity entry declares; None also when its contents were erased."""
        try:
            return self._value(seq, "alias")
        except Refused as refusal:
            if refusal.reason != Reason.ERASED:
                raise
            return None

    def _value(self, seq: int, name: str) -> object:
        fields = self._fields.get(seq)
        if fields is None:
            fields = self._fields[seq] = self._open(seq).read_fields()
        found = fields.get(name)
        return None if found is None else found[1]

    def _open(self, seq: int) -> OpenedEntry:
        if seq not in self._opened:
            self._opened[seq] = self._source.get_entry(self._chain, seq)
        return self._opened[seq]


def _is_any(name: str) -> bool:
    return True
