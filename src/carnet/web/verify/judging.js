// Judging one proof under the policies that the reader holds. Runs in a worker, or in the page where there can be none:
// it touches no document. It adds nothing to the verifier's answer but which policy and which vehicle were meant.

const LOOSE = /[^\p{L}\p{N}]/gu;
const loosely = (text) => text.toUpperCase().replace(LOOSE, "");

/** The policy about this proof's network, by its place: one that has the log's key, else one that names the network, else
 * the last, which the verifier will then call that of another network. The proof's integrity is known to be in order. */
function choosePolicy(texts, bundle) {
  const policies = texts.map((text) => parsePolicy(text));
  const { checkpoint, genesis } = decodeCanonical(bundle);
  const [origin] = parseNote(fromBase64(checkpoint)).text.split("\n", 1);
  const about = (isIt) => policies.findIndex(({ logs }) => logs.some((log) => log.name === origin && isIt(log)));
  const same = about(({ key }) => equal(key, fromBase64(genesis.log_key)));
  const named = about(() => true);
  return [same, named, texts.length - 1].find((at) => at >= 0);
}

/** What a person typed, as the subject or passport to ask for: a mark that the proof shows, whatever its spaces. */
function readVehicle(typed, report) {
  const text = typed.trim();
  if (/^[0-9a-f]{32}$/i.test(text.replace(/\s/g, ""))) return { passport: text.replace(/\s/g, "").toLowerCase() };
  if (text.includes(":")) return { subject: parseSubject(text) };
  const aliases = (report?.entries ?? []).map(({ fields }) => fields.alias?.subject);
  const shown = [report?.subject, ...aliases].filter((subject) => typeof subject?.value === "string");
  const meant = shown.find(({ value }) => loosely(value) === loosely(text));
  return { subject: meant ?? { scheme: "vin", value: text.replace(/\s/g, "").toUpperCase() } };
}

/**
 * bundle, since: Uint8Array; policies: texts; now: ms; vehicle: text or ""; complete; maxAge: ms or null. Answers
 * { verdict, policyAt (or -1), matched, sha256, isProofLike }.
 */
async function judgeProof({ bundle, since, policies, now, vehicle, complete, maxAge }) {
  const base = { now, cache: new Map(), since, complete, maxAge };
  const sum = bundle.length > MAX_BUNDLE_BYTES ? null : toHex(sha256(bundle));
  const isProofLike = startsWith(bundle, encoder.encode('{"carnet":"proof/'));
  let verdict = await verifyBundle(bundle, base);
  let policyAt = -1;
  let matched = null;
  if (verdict.findings.integrity.state === "ok") {
    if (policies.length > 0) policyAt = choosePolicy(policies, bundle);
    const asked = vehicle.trim() === "" ? {} : readVehicle(vehicle, verdict.report);
    matched = asked.subject ?? asked.passport ?? null;
    const policy = policyAt < 0 ? null : policies[policyAt];
    verdict = await verifyBundle(bundle, { ...base, ...asked, policy });
  }
  return { verdict, policyAt, matched, sha256: sum, isProofLike };
}
