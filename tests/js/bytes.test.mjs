/** The parts of verify.mjs below the bundle: hashing, encoding, signatures, trees, notes, policies. Clauses 1 and 3. */
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import * as verifier from "../../src/carnet/proof/verify.mjs";
import { b64, consistency, inclusion, joint, keys, mth, sparse, vkey } from "./builder.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const CONFORMANCE = join(process.env.CARNET_SHARED ?? join(here, "..", "..", "..", "shared"), "data", "conformance");

/** The file's path, or null after skipping the test with a reason. */
function findShared(context, ...parts) {
  const path = join(CONFORMANCE, ...parts);
  if (existsSync(path)) return path;
  context.skip(`no ${parts.join("/")}: set CARNET_SHARED, or put ../shared beside the repository`);
  return null;
}

const utf8 = (text) => new TextEncoder().encode(text);
const decodes = (bytes) => {
  try {
    verifier.decodeCanonical(typeof bytes === "string" ? utf8(bytes) : bytes);
    return true;
  } catch {
    return false;
  }
};

test("sha256__random_messages_equal_another_implementation", () => {
  for (let size = 0; size < 600; size++) {
    const message = randomBytes(size);
    assert.deepEqual(Buffer.from(verifier.sha256(message)), createHash("sha256").update(message).digest());
  }
  const large = randomBytes(3_000_001);
  assert.equal(Buffer.from(verifier.sha256(large.subarray(0, 7), large.subarray(7))).toString("hex"),
    createHash("sha256").update(large).digest("hex"));
});

test("base64__round_trip_and_canonical_only", () => {
  for (let size = 0; size < 200; size++) {
    const bytes = randomBytes(size);
    assert.equal(verifier.toBase64(bytes), b64(bytes));
    assert.deepEqual(Buffer.from(verifier.fromBase64(b64(bytes))), bytes);
  }
  for (const text of ["A", "AA", "AAA", "AB==", "AAB=", "AA=A", "====", "=", "A===", "AA==AA==", "AA-_", "AA\n=",
    " AA=", "AAA\u00e9"]) {
    assert.equal(verifier.fromBase64(text), null, text);
  }
});

const CANONICAL = ["0", "-1", "9007199254740991", "-9007199254740991", "true", "null", '""', "[]", "{}",
  '{"a":1,"a0":2,"a_":3,"b":[]}',
  '"\\"\\\\/"', '"é\u2028\u{1f600}"', '{"constructor":{"to_string":1}}', "[".repeat(16) + "]".repeat(16)];
const REFUSED = ["", " 1", "1 ", "01", "-0", "1.0", "1e2", "1E2", "+1", "-", "9007199254740992", "-9007199254740992",
  "99999999999999999999999999", "NaN", "Infinity", "tru", "nul", "truefalse", '"', '"a', "'a'", '"\\u0061"', '"\\/"',
    '"\\n"', '"\n"',
  '"\\ud800"', '"\u007f"', '"\u0085"', '"\u202e"', '"\u2066"', '"\u061c"', '"\u200e"', "[1,]", "[,1]", "[1 ,2]", "[",
    "]", "[1}",
  "{", '{"a"}', '{"a":}', '{"a":1,}', '{"b":1,"a":2}', '{"a":1,"a":1}', '{"A":1}', '{"":1}', '{"_a":1}',
    '{"__proto__":1}',
  '{"a-b":1}', `{"${"a".repeat(41)}":1}`, '{a:1}', "\ufeff1", "1\u0000", "[".repeat(17) + "]".repeat(17), "[1]2",
    "undefined"];

test("decode__accepts_what_it_would_produce", () => {
  for (const text of CANONICAL) {
    assert.ok(decodes(text), text);
    assert.equal(verifier.canonical(verifier.decodeCanonical(utf8(text))), text);
  }
});

test("decode__refused_everything_else", () => {
  for (const text of REFUSED) assert.ok(!decodes(text), JSON.stringify(text));
  for (const hex of ["22ff22", "22c08022", "22eda08022", "efbbbf31"]) assert.ok(!decodes(Buffer.from(hex, "hex")), hex);
});

test("decode__32_MiB_of_brackets_are_refused_at_once", () => {
  const started = performance.now();
  assert.ok(!decodes(new Uint8Array(33_554_432).fill(0x5b)));
  assert.ok(performance.now() - started < 5000);
});

test("decode__members_reach_no_property_of_the_language", () => {
  const value = verifier.decodeCanonical(utf8('{"constructor":1,"has_own":2}'));
  assert.equal(value.constructor, 1);
  assert.equal(value.toString, undefined);
  assert.equal(Object.getPrototypeOf(value), null);
});

test("canonical__refused_values_without_encoding", () => {
  const deep = () => { let value = 1; for (let i = 0; i < 17; i++) value = [value]; return value; };
  for (const value of [1.5, -0, NaN, 2 ** 53, undefined, "\ud800", "a\udc00", "\u0000", "\u202a", { A: 1 }, { "": 1 },
    1n, deep()]) {
    assert.throws(() => verifier.canonical(value), String(typeof value));
  }
  assert.equal(verifier.canonical({ b: 1, a: ["\\", '"', null] }), '{"a":["\\\\","\\"",null],"b":1}');
});

// Signatures (1.8).

test("ed25519__cctv_vectors", async (context) => {
  const path = findShared(context, "cctv_ed25519", "ed25519", "ed25519vectors.json");
  if (!path) return;
  const vectors = JSON.parse(readFileSync(path, "utf8"));
  let accepted = 0;
  for (const { key, sig, msg, flags } of vectors) {
    const holds = await verifier.verifyEd25519(Buffer.from(key, "hex"), utf8(msg), Buffer.from(sig, "hex"));
    const isRefused = ["low_order_A", "low_order_R", "non_canonical_A", "non_canonical_R", "low_order_residue"]
      .some((flag) => flags?.includes(flag));
    assert.equal(holds, !isRefused, JSON.stringify(flags));
    accepted += holds;
  }
  assert.equal(vectors.length, 914);
  context.diagnostic(`CCTV: ${vectors.length} vectors, ${accepted} accepted`);
});

test("ed25519__wycheproof_vectors", async (context) => {
  const path = findShared(context, "wycheproof", "ed25519_test.json");
  if (!path) return;
  let [count, accepted] = [0, 0];
  for (const group of JSON.parse(readFileSync(path, "utf8")).testGroups) {
    const key = Buffer.from(group.publicKey.pk, "hex");
    for (const { tcId, msg, sig, result } of group.tests) {
      const holds = await verifier.verifyEd25519(key, Buffer.from(msg, "hex"), Buffer.from(sig, "hex"), new Map());
      assert.equal(holds, result === "valid", `test ${tcId}`);
      count += 1;
      accepted += holds;
    }
  }
  context.diagnostic(`Wycheproof: ${count} vectors, ${accepted} accepted`);
});

test("ed25519__refused_small_order_points_are_the_eight_torsion_points", async () => {
  const p = 2n ** 255n - 19n;
  const power = (base, exponent) => {
    let result = 1n;
    for (let b = base % p, e = exponent; e > 0n; e >>= 1n, b = (b * b) % p) if (e & 1n) result = (result * b) % p;
    return result;
  };
  const d = ((p - 121665n) * power(121666n, p - 2n)) % p;
  // An order-8 point doubles to one with y = 0, so y^2 = -x^2, and the curve's equation becomes d y^4 + 2 y^2 - 1 = 0.
  const isTorsionY = (y) => {
    const y2 = (y * y) % p;
    return y === 0n || y === 1n || y === p - 1n || (d * y2 * y2 + 2n * y2 - 1n + p * p) % p === 0n;
  };
  const points = ["26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"];
  for (const hex of points) {
    assert.ok(isTorsionY(BigInt(`0x${Buffer.from(hex, "hex").reverse().toString("hex")}`)), hex);
  }
  assert.ok(!isTorsionY(4n * power(5n, p - 2n) % p), "the base point is no torsion point");
});

test("ed25519__cache_gives_the_same_answers", async () => {
  const cache = new Map();
  const message = utf8("message");
  const signature = keys.home.sign(message);
  for (let round = 0; round < 2; round++) {
    assert.equal(await verifier.verifyEd25519(keys.home.public, message, signature, cache), true);
    assert.equal(await verifier.verifyEd25519(keys.peer.public, message, signature, cache), false);
    assert.equal(await verifier.verifyEd25519(keys.home.public, utf8("massage"), signature, cache), false);
  }
  assert.equal(cache.size, 3);
});

// Trees (3.9).

const vectorsIn = (folder) => readdirSync(folder, { recursive: true }).filter((name) => name.endsWith(".json"))
  .map((name) => [name, JSON.parse(readFileSync(join(folder, name), "utf8"))]);
const hashes = (proof) => (proof ?? []).map((text) => Buffer.from(text, "base64"));
const sized32 = (...all) => all.every((hash) => hash.length === 32);

/** The joint path of a single leaf is its inclusion path (1.10). */
const rootOfInclusion = (index, size, leaf, path) => verifier.rootOfJoint(size, [index], [leaf], path);

test("inclusion__public_vectors", (context) => {
  const folder = findShared(context, "merkle_rfc6962_9162", "inclusion");
  if (!folder) return;
  let [count, accepted] = [0, 0];
  for (const [name, { leafIdx, treeSize, root, leafHash, proof, wantErr }] of vectorsIn(folder)) {
    const [want, leaf, path] = [Buffer.from(root ?? "", "base64"), Buffer.from(leafHash ?? "", "base64"),
      hashes(proof)];
    const reached = sized32(leaf, ...path) ? rootOfInclusion(leafIdx, treeSize, leaf, path) : null;
    const holds = reached !== null && want.equals(reached);
    assert.equal(holds, !wantErr, name);
    count += 1;
    accepted += holds;
  }
  context.diagnostic(`inclusion: ${count} vectors, ${accepted} accepted`);
});

test("consistency__public_vectors", (context) => {
  const folder = findShared(context, "merkle_rfc6962_9162", "consistency");
  if (!folder) return;
  let [count, accepted, empty] = [0, 0, 0];
  for (const [name, { size1, size2, root1, root2, proof, wantErr }] of vectorsIn(folder)) {
    if (size1 === 0) { empty += 1; continue; } // a checkpoint of size 0 is no checkpoint of Carnet (4.8, 5.4.1)
    const [first, second, path] = [Buffer.from(root1, "base64"), Buffer.from(root2, "base64"), hashes(proof)];
    const holds = sized32(...path) && verifier.isConsistent(size1, size2, first, second, path);
    assert.equal(holds, !wantErr, name);
    count += 1;
    accepted += holds;
  }
  context.diagnostic(`consistency: ${count} vectors, ${accepted} accepted; ${empty} with an empty tree do not apply`);
});

test("trees__every_path_of_small_trees_and_no_altered_one", () => {
  for (let size = 1; size <= 20; size++) {
    const leaves = Array.from({ length: size }, (_, i) => Buffer.from(`leaf ${i}`));
    const root = mth(leaves);
    for (let index = 0; index < size; index++) {
      const leaf = createHash("sha256").update(Buffer.concat([Buffer.from([0]), leaves[index]])).digest();
      const path = inclusion(index, leaves);
      assert.ok(root.equals(rootOfInclusion(index, size, leaf, path)));
      assert.equal(rootOfInclusion(index, size, leaf, [...path, root]), null);
      assert.equal(rootOfInclusion(size, size, leaf, path), null);
      const first = mth(leaves.slice(0, index + 1));
      const proof = consistency(index + 1, leaves);
      assert.ok(verifier.isConsistent(index + 1, size, first, root, proof));
      assert.ok(!verifier.isConsistent(index + 1, size, first, first.equals(root) ? mth([]) : first, proof));
      assert.ok(!verifier.isConsistent(index + 1, size, first, root, [...proof, root]));
    }
  }
});

test("joint__every_set_of_leaves_of_small_trees_and_no_altered_path", () => {
  for (let size = 1; size <= 8; size++) {
    const leaves = Array.from({ length: size }, (_, i) => Buffer.from(`leaf ${i}`));
    const root = mth(leaves);
    for (let set = 1; set < 2 ** size; set++) {
      const indices = leaves.map((_, i) => i).filter((i) => (set >> i) & 1);
      const known = indices.map((i) => mth([leaves[i]]));
      const path = joint(indices, leaves);
      assert.ok(root.equals(verifier.rootOfJoint(size, indices, known, path)));
      assert.equal(verifier.rootOfJoint(size, indices, known, [...path, root]), null);
      if (path.length > 0) assert.equal(verifier.rootOfJoint(size, indices, known, path.slice(1)), null);
      if (path.length > 1) assert.ok(!root.equals(verifier.rootOfJoint(size, indices, known, path.toReversed())));
      assert.equal(verifier.rootOfJoint(size, [...indices, indices.at(-1)], [...known, known.at(-1)], path), null);
      assert.equal(verifier.rootOfJoint(indices.at(-1), indices, known, path), null);
    }
  }
  assert.equal(verifier.rootOfJoint(4, [], [], []), null);
});

test("trees__indices_beyond_32_bits", () => {
  const path = Array.from({ length: 53 }, (_, i) => Buffer.alloc(32, i));
  assert.notEqual(rootOfInclusion(2 ** 52, 2 ** 53 - 1, Buffer.alloc(32), path), null);
  assert.equal(rootOfInclusion(2 ** 52, 2 ** 53 - 1, Buffer.alloc(32), path.slice(1)), null);
});

test("census_tree__every_path_of_a_random_tree", () => {
  const heads = Array.from({ length: 40 }, (_, i) => ({ slot: createHash("sha256").update(`${i}`).digest(),
    leaf: Buffer.from(`head ${i}`) }));
  const near = Buffer.from(heads[0].slot);
  near[5] ^= 1; // a slot that shares 47 bits: empty siblings stand in between
  heads.push({ slot: near, leaf: Buffer.from("near") });
  for (const { slot, leaf } of heads) {
    const { root, path } = sparse(heads, slot);
    assert.ok(root.equals(verifier.rootOfCensusPath(slot, leaf, path)));
    assert.ok(!root.equals(verifier.rootOfCensusPath(slot, Buffer.from("other"), path)));
  }
  assert.equal(sparse(heads, near).path.length, 48);
});

// Notes and policies (3.10, 5.7).

const LINE = `— name ${b64(Buffer.alloc(68, 1))}\n`;

test("note__splits_at_the_last_empty_line", () => {
  const note = verifier.parseNote(utf8(`text\n\nmore\n\n${LINE}${LINE}`));
  assert.equal(note.text, "text\n\nmore\n");
  assert.deepEqual(note.signatures.map(({ name, id, signature }) => [name, id.length, signature.length]),
    [["name", 4, 64], ["name", 4, 64]]);
  assert.notEqual(verifier.parseNote(utf8(`t\n\n${LINE.repeat(100)}`)), null);
  assert.notEqual(verifier.parseNote(utf8("t\n\n— na\ufeff\u200bme AAAAAAA=\n")), null); // no White_Space in Unicode
});

test("note__refused_malformed", () => {
  for (const text of ["", "text\n", `text\n${LINE}`, "text\n\n", `text\n\n${LINE}\n`, `text\n\n${LINE.trimEnd()}`,
    `te\txt\n\n${LINE}`,
    `text\r\n\n${LINE}`, `text\n\n${LINE.repeat(101)}`, `text\n\n- name AAAAAAA=\n`, "text\n\n— na+me AAAAAAA=\n",
      "text\n\n— AAAAAAA=\n",
    "text\n\n— name AAAAAA==\n", "text\n\n— name AAAAAAB=\n", "text\n\n— name  AAAAAAA=\n",
    "text\n\n—  AAAAAAA=\n", "text\n\n— name\n", "text\n\n— na\u00a0me AAAAAAA=\n",
    "text\n\n— na\u0085me AAAAAAA=\n", "text\n\n— na\u3000me AAAAAAA=\n",
      "text\n\n— name AAAAAAA= x\n"]) {
    assert.equal(verifier.parseNote(utf8(text)), null, JSON.stringify(text));
  }
  assert.equal(verifier.parseNote(Uint8Array.from([0xff, 0x0a, 0x0a])), null);
});

const W = ["witness", "peer", "garage"].map((name) => vkey(`w.example/${name}`, 4, keys[name].public));
const LOG = vkey("log.example", 1, keys.log.public);
const THREE = `witness a ${W[0]}\nwitness b ${W[1]} https://b.example\nwitness c\t${W[2]}\n`;

test("policy__reads_lines_groups_and_quorum", () => {
  const policy = verifier.parsePolicy(
    `# comment\n\n log ${LOG} https://log.example\n${THREE}group g 2 a b\ngroup h any g c\nquorum h\n`);
  assert.deepEqual(policy.logs.map(({ name }) => name), ["log.example"]);
  assert.deepEqual([...policy.witnesses.keys()], ["a", "b", "c"]);
  assert.equal(policy.quorum, "h");
  verifier.parsePolicy("\n quorum\tnone \n");
});

test("policy__refused_unreadable", () => {
  const unreadable = ["", "quorum none", `log ${LOG}\n`, "quorum x\n", "quorum none\nquorum none\n", "quorum none x\n", "quorum\n",
    "log\nquorum none\n",
    `log ${LOG}\nlog ${LOG}\nquorum none\n`, `log ${W[0]}\nquorum none\n`, `witness a ${LOG}\nquorum a\n`,
      `witness none ${W[0]}\nquorum none\n`,
    `witness a ${W[0]}\nwitness a ${W[1]}\nquorum a\n`, `witness a ${W[0]}\nwitness b ${W[0]}\nquorum a\n`,
      `${THREE}group g 4 a b c\nquorum g\n`,
    `${THREE}group g 0 a\nquorum g\n`, `${THREE}group g constructor a\nquorum g\n`, `${THREE}group g all\nquorum g\n`,
      `${THREE}group g any z\nquorum g\n`,
    `${THREE}group g all a a\nquorum g\n`, `${THREE}group g all a\ngroup h all a\nquorum h\n`,
      `${THREE}group g all none\nquorum g\n`,
    `group g any a\n${THREE}quorum g\n`, `quorum none\r\n`, "constructor x\nquorum none\n",
      `log ${LOG.replace(/\+..../, "+0000")}\nquorum none\n`,
    `log ${LOG} a b\nquorum none\n`];
  for (const text of unreadable) assert.throws(() => verifier.parsePolicy(text), undefined, text);
});

test("subject__as_typed", () => {
  assert.deepEqual(verifier.parseSubject("VF1AAAAA512345678"), { scheme: "vin", value: "VF1AAAAA512345678" });
  assert.deepEqual(verifier.parseSubject("histovec:a:b"), { scheme: "histovec", value: "a:b" });
  assert.deepEqual(verifier.parseSubject("plate:FR:AB-123-CD"), { country: "FR", scheme: "plate", value: "AB-123-CD" });
  assert.throws(() => verifier.parseSubject("plate:AB-123-CD"));
});
