"""The public verification page: one file without any other, which anyone opens from a server or from a disk.

`build_page()` joins the parts that lie in `verify/` with `verify.mjs`, byte for byte, and computes the hashes by which
the page allows itself this one script and this one style, and nothing else. Same sources, same bytes. `make page`
writes the result to `verify.html`, which is packaged; a test holds the two together. It refuses to know any policy:
those are put in later, beside the script (`services.publishing`), so that the script's hash is that of the release.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections import Counter
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import quote

from carnet import __version__
from carnet.passport.kinds import all_kinds, get_schema
from carnet.passport.kinds.language import Choice, Items, Record
from carnet.services.describing import TELLING
from carnet.services.explaining import BASIS_SENTENCES, FINDINGS, NOT_PROVED, SENTENCES, VERDICTS
from carnet.services.publishing import escape_json

HERE = Path(__file__).resolve().parent
PARTS = HERE / "verify"
VERIFIER = HERE.parent / "proof" / "verify.mjs"
BUILT = HERE / "verify.html"

# Joined into one scope, in this order; judging.js also runs in the worker, by itself.
BEFORE_DRAWING = ("judging.js",)
DRAWING = ("words.js", "drawing.js", "state.js", "answer.js", "entries.js", "main.js")
SPLIT = "\n// ---- the page ----\n"
SPLIT_DRAWING = "\n// ---- what is drawn ----\n"
LOGO = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" fill="none" stroke="#00734b" stroke-width="2.4">'
    '<path d="M19.2 5.6A9.6 9.6 0 1 0 19.2 18.4M12 12h9.5"/></svg>'
)

Words = dict[str, Any]


def build_page() -> str:
    """The whole page as text, with no policy in it. Raises ValueError if a part would end its own element early."""
    verifier = VERIFIER.read_text(encoding="utf-8")
    code, style = join_code(verifier), _read("../tokens.css") + _read("../components.css")
    template = _read("template.html")
    icons = pick_icons(template + code, _read("../icons.svg"))
    texts = escape_json(make_texts())
    for what in (code, style):
        if re.search(r"</(script|style)|<!--", what, re.IGNORECASE):
            raise ValueError("a script or style of the page would end before its end")
    parts = {
        "code": code,
        "csp": make_csp(code, style),
        "favicon": "data:image/svg+xml," + quote(LOGO, safe="/:=' "),
        "icons": icons,
        "style": style,
        "texts": texts,
        "verifier": sha256(verifier.encode()).hexdigest(),
        "version": __version__,
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], template)


def join_code(verifier: str) -> str:
    """The page's one module: the verifier as it is, then the page in a scope of its own, whose names hide the
    verifier's."""
    before = "\n".join(_read(name) for name in BEFORE_DRAWING)
    after = "\n".join(_read(name) for name in DRAWING)
    worker = json.dumps(_read("worker.js").strip())
    return f"{verifier}{SPLIT}{{\n{before}{SPLIT_DRAWING}{after}}}\n".replace('"{{worker}}"', worker)


def make_csp(code: str, style: str) -> str:
    """What the page may do: run this script, wear this style, start a worker of its own. It may fetch nothing."""
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src '{hash_source(code)}'",
            f"style-src '{hash_source(style)}'",
            "img-src data:",
            "worker-src blob:",
            "base-uri 'none'",
            "form-action 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types carnet",
        )
    )


def hash_source(text: str) -> str:
    """A source expression of CSP level 3 for an inline element with exactly this text."""
    return "sha256-" + b64encode(sha256(text.encode()).digest()).decode()


def pick_icons(used_in: str, sprite: str) -> str:
    """The symbols that the page names, from the sprite of all."""
    names = set(re.findall(r"#?\b(i-[a-z]+)\b", used_in))
    symbols = re.findall(r'<symbol id="([a-z-]+)".*?</symbol>', sprite, re.DOTALL)
    wanted = [name for name in symbols if name in names]
    return "".join(re.findall(rf'<symbol id="{name}".*?</symbol>', sprite, re.DOTALL)[0] for name in wanted)


def make_texts() -> Words:
    """What the page says: the two catalogues, and what the built-in kinds say of themselves."""
    english, french = json.loads(_read("texts.en.json")), json.loads(_read("texts.fr.json"))
    french_kinds = json.loads(_read("kinds.fr.json"))
    for exit_code, name in ((0, "genuine"), (10, "altered"), (11, "cannot_tell"), (12, "not_asked")):
        english["page"][f"say_{name}"] = VERDICTS[exit_code][1]
    english |= {
        "bases": {str(basis): sentence for basis, sentence in BASIS_SENTENCES.items()},
        "codes": SENTENCES,
        "fields": make_field_labels(),
        "findings": FINDINGS,
        "kinds": {kind: get_schema(kind).label for kind in all_kinds()},
        "not_proved": NOT_PROVED,
    }
    french |= {"fields": french_kinds["fields"], "kinds": french_kinds["kinds"]}
    french["words"] = french_kinds["words"]
    french = with_french_spaces(french)
    listed = sorted(list_choices())
    return {"en": english | {"listed": listed}, "fr": french | {"listed": listed}, "telling": TELLING}


def with_french_spaces(value: Any) -> Any:
    """The same texts with spaces that do not break before : ; ! ? and inside quotation marks."""
    if isinstance(value, dict):
        return {name: with_french_spaces(part) for name, part in value.items()}
    if isinstance(value, list):
        return [with_french_spaces(part) for part in value]
    return re.sub(r"(?<=«) | (?=[:»])", "\u00a0", re.sub(r" (?=[;!?])", "\u202f", value))


def make_field_labels() -> dict[str, str]:
    """A label for each field name, and one for `kind:name` where a kind means something else by it. A unit that the
    value will carry is not said twice."""
    said: dict[str, Counter[str]] = {}
    own: dict[str, str] = {}
    for kind in all_kinds():
        for name, label in _list_labels(get_schema(kind).fields):
            short = label.partition(", ")[0]
            said.setdefault(name, Counter())[short] += 1
            own[f"{kind}:{name}"] = short
    common = {name: labels.most_common(1)[0][0] for name, labels in said.items()}
    return common | {key: label for key, label in own.items() if common[key.partition(":")[2]] != label}


def _list_labels(fields: Any) -> list[tuple[str, str]]:
    found = []
    for spec in fields:
        if isinstance(spec, Record | Items):
            found += _list_labels(spec.fields)
        found.append((spec.name, spec.label))
    return found


def list_choices() -> dict[str, set[str]]:
    """The fields whose values come from a list, and those values."""
    found: dict[str, set[str]] = {}

    def walk(fields: Any) -> None:
        for spec in fields:
            if isinstance(spec, Choice):
                found.setdefault(spec.name, set()).update(spec.choices)
            elif isinstance(spec, Record | Items):
                walk(spec.fields)

    for kind in all_kinds():
        walk(get_schema(kind).fields)
    return found


def _read(name: str) -> str:
    return (PARTS / name).read_text(encoding="utf-8")


if __name__ == "__main__":
    BUILT.write_bytes(build_page().encode())
