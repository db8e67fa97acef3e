"""The demonstration's sign-in: routes that exist only where `carnet demo` made the home.

The link shows a button, since a GET writes nothing; it works without script.
"""

from __future__ import annotations

from typing import Any

from litestar import Response, get, post
from litestar.response import Redirect

from carnet.errors import Reason, Refused
from carnet.services.accounts.demo_links import PATH, find_demo_account, is_loopback, sign_in_to_demo
from carnet.web.desk import TheDesk, ThePrincipal
from carnet.web.pages.front import FormData
from carnet.web.pages.showing import AnyRequest, go, show
from carnet.web.pages.signing_in import HOMES, find_token, make_cookie
from carnet.web.people import get_office, get_visit
from carnet.web.policy import OPEN


@get(PATH, opt={"policy": OPEN}, sync_to_thread=False, include_in_schema=False)
def ask_who(request: AnyRequest, desk: TheDesk, principal: ThePrincipal) -> Response[str]:
    """The page of a link: one button."""
    if not is_loopback(get_visit(request).address):
        raise Refused(Reason.NOT_PERMITTED, "links of a demonstration work on its own machine only")
    account, secret = (request.query_params.get(name, "")[:200] for name in ("account", "secret"))
    found = find_demo_account(get_office(desk), account, secret)
    return show(request, desk, principal, "demo.html", account=account, secret=secret, name=found.name)


@post(PATH, opt={"policy": OPEN}, sync_to_thread=True, include_in_schema=False)
def enter_demo(data: FormData, request: AnyRequest, desk: TheDesk) -> Redirect:
    """Sign in, and go to work."""
    account, secret = (str(data.get(name, ""))[:200] for name in ("account", "secret"))
    done = sign_in_to_demo(get_office(desk), get_visit(request), account, secret, find_token(request, desk))
    return go(HOMES[done.account.standing], [make_cookie(desk, done)])


ROUTES: list[Any] = [ask_who, enter_demo]
