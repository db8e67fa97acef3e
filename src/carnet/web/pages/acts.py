"""The actions of the audit trail in the reader's words."""

from __future__ import annotations

from carnet.services.accounts.auditing import Action
from carnet.web.language import Language, load_translations


def say_action(language: Language, action: Action) -> str:
    """What was done, in a few words; its code where there are none."""
    _ = load_translations(language).gettext
    words = {
        Action.ACCOUNT_INVITED: _("Somebody was invited"),
        Action.ACCOUNT_CREATED: _("Account made"),
        Action.ACCOUNT_ENDED: _("Account ended"),
        Action.SIGNED_IN: _("Signed in"),
        Action.DEMO_SIGNED_IN: _("Signed in by a link of the demonstration"),
        Action.SIGN_IN_FAILED: _("Signing in failed"),
        Action.SIGNED_OUT: _("Signed out"),
        Action.SESSION_ENDED: _("Signed out elsewhere"),
        Action.CONFIRMED: _("Confirmed with a passkey"),
        Action.PASSKEY_ADDED: _("Passkey added"),
        Action.PASSKEY_REMOVED: _("Passkey removed"),
        Action.PASSKEY_COPIED: _("A copied passkey was refused"),
        Action.RECOVERED: _("Came in with a recovery code"),
        Action.CODES_RENEWED: _("New recovery codes"),
        Action.CLIENT_CREATED: _("Program added"),
        Action.CLIENT_ENDED: _("Program ended"),
        Action.KEY_ISSUED: _("Key issued"),
        Action.KEY_REVOKED: _("Key revoked"),
        Action.WEBHOOK_ADDED: _("Webhook added"),
        Action.WEBHOOK_ROTATED: _("New key of a webhook"),
        Action.WEBHOOK_TESTED: _("Test sent to a webhook"),
        Action.WEBHOOK_REPLAYED: _("Messages sent again"),
        Action.WEBHOOK_STOPPED: _("Webhook stopped"),
        Action.WEBHOOK_STARTED: _("Webhook started again"),
        Action.WEBHOOK_ENDED: _("Webhook ended"),
        Action.CODE_ISSUED: _("Code for a vehicle issued"),
        Action.CODE_REVOKED: _("Code for a vehicle withdrawn"),
        Action.CLAIMED: _("Vehicle claimed"),
        Action.CLAIM_REFUSED: _("A code was refused"),
        Action.CONTESTED: _("Vehicle of somebody else claimed"),
        Action.CONTEST_OBJECTED: _("Objected to a claim"),
        Action.CONTEST_DECIDED: _("Claim decided"),
        Action.APPEARANCE_CHANGED: _("Look for customers changed"),
        Action.APPEARANCE_REMOVED: _("Look for customers removed"),
        Action.VIEW_GRANTED: _("Vehicle shown in an app"),
        Action.VIEW_ENDED: _("Vehicle shown in an app no more"),
        Action.GIVEN_UP: _("Vehicle given up"),
    }
    return words.get(action, action.value)
