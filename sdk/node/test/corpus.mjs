// Runs the corpus that all verifiers share. Prints how many cases there were and which got another verdict.
import { readFileSync } from "node:fs";
import { Refusal, Verifier, demand } from "@keyturn/verify";

const { path } = JSON.parse(process.argv[2]);
const corpus = JSON.parse(readFileSync(path, "utf8"));
const wrong = [];

function verifierOf(case_) {
  const options = { ...corpus.options, ...case_.options };
  return new Verifier({
    issuer: options.issuer,
    audiences: options.audiences,
    algorithms: options.algorithms,
    notBeforeLeeway: options.not_before_leeway,
    expiryLeeway: options.expiry_leeway,
    feed: case_.feed !== undefined,
    maxAgeOfFeed: options.max_age_of_feed_ms,
    whenStale: options.when_stale,
  });
}

for (const case_ of corpus.cases) {
  const verifier = verifierOf(case_);
  if (case_.keys !== null) await verifier.setKeys(corpus.keys[case_.keys ?? "usual"]);
  let at = 3_600_000;
  for (const { event, data, wait_ms: wait } of case_.feed ?? []) {
    at += wait ?? 0;
    verifier.apply(event, data, at);
  }
  at += case_.silent_ms ?? 0;
  const token = Array.isArray(case_.token)
    ? case_.token.map(([text, times]) => text.repeat(times)).join("")
    : case_.token;
  const { max_age: maxAge, ...others } = case_.require ?? {};
  const { text, earlier = [], ...request } = case_.proof ?? {};
  const verify = (proof) =>
    case_.proof
      ? verifier.verifyBound({ token, proof, ...request }, case_.now_ms, at)
      : verifier.verify(token, case_.now_ms, at);
  // Whatever becomes of those that came before.
  for (const proof of earlier) await verify(proof).catch(() => {});
  // The second time the token may be remembered, and the proof was used before.
  for (const expected of [case_.verdict, case_.again ?? case_.verdict]) {
    let verdict = "valid";
    try {
      demand(await verify(text), { maxAge, ...others }, case_.now_ms);
    } catch (error) {
      verdict = error instanceof Refusal ? error.code : String(error);
    }
    if (verdict !== expected) wrong.push(`${case_.name}: ${verdict}, not ${expected}`);
  }
}
console.log(JSON.stringify({ cases: corpus.cases.length, wrong }));
