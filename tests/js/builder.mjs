/**
 * A small Carnet network that makes proof bundles for the tests of verify.mjs: a log, two nodes, a garage, one history.
 *
 * Written from docs/spec on node:crypto alone: it must not import the verifier, or both could be wrong together.
 * `hooks` change one thing on the way (a statement, a leaf, a record …) before it is hashed or signed, so that a
 * forgery is consistent in everything else.
 */
import { createHash, createPrivateKey, createPublicKey, sign as nodeSign } from "node:crypto";

export const NOW = 1_700_000_900_000;
export const VIN = { scheme: "vin", value: "VF1AAAAA512345678" };
export const PLATE = { country: "FR", scheme: "plate", value: "AB-123-CD" };

export const H = (...parts) => {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(Buffer.from(part));
  return hash.digest();
};
export const T = (name) => Buffer.from(`carnet/1/${name}\n`);
export const u8 = (n) => Buffer.from([n]);
export const u32 = (n) => { const b = Buffer.alloc(4); b.writeUInt32BE(n); return b; };
export const u64 = (n) => { const b = Buffer.alloc(8); b.writeBigUInt64BE(BigInt(n)); return b; };
export const b64 = (bytes) => Buffer.from(bytes).toString("base64");
const lp = (bytes) => Buffer.concat([u32(bytes.length), bytes]);
const join = (...parts) => Buffer.concat(parts.map((part) => Buffer.from(part)));

/** cj, for values that the tests know to be representable. */
export function cj(value) {
  const sorted = (v) => {
    if (Array.isArray(v)) return v.map(sorted);
    if (v === null || typeof v !== "object") return v;
    return Object.fromEntries(Object.keys(v).sort().map((name) => [name, sorted(v[name])]));
  };
  return Buffer.from(JSON.stringify(sorted(value)));
}

export class Key {
  constructor(name) {
    const der = Buffer.concat([Buffer.from("302e020100300506032b657004220420", "hex"), H(name)]);
    this.secret = createPrivateKey({ key: der, format: "der", type: "pkcs8" });
    this.public = createPublicKey(this.secret).export({ format: "der", type: "spki" }).subarray(-32);
    this.digest = H(T("key"), u8(1), this.public);
  }

  sign(...parts) { return nodeSign(null, join(...parts), this.secret); }
}

// RFC 9162 trees by their recursive definition; the verifier walks bits instead.
const splitOf = (n) => { let k = 1; while (k * 2 < n) k *= 2; return k; };
export function mth(leaves) {
  if (leaves.length === 0) return H();
  if (leaves.length === 1) return H([0], leaves[0]);
  const k = splitOf(leaves.length);
  return H([1], mth(leaves.slice(0, k)), mth(leaves.slice(k)));
}
export function inclusion(index, leaves) {
  if (leaves.length === 1) return [];
  const k = splitOf(leaves.length);
  if (index < k) return [...inclusion(index, leaves.slice(0, k)), mth(leaves.slice(k))];
  return [...inclusion(index - k, leaves.slice(k)), mth(leaves.slice(0, k))];
}
export function consistency(size, leaves, isWhole = true) {
  if (size === leaves.length) return isWhole ? [] : [mth(leaves)];
  const k = splitOf(leaves.length);
  if (size <= k) return [...consistency(size, leaves.slice(0, k), isWhole), mth(leaves.slice(k))];
  return [...consistency(size - k, leaves.slice(k), false), mth(leaves.slice(0, k))];
}
/**
 * The joint path of 1.10, from its meaning: of two siblings in the tree, the one is given of which no leaf is known
 * while a leaf of the other is; lower ones first, then from left to right.
 */
export function joint(indices, leaves, from = 0) {
  const found = [];
  const isKnown = (start, count) => indices.some((index) => index >= start && index < start + count);
  const visit = (start, some) => {
    if (some.length === 1) return;
    const k = splitOf(some.length);
    const sides = [[start, some.slice(0, k)], [start + k, some.slice(k)]];
    for (const [side, [at, of]] of sides.entries()) {
      const [otherAt, other] = sides[1 - side];
      if (!isKnown(at, of.length) && isKnown(otherAt, other.length)) found.push({ height: k, at, hash: mth(of) });
      visit(at, of);
    }
  };
  visit(from, leaves);
  return found.sort((a, b) => a.height - b.height || a.at - b.at).map(({ hash }) => hash);
}
export const pathText = (hashes) => b64(join(...hashes));

/** The census tree of 3.9 as root and path of one slot, by its recursive definition. */
export function sparse(heads, slot, depth = 0) {
  if (heads.length === 0) return { root: Buffer.alloc(32), path: [] };
  if (heads.length === 1) return { root: H([0], heads[0].leaf), path: [] };
  const bit = (s) => (s[depth >> 3] >> (7 - (depth & 7))) & 1;
  const sides = [0, 1].map((side) => sparse(heads.filter((head) => bit(head.slot) === side), slot, depth + 1));
  const own = sides[bit(slot)];
  return { root: H([1], sides[0].root, sides[1].root), path: [sides[1 - bit(slot)].root, ...own.path] };
}

export const keys = Object.fromEntries(
  ["log", "witness", "home", "peer", "garage", "stranger", "hosted"].map((name) => [name, new Key(name)]),
);
export const ids = Object.fromEntries(
  ["home", "peer", "garage", "stranger", "hosted"].map((name) => [name, H(`id ${name}`).subarray(0, 16)]),
);

const kindLine = (kind, more = {}) =>
  ({ chain: "history", class: 1, kind, line: "kind", location: "vault", schema: b64(H(kind)), ...more });

/** The rules of the network: every kind of these tests in class 1, and one endorsement for each seal and census. */
export function defaultRules() {
  return [
    ...["passport.opened/1", "passport.corrected/1", "passport.contested/1", "passport.transferred/1",
      "passport.moved/1", "passport.rectified/1",
      "vehicle.identity/1", "vehicle.odometer/1"].map((kind) => kindLine(kind)),
    kindLine("journal.opened/1", { chain: "journal" }),
    { class: 0, endorsements: 1, line: "class" },
    { class: 1, endorsements: 1, line: "class" },
    { bases: [1], kind: "vehicle.odometer/1", line: "writer", member: "garage" },
  ];
}

const ALL_KINDS = ["journal.opened/1", "passport.contested/1", "passport.corrected/1", "passport.moved/1",
  "passport.opened/1", "passport.rectified/1",
  "passport.transferred/1", "vehicle.identity/1", "vehicle.odometer/1"];

function member(net, name, kind, role, custody, accreditations) {
  const key = keys[name];
  const sig = key.sign(T("enrol"), net, ids[name], u8(role), u8(custody));
  return {
    accreditations, host: b64(ids.home), id: b64(ids[name]), kind, name, retired: null,
    keys: [{ alg: 1, custody, disputed_since: null, key: b64(key.public), revoked: null, role, sig: b64(sig) }],
  };
}

function defaultMembers(net) {
  const all = (basis, kinds = ALL_KINDS) => kinds.map((kind) => [kind, basis, 1]);
  return [
    member(net, "home", "node", 3, 1, []),
    member(net, "peer", "node", 3, 1, []),
    member(net, "garage", "garage", 1, 1, all(1)),
    member(net, "stranger", "garage", 1, 1, all(1, ["vehicle.odometer/1"])),
    member(net, "hosted", "garage", 1, 2, all(2)),
  ];
}

const occurred = (at, precision = "day") => ({ at, precision, zone: null });

/** The history of the tests; `show` is shown, judged or hidden, `seal` the batch that holds it. */
export function defaultEntries() {
  const reading = (km, at, more = {}) => ({
    kind: "vehicle.odometer/1", subject: VIN, occurred: occurred(at), fields: { odometer_km: km, note: null },
      withheld: ["note"],
    by: "garage", basis: 1, mark: 0, show: "shown", seal: 0, ...more,
  });
  return [
    reading(0, "2020-01-01", { kind: "passport.opened/1", fields: {}, withheld: [] }),
    reading(0, "2020-01-02", { kind: "vehicle.identity/1", withheld: [],
      fields: { alias: { from: "2020-01-01", subject: PLATE, until: "2022-01-01" } } }),
    reading(10_000, "2020-06-01"),
    reading(15_000, "2020-09-01", { show: "hidden", seal: 1 }),
    reading(11_000, "2020-06-01", { kind: "passport.corrected/1", mark: 1, target: 2, show: "judged", seal: 1 }),
    reading(20_000, "2021-06-01T10:00", { subject: PLATE, occurred: occurred("2021-06-01T10:00", "minute"), seal: 1,
      by: "hosted", basis: 2 }),
    reading(25_000, "2022-06-01", { show: "hidden", seal: 1 }),
  ];
}

const nothing = () => undefined;
const NO_HOOKS = Object.fromEntries(["genesis", "rules", "members", "statement", "submission", "link", "batch", "seal",
  "census", "censusRecord", "heads", "note", "bundle"].map((name) => [name, nothing]));

function opened(hooks) {
  const rules = defaultRules();
  hooks.rules(rules);
  const ruleLines = rules.map((line) => ({ line, bytes: cj(line) })).sort((a, b) => Buffer.compare(a.bytes, b.bytes));
  const ruleLeaves = ruleLines.map(({ bytes }) => join(T("rule"), bytes));
  const genesis = {
    founders: [{ key: b64(keys.home.public), member: b64(ids.home) }], log_key: b64(keys.log.public),
      name: "test.example",
    nonce: b64(H("nonce")), rules_root: b64(mth(ruleLeaves)),
  };
  hooks.genesis(genesis);
  const net = H(T("genesis"), cj(genesis));
  const members = defaultMembers(net);
  hooks.members(members, net);
  const memberLeaves = members.map((m) => join(T("member"), cj(m)));
  return { genesis, net, origin: `${genesis.name}/${net.toString("hex")}`, members, memberLeaves, ruleLines,
    ruleLeaves };
}

/** Statements, submissions (each of two statements: this one and a decoy) and links, in order. */
function chained(world, entries, hooks) {
  const { net } = world;
  let [chain, previous, epoch] = [Buffer.alloc(16), Buffer.alloc(32), 0];
  const links = [];
  entries.forEach((entry, seq) => {
    const names = { kind: entry.kind, subject: entry.subject, occurred: entry.occurred, ...entry.fields };
    const fields = Object.keys(names).sort().map((name) => {
      const salt = H(`salt ${seq} ${name}`).subarray(0, 16);
      const digest = H(T("field"), salt, lp(Buffer.from(name)), cj(names[name]));
      return { name, salt, value: names[name], digest, isShown: !entry.withheld.includes(name) };
    });
    const digests = fields.flatMap(({ name, digest }) => [lp(Buffer.from(name)), digest]);
    const root = H(T("fields"), u32(fields.length), ...digests);
    const target = Buffer.isBuffer(entry.target) ? entry.target : links[entry.target]?.sid ?? Buffer.alloc(32);
    const s = { seq, net, chain, member: ids[entry.by], key: keys[entry.by].digest, basis: entry.basis,
      class: entry.class ?? 1,
      mark: entry.mark, target, root };
    hooks.statement(s);
    const st = join(T("statement"), s.net, s.chain, s.member, s.key, u8(s.basis), u8(s.class), u8(s.mark), s.target,
      s.root);
    const sid = H(st);
    if (seq === 0) chain = H(T("chain"), ids.home, sid).subarray(0, 16);
    const decoy = join(T("statement"), Buffer.alloc(163, seq));
    const sub = { seq, at: 1_600_000_000_000 + seq, count: 2, index: 1, leaves: [decoy, st], signer: keys[entry.by] };
    hooks.submission(sub);
    const signedBytes = join(T("submission"), s.net, s.key, u64(sub.at), u32(sub.count), mth(sub.leaves));
    const signature = sub.signature ?? sub.signer.sign(signedBytes);
    if (s.mark === 3) epoch += 1;
    const link = { seq, chain, epoch, previous, sid, mark: s.mark, target: s.target,
      signed: H(T("signed"), sid, signedBytes, signature) };
    hooks.link(link);
    const bytes = join(T("link"), link.chain, u64(link.seq), u32(link.epoch), link.previous, link.sid, u8(link.mark),
      link.target, link.signed);
    previous = H(bytes);
    links.push({ ...link, entry, fields, st, sub, signature, bytes, id: previous });
  });
  return { chain, links };
}

const ref = (index, leaves) => ({ count: leaves.length, index, root: b64(mth(leaves)) });

function endorsed(key, digest) {
  return [{ key: b64(keys.peer.digest), member: b64(ids.peer), sig: b64(key.sign(T("endorse"), digest)) }];
}

function sealed(world, batchNumber, at, height, hooks) {
  const links = world.links.filter(({ entry }) => entry.seal === batchNumber);
  const leaves = [...links.map(({ bytes }) => bytes), Buffer.from("another chain's link")];
  const batch = { number: batchNumber, net: world.net, home: ids.home, key: keys.home.digest, class: 1,
    count: leaves.length, root: mth(leaves),
    rules: 1, expires: 100, signer: keys.home };
  hooks.batch(batch);
  const bh = join(T("batch"), batch.net, batch.home, batch.key, u8(batch.class), u32(batch.count), batch.root,
    u64(batch.rules), u64(batch.expires));
  const record = {
    at, batch: b64(bh), endorsements: endorsed(keys.peer, H(bh)), height, members: ref(2, world.memberLeaves),
    rules: ref(1, world.ruleLeaves), sig: b64(batch.signer.sign(bh)), type: "seal",
  };
  hooks.seal(record, bh, batchNumber);
  return { record, leaves };
}

function counted(world, linkCount, covers, at, height, previous, hooks) {
  const slot = H(T("slot"), world.chain);
  const other = H(T("slot"), Buffer.alloc(16, 7));
  const tip = world.links[linkCount - 1];
  const head = H(T("tip"), world.chain, u32(tip.epoch), u64(tip.seq), tip.id);
  const heads = [
    { slot, leaf: join(T("head"), slot, head) }, { slot: other, leaf: join(T("head"), other, H("other head")) },
  ];
  hooks.heads(heads, linkCount);
  const tree = sparse(heads, slot);
  const census = { count: 2, covers, erased: 0, home: b64(ids.home), previous, root: b64(tree.root) };
  hooks.census(census, linkCount);
  const message = join(T("census"), world.net, cj(census));
  const record = {
    at, census, endorsements: endorsed(keys.peer, H(message)), height, key: b64(keys.home.digest),
    members: ref(2, world.memberLeaves), rules: ref(1, world.ruleLeaves), sig: b64(keys.home.sign(message)),
      type: "census",
  };
  hooks.censusRecord(record, message, linkCount);
  return { record, path: tree.path };
}

const recordLeaf = (record) => join(T("record"), cj(record));

function noteOf(world, leaves, hooks) {
  const text = `${world.origin}\n${leaves.length}\n${b64(mth(leaves))}\n`;
  const keyId = (name, type, key) => H(`${name}\n`, [type], key).subarray(0, 4);
  const seconds = Math.floor(NOW / 1000);
  const cosigned = keys.witness.sign(`cosignature/v1\ntime ${seconds}\n${text}`);
  const note = { text, lines: [
    [world.origin, join(keyId(world.origin, 1, keys.log.public), keys.log.sign(text))],
    ["witness.example/w", join(keyId("witness.example/w", 4, keys.witness.public), u64(seconds), cosigned)],
    ["unknown.example", join([1, 2, 3, 4], Buffer.alloc(2420))],
  ] };
  hooks.note(note);
  return Buffer.from(`${note.text}\n${note.lines.map(([name, bytes]) => `— ${name} ${b64(bytes)}\n`).join("")}`);
}

function itemOf(link, number, seals) {
  const { entry, sub } = link;
  const isMarked = link.mark !== 0;
  const hidden = b64(join(link.sid, link.signed, ...(isMarked ? [u8(link.mark), link.target] : [])));
  if (entry.show === "hidden") return hidden;
  const valueOf = (field) => (field.isShown ? [b64(field.salt), field.value] : b64(field.digest));
  const shown = Object.fromEntries(link.fields.map((field) => [field.name, valueOf(field)]));
  return {
    fields: entry.show === "judged" ? null : shown, placement: placementOf(link, seals), statement: b64(link.st),
    submission: { index: sub.index, number },
  };
}

function placementOf(link, seals) {
  const seal = seals[link.entry.seal];
  return { index: seal.leaves.findIndex((leaf) => leaf.equals(link.bytes)), record: seal.index };
}

const submissionOf = ({ sub, signature }) =>
  ({ at: sub.at, count: sub.count, path: pathText(inclusion(sub.index, sub.leaves)), signature: b64(signature) });

function groupOf(world, links) {
  const wanted = new Set([b64(ids.home), b64(ids.peer),
    ...links.map(({ entry }) => entry).filter(({ show }) => show !== "hidden")
    .map(({ by }) => b64(ids[by]))]);
  const leaves = world.members.map((leaf, index) => ({ index, leaf })).filter(({ leaf }) => wanted.has(leaf.id));
  return [{ index: 2, leaves, path: pathText(joint(leaves.map(({ index }) => index), world.memberLeaves)) }];
}

function sectionOf(world, links) {
  const kinds = new Set(links.filter(({ entry }) => entry.show === "shown").map(({ entry }) => entry.kind));
  const isWanted = (line) => (line.line === "kind" ? kinds.has(line.kind) : line.line === "class");
  const lines = world.ruleLines.map(({ line }, index) => ({ index, line })).filter(({ line }) => isWanted(line));
  return [{ index: 1, lines, path: pathText(joint(lines.map(({ index }) => index), world.ruleLeaves)) }];
}

/**
 * Builds the network and returns its objects, the bundle as a value and `bytes`, and the `policy` that trusts it.
 * `isOlder`: the bundle of the first census, links 0 to 2. `withSince`: with the proof from that one's checkpoint.
 */
export function build({ entries = defaultEntries(), isOlder = false, withSince = false, ...given } = {}) {
  const hooks = { ...NO_HOOKS, ...given };
  const world = opened(hooks);
  Object.assign(world, chained(world, entries, hooks));
  const firstCount = world.links.filter(({ entry }) => entry.seal === 0).length;
  const seals = [sealed(world, 0, NOW - 500_000, 10, hooks), sealed(world, 1, NOW - 300_000, 20, hooks)];
  const censuses = [
    counted(world, firstCount, 4, NOW - 400_000, 15, null, hooks), counted(world, world.links.length, 6, NOW - 200_000,
      30, 4, hooks),
  ];
  const records = [{ record: "genesis" }, { record: "rules" }, { record: "members" }, seals[0], censuses[0], seals[1],
    censuses[1],
    { record: "later" }];
  records.forEach((logged, index) => { logged.index = index; });
  const size = isOlder ? 5 : 8;
  const leaves = records.slice(0, size).map(({ record }) => recordLeaf(record));
  const links = isOlder ? world.links.slice(0, firstCount) : world.links;
  const census = isOlder ? censuses[0] : censuses[1];
  const placed = links.filter(({ entry, seq }) => entry.show !== "hidden" || seq === links.length - 1);
  const needed = new Set([...placed.map(({ entry }) => seals[entry.seal].index), census.index]);
  const used = [...needed].sort((a, b) => a - b);
  const submitted = links.filter(({ entry }) => entry.show !== "hidden");
  const tip = links.at(-1);
  const usedSeals = seals.filter(({ index }) => needed.has(index));
  const placedIn = (seal) => placed.filter(({ entry }) => seals[entry.seal] === seal)
    .map((link) => placementOf(link, seals).index).sort((a, b) => a - b);
  const bundle = {
    batches: usedSeals.map((seal) => pathText(joint(placedIn(seal), seal.leaves))),
    carnet: "proof/1",
    census: { path: pathText(census.path), record: census.index },
    checkpoint: b64(noteOf(world, leaves, hooks)),
    genesis: world.genesis,
    links: links.map((link) => itemOf(link, submitted.indexOf(link), seals)),
    members: groupOf(world, links),
    records: {
      logged: used.map((index) => ({ index, record: records[index].record })), path: pathText(joint(used, leaves)),
    },
    rules: sectionOf(world, links),
    since: withSince ? { path: pathText(consistency(5, leaves)), root: b64(mth(leaves.slice(0, 5))), size: 5 } : null,
    submissions: submitted.map(submissionOf),
    tip: tip.entry.show === "hidden" ? placementOf(tip, seals) : null,
  };
  const raw = hooks.bundle(bundle, { ...world, seals });
  return { ...world, bundle, bytes: new Uint8Array(raw ?? cj(bundle)), policy: policyOf(world) };
}

export function vkey(name, type, key) {
  return `${name}+${H(`${name}\n`, [type], key).subarray(0, 4).toString("hex")}+${b64(join([type], key))}`;
}

function policyOf(world) {
  return `# trust of the tests\nlog ${vkey(world.origin, 1, keys.log.public)} https://log.example\n` +
    `witness w ${vkey("witness.example/w", 4, keys.witness.public)}\nquorum w\n`;
}
