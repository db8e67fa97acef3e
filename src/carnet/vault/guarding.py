"""The second filter of a store in PostgreSQL: policies by which the server itself keeps rows from a caller who may not
see them, whatever the program asks.

The owner of the tables, who writes, is under no policy. Workers ask as a second role, `<owner>_reader`, which has to be
there; a cluster's roles are for all of its databases, so each owner has one of its own. It refuses to know who a caller
is (`vault.asker`), and to decide what the application shows (`services.access`): a policy only says what nobody else
may be shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from hashlib import sha256
from typing import Final, NamedTuple

from carnet.vault.people.tables import people
from carnet.vault.store import Connection, PostgresError
from carnet.vault.tables import metadata

NAME: Final = "carnet_seen"
"""What each policy is called that says which rows are seen."""

WRITES: Final = "carnet_written"
"""What each policy is called by which the node writes."""

CHANGED: Final = "carnet_changed"
"""What each policy is called that says which rows others change."""

SUFFIX: Final = "_reader"
NAME_ROLE: Final = f"left(current_user, {63 - len(SUFFIX)}) || '{SUFFIX}'"
"""SQL for the name of the readers' role; a name has 63 bytes at most."""

_LOCK: Final = 0x67756172_64
_PATIENCE: Final = "5s"

_ACCOUNT: Final = "decode(current_setting('carnet.account', true), 'hex')"
_MEMBER: Final = "decode(current_setting('carnet.member', true), 'hex')"
_OFFICE: Final = "current_setting('carnet.office', true)"
_IS_NODE: Final = f"{_OFFICE} = 'node'"
_IS_STAFF: Final = f"{_OFFICE} IN ('node', 'operator')"
_ACCOUNT_NAME: Final = "'acc_' || current_setting('carnet.account', true)"
_MEMBER_NAME: Final = "'mem_' || current_setting('carnet.member', true)"


def _through(table: str, column: str, other: str) -> str:
    """Seen with the row of another table that it belongs to, under the policy of that one."""
    return f"{_IS_NODE} OR EXISTS (SELECT 1 FROM {other} WHERE {other}.id = {table}.{column})"  # noqa: S608


POLICIES: Final = {
    "account": f"{_IS_STAFF} OR id = {_ACCOUNT} OR member = {_MEMBER}",
    "passkey": f"{_IS_NODE} OR account = {_ACCOUNT}",
    "recovery_code": f"{_IS_NODE} OR account = {_ACCOUNT}",
    "session": _through("session", "account", "account"),
    "ceremony": _IS_NODE,
    "invitation": f"{_IS_STAFF} OR member = {_MEMBER}",
    "client": f"{_IS_STAFF} OR member = {_MEMBER}",
    "api_key": _through("api_key", "client", "client"),
    "oauth_key": _through("oauth_key", "client", "client"),
    "access_token": _through("access_token", "client", "client"),
    "seen_once": _IS_NODE,
    "holding": f"{_IS_NODE} OR account = {_ACCOUNT}",
    "claim_code": f"{_IS_STAFF} OR member = {_MEMBER}",
    "contest": f"{_IS_STAFF} OR claimant = {_ACCOUNT} OR holder = {_ACCOUNT}",
    "throttle": _IS_NODE,
    "event": f"{_IS_STAFF} OR who = {_ACCOUNT_NAME} OR about = {_ACCOUNT_NAME} OR member = {_MEMBER_NAME}",
    "idempotency": _IS_NODE,
    "attachment": f"""{_IS_NODE} OR EXISTS (
  SELECT 1 FROM chain JOIN passport_key ON passport_key.chain = chain.id WHERE chain.chain16 = attachment.chain)""",  # noqa: S608 - our own words
    "saved_mapping": f"{_IS_NODE} OR member = {_MEMBER}",
    "webhook": f"{_IS_STAFF} OR member = {_MEMBER}",
    "webhook_message": _through("webhook_message", "webhook", "webhook"),
    "webhook_cursor": _IS_NODE,
    "appearance": "true",
    "app_view": f"{_IS_NODE} OR account = {_ACCOUNT}",
    "approval": f"{_IS_STAFF} OR asked_by = {_ACCOUNT_NAME}",
    "upkeep_job": _IS_STAFF,
    "member_quota": f"{_IS_STAFF} OR member = {_MEMBER}",
    "api_calls": f"{_IS_NODE} OR member = {_MEMBER}",
    "passport_key": f"""
CASE {_OFFICE}
WHEN 'node' THEN true
WHEN 'holder' THEN EXISTS (
  SELECT 1 FROM chain JOIN holding ON holding.chain = chain.chain16 AND holding.epoch = chain.head_epoch
  WHERE chain.id = passport_key.chain AND chain.type = 1 AND holding.until_ms IS NULL AND holding.account = {_ACCOUNT})
WHEN 'member' THEN EXISTS (
  SELECT 1 FROM chain JOIN entry ON entry.chain = chain.id JOIN submission ON submission.id = entry.submission
  JOIN author_key ON author_key.id = submission.author_key
  WHERE chain.id = passport_key.chain AND chain.type = 1 AND author_key.member = {_MEMBER} AND entry.basis <> 4)
ELSE false END""",  # noqa: S608 - our own words
}
"""For each table that has one, which of its rows are seen. The key of a passport opens all of its contents: it is seen
by the node, by the present holder, and by a member that wrote in the passport in its own name. People's rows are seen
by those whom they are about or whose matter they are, and by operators where they run the service with them. How a
member looks is shown to its customers, and so to everybody."""

_BY_MEMBER: Final = f"""EXISTS (
    SELECT 1 FROM submission JOIN author_key ON author_key.id = submission.author_key
    WHERE submission.id = {{0}}.submission AND author_key.member = {_MEMBER}) AND {{0}}.basis <> 4"""  # noqa: S608
_ENTRY: Final = metadata.tables["entry"].columns.keys()

ENTRIES: Final = "entry_seen"
"""The entries as readers see them: a view, since a policy hides rows and never columns. A proof needs the links of
others' entries, and none of their contents."""

CONTENTS: Final = f"""
CASE {_OFFICE}
WHEN 'node' THEN true
WHEN 'holder' THEN true
WHEN 'member' THEN entry.seq = 0 OR {_BY_MEMBER.format("entry")}
  OR entry.mark = 2 AND EXISTS (
    SELECT 1 FROM entry AS aimed
    WHERE aimed.chain = entry.chain AND aimed.sid = entry.target AND {_BY_MEMBER.format("aimed")})
ELSE false END"""  # noqa: S608 - our own words
"""Of a passport whose key is seen, the entries whose contents are: all by its holder; by a member those that it wrote
in its own name, those that contest one of them, and the opening, whose digests each proof shows."""

CHANGES: Final = {
    **dict.fromkeys(("passkey", "recovery_code", "session", "app_view"), f"account = {_ACCOUNT}"),
    **dict.fromkeys(("client", "claim_code", "webhook", "appearance"), f"{_IS_STAFF} OR member = {_MEMBER}"),
    "saved_mapping": f"member = {_MEMBER}",
    **{table: POLICIES[table] for table in ("api_key", "oauth_key", "access_token", "webhook_message", "event")},
}
"""For each table in which others than the node change rows, which ones: what is theirs alone, and what they add to the
audit trail."""

APPENDED: Final = frozenset({"event"})
"""Of these, the tables to which rows are added and nothing else."""


class Guard(NamedTuple):
    """How far the second filter is set up. `role` is the readers' role, `owner` who the node is to the server."""

    owner: str
    role: str
    schema: str
    is_role_there: bool
    is_role_given: bool
    is_schema_open: bool
    """Whether readers reach the schema, or the node may see to it."""
    is_current: bool
    may_make_roles: bool

    @property
    def is_on(self) -> bool:
        """Whether workers can ask under the policies."""
        return self.is_role_given and self.is_schema_open and self.is_current

    def list_statements(self) -> list[str]:
        """What an administrator of the server runs, so that the next start of the node can do the rest."""
        role, owner = _quote(self.role), _quote(self.owner)
        return [
            *([] if self.is_role_there else [f"CREATE ROLE {role} NOLOGIN;"]),
            *([] if self.is_role_given else [f"GRANT {role} TO {owner};"]),
            *([] if self.is_schema_open else [f"GRANT USAGE ON SCHEMA {_quote(self.schema)} TO {role};"]),
        ]


_FIND_GUARD: Final = f"""
SELECT me.rolname::text, asked.name, current_schema()::text,
them.oid IS NOT NULL, coalesce(pg_has_role(me.oid, them.oid, 'MEMBER'), false),
coalesce(has_schema_privilege(them.oid, current_schema(), 'USAGE'), false)
  OR has_schema_privilege('public', current_schema(), 'USAGE') OR pg_has_role(me.oid, nspowner, 'USAGE'),
me.rolsuper OR me.rolcreaterole
FROM (SELECT {NAME_ROLE} AS name) AS asked CROSS JOIN pg_roles AS me
JOIN pg_namespace ON nspname = current_schema()
LEFT JOIN pg_roles AS them ON them.rolname = asked.name
WHERE me.rolname = current_user
"""  # noqa: S608 - our own words
_FIND_MARKS: Final = f"""
SELECT relname, obj_description(pg_policy.oid, 'pg_policy') FROM pg_policy JOIN pg_class ON pg_class.oid = polrelid
WHERE polname = '{NAME}' AND relrowsecurity AND relnamespace = current_schema()::regnamespace
"""  # noqa: S608 - our own words


def find_guard(connection: Connection) -> Guard:
    """How far the second filter is set up in the database of this connection, which is the owner's."""
    owner, role, schema, is_there, is_given, is_open, may_make = connection.execute(_FIND_GUARD).fetchone()
    marks = dict(connection.execute(_FIND_MARKS).fetchall())
    is_current = is_there and marks == dict.fromkeys(POLICIES, _compute_mark(role))
    return Guard(owner, role, schema, is_there, is_given, is_open, is_current, may_make)


def set_guard(connection: Connection) -> Guard:
    """Set the second filter up as far as this connection may, and say how far that is. Tables of the node and of people
    must be there. Raises PostgresError, also where others keep a table for longer than a few seconds."""
    guard = find_guard(connection)
    if not guard.is_role_given and guard.may_make_roles:
        # Another node of this owner may have made it a moment ago.
        with suppress(PostgresError):
            _run(connection, guard.list_statements())
        guard = find_guard(connection)
    if guard.is_role_given and not guard.is_on:
        _run(connection, _list_grants(guard))
        guard = find_guard(connection)
    return guard


def drop_guard(connection: Connection) -> None:
    """Within a transaction: remove the policies, which would keep tables from being removed. Without one, the readers'
    role sees nothing of a table that had one."""
    query = (
        "SELECT tablename, policyname FROM pg_policies WHERE policyname IN (?, ?, ?) AND schemaname = current_schema()"
    )
    for table, name in connection.execute(query, (NAME, WRITES, CHANGED)).fetchall():
        connection.execute(f"DROP POLICY {name} ON {_quote(table)}")
    connection.execute(f"DROP VIEW IF EXISTS {ENTRIES}")


def _list_grants(guard: Guard) -> list[str]:
    role = _quote(guard.role)
    tables = ", ".join(_quote(name) for name in ("alembic_version", *metadata.tables) if name != "entry")
    plain = ", ".join(f"entry.{_quote(name)}" for name in _ENTRY if name != "content")
    statements = [
        f"GRANT USAGE ON SCHEMA {_quote(guard.schema)} TO {role}",
        f"GRANT SELECT ON {tables} TO {role}",
        f"REVOKE SELECT ON entry FROM {role}",  # noqa: S608 - our own words
        f"GRANT SELECT ({', '.join(_quote(name) for name in _ENTRY if name != 'content')}) ON entry TO {role}",
        f"DROP VIEW IF EXISTS {ENTRIES}",
        f"CREATE VIEW {ENTRIES} AS SELECT {plain}, CASE WHEN {CONTENTS} THEN entry.content END AS content FROM entry",  # noqa: S608
        f"GRANT SELECT ON {ENTRIES} TO {role}",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON {', '.join(map(_quote, people.tables))} TO {role}",
    ]
    for table, seen in POLICIES.items():
        name = _quote(table)
        statements += [
            *(f"DROP POLICY IF EXISTS {policy} ON {name}" for policy in (NAME, WRITES, CHANGED)),
            f"CREATE POLICY {NAME} ON {name} FOR SELECT TO {role} USING ({seen})",
            f"CREATE POLICY {WRITES} ON {name} FOR ALL TO {role} USING ({_IS_NODE})",
            f"COMMENT ON POLICY {NAME} ON {name} IS '{_compute_mark(guard.role)}'",
            f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY",
        ]
    for table, changed in CHANGES.items():
        said = f"FOR INSERT TO {role} WITH CHECK" if table in APPENDED else f"FOR ALL TO {role} USING"
        statements.append(f"CREATE POLICY {CHANGED} ON {_quote(table)} {said} ({changed})")
    return statements


def _run(connection: Connection, statements: Sequence[str]) -> None:
    """All or none of them."""
    connection.begin_write()
    try:
        connection.execute(f"SET LOCAL lock_timeout = '{_PATIENCE}'")
        connection.execute("SELECT pg_advisory_xact_lock(?)", (_LOCK,))
        for statement in statements:
            connection.execute(statement)
        connection.commit()
    except BaseException:
        with suppress(PostgresError):
            connection.rollback()
        raise


def _compute_mark(role: str) -> str:
    """Names what all the policies and grants say, so that those of another version are known."""
    said = (role, *metadata.tables, *people.tables, *POLICIES.items(), *CHANGES.items(), *sorted(APPENDED), CONTENTS)
    return sha256(repr(said).encode()).hexdigest()[:32]


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
