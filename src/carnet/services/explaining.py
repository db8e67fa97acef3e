"""What the verifier's codes mean, in one sentence each, for whoever reads an answer: terminal, page or mail.

Words only: it refuses to know how a code is reached. A test holds the table against chapter 5 of the specification.
"""

from __future__ import annotations

from typing import Final

VERDICTS: Final[dict[int, tuple[str, str]]] = {
    0: ("genuine", "Everything shown is what its author signed, and the passport is whole as of the census."),
    10: ("altered", "At least one check failed: do not rely on anything in this file."),
    11: ("cannot tell", "Nothing contradicts this file, but something needed to judge it is missing."),
    12: ("not what you asked", "The proof is genuine, but it does not answer what you asked for."),
}
"""The one word and the one sentence of each exit code. Spec: 5.9."""

FINDINGS: Final[dict[str, str]] = {
    "integrity": "The bytes, the paths and the log's signature agree with each other.",
    "authority": "Each author was a member of this network, accredited to say this, and signed it.",
    "completeness": "No entry is left out: every one up to the census is shown or counted.",
    "freshness": "The census is not from the future.",
}
"""What an `ok` of each finding says, in the order in which a person reads them."""

BASES: Final[dict[int, str]] = {1: "own key", 2: "certified", 3: "reported", 4: "declared"}
"""On what ground a statement is made, in a word or two. Spec: 2.6."""

BASIS_SENTENCES: Final[dict[int, str]] = {
    1: "signed by the organisation with a key that only it holds",
    2: "certified: signed by the node for an organisation that it hosts",
    3: "reported: an importer speaks for a file",
    4: "declared: the holder said so, and the operator wrote it down",
}

NOT_PROVED: Final[tuple[str, ...]] = (
    "that the author told the truth",
    "that nothing happened which nobody wrote down",
    "what was written after the census",
    "that withheld entries are harmless: withheld and erased look alike",
)
"""What a genuine proof leaves open. Source: docs/trust.md."""

SENTENCES: Final[dict[str, str]] = {
    # Reading and shape (5.3).
    "too_large": "The file is larger than 32 MiB, which no proof is.",
    "not_canonical": "The file is not written the one way a proof is written: it was changed, cut, or is no proof.",
    "unknown_version": "This is a proof of a newer format; a newer program can read it.",
    "malformed": "The file does not have the shape of a proof.",
    # Checkpoint (5.4.1, 5.4.2).
    "note_malformed": "The log's signed note cannot be read.",
    "checkpoint_malformed": "The log's checkpoint cannot be read.",
    "origin_mismatch": "The checkpoint belongs to another network than the proof.",
    "log_signature_missing": "The log did not sign this checkpoint.",
    "log_signature_invalid": "The log's signature does not fit this checkpoint: it was changed, or signed by another.",
    "cosignature_invalid": "The signature of a witness you trust does not fit this checkpoint.",
    # Records, members, rules (5.4.3 to 5.4.5).
    "index_beyond_count": "A place is named that does not exist in its tree.",
    "record_path_mismatch": "A record is not in the log that was signed.",
    "record_time_goes_back": "A later record claims an earlier time.",
    "record_height_goes_back": "A later record claims an earlier height.",
    "reference_not_earlier": "A record refers to one that did not exist yet.",
    "batch_other_network": "A batch belongs to another network.",
    "batch_expired": "A batch was sealed after it had expired.",
    "census_covers_itself": "The census claims to cover more than there was.",
    "members_conflict": "Two records disagree about who the members were.",
    "rules_conflict": "Two records disagree about which rules were in force.",
    "member_path_mismatch": "A member is shown who is not in the members tree.",
    "member_twice": "A member is listed twice.",
    "rule_path_mismatch": "A rule is shown that is not in the rules in force.",
    "rule_twice": "Two rules are shown for the same thing.",
    # The chain (5.4.6 to 5.4.13).
    "opening_not_shown": "The entry that opens the passport is not shown.",
    "tip_not_placed": "The newest entry is not placed in the log.",
    "placement_not_seal": "An entry claims a place in a record that is no seal.",
    "placement_not_census": "The census is named where there is none.",
    "statement_other_network": "An entry was signed for another network.",
    "statement_other_passport": "An entry was signed for another passport.",
    "wrong_class": "An entry was sealed in a class that is not its own.",
    "fields_mismatch": "A shown field is not what the author signed.",
    "required_field_withheld": "An entry hides its kind, its subject or its date.",
    "field_malformed": "An entry's kind, subject or date cannot be read.",
    "submission_path_mismatch": "An entry's place in its submission is impossible.",
    "submission_of_two_keys": "Entries that are said to be signed together name different keys.",
    "submission_twice": "One signature is written twice, for entries that were signed together.",
    "statement_linked_twice": "One statement stands in the passport twice.",
    "mark_unknown": "An entry carries a mark that does not exist.",
    "mark_on_opening": "The opening entry claims to change another.",
    "target_malformed": "An entry points to another in a way that does not exist.",
    "target_is_opening": "An entry claims to replace the opening.",
    "target_unknown": "An entry claims to change one that does not come before it.",
    "batch_path_mismatch": "An entry is not in the batch that was sealed.",
    "seal_order": "A later entry was sealed before an earlier one.",
    "correction_withheld": "An entry is shown, but not the one that corrects or contests it.",
    "consistency_mismatch": "The log is not a continuation of the older one.",
    # Needed and surplus (5.4.14).
    "surplus_record": "The file carries a record that it does not need.",
    "surplus_entry": "The file carries an entry that it does not need.",
    "surplus_member": "The file carries a member that it does not need.",
    "surplus_rule": "The file carries a rule that it does not need.",
    "member_missing": "A member who signed is not in the file.",
    "rule_missing": "A rule that is needed is not in the file.",
    # Authority (5.5).
    "unknown_key": "A signature was made with a key that its member does not list.",
    "unknown_algorithm": "A signature is of a kind that this program cannot check.",
    "wrong_role": "A key signed something that keys of its role may not sign.",
    "key_listed_twice": "One key is listed twice among the members.",
    "enrolment_invalid": "A key did not sign its own enrolment: somebody enrolled another's key.",
    "member_retired": "A member signed after leaving the network.",
    "key_revoked": "A key signed after it was revoked.",
    "batch_signature_invalid": "The node's signature does not fit a batch.",
    "endorsement_by_home": "A node endorsed its own batch.",
    "endorsement_invalid": "An endorsement does not fit what it endorses.",
    "not_enough_endorsements": "Fewer nodes endorsed this than the rules ask for.",
    "basis_unknown": "An entry stands on a ground that does not exist.",
    "wrong_custody": "An entry claims a member's own key, but the node holds it, or the other way round.",
    "author_signature_invalid": "An author's signature does not fit what is shown as its statement.",
    "wrong_home": "An entry was sealed by a node that is not the passport's home.",
    "not_accredited": "An author said something that it was not accredited to say.",
    "wrong_chain": "An entry stands in a chain where its kind does not belong.",
    "wrong_mark": "An entry of this kind may not carry this mark, or lacks the one it needs.",
    "wrong_opening": "The passport is opened by the wrong kind of entry, or opened twice.",
    "subject_is_plate": "The passport is about a plate, not a vehicle.",
    "subject_mismatch": "An entry is about another vehicle.",
    "alias_unaccredited": "The plate of an entry was declared by someone who may not.",
    "alias_superseded": "The plate of an entry was declared, but that was corrected since.",
    "alias_malformed": "The plate of an entry was declared in a way that cannot be read.",
    "alias_outside_interval": "The plate of an entry was not this vehicle's on that day.",
    "census_wrong_home": "The census was taken by a node that is not the passport's home.",
    "census_signature_invalid": "The node's signature does not fit the census.",
    "no_policy": "No trust policy was given, so nobody vouches for this network's key.",
    "other_network": "The trust policy does not know this network, or knows it by another key.",
    "quorum_unmet": "Fewer witnesses cosigned than the trust policy asks for.",
    # Completeness (5.6).
    "census_path_too_deep": "The passport's place in the census is impossible.",
    "census_path_empty_sibling": "The passport's place in the census is impossible.",
    "census_path_mismatch": "The census names another newest entry: the passport was cut, extended or rebuilt.",
    "tip_not_covered": "The newest entry was sealed after the census.",
    "since_invalid": "The older proof does not hold.",
    "since_fork": "The older proof shows another past: one of the two was forged, or the node told two stories.",
    "since_census_later": "The older proof is in fact the newer one.",
    "no_consistency_proof": "This file does not show that the log only grew since the older proof.",
    "moved": "The passport has moved to another home, which has its newer entries.",
    # Freshness and what was asked (5.8).
    "time_in_future": "The census claims a time that has not come yet.",
    "census_after_cosignature": "The census claims a time after the witnesses had cosigned it.",
    "not_complete": "You asked for the whole passport, and this proof does not show that it is.",
    "too_old": "The census is older than you accept.",
    "other_subject": "The proof is about another vehicle than the one you asked for.",
    "other_passport": "The proof is of another passport than the one you asked for.",
    "since_other_chain": "The older proof is of another passport.",
}
"""One sentence for each code of chapter 5."""


def get_sentence(code: str) -> str:
    """The sentence of a code; raises KeyError for one that the specification does not have (our own bug)."""
    return SENTENCES[code]
