/** verifyBundle and the command line of verify.mjs on bundles of builder.mjs, genuine and altered. Clauses 4 and 5. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import { canonical, verifyBundle } from "../../src/carnet/proof/verify.mjs";
import { H, NOW, PLATE, T, VIN, b64, build, cj, defaultEntries, ids, keys, u64, u8, vkey } from "./builder.mjs";

const PROGRAM = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "src", "carnet", "proof", "verify.mjs");

/** The findings that are not ok, as `integrity: code`, with the state where it is not `failed`. */
function faultsOf({ findings }) {
  return Object.entries(findings).filter(([, { state }]) => !["ok", "not_judged"].includes(state))
    .map(([name, { state, code }]) => (state === "failed" ? `${name}: ${code}` : `${name}: ${state} ${code}`)).join(", ");
}

const verify = (built, more = {}) => verifyBundle(built.bytes, { policy: built.policy, now: NOW, ...more });

// Genuine.

test("verify__genuine_bundle_and_its_report", async () => {
  const built = build();
  const report = await verify(built);
  assert.deepEqual([report.exit, report.asked, faultsOf(report)], [0, [], ""]);
  const { entries, ...summary } = report.report;
  assert.deepEqual({ ...summary, subject: { ...summary.subject } }, {
    as_of: NOW - 200_000, epoch: 0, links: 7, log_key: vkey(built.origin, 1, keys.log.public), network: built.origin,
    passport: built.chain.toString("hex"), shown: 4, subject: VIN, withheld: 3,
  });
  assert.deepEqual(entries.map(({ seq, state, superseded_by: by }) => [seq, state, by]),
    [[0, "stands", null], [1, "stands", null], [2, "superseded", 4], [5, "stands", null]]);
  assert.deepEqual({ ...entries[2].fields }.odometer_km, 10_000);
  assert.ok(!("note" in entries[2].fields));
  assert.deepEqual([entries[3].by, entries[3].sealed_at, entries[3].submitted_at, entries[3].disputed],
    [{ id: ids.hosted.toString("hex"), kind: "garage", name: "hosted" }, NOW - 300_000, 1_600_000_000_005, false]);
  assert.equal(cj(report).toString(), canonical(report));
});

test("verify__moved_passport_is_not_complete", async () => {
  const entries = defaultEntries();
  Object.assign(entries[6], { kind: "passport.moved/1", mark: 4, target: Buffer.concat([ids.peer, Buffer.alloc(16)]) });
  const report = await verify(build({ entries }), { complete: true });
  assert.deepEqual([report.exit, report.asked, faultsOf(report)], [12, ["not_complete"], "completeness: moved moved"]);
});

test("verify__correction_by_a_stranger_is_a_contest", async () => {
  const entries = defaultEntries();
  entries[4].by = "stranger";
  const members = (all) => { all[3].accreditations.unshift(["passport.contested/1", 1, 1]); };
  // A correction needs accreditation to be written at all; a contest needs its own kind.
  assert.equal(faultsOf(await verify(build({ entries }))), "");
  Object.assign(entries[4], { kind: "passport.contested/1", mark: 2 });
  const { report } = await verify(build({ entries, members }));
  assert.deepEqual(report.entries.map(({ state, contested_by: by }) => [state, by]),
    [["stands", []], ["stands", []], ["contested", [4]], ["stands", []]]);
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

const entriesWith = (seq, change) => {
  const entries = defaultEntries();
  Object.assign(entries[seq], change);
  return entries;
};
const inBundle = (change) => ({ bundle: change });
const onStatement = (seq, change) => ({ statement: (s) => { if (s.seq === seq) Object.assign(s, change); } });
const aliased = (alias) => ({ entries: entriesWith(1, { fields: { alias } }) });
const flip = (text) => {
  const bytes = Buffer.from(text, "base64");
  bytes[bytes.length - 1] ^= 1;
  return b64(bytes);
};
const reenrol = (leaf, key, role, custody, net, member = leaf.name) => {
  const sig = b64(key.sign(T("enrol"), net, ids[member], u8(role), u8(custody)));
  leaf.keys.push({ alg: 1, custody, disputed_since: null, key: b64(key.public), revoked: null, role, sig });
};
const record = (bundle, index) => bundle.records.find((logged) => logged.index === index);
const leafNamed = (bundle, name) => bundle.members[0].leaves.findIndex(({ leaf }) => leaf.name === name);

/** [name, options of build, the finding that fails]; everything after the altered thing is hashed and signed anew. */
const ALTERED = [
  // 5.3
  ["space", inBundle((b) => Buffer.concat([cj(b), Buffer.from("\n")])), "integrity: not_canonical"],
  ["too_large", inBundle(() => Buffer.alloc(33_554_433, 0x5b)), "integrity: too_large"],
  ["version", inBundle((b) => { b.carnet = "proof/2"; b.more = 1; }), "integrity: cannot_tell unknown_version"],
  ["no_version", inBundle((b) => { b.carnet = "poof/1"; }), "integrity: malformed"],
  ["scalar", inBundle(() => Buffer.from('"proof/2"')), "integrity: malformed"],
  ["unknown_member", inBundle((b) => { b.constructor_ = 1; delete b.since; }), "integrity: malformed"],
  ["extra_member", inBundle((b) => { b.links[1].more = null; }), "integrity: malformed"],
  ["missing_member", inBundle((b) => { delete b.census.path; }), "integrity: malformed"],
  ["base64_not_canonical", inBundle((b) => { b.genesis.nonce = b.genesis.nonce.replace(/.=$/, "9="); }),
    "integrity: malformed"],
  ["path_of_31_bytes", inBundle((b) => { b.census.path = b64(Buffer.alloc(31)); }), "integrity: malformed"],
  ["path_of_65_hashes", inBundle((b) => { b.records[0].path = b64(Buffer.alloc(65 * 32)); }), "integrity: malformed"],
  ["records_out_of_order", inBundle((b) => { b.records.reverse(); }), "integrity: malformed"],
  ["empty_group", inBundle((b) => { b.members[0].leaves = []; }), "integrity: malformed"],
  ["no_fields", inBundle((b) => { b.links[2].fields = {}; }), "integrity: malformed"],
  ["no_links", inBundle((b) => { b.links = []; }), "integrity: malformed"],
  ["tip_not_last", inBundle((b) => { b.links.push(b.links[3]); }), "integrity: malformed"],
  ["hidden_mark_of_5", inBundle((b) => { b.links[3] = b64(Buffer.alloc(97, 5)); }), "integrity: malformed"],
  ["accreditation_twice", { members: (all) => { all[2].accreditations.unshift(all[2].accreditations[0]); } },
    "integrity: malformed"],
  ["record_of_another_type", inBundle((b) => { b.records[0].record.type = "rules"; }), "integrity: malformed"],
  ["fraction_of_u64", inBundle((b) => { b.census.record = -1; }), "integrity: malformed"],
  ["batch_count_0", { batch: (h) => { h.count = 0; } }, "integrity: malformed"],
  ["u64_above_2_53", { batch: (h) => { h.expires = 2n ** 53n; } }, "integrity: malformed"],
  // 5.4.1, 5.4.2
  ["note_without_signatures", { note: (n) => { n.lines = []; } }, "integrity: note_malformed"],
  ["extension_line", { note: (n) => { n.text += "extension\n"; } }, "integrity: checkpoint_malformed"],
  ["size_with_zero", { note: (n) => { n.text = n.text.replace("\n8\n", "\n08\n"); } },
    "integrity: checkpoint_malformed"],
  ["another_origin", { note: (n) => { n.text = n.text.replace("test", "best"); } }, "integrity: origin_mismatch"],
  ["genesis_nonce", inBundle((b) => { b.genesis.nonce = flip(b.genesis.nonce); }), "integrity: origin_mismatch"],
  ["log_line_dropped", { note: (n) => { n.lines.shift(); } }, "integrity: log_signature_missing"],
  ["log_signature", { note: (n) => { n.lines[0][1][40] ^= 1; } }, "integrity: log_signature_invalid"],
  ["log_signature_second_line", { note: (n) => { n.lines.push([n.lines[0][0], Buffer.from(n.lines[0][1])]);
    n.lines[3][1][40] ^= 1; } },
    "integrity: log_signature_invalid"],
  ["cosignature_time", { note: (n) => { n.lines[1][1][11] ^= 1; } }, "integrity: cosignature_invalid"],
  ["cosignature_short", { note: (n) => { n.lines[1][1] = n.lines[1][1].subarray(0, 60); } },
    "integrity: cosignature_invalid"],
  ["cosignature_dropped", { note: (n) => { n.lines.splice(1, 1); } }, "authority: cannot_tell quorum_unmet"],
  // 5.4.3 to 5.4.5
  ["index_beyond_size", inBundle((b) => { b.records.at(-1).index = 8; b.census.record = 8; }),
    "integrity: index_beyond_count"],
  ["record_path", inBundle((b) => { b.records[0].path = flip(b.records[0].path); }), "integrity: record_path_mismatch"],
  ["record_content", inBundle((b) => { b.records[0].record.at += 1; }), "integrity: record_path_mismatch"],
  ["time_goes_back", { censusRecord: (r) => { r.at = NOW - 600_000; } }, "integrity: record_time_goes_back"],
  ["height_goes_back", { censusRecord: (r) => { r.height = 1; } }, "integrity: record_height_goes_back"],
  ["reference_to_itself", { censusRecord: (r, m, n) => { if (n === 7) r.members.index = 6; } },
    "integrity: reference_not_earlier"],
  ["batch_other_network", { batch: (h) => { h.net = Buffer.alloc(32); } }, "integrity: batch_other_network"],
  ["batch_other_rules", { batch: (h) => { h.rules = 0; } }, "integrity: rules_conflict"],
  ["batch_expired", { batch: (h) => { h.expires = 5; } }, "integrity: batch_expired"],
  ["census_covers_itself", { census: (c, n) => { if (n === 7) c.covers = 7; } }, "integrity: census_covers_itself"],
  ["members_conflict", { censusRecord: (r) => { r.members.count += 1; } }, "integrity: members_conflict"],
  ["member_swapped", inBundle((b) => { b.members[0].leaves[0].leaf.kind = "garage"; }),
    "integrity: member_path_mismatch"],
  ["member_index", inBundle((b) => { b.members[0].leaves.at(-1).index = 9; }), "integrity: index_beyond_count"],
  ["member_twice", { members: (all) => { all[3].id = all[2].id; } }, "integrity: member_twice"],
  ["surplus_group", inBundle((b) => { b.members.push({ ...b.members[0], index: 3 }); }), "integrity: surplus_member"],
  ["rule_swapped", inBundle((b) => { b.rules[0].lines.find(({ line }) => line.line === "class").line.endorsements = 0;
    }),
    "integrity: rule_path_mismatch"],
  ["rule_twice", { rules: (all) => { all.push({ class: 1, endorsements: 0, line: "class" }); } },
    "integrity: rule_twice"],
  // 5.4.6 to 5.4.9
  ["opening_hidden", { entries: entriesWith(0, { show: "hidden" }) }, "integrity: opening_not_shown"],
  ["tip_without_place", inBundle((b) => { b.links[6] = b.links[6].link; }), "integrity: tip_not_placed"],
  ["placed_in_census", inBundle((b) => { b.links[1].placement.record = 6; }), "integrity: placement_not_seal"],
  ["census_is_seal", inBundle((b) => { b.census.record = 5; }), "integrity: placement_not_census"],
  ["batch_index", inBundle((b) => { b.links[1].placement.index = 4; }), "integrity: index_beyond_count"],
  ["statement_other_network", onStatement(5, { net: Buffer.alloc(32) }), "integrity: statement_other_network"],
  ["statement_other_passport", onStatement(5, { chain: Buffer.alloc(16, 1) }), "integrity: statement_other_passport"],
  ["statement_class", onStatement(5, { class: 2 }), "integrity: wrong_class"],
  ["value", inBundle((b) => { b.links[2].fields.odometer_km[1] -= 5000; }), "integrity: fields_mismatch"],
  ["salt_of_another_field", inBundle((b) => { b.links[2].fields.odometer_km[0] = b.links[2].fields.kind[0]; }),
    "integrity: fields_mismatch"],
  ["field_dropped", inBundle((b) => { delete b.links[2].fields.note; }), "integrity: fields_mismatch"],
  ["kind_withheld", { entries: entriesWith(2, { withheld: ["kind"] }) }, "integrity: required_field_withheld"],
  ["precision", { entries: entriesWith(2, { occurred: { at: null, precision: "hour", zone: null } }) },
    "integrity: field_malformed"],
  ...["vehicle/1", "vehicle.odometer/0", "vehicle.odometer/10000", "vehicle..odometer/1", "vehicle.1/1", ".odometer/1",
    "Vehicle.odometer/1", "vehicle.odometer/1/1", "vehicle.odo-meter/1", "vehicle.odometer/", "/1", 1]
    .map((kind) => [`kind_${kind}`, { entries: entriesWith(2, { kind }) }, "integrity: field_malformed"]),
  ["kind_without_version", { entries: entriesWith(2, { kind: "vehicle.odometer" }) }, "integrity: field_malformed"],
  ["submission_index", inBundle((b) => { b.links[2].submission.index = 2; }), "integrity: index_beyond_count"],
  ["submission_path", inBundle((b) => { b.links[2].submission.path = ""; }), "integrity: submission_path_mismatch"],
  // 5.4.10 to 5.4.14
  ["linked_twice", inBundle((b) => { b.links.splice(3, 0, b.links[3]); }), "integrity: statement_linked_twice"],
  ["mark_5", onStatement(5, { mark: 5 }), "integrity: mark_unknown"],
  ["mark_on_opening", onStatement(0, { mark: 3 }), "integrity: mark_on_opening"],
  ["target_without_mark", onStatement(5, { target: Buffer.alloc(32, 1) }), "integrity: target_malformed"],
  ["target_opening", { entries: entriesWith(4, { target: 0 }) }, "integrity: target_is_opening"],
  ["target_later", { entries: entriesWith(4, { target: Buffer.alloc(32, 1) }) }, "integrity: target_unknown"],
  ["middle_link_left_out", inBundle((b) => { b.links.splice(3, 1); }), "integrity: batch_path_mismatch"],
  ["hidden_link_swapped", inBundle((b) => { b.links[3] = b64(Buffer.alloc(64, 9)); }),
    "integrity: batch_path_mismatch"],
  ["submission_time", inBundle((b) => { b.links[2].submission.at += 1; }), "integrity: batch_path_mismatch"],
  ["seal_order", { entries: defaultEntries().map((e, i) => ({ ...e, seal: i === 2 ? 1 : i === 5 ? 0 : e.seal })) },
    "integrity: seal_order"],
  ["correction_withheld", { entries: entriesWith(4, { show: "hidden" }) }, "integrity: correction_withheld"],
  ["since_proof", { withSince: true, bundle: (b) => { b.since.path = flip(b.since.path); } },
    "integrity: consistency_mismatch"],
  ["since_larger", { withSince: true, bundle: (b) => { b.since.size = 9; } }, "integrity: consistency_mismatch"],
  ["surplus_record", inBundle((b) => { b.links[1].placement.record = 5; }), "integrity: batch_path_mismatch"],
  ["surplus_entry", { entries: entriesWith(5, { show: "judged" }) }, "integrity: surplus_entry"],
  ["member_missing", inBundle((b) => { b.members[0].leaves.splice(leafNamed(b, "hosted"), 1); }),
    "integrity: member_missing"],
  ["rule_missing", inBundle((b) => { b.rules[0].lines.pop(); }), "integrity: rule_missing"],
  // 5.5
  ["key_unknown", onStatement(5, { key: keys.garage.digest }), "authority: unknown_key"],
  ["algorithm", { members: (all) => { all[2].keys[0].alg = 2; },
    statement: (s) => { if (s.member.equals(ids.garage)) s.key = H(T("key"), u8(2), keys.garage.public); } },
    "authority: cannot_tell unknown_algorithm"],
  ["role", { members: (all, net) => { all[2].keys = []; reenrol(all[2], keys.garage, 2, 1, net); } },
    "authority: wrong_role"],
  ["another_s_key_enrolled", { members: (all, net) => { all[2].keys = []; reenrol(all[2], keys.garage, 1, 1, net,
    "stranger"); } },
    "authority: enrolment_invalid"],
  ["key_of_two_members", { members: (all, net) => { reenrol(all[4], keys.garage, 2, 1, net); } },
    "authority: key_listed_twice"],
  ["retired", { members: (all) => { all[2].retired = 3; } }, "authority: member_retired"],
  ["revoked", { members: (all) => { all[4].keys[0].revoked = 5; } }, "authority: key_revoked"],
  ["node_revoked", { members: (all) => { all[1].keys[0].revoked = 6; } }, "authority: key_revoked"],
  ["batch_signature", { batch: (h) => { h.signer = keys.peer; } }, "authority: batch_signature_invalid"],
  ["endorsed_by_home", { seal: (r) => { r.endorsements[0] = { ...r.endorsements[0], member: b64(ids.home) }; } },
    "authority: endorsement_by_home"],
  ["endorsement", { seal: (r) => { r.endorsements[0].sig = flip(r.endorsements[0].sig); } },
    "authority: endorsement_invalid"],
  ["not_endorsed", { seal: (r) => { r.endorsements = []; } }, "authority: not_enough_endorsements"],
  ["basis_0", onStatement(5, { basis: 0 }), "authority: basis_unknown"],
  ["basis_1_with_the_node_s_key", onStatement(5, { basis: 1 }), "authority: wrong_custody"],
  ["basis_4", onStatement(5, { basis: 4 }), "authority: wrong_role"],
  ["author_signature", { submission: (s) => { if (s.seq === 2) s.signer = keys.stranger; } },
    "authority: author_signature_invalid"],
  ["other_home", { batch: (h) => { if (h.number === 1) Object.assign(h, { home: ids.peer, key: keys.peer.digest,
    signer: keys.peer }); },
    seal: (r, bh, number) => { if (number === 1) Object.assign(r.endorsements[0], { key: b64(keys.home.digest),
      member: b64(ids.home),
      sig: b64(keys.home.sign(T("endorse"), H(bh))) }); } }, "authority: wrong_home"],
  ["not_accredited", { members: (all) => { all[4].accreditations.pop(); } }, "authority: not_accredited"],
  ["accredited_to_report_only", { members: (all) => { all[2].accreditations.forEach((a) => { a[1] = 3; }); } },
    "authority: not_accredited"],
  ["kind_of_journals", { rules: (all) => { all.find(({ kind }) => kind === "vehicle.odometer/1").chain = "journal";
    } }, "authority: wrong_chain"],
  ["kind_of_another_class", { rules: (all) => { all.find(({ kind }) => kind === "vehicle.odometer/1").class = 2; } },
    "authority: wrong_class"],
  ["transfer_without_mark", { entries: entriesWith(2, { kind: "passport.transferred/1" }) }, "authority: wrong_mark"],
  ["opened_twice", { entries: entriesWith(2, { kind: "passport.opened/1" }) }, "authority: wrong_opening"],
  ["plate_as_subject", { entries: entriesWith(0, { subject: PLATE }) }, "authority: subject_is_plate"],
  ["subject", { entries: entriesWith(2, { subject: { scheme: "vin", value: "X" } }) }, "authority: subject_mismatch"],
  ["alias_withheld", { entries: entriesWith(1, { withheld: ["alias"] }) }, "authority: subject_mismatch"],
  ["alias_interval", aliased({ from: "2020-01-01", subject: PLATE, until: "2021-06-01" }),
    "authority: alias_outside_interval"],
  ["alias_not_begun", aliased({ from: "2021-06-02", subject: PLATE, until: null }),
    "authority: alias_outside_interval"],
  ["alias_date", aliased({ from: "2020-1-1", subject: PLATE, until: null }), "authority: alias_malformed"],
  ["alias_more", aliased({ from: "2020-01-01", more: 1, subject: PLATE, until: null }), "authority: alias_malformed"],
  ["alias_reported", { entries: entriesWith(1, { basis: 3 }),
    members: (all) => { all[2].accreditations.push(["vehicle.odometer/2", 3, 1]);
    all[2].accreditations.splice(7, 0, ["vehicle.identity/1", 3, 1]); } }, "authority: alias_unaccredited"],
  ["alias_superseded", { entries: entriesWith(4, { target: 1 }) }, "authority: alias_superseded"],
  ["census_of_another_home", { census: (c, n) => { if (n === 7) c.home = b64(ids.peer); } },
    "authority: census_wrong_home"],
  ["census_signature", { censusRecord: (r) => { r.sig = flip(r.sig); } }, "authority: census_signature_invalid"],
  ["census_key", { censusRecord: (r) => { r.key = b64(keys.peer.digest); } }, "authority: unknown_key"],
  ["census_not_endorsed", { censusRecord: (r) => { r.endorsements = []; } }, "authority: not_enough_endorsements"],
  // 5.6
  ["census_path_too_deep", inBundle((b) => { b.census.path = b64(Buffer.alloc(257 * 32, 1)); }),
    "completeness: census_path_too_deep"],
  ["census_path_empty", inBundle((b) => { b.census.path += b64(Buffer.alloc(96)); }),
    "completeness: census_path_empty_sibling"],
  ["tail_cut", inBundle((b) => { b.links.pop(); }), "completeness: census_path_mismatch"],
  ["older_head_in_census", { heads: (all) => { all[0].leaf = Buffer.alloc(70); } },
    "completeness: census_path_mismatch"],
  ["tip_not_covered", { census: (c, n) => { if (n === 7) c.covers = 5; } }, "completeness: tip_not_covered"],
  // 5.8
  ["cosigned_before_the_census", { note: (n) => { n.lines[1][1].set(u64(1), 4);
    n.lines[1][1].set(keys.witness.sign(`cosignature/v1\ntime 1\n${n.text}`), 12); } },
      "freshness: census_after_cosignature"],
];

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
