"""Prepares the garage's site, at the node: a key for its program, its look with the site's origin, its webhook.

    python set_up.py --home HOME --member "Garage des Tilleuls" --service http://localhost:8140

Everything that the site needs is written to garage.json, which only its owner can read.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

SCOPES = ("passports:read", "entries:append", "claims:issue")
INK, PAPER = "#7a1f3d", "#fbe9d7"


def main() -> None:
    """Run the command line's verbs, and keep what they say."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", required=True, help="the node's folder")
    parser.add_argument("--member", required=True, help="the garage: a name or an id")
    parser.add_argument("--service", required=True, help="where the node is served")
    parser.add_argument("--port", type=int, default=9000, help="where the site will be")
    parser.add_argument("--config", type=Path, default=Path("garage.json"))
    asked = parser.parse_args()
    site = f"http://localhost:{asked.port}"

    def carnet(*words: str) -> dict[str, object]:
        # The links and origins of a service depend on where it is.
        env = {**os.environ, "CARNET_HOME": asked.home, "CARNET_ORIGIN": asked.service}
        ran = subprocess.run(
            [sys.executable, "-m", "carnet", *words, "--json"], env=env, capture_output=True, text=True, check=False
        )
        if ran.returncode != 0:
            sys.exit(ran.stderr or ran.stdout)
        found: dict[str, object] = json.loads(ran.stdout)
        return found

    member = carnet("member", "show", asked.member)
    named = ("--member", str(member["id"]))
    scopes = [word for scope in SCOPES for word in ("--scope", scope)]
    client = carnet("client", "add", *named, "--name", "Our site", *scopes)
    carnet("member", "appearance", str(member["id"]), "--ink", INK, "--paper", PAPER, "--origin", site)
    hook = carnet("webhook", "add", f"http://127.0.0.1:{asked.port}/hooks", *named, "--event", "entry.sealed")
    config = {
        "service": asked.service,
        "site": site,
        "port": asked.port,
        "name": member["name"],
        "member": f"mem_{member['id']}",
        "key": client["key"],
        "webhook_keys": hook["keys"],
    }
    asked.config.touch(mode=0o600)
    asked.config.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    print(f"{asked.config} is written. Now: python {Path(__file__).with_name('app.py')} --config {asked.config}")


if __name__ == "__main__":
    main()
