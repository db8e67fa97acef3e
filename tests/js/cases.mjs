/**
 * Altered bundles and the finding that each must fail with, in the order of chapter 5.
 *
 * The alteration happens inside builder.mjs, before hashing and signing: everything else of the bundle stays
 * consistent, so that only the named check can notice.
 */
import { H, NOW, PLATE, T, b64, cj, defaultEntries, ids, joint, keys, pathText, u64, u8 } from "./builder.mjs";

export const entriesWith = (seq, change) => {
  const entries = defaultEntries();
  Object.assign(entries[seq], change);
  return entries;
};
export const inBundle = (change) => ({ bundle: change });
const onStatement = (seq, change) => ({ statement: (s) => { if (s.seq === seq) Object.assign(s, change); } });
const aliased = (alias) => ({ entries: entriesWith(1, { fields: { alias } }) });
const flip = (text) => {
  const bytes = Buffer.from(text, "base64");
  bytes[bytes.length - 1] ^= 1;
  return b64(bytes);
};
const longer = (text) => b64(Buffer.concat([Buffer.from(text, "base64"), Buffer.alloc(32)]));
const rejoin = (part, parts, leaves) => { part.path = pathText(joint(parts.map(({ index }) => index), leaves)); };
const reenrol = (leaf, key, role, custody, net, member = leaf.name) => {
  const sig = b64(key.sign(T("enrol"), net, ids[member], u8(role), u8(custody)));
  leaf.keys.push({ alg: 1, custody, disputed_since: null, key: b64(key.public), revoked: null, role, sig });
};
const leafNamed = (bundle, name) => bundle.members[0].leaves.findIndex(({ leaf }) => leaf.name === name);

/** [name, options of build, the finding that fails]; everything after the altered thing is hashed and signed anew. */
export const ALTERED = [
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
  ["path_of_65_hashes", inBundle((b) => { b.records.path = b64(Buffer.alloc(65 * 32)); }),
    "integrity: record_path_mismatch"],
  ["records_out_of_order", inBundle((b) => { b.records.logged.reverse(); }), "integrity: malformed"],
  ["no_records", inBundle((b) => { b.records.logged = []; }), "integrity: malformed"],
  ["batch_path_missing", inBundle((b) => { b.batches.pop(); }), "integrity: malformed"],
  ["submission_unused", inBundle((b) => { b.submissions.push(b.submissions[0]); }), "integrity: malformed"],
  ["submission_out_of_order", inBundle((b) => { b.links[0].submission.number = 1; }), "integrity: malformed"],
  ["submission_missing", inBundle((b) => { b.submissions.pop(); }), "integrity: malformed"],
  ["empty_group", inBundle((b) => { b.members[0].leaves = []; }), "integrity: malformed"],
  ["no_fields", inBundle((b) => { b.links[2].fields = {}; }), "integrity: malformed"],
  ["no_links", inBundle((b) => { b.links = []; }), "integrity: malformed"],
  ["tip_beside_entry", { entries: entriesWith(6, { show: "shown" }), bundle: (b) => { b.tip = b.links[6].placement; } },
    "integrity: malformed"],
  ["hidden_mark_of_5", inBundle((b) => { b.links[3] = b64(Buffer.alloc(97, 5)); }), "integrity: malformed"],
  ["accreditation_twice", { members: (all) => { all[2].accreditations.unshift(all[2].accreditations[0]); } },
    "integrity: malformed"],
  ["record_of_another_type", inBundle((b) => { b.records.logged[0].record.type = "rules"; }), "integrity: malformed"],
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
  ["index_beyond_size", inBundle((b) => { b.records.logged.at(-1).index = 8; b.census.record = 8; }),
    "integrity: index_beyond_count"],
  ["record_path", inBundle((b) => { b.records.path = flip(b.records.path); }), "integrity: record_path_mismatch"],
  ["record_content", inBundle((b) => { b.records.logged[0].record.at += 1; }), "integrity: record_path_mismatch"],
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
  ["tip_without_place", inBundle((b) => { b.tip = null; }), "integrity: tip_not_placed"],
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
  ...[{ scheme: "plate", value: "AB-123-CD" }, { country: "FR", scheme: "vin", value: "X" }, { scheme: "vin" },
    "vin:X", null, { scheme: "vin", value: 1 }, { more: "", scheme: "vin", value: "X" }]
    .map((subject) => [`subject_${JSON.stringify(subject)}`, { entries: entriesWith(2, { subject }) },
      "integrity: field_malformed"]),
  ["submission_index", inBundle((b) => { b.links[2].submission.index = 2; }), "integrity: index_beyond_count"],
  ["submission_path", inBundle((b) => { b.submissions[2].path = ""; }), "integrity: submission_path_mismatch"],
  ["submission_of_two_keys", inBundle((b) => { b.links[5].submission.number = 3; b.submissions.pop(); }),
    "integrity: submission_of_two_keys"],
  // 5.4.10 to 5.4.14
  ["linked_twice", inBundle((b) => { b.links.splice(3, 0, b.links[3]); }), "integrity: statement_linked_twice"],
  ["mark_5", onStatement(5, { mark: 5 }), "integrity: mark_unknown"],
  ["mark_on_opening", onStatement(0, { mark: 3 }), "integrity: mark_on_opening"],
  ["target_without_mark", onStatement(5, { target: Buffer.alloc(32, 1) }), "integrity: target_malformed"],
  ["target_opening", { entries: entriesWith(4, { target: 0 }) }, "integrity: target_is_opening"],
  ["target_later", { entries: entriesWith(4, { target: Buffer.alloc(32, 1) }) }, "integrity: target_unknown"],
  ["middle_link_left_out", inBundle((b) => { b.links.splice(3, 1); }), "integrity: batch_path_mismatch"],
  ["batch_path", inBundle((b) => { b.batches[1] = flip(b.batches[1]); }), "integrity: batch_path_mismatch"],
  ["batch_path_too_long", inBundle((b) => { b.batches[0] = longer(b.batches[0]); }), "integrity: batch_path_mismatch"],
  ["place_of_another_link", inBundle((b) => { b.links[1].placement.index = 0; }), "integrity: batch_path_mismatch"],
  ["hidden_link_swapped", inBundle((b) => { b.links[3] = b64(Buffer.alloc(64, 9)); }),
    "integrity: batch_path_mismatch"],
  ["submission_time", inBundle((b) => { b.submissions[2].at += 1; }), "integrity: batch_path_mismatch"],
  ["seal_order", { entries: defaultEntries().map((e, i) => ({ ...e, seal: i === 2 ? 1 : i === 5 ? 0 : e.seal })) },
    "integrity: seal_order"],
  ["correction_withheld", { entries: entriesWith(4, { show: "hidden" }) }, "integrity: correction_withheld"],
  ["since_proof", { withSince: true, bundle: (b) => { b.since.path = flip(b.since.path); } },
    "integrity: consistency_mismatch"],
  ["since_larger", { withSince: true, bundle: (b) => { b.since.size = 9; } }, "integrity: consistency_mismatch"],
  ["surplus_record", inBundle((b) => { b.links[1].placement.record = 5; }), "integrity: batch_path_mismatch"],
  ["surplus_entry", { entries: entriesWith(5, { show: "judged" }) }, "integrity: surplus_entry"],
  ["member_missing", inBundle((b, { memberLeaves }) => { b.members[0].leaves.splice(leafNamed(b, "hosted"), 1);
    rejoin(b.members[0], b.members[0].leaves, memberLeaves); }), "integrity: member_missing"],
  ["rule_missing", inBundle((b, { ruleLeaves }) => { b.rules[0].lines.pop();
    rejoin(b.rules[0], b.rules[0].lines, ruleLeaves); }), "integrity: rule_missing"],
  ["member_path", inBundle((b) => { b.members[0].path = longer(b.members[0].path); }),
    "integrity: member_path_mismatch"],
  ["rule_path", inBundle((b) => { b.rules[0].path = flip(b.rules[0].path); }), "integrity: rule_path_mismatch"],
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
    all[2].accreditations.splice(8, 0, ["vehicle.identity/1", 3, 1]); } }, "authority: alias_unaccredited"],
  ["alias_superseded", { entries: entriesWith(4, { target: 1 }) }, "authority: alias_superseded"],
  ["census_of_another_home", { census: (c, n) => { if (n === 7) c.home = b64(ids.peer); } },
    "authority: census_wrong_home"],
  ["census_signature", { censusRecord: (r) => { r.sig = flip(r.sig); } }, "authority: census_signature_invalid"],
  ["census_key", { censusRecord: (r) => { r.key = b64(keys.peer.digest); } }, "authority: unknown_key"],
  ["census_not_endorsed", { censusRecord: (r) => { r.endorsements = []; } }, "authority: not_enough_endorsements"],
  // 5.6
  ["census_path_too_deep", inBundle((b) => { b.census.path = b64(Buffer.alloc(257 * 32, 1)); }),
    "completeness: census_path_too_deep"],
  ["census_path_empty", inBundle((b) => { b.census.path = b64(Buffer.alloc(96)); }),
    "completeness: census_path_empty_sibling"],
  ["tail_cut", inBundle((b, { seals }) => { b.links.pop(); b.tip = null;
    const placed = b.links.filter(({ placement }) => placement?.record === seals[1].index);
    b.batches[1] = pathText(joint(placed.map(({ placement: { index } }) => index), seals[1].leaves)); }),
    "completeness: census_path_mismatch"],
  ["older_head_in_census", { heads: (all) => { all[0].leaf = Buffer.alloc(70); } },
    "completeness: census_path_mismatch"],
  ["tip_not_covered", { census: (c, n) => { if (n === 7) c.covers = 5; } }, "completeness: tip_not_covered"],
  // 5.8
  ["cosigned_before_the_census", { note: (n) => { n.lines[1][1].set(u64(1), 4);
    n.lines[1][1].set(keys.witness.sign(`cosignature/v1\ntime 1\n${n.text}`), 12); } },
      "freshness: census_after_cosignature"],
];
