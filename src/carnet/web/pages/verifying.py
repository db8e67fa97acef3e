"""A proof verified by this server, for a browser that runs no script: it says so, and keeps nothing of what it was
given.

Whoever can, verifies in the browser (`/verify`): there no server's word is needed. It refuses to know how a proof is
judged.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Final

from litestar import Response, get, post
from litestar.datastructures import UploadFile
from litestar.enums import RequestEncodingType
from litestar.params import Body

from carnet.errors import Unverified
from carnet.proof.verify import CANNOT_TELL, FAILED, Verdict, verify_bundle
from carnet.services.entries import Entry, read_entry
from carnet.services.explaining import FINDINGS, SENTENCES
from carnet.services.principals import Principal
from carnet.tlog.policy import Policy, parse_policy
from carnet.web.desk import Desk, TheDesk, ThePrincipal
from carnet.web.language import Language, load_translations
from carnet.web.pages.showing import AnyRequest, find_reader_language, show
from carnet.web.policy import HARMLESS, OPEN
from carnet.web.verify_page import make_texts
from carnet.web.wording import get_wording

MAX_PROOF_BYTES: Final = 8_000_000
MAX_POLICY_BYTES: Final = 100_000

Upload = Annotated[dict[str, Any], Body(media_type=RequestEncodingType.MULTI_PART)]


@dataclass(frozen=True, slots=True)
class FindingShown:
    """One of the four: its name, its state (ok, failed, cannot_tell, not_judged, moved), and why in a sentence."""

    name: str
    state: str
    sentence: str


@dataclass(frozen=True, slots=True)
class VerdictShown:
    """What is told: the outcome, the findings, and the entries that the proof shows, the newest first."""

    outcome: str
    findings: tuple[FindingShown, ...]
    entries: tuple[Entry, ...]
    link_count: int


@get("/verify/here", opt={"policy": OPEN}, sync_to_thread=False, include_in_schema=False)
def ask_for_proof(request: AnyRequest, desk: TheDesk, principal: ThePrincipal) -> Response[str]:
    """The form."""
    return _show(request, desk, principal, None, None)


@post(
    "/verify/here",
    opt={"policy": HARMLESS},
    sync_to_thread=True,
    include_in_schema=False,
    status_code=200,
    request_max_body_size=MAX_PROOF_BYTES + MAX_POLICY_BYTES + 10_000,
)
def verify_here(data: Upload, request: AnyRequest, desk: TheDesk, principal: ThePrincipal) -> Response[str]:
    """The verdict, worked out here, under the reader's policy or else this node's own."""
    language = find_reader_language(request, desk)
    _ = load_translations(language).gettext
    proof, given = _read(data.get("proof"), MAX_PROOF_BYTES), _read(data.get("policy"), MAX_POLICY_BYTES)
    verdict, problem = None, None
    if not proof:
        problem = _("Choose a .carnet file first.")
    else:
        try:
            policy = parse_policy(given) if given else _read_own_policy(desk)
            verdict = judge(proof, policy, desk.clock(), language)
        except Unverified:
            problem = _("This is no trust policy: give the file that the network publishes.")
    return _show(request, desk, principal, verdict, problem)


def _show(
    request: AnyRequest, desk: Desk, principal: Principal, verdict: VerdictShown | None, problem: str | None
) -> Response[str]:
    limit = get_wording(find_reader_language(request, desk)).megabytes(MAX_PROOF_BYTES)
    facts: dict[str, Any] = {"verdict": verdict, "problem": problem, "file_limit": limit}
    return show(request, desk, principal, "verify_here.html", 422 if problem else 200, **facts)


def judge(proof: bytes, policy: Policy, now: int, language: Language) -> VerdictShown:
    """The verdict of a proof in a reader's language."""
    verdict = verify_bundle(proof, policy, now)
    report: Any = verdict.to_document()["report"]
    documents = [] if report is None else report["entries"]
    entries = [read_entry(one | {"erased": False, "statement": "", "target": None}) for one in documents]
    findings = tuple(
        FindingShown(name, finding.state, _say(language, name, finding.state, finding.code))
        for name, finding in _order(verdict)
    )
    return VerdictShown(
        _name(verdict, entries), findings, tuple(reversed(entries)), 0 if report is None else report["links"]
    )


def _name(verdict: Verdict, entries: list[Entry]) -> str:
    if verdict.exit_code == FAILED:
        return "altered"
    if verdict.exit_code == CANNOT_TELL:
        return "cannot_tell"
    # As the verification page says it (verify/answer.js).
    told = [entry for entry in entries if entry.seq > 0 and entry.mark == 0]
    is_corrected = bool(told) and all(entry.superseded_by is not None for entry in told)
    is_replaced = verdict.completeness.state == "moved" or is_corrected
    return "superseded" if is_replaced else "genuine"


def _order(verdict: Verdict) -> list[tuple[str, Any]]:
    found = verdict.findings
    return [(name, found[name]) for name in ("integrity", "authority", "completeness", "freshness")]


def _say(language: Language, name: str, state: str, code: str | None) -> str:
    texts = make_texts()[language]
    if state == "ok":
        return str(texts["findings"].get(name, FINDINGS[name]))
    return "" if code is None else str(texts["codes"].get(code) or SENTENCES.get(code, code))


def _read_own_policy(desk: TheDesk) -> Policy:
    with desk.reading() as reader:
        return parse_policy(reader.get_policy())


def _read(upload: object, limit: int) -> bytes:
    return upload.file.read(limit + 1) if isinstance(upload, UploadFile) else b""


ROUTES = [ask_for_proof, verify_here]
