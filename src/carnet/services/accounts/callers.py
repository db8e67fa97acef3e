"""Who asks: a session's cookie, an API key or an access token becomes a `Principal`.

It refuses to know what a request looks like: the web hands over texts.
"""

from __future__ import annotations

from carnet.services.accounts import oauth
from carnet.services.accounts.clients import LIVE, TEST, failed, find_by_key
from carnet.services.accounts.office import Office, Visit
from carnet.services.accounts.sessions import find_principal
from carnet.services.accounts.throttling import Attempt, count_attempt
from carnet.services.principals import VISITOR, Principal


def find_caller(office: Office, visit: Visit, *, session: str | None, bearer: str | None) -> Principal:
    """Who a request comes from. A key or token that lets nobody in is an error, and so that it is not taken for an
    anonymous request; a session that has ended is nobody.

    Raises Refused(SIGN_IN_FAILED, WRONG_NETWORK, TOO_MANY_REQUESTS).
    """
    if bearer is not None:
        if bearer.startswith((LIVE, TEST)):
            return find_by_key(office, visit, bearer)
        if bearer.startswith((oauth.LIVE, oauth.TEST)):
            return oauth.find_by_token(office, visit, bearer)
        count_attempt(office, Attempt.TOKEN_BY_ADDRESS, visit.address)
        raise failed()
    return (find_principal(office, session) if session else None) or VISITOR
