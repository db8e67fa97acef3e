"""What the forms of a desk say beside an input: how it is measured, where it is found, what to leave out.

Labels come from the kinds themselves; here stands only what a label does not say. It refuses to repeat one.
"""

from __future__ import annotations

from carnet.web.language import Language, load_translations


def list_helps(language: Language) -> dict[str, str]:
    """A sentence for an input, by its field; `kind:field` where a kind means something else by it."""
    _ = load_translations(language).gettext
    return {
        "activities": _("One line for each piece of work, as the invoice says it."),
        "alias": _("The number plate, with its country in front (FR:AB-123-CD), and since when."),
        "approval_number": _("As it stands on your approval."),
        "centre": _("Name and approval number, such as Centre Auto, S026D878."),
        "cause": _("What was found, in a few words."),
        "certificate": _("The number that is printed on it."),
        "code": _("As the country's list or the instrument writes it."),
        "consent_sha256": _("The digest (SHA-256) of the driver's consent: without it no trip may be written."),
        "currency": _("Three letters, such as EUR."),
        "country": _("Two letters, such as FR."),
        "defects": _("One line for each. Leave the list blank if you record none."),
        "establishment": _("Your workshop, as it stands on the invoice."),
        "fault_codes": _("Such as P0420, one in each line."),
        "findings": _("One line for each part that you looked at."),
        "invoice_sha256": _("The digest (SHA-256) of the invoice's file, if you keep one."),
        "invoice_text": _("Its own words, without names or addresses."),
        "labour_minutes": _("Time spent, not time charged."),
        "mil": _("The orange lamp of the engine."),
        "next_due": _("Whichever comes first."),
        "note": _("Whoever sees the entry will see this: no name, no telephone number."),
        "odometer": _("As the dashboard shows it, without decimals, in its own unit."),
        "old_odometer": _("The last reading of the old one, if it could still be read."),
        "new_odometer": _("What the new one shows when the vehicle leaves."),
        "odometer_state": _("If it could not be read, say why and leave the reading blank."),
        "parts": _("One line for each part that was fitted."),
        "place": _("A town or a département, never an address: it tells where somebody was."),
        "price_cents": _("With taxes."),
        "proved_by": _("The digest of the entry that proves the step."),
        "reference": _("Your own number for the file."),
        "serial": _("As it is engraved or printed."),
        "symptom": _("What the driver said."),
        "valid_until": _("The last day on which it is good."),
        "vehicle.part/1:label": _("What it is, as the parts list says."),
    }
