// The answer: one word with its shape, four findings, what the proof shows, what it leaves open.

const STATES = {
  ok: ["i-logical", "is-seal"], failed: ["i-altered", "is-alert"], cannot_tell: ["i-question", "is-wait"],
  moved: ["i-layers", "is-note"], not_judged: ["i-none", "is-quiet"],
};
const FINDINGS = ["integrity", "authority", "completeness", "freshness"];
const OUTCOMES = {
  genuine: ["i-logical", "is-seal"], altered: ["i-altered", "is-alert"], superseded: ["i-layers", "is-note"],
  cannot_tell: ["i-question", "is-wait"], not_asked: ["i-none", "is-wait"], no_proof: ["i-altered", "is-alert"],
};
const NOT_A_PROOF = ["not_canonical", "malformed", "too_large"];

/** The one word. Superseded: all that is shown was corrected since, the passport has moved, or a newer proof is here. */
function nameOutcome(proof) {
  const { verdict, isProofLike } = proof.answer;
  if (verdict.exit === 10) {
    return !isProofLike && NOT_A_PROOF.includes(verdict.findings.integrity.code) ? "no_proof" : "altered";
  }
  if (verdict.exit === 11) return "cannot_tell";
  if (verdict.asked.some((code) => code !== "not_complete")) return "not_asked";
  if (findSuperseding(proof) !== null) return "superseded";
  return verdict.exit === 0 ? "genuine" : "not_asked";
}

/** Why the proof is superseded: "moved", "corrected", "newer"; null if it is not. */
function findSuperseding(proof) {
  const { verdict } = proof.answer;
  if (verdict.findings.completeness.state === "moved") return "moved";
  const told = verdict.report.entries.filter(({ seq, mark }) => seq > 0 && mark === 0);
  if (told.length > 0 && told.every(({ state: its }) => its === "superseded")) return "corrected";
  return findNewer(proof) === null ? null : "newer";
}

/** Another proof that was given, of the same passport, that holds and is as of a later census. */
function findNewer(proof) {
  const mine = proof.answer.verdict.report;
  const isNewer = ({ answer }) => [0, 12].includes(answer?.verdict.exit) &&
    answer.verdict.report.passport === mine.passport && answer.verdict.report.network === mine.network &&
    answer.verdict.report.as_of > mine.as_of;
  return state.proofs.find((other) => other !== proof && isNewer(other)) ?? null;
}

function drawAnswer(proof) {
  if (proof.fault) return [drawFault(proof)];
  const { verdict } = proof.answer;
  const { report } = verdict;
  return [drawOutcome(proof), drawFindings(proof), report && drawEntries(proof), drawOpen(proof), drawDetails(proof)]
    .filter((part) => part !== null);
}

function drawFault({ fault, name }) {
  const isKnown = ["insecure", "too_long", "too_large_here"].includes(fault.message);
  const text = isKnown ? t(`fault_${fault.message}`) :
    fault.name === "NotSupportedError" ? t("fault_old_browser") : t("fault_other", { why: cut(fault.message) });
  return h("section.sheet", {}, h("div.outcome", {}, h("div", {},
    h("p.label", {}, t("result_for"), " ", data(cut(name))),
    h("h2.outcome__word.is-wait", { id: "result", tabindex: "-1" }, icon("i-question"), t("word_not_checked")),
    h("p", {}, text))));
}

function drawOutcome(proof) {
  const { answer, name } = proof;
  const outcome = nameOutcome(proof);
  const [shape, colour] = OUTCOMES[outcome];
  const why = outcome === "superseded" ? `say_superseded_${findSuperseding(proof)}` : `say_${outcome}`;
  return h("section.sheet", { "aria-labelledby": "result", "data-outcome": outcome },
    h(`div.outcome${outcome === "genuine" ? ".outcome--sealed" : ""}`, {},
      h("div", {},
        h("p.label", {}, t("result_for"), " ", h("span.mono", {}, data(cut(name)))),
        h(`h2.outcome__word.${colour}`, { id: "result", tabindex: "-1" }, icon(shape), t(`word_${outcome}`)),
        h("p", {}, t(why)),
        drawNotes(answer.verdict),
        drawUnder(answer)),
      outcome === "genuine" ? stamp() : null,
      answer.verdict.report ? drawWhat(answer) : null),
    drawNext(proof, outcome));
}

/** What a reader must not miss among many entries: those corrected, contested, or signed with a disputed key. */
function drawNotes({ exit, report }) {
  if (report === null || exit === 11) return null;
  const count = (isIt) => report.entries.filter(isIt).length;
  const notes = [["corrected", count(({ state: its }) => its === "superseded")],
    ["contested", count(({ contested_by: by }) => by.length > 0)], ["disputed", count(({ disputed }) => disputed)]];
  return notes.filter(([, n]) => n > 0).map(([name, n]) => h("p.outcome__under", {}, t(`note_${name}`, { n })));
}

/** Whose policy the answer stands on: the reader's decision, said in so many words. */
function drawUnder({ policy, verdict }) {
  if (!policy || verdict.exit === 10 || verdict.findings.authority.code === "other_network") return null;
  const name = policy.logs[0].name.split("/")[0];
  return h("p.outcome__under", {}, t("under"), " ", h("strong", {}, data(cut(name))), " – ", t(`under_${policy.source}`));
}

function drawWhat({ verdict: { report }, now }) {
  const { subject } = report;
  return h("dl.codes", {},
    fact(look(TEXTS[language].schemes, subject.scheme) ?? t("vehicle"), data(cut(String(subject.value))),
      subject.country ? h("span.muted", {}, " ", data(cut(String(subject.country)))) : ""),
    fact(t("as_of"), formatMoment(report.as_of), " ", h("span.muted", {}, `(${formatAge(now - report.as_of)})`)),
    fact(t("entries"), t("shown_short", { n: report.links, shown: report.shown })),
    fact(t("passport"), h("span.mono", {}, group(report.passport))));
}

/** What to do next, where the word alone would leave the reader standing. */
function drawNext(proof, outcome) {
  const { verdict: { findings, report } } = proof.answer;
  const code = findings.authority.code;
  if (outcome === "altered" || outcome === "no_proof") return h("div.outcome", {}, h("p.small", {}, t(`next_${outcome}`)));
  if (outcome !== "cannot_tell" || !["no_policy", "other_network"].includes(code)) return null;
  const network = cut(report.network.split("/")[0]);
  return h("div.outcome", {}, banner("wait", "i-key",
    h("p", {}, h("strong", {}, t(`next_${code}`))),
    h("p", {}, t("next_ask_1"), " ", h("strong", {}, data(network)), t("next_ask_2")),
    h("p.mono.tiny", {}, data(cut(report.log_key))),
    h("p", {}, t("next_compare")),
    h("div.row", {}, h("button.button.button--quiet.button--s", { type: "button", click: () => openSetting("trust", "paste") },
      t("add_policy")))));
}

function drawFindings(proof) {
  const { verdict, matched, older } = proof.answer;
  const rows = FINDINGS.map((name) => {
    const { state: its, code } = verdict.findings[name];
    const text = its === "ok" ? TEXTS[language].findings[name] : code === null ? t("not_judged_why") : sentenceOf(code);
    const extra = name === "completeness" && its === "ok" && verdict.report?.withheld > 0
      ? ` ${t("withheld_counted", { n: verdict.report.withheld })}` : "";
    // Green is earned: where the whole is not judged, a part that is in order stays ink.
    const look = its === "ok" && ![0, 12].includes(verdict.exit) ? ["i-logical", "is-ink"] : STATES[its];
    return drawFinding(t(name), look, t(`state_${its}`), text + extra, code);
  });
  const wishes = verdict.asked.map((code) =>
    drawFinding(t("your_question"), OUTCOMES.not_asked, t("not_met"), sentenceOf(code), code));
  const met = verdict.report && verdict.asked.length === 0 ? listMet(matched, older) : [];
  return section(t("four"), t("four_aside"), h("ol.findings", {}, rows, wishes,
    met.map((text) => drawFinding(t("your_question"), STATES.ok, t("met"), text, null))));
}

function listMet(matched, older) {
  const { complete, days } = state.question;
  const met = [];
  if (matched !== null) met.push(t("met_vehicle", { what: typeof matched === "string" ? group(matched) : formatSubject(matched) }));
  if (complete) met.push(t("met_complete"));
  if (/^\d{1,5}$/.test(days)) met.push(t("met_age", { n: Number(days) }));
  if (older !== null) met.push(t("met_since", { name: cut(older.name) }));
  return met;
}

function drawFinding(title, [shape, colour], word, text, code) {
  return h("li", {}, icon(shape, colour), h("div", {}, h("h3", {}, title, h(`span.${colour}`, {}, word)),
    h("p", {}, text, code === null ? "" : h("span.mono.muted", {}, ` ${code}`))));
}

/** What no proof can show: said with every answer that a reader may build on. */
function drawOpen(proof) {
  const { exit } = proof.answer.verdict;
  if (exit !== 0 && exit !== 12) return null;
  return section(t("open"), t("open_aside"),
    h("ul.dots.small", {}, TEXTS[language].not_proved.map((text) => h("li", {}, text))));
}

function drawDetails({ answer, bytes }) {
  const { verdict, sha256: sum, policy } = answer;
  const { report } = verdict;
  return fold(t("details"), h("dl.facts.small", {},
    fact(t("file"), t("bytes", { n: bytes.length }), ...(sum ? [" · sha256 ", h("span.mono", {}, sum)] : [])),
    ...(report ? [
      fact(t("network"), h("span.mono", {}, data(cut(report.network)))),
      ...(report.forked_from ? [fact(t("forked_from"), h("span.mono", {}, data(cut(report.forked_from.origin))))] : []),
      fact(t("log_key"), h("span.mono", {}, data(cut(report.log_key)))),
      fact(t("holders"), formatNumber(report.epoch + 1)),
    ] : []),
    ...(policy ? [fact(t("policy_used"), h("pre", { tabindex: "0", "aria-label": t("policy_used") }, cut(policy.text)))] : []),
    fact(t("exit_code"), String(verdict.exit)),
    fact(t("for_program"), h("pre", { id: "report", tabindex: "0", "aria-label": t("for_program") }, canonical(verdict).slice(0, 200_000)))));
}
