// What the reader has given: proofs, policies, questions. And the one who judges: a worker made of this page's own code.

const LIMIT = { proofs: 12, bytes: MAX_BUNDLE_BYTES, policyBytes: 65_536, here: 4_194_304, patience: 60_000 };

const state = {
  proofs: [], // { id, name, bytes, answer, fault }
  current: null,
  policies: [], // { text, logs, witnesses, source: "page" | "given" | "kept", isOn }
  question: { vehicle: "", complete: false, days: "", since: "" },
  message: null,
  isBusy: false,
};

/** A policy as the page holds it; throws where the text is none. */
function makePolicy(text, source) {
  const { logs, witnesses } = parsePolicy(text);
  if (logs.length === 0) throw new Error(t("policy_empty"));
  return { text, source, isOn: true, witnesses: witnesses.size,
    logs: logs.map(({ name, key }) => ({ name, key: verifierKey(name, 1, key) })) };
}

/** Takes a policy in; of two about one network only the newer stays in use. */
function addPolicy(policy) {
  if (state.policies.some((other) => other.text === policy.text && other.source !== "page")) return;
  for (const other of state.policies) if (isRival(other, policy)) other.isOn = false;
  state.policies.push(policy);
}

const isRival = (one, other) => one !== other && one.logs.some(({ name }) => other.logs.some((log) => log.name === name));

function loadPolicies() {
  const read = (text) => { try { return JSON.parse(text ?? "[]"); } catch { return []; } };
  for (const text of read(document.getElementById("given").textContent)) addPolicy(makePolicy(text, "page"));
  for (const text of read(memory.get("policies")).slice(0, 50)) {
    try { addPolicy(makePolicy(text, "kept")); } catch { /* what an older page kept and this one cannot read */ }
  }
}

const keepPolicies = () =>
  memory.set("policies", JSON.stringify(state.policies.filter(({ source }) => source === "kept").map(({ text }) => text)));

// The worker. A module may not start from a local file, so it is a classic one: the verifier's text, its exports taken off.
const [VERIFIER, JUDGE] = document.getElementById("code").textContent.split("\n// ---- the page ----\n");
const SERVE = "{{worker}}";
let worker = null;
let jobs = 0;

function startWorker() {
  const plain = VERIFIER.replace(/^export /gm, "").replaceAll("import.meta.url", '""');
  const judge = JUDGE.slice(JUDGE.indexOf("\n"), JUDGE.indexOf("\n// ---- what is drawn ----\n"));
  const code = `(async () => {${plain}\n${judge}\n${SERVE}\npostMessage({ isReady: true });})();`;
  const url = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
  const rules = globalThis.trustedTypes?.createPolicy("carnet", { createScriptURL: (text) => text });
  return () => new Worker(rules ? rules.createScriptURL(url) : url);
}

let makeWorker = null;
try { makeWorker = startWorker(); } catch { /* judged in the page then */ }

/** Judges in a worker, which is ended when it takes too long or when another question comes. */
function judgeAside(job) {
  worker?.terminate();
  return new Promise((resolve, reject) => {
    const id = ++jobs;
    const end = (settle, value) => { clearTimeout(timer); settle(value); };
    const timer = setTimeout(() => { worker.terminate(); end(reject, new Error("too_long")); }, LIMIT.patience);
    worker = makeWorker();
    worker.onmessage = ({ data: said }) => {
      if (said.id !== id) return;
      if (said.fault) end(reject, Object.assign(new Error(said.fault.message), { name: said.fault.name }));
      else end(resolve, said.answer);
    };
    worker.onerror = (event) => { event.preventDefault(); end(reject, new Error("no_worker")); };
    worker.postMessage({ id, job });
  });
}

async function judge(job) {
  if (!globalThis.crypto?.subtle) throw new Error("insecure");
  try {
    if (makeWorker !== null) return await judgeAside(job);
  } catch (error) {
    if (error.message !== "no_worker") throw error;
    makeWorker = null;
  }
  if (job.bundle.length + (job.since?.length ?? 0) > LIMIT.here) throw new Error("too_large_here");
  return judgeProof(job);
}

/** Judges the current proof under what is asked now; only the newest question's answer is shown. */
let asked = 0;
async function run(isNew = false) {
  const proof = state.proofs.find(({ id }) => id === state.current);
  const turn = ++asked;
  if (!proof) { state.isBusy = false; draw(); return; }
  const { vehicle, complete, days, since } = state.question;
  const inUse = state.policies.filter(({ isOn }) => isOn);
  const older = state.proofs.find(({ id }) => String(id) === since && id !== proof.id);
  const job = { bundle: proof.bytes, since: older?.bytes ?? null, policies: inUse.map(({ text }) => text), now: Date.now(),
    vehicle, complete, maxAge: /^\d{1,5}$/.test(days) ? Number(days) * 86_400_000 : null };
  state.isBusy = true;
  proof.fault = null;
  draw();
  let [answer, fault] = [null, null];
  try { answer = await judge(job); } catch (error) { fault = error; }
  if (turn !== asked) return;
  state.isBusy = false;
  proof.answer = answer && { ...answer, now: job.now, policy: inUse[answer.policyAt] ?? null, older: older ?? null, job };
  proof.fault = fault;
  draw();
  if (isNew) document.getElementById("result")?.focus({ preventScroll: false });
}

const isProof = (bytes) => startsWith(bytes, encoder.encode('{"carnet":'));

/** Takes in what was dropped or chosen: policies are kept aside, everything else is a proof to be judged. */
async function take(files) {
  state.message = null;
  let newest = null;
  for (const file of [...files].slice(0, LIMIT.proofs)) {
    // One byte more than the largest proof is enough for the verifier to call it too large.
    const bytes = new Uint8Array(await file.slice(0, LIMIT.bytes + 1).arrayBuffer());
    const policy = isProof(bytes) || bytes.length > LIMIT.policyBytes ? null : readPolicy(bytes);
    if (policy) {
      addPolicy(policy);
      state.message = { kind: "note", text: t("policy_taken", { name: policy.logs[0].name.split("/")[0] }) };
      continue;
    }
    newest = { id: ++jobs, name: file.name, bytes, answer: null, fault: null };
    state.proofs.push(newest);
  }
  state.proofs = state.proofs.slice(-LIMIT.proofs);
  if (newest) state.current = newest.id;
  await run(newest !== null);
}

function readPolicy(bytes) {
  try { return makePolicy(decoder.decode(bytes), "given"); } catch { return null; }
}
