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
  // The second time it may be remembered.
  for (let time = 0; time < 2; time += 1) {
    let verdict = "valid";
    try {
      demand(await verifier.verify(token, case_.now_ms, at), { maxAge, ...others }, case_.now_ms);
    } catch (error) {
      verdict = error instanceof Refusal ? error.code : String(error);
    }
    if (verdict !== case_.verdict) wrong.push(`${case_.name}: ${verdict}, not ${case_.verdict}`);
  }
}
console.log(JSON.stringify({ cases: corpus.cases.length, wrong }));
