/** verifyBundle and the command line of verify.mjs on bundles of builder.mjs, genuine and altered. Clauses 4 and 5. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import { canonical, verifyBundle } from "../../src/carnet/proof/verify.mjs";
import { NOW, VIN, b64, build, cj, defaultEntries, ids, keys, u64, vkey } from "./builder.mjs";
import { ALTERED, entriesWith, inBundle } from "./cases.mjs";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const PROGRAM = join(ROOT, "src", "carnet", "proof", "verify.mjs");
const VECTORS = join(ROOT, "docs", "spec", "vectors");

/** The findings that are not ok, as `integrity: code`, with the state where it is not `failed`. */
function faultsOf({ findings }) {
  const faults = Object.entries(findings).filter(([, { state }]) => !["ok", "not_judged"].includes(state));
  return faults.map(([name, { state, code }]) => `${name}: ${state === "failed" ? "" : `${state} `}${code}`).join(", ");
}

const verify = (built, more = {}) => verifyBundle(built.bytes, { policy: built.policy, now: NOW, ...more });

// Genuine.

test("verify__genuine_bundle_and_its_report", async () => {
  const built = build();
  const report = await verify(built);
  assert.deepEqual([report.exit, report.asked, faultsOf(report)], [0, [], ""]);
  const { entries, ...summary } = report.report;
  assert.deepEqual({ ...summary, subject: { ...summary.subject } }, {
    as_of: NOW - 200_000, epoch: 0, forked_from: null, links: 7, log_key: vkey(built.origin, 1, keys.log.public),
    network: built.origin, passport: built.chain.toString("hex"), shown: 4, subject: VIN, withheld: 3,
  });
  assert.deepEqual(entries.map(({ seq, state, superseded_by: by }) => [seq, state, by]),
    [[0, "stands", null], [1, "stands", null], [2, "superseded", 4], [5, "stands", null]]);
  assert.deepEqual({ ...entries[2].fields }.odometer_km, 10_000);
  assert.ok(!("note" in entries[2].fields));
  assert.deepEqual([entries[3].by, entries[3].sealed_at, entries[3].submitted_at, entries[3].disputed],
    [{ id: ids.hosted.toString("hex"), kind: "garage", name: "hosted" }, NOW - 300_000, 1_600_000_000_005, false]);
  assert.equal(cj(report).toString(), canonical(report));
});

test("verify__fork_says_which_log_it_goes_on_from", async () => {
  const cited = { origin: `old.example/${"5a".repeat(32)}`, root: b64(Buffer.alloc(32, 9)), size: 12 };
  const { report, exit } = await verify(build({ genesis: (g) => { g.forked_from = cited; } }));
  assert.deepEqual([exit, { ...report.forked_from }], [0, cited]);
  const wrong = [null, {}, { ...cited, size: 0 }, { ...cited, more: 1 }, { ...cited, origin: "old.example" },
    { ...cited, origin: cited.origin.toUpperCase() }, { ...cited, root: b64(Buffer.alloc(31)) }];
  for (const forked of wrong) {
    const judged = await verify(build({ genesis: (g) => { g.forked_from = forked; } }));
    assert.equal(faultsOf(judged), "integrity: malformed", JSON.stringify(forked));
  }
  const unsaid = await verify(build({ genesis: (g) => { g.forked_from = cited; },
    bundle: (b) => { b.genesis = { ...b.genesis }; delete b.genesis.forked_from; } }));
  assert.equal(faultsOf(unsaid), "integrity: origin_mismatch");
});

test("verify__moved_passport_is_not_complete", async () => {
  const entries = defaultEntries();
  Object.assign(entries[6], { kind: "passport.moved/1", mark: 4, target: Buffer.concat([ids.peer, Buffer.alloc(16)]) });
  const report = await verify(build({ entries }), { complete: true });
  assert.deepEqual([report.exit, report.asked, faultsOf(report)], [12, ["not_complete"], "completeness: moved moved"]);
});

test("verify__correction_by_a_stranger_is_a_contest_unless_it_may_rectify", async () => {
  const entries = defaultEntries();
  const cases = [
    ["garage", "passport.corrected/1", 1, "superseded"], ["stranger", "passport.corrected/1", 1, "contested"],
    ["stranger", "passport.rectified/1", 1, "superseded"], ["stranger", "passport.contested/1", 2, "contested"],
    ["garage", "passport.contested/1", 2, "contested"],
  ];
  for (const [by, kind, mark, state] of cases) {
    Object.assign(entries[4], { by, kind, mark, show: "shown" });
    const members = (all) => { all[3].accreditations.unshift([kind, 1, 1]); };
    const { report } = await verify(build({ entries, members }));
    const [target] = report.entries.filter(({ seq }) => seq === 2);
    assert.equal(target.state, state, `${kind} by ${by}`);
    assert.deepEqual([target.superseded_by, target.contested_by], state === "superseded" ? [4, []] : [null, [4]]);
  }
});

test("verify__transfer_raises_the_epoch_and_a_dispute_is_told", async () => {
  const entries = defaultEntries();
  Object.assign(entries[3], { kind: "passport.transferred/1", mark: 3, fields: {}, withheld: [] });
  const members = (all) => { all[2].keys[0].disputed_since = 3; };
  const { report } = await verify(build({ entries, members }));
  assert.equal(report.epoch, 1);
  assert.deepEqual(report.entries.map(({ disputed }) => disputed), [true, true, true, false]);
});

test("verify__older_bundle_and_consistency", async () => {
  const [older, newer] = [build({ isOlder: true }), build({ withSince: true })];
  assert.equal((await verify(older)).exit, 0);
  const report = await verify(newer, { since: older.bytes, complete: true });
  assert.deepEqual([report.exit, report.asked, faultsOf(report)], [0, [], ""]);
});

/** Bytes of a vector: base64, or one character many times. */
function bytesOf(value) {
  return typeof value === "string" ? Buffer.from(value, "base64") : Buffer.alloc(value.count, value.character);
}

test("verify__golden_vectors", async (context) => {
  let count = 0;
  for (const name of readdirSync(VECTORS).filter((file) => /^bundle-.*\.json$/.test(file))) {
    const { bundle, policy, now, asked, report } = JSON.parse(readFileSync(join(VECTORS, name), "utf8"));
    const since = asked.since === null ? null : bytesOf(asked.since);
    const { complete, max_age: maxAge, subject, passport } = asked;
    const answer = await verifyBundle(bytesOf(bundle), { policy, now, complete, maxAge, since, subject, passport });
    assert.deepEqual(JSON.parse(canonical(answer)), report, name);
    count += 1;
  }
  assert.ok(count > 100);
  context.diagnostic(`golden vectors: ${count}`);
});

// What was asked (5.6.3, 5.8).

const otherChain = () => {
  const entries = defaultEntries();
  entries[0].fields = { other: 1 };
  return entries;
};

const QUESTIONS = [
  ["no_policy", {}, { policy: null }, 11, "authority: cannot_tell no_policy", []],
  ["other_network", {}, { policy: `log ${vkey("test.example/0", 1, keys.log.public)}\nquorum none\n` }, 11,
    "authority: cannot_tell other_network", []],
  ["quorum_unmet", {}, { policy: "peer" }, 11, "authority: cannot_tell quorum_unmet", []],
  ["max_age_met", {}, { maxAge: 200_000 }, 0, "", []],
  ["too_old", {}, { maxAge: 199_999 }, 12, "", ["too_old"]],
  ["subject_and_passport_met", {}, { subject: "plate:FR:AB-123-CD" }, 0, "", []],
  ["other_subject_and_passport", {}, { subject: "vin:X", passport: "00".repeat(16) }, 12, "", ["other_subject",
    "other_passport"]],
  ["time_in_future", {}, { now: NOW - 500_001 }, 10, "freshness: time_in_future", []],
  ["since_without_proof", {}, { since: { isOlder: true } }, 11, "completeness: cannot_tell no_consistency_proof", []],
  ["since_itself_newer", { isOlder: true }, { since: {} }, 10, "completeness: since_fork", []],
  ["since_other_chain", { withSince: true }, { since: { isOlder: true, entries: otherChain() } }, 12, "",
    ["since_other_chain"]],
  ["since_invalid", { withSince: true }, { since: { isOlder: true, bundle: (b) => { b.census.path = ""; } } }, 10,
    "completeness: since_invalid", []],
  ["since_unreadable", { withSince: true }, { since: { bundle: () => Buffer.from("{}") } }, 10,
    "completeness: since_invalid", []],
  ["since_fork", { withSince: true },
    { since: { isOlder: true, entries: defaultEntries().map((e, i) => (i === 2 ? { ...e, fields: { odometer_km: 1,
      note: null } } : e)) } },
    10, "completeness: since_fork", []],
];

for (const [name, options, asked, exit, faults, codes] of QUESTIONS) {
  test(`verify__asked_${name}`, async () => {
    const built = build(options);
    const more = { ...asked };
    if (more.since) more.since = build(more.since).bytes;
    if (more.policy === "peer") more.policy = built.policy.replace("quorum w",
      `witness v ${vkey("v", 4, keys.peer.public)}\ngroup g all w v\nquorum g`);
    const report = await verify(built, more);
    assert.deepEqual([report.exit, faultsOf(report), report.asked], [exit, faults, codes]);
  });
}

// Altered (5.3 to 5.6).

for (const [name, options, expected] of ALTERED) {
  test(`verify__refused_${name}`, async () => {
    const report = await verify(build(options));
    assert.equal(faultsOf(report), expected);
    assert.equal(report.exit, expected.includes("cannot_tell") ? 11 : 10);
    assert.equal(report.report === null, report.exit === 10 || expected.startsWith("integrity"));
  });
}

/** Bundles of up to 32 MiB that would overflow a stack, or take minutes, where a check is written carelessly. */
const HUGE = [
  ["kind_of_a_million_words", (b) => { b.links[2].fields.kind[1] = `a${".a".repeat(1_000_000)}`; },
    "integrity: fields_mismatch"],
  ["many_fields", (b) => { for (let i = 0; i < 300_000; i++) b.links[2].fields[`a${i}`] = b64(Buffer.alloc(32)); },
    "integrity: fields_mismatch"],
  ["many_note_lines", (b) => { b.checkpoint = b64(Buffer.from(`a\n\n${"b\n".repeat(10_000_000)}`)); },
    "integrity: note_malformed"],
  ["many_text_lines", (b) => {
    const note = Buffer.from(b.checkpoint, "base64").toString();
    b.checkpoint = b64(Buffer.from("\n".repeat(10_000_000) + note));
  }, "integrity: checkpoint_malformed"],
  ["long_name_in_note", (b) => { b.checkpoint = b64(Buffer.from(`a\n\n— ${"b".repeat(10_000_000)} AAAAAAA=\n`)); },
    "integrity: checkpoint_malformed"],
  ["many_links", (b) => {
    const strays = Array.from({ length: 100_000 }, (_, i) => b64(Buffer.alloc(64, u64(i))));
    b.links.splice(3, 0, ...strays);
  },
    "integrity: batch_path_mismatch"],
  ["long_path", (b) => { b.census.path = b64(Buffer.alloc(20_000_000)); }, "completeness: census_path_too_deep"],
];

for (const [name, change, expected] of HUGE) {
  test(`verify__refused_huge_${name}`, { timeout: 60_000 }, async () => {
    assert.equal(faultsOf(await verify(build(inBundle(change)))), expected);
  });
}

test("verify__refused_huge_kind_that_is_well_sealed", async () => {
  for (const [kind, expected] of [["a" + ".a".repeat(3_000_000), "integrity: field_malformed"],
    [`a${".a".repeat(3_000_000)}/1`, "integrity: rule_missing"]]) {
    assert.equal(faultsOf(await verify(build({ entries: entriesWith(2, { kind }) }))), expected);
  }
});

test("verify__no_flipped_bit_of_a_bundle_verifies", async () => {
  const { bytes, policy } = build({ note: (n) => { n.lines.pop(); } });
  const cache = new Map();
  const exits = new Map();
  for (let at = 0; at < bytes.length; at += 5) {
    const altered = Uint8Array.from(bytes);
    altered[at] ^= 1 << (at % 7);
    const { exit } = await verifyBundle(altered, { policy, now: NOW, cache });
    assert.notEqual(exit, 0, `byte ${at}`);
    exits.set(exit, (exits.get(exit) ?? 0) + 1);
  }
  assert.ok(exits.get(10) > 1000);
});

// Command line (5.11).

const run = (words, input = "") => spawnSync(process.execPath, [PROGRAM, ...words], { input, encoding: "utf8",
  maxBuffer: 1 << 28 });

test("command__exit_codes_and_report", async (context) => {
  const folder = mkdtempSync(join(tmpdir(), "carnet-"));
  context.after(() => rmSync(folder, { recursive: true }));
  const [older, newer, bad] = [build({ isOlder: true }), build({ withSince: true }),
    build({ census: (c) => { c.covers = 3; } })];
  const file = (name, content) => { writeFileSync(join(folder, name), content); return join(folder, name); };
  const [bundle, policy] = [file("a.carnet", newer.bytes), file("policy", newer.policy)];
  const at = ["--at", `${NOW}`];
  const genuine = run([bundle, policy, ...at, "--complete", "--max-age", "1h", "--since", file("old", older.bytes),
    "--subject", VIN.value]);
  assert.deepEqual([genuine.status, genuine.stderr], [0, ""]);
  assert.equal(genuine.stdout, `${canonical(await verify(newer))}\n`);
  const statusOf = (...words) => run(words).status;
  assert.equal(statusOf(file("bad", bad.bytes), policy, ...at), 10);
  assert.equal(statusOf(bundle, ...at), 11);
  assert.equal(statusOf(bundle, "--policy", policy, ...at, "--max-age", "10s"), 12);
  assert.equal(statusOf(bundle, policy, ...at, "--passport", "0".repeat(32), "--json"), 12);
  assert.equal(statusOf(join(folder, "absent"), policy), 1);
  assert.equal(statusOf(bundle, bundle), 1);
  for (const words of [[], [bundle, policy, policy], [bundle, "--what"], [bundle, "--at"], [bundle, "--max-age", "1w"],
    [bundle, "--passport", "x"]]) {
    const refused = run(words);
    assert.deepEqual([refused.status, refused.stdout], [2, ""], words.join(" "));
    assert.match(refused.stderr, /usage/);
  }
});

test("command__batches_answer_one_line_for_each_line", async () => {
  const [newer, older] = [build({ withSince: true }), build({ isOlder: true })];
  const line = { bundle: b64(newer.bytes), policy: newer.policy, now: NOW, complete: true, max_age: null,
    since: b64(older.bytes), subject: null, passport: null };
  const answers = run(["--batch"], [line, { ...line, policy: null }, { ...line,
    policy: "x" }].map((l) => `${JSON.stringify(l)}\n`).join("")).stdout.split("\n");
  assert.equal(answers[0], canonical(await verify(newer, { since: older.bytes, complete: true })));
  assert.equal(JSON.parse(answers[1]).exit, 11);
  assert.ok(JSON.parse(answers[2]).error);
  const message = Buffer.from("message");
  const signature = keys.home.sign(message).toString("hex");
  const signed = [message, Buffer.from("x")].map((m) => JSON.stringify({ key: keys.home.public.toString("hex"),
    message: m.toString("hex"), signature }));
  assert.equal(run(["--ed25519"], `${signed.join("\n")}\n`).stdout, "true\nfalse\n");
  const texts = ["{}", "{ }"].map((text) => JSON.stringify({ bytes: b64(Buffer.from(text)) }));
  assert.equal(run(["--canonical"], texts.join("\n")).stdout, "ok\nrefused\n");
});
