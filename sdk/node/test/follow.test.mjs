// A verifier that follows the feed of a server.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { Refusal, createVerifier } from "@keyturn/verify";
import { Events } from "../src/events.js";
import { event, fake, prove, revoked, sync, until } from "./fake.mjs";

const corpus = JSON.parse(readFileSync(process.env.CORPUS, "utf8"));
const tokenOf = (name) => corpus.cases.find((case_) => case_.name === name).token;
const TOKEN = tokenOf("time: valid at any time");
const BOUND = tokenOf("proof: of a token that is valid at any time");
const URL_OF_API = "https://api.example/orders";
const SESSION = JSON.parse(Buffer.from(TOKEN.split(".")[1], "base64url")).sid;
const KID = JSON.parse(Buffer.from(TOKEN.split(".")[0], "base64url")).kid;

// Returns the bound token with a new proof, and what that is for.
async function presented() {
  const proof = await prove(corpus, BOUND, "GET", URL_OF_API);
  return { token: BOUND, proof, method: "GET", url: URL_OF_API };
}

async function started(context, change = () => {}, options = {}) {
  const server = await fake(corpus.keys.usual);
  change(server);
  const verifier = createVerifier({
    issuer: corpus.options.issuer,
    audience: corpus.options.audiences[0],
    url: server.url,
    clientId: "a client",
    clientSecret: "a secret: of a client",
    maxAgeOfFeed: 600_000,
    ...options,
  });
  context.after(() => {
    verifier.close();
    server.close();
  });
  return { server, verifier };
}

const codeOf = (promise) => promise.then(() => "valid", (error) => (error instanceof Refusal ? error.code : error));

test("a revocation reaches a verifier that never asks", async (context) => {
  const { server, verifier } = await started(context);
  await verifier.ready();
  assert.equal((await verifier.verify(TOKEN)).sid, SESSION);
  server.say(revoked(SESSION));
  await until("refused", async () => (await codeOf(verifier.verify(TOKEN))) === "session_revoked");
  const [{ authorization, accept, ...others }] = server.feedRequests;
  assert.equal(atob(authorization.slice(6)), "a%20client:a%20secret%3A%20of%20a%20client");
  assert.equal(accept, "text/event-stream");
  assert.equal(others["last-event-id"], undefined);
  assert.equal(server.keyRequests, 1);
});

test("nothing is ready before the snapshot is whole", async (context) => {
  const { server, verifier } = await started(context, (script) => {
    script.greeting = event("reset", {}) + revoked(SESSION);
  });
  await until("revoked", async () => (await codeOf(verifier.verify(TOKEN))) === "session_revoked");
  assert.equal(verifier.age(), undefined);
  let isReady = false;
  const ready = verifier.ready().then(() => (isReady = true));
  await new Promise(setImmediate);
  assert.equal(isReady, false);
  server.say(sync("2"));
  await ready;
  assert.ok(verifier.age() >= 0);
});

test("a broken connection goes on from its cursor", async (context) => {
  const { server, verifier } = await started(context);
  await verifier.ready();
  server.greeting = sync("cursor 8");
  server.say(sync("cursor 7") + revoked("00000000-0000-4000-8000-000000000001"));
  await until("read", () => verifier.revocations === 1);
  server.hangUp();
  await until("back", () => server.feedRequests.length === 2);
  assert.equal(server.feedRequests[1]["last-event-id"], "cursor 7");
  assert.equal(verifier.revocations, 1);
});

for (const wrong of ['event: revoked\ndata: {"sid":"x"}\n\n', "event: sync\ndata: {\n\n", "event: key\ndata: {}\n\n"]) {
  test(`what cannot be read leads to a new snapshot: ${JSON.stringify(wrong)}`, async (context) => {
    const { server, verifier } = await started(context);
    await verifier.ready();
    server.say(wrong);
    await until("back", () => server.feedRequests.length === 2);
    assert.equal(server.feedRequests[1]["last-event-id"], undefined);
    assert.ok(verifier.lastError);
  });
}

test("a server that goes is left and found again", async (context) => {
  const { server, verifier } = await started(context);
  await verifier.ready();
  server.say(event("bye", { retry_ms: 1 }));
  await until("back", () => server.feedRequests.length === 2);
  server.feedStatus = 401;
  server.hangUp();
  await until("refused", () => verifier.lastError?.status === 401);
  server.feedStatus = 200;
  const before = server.feedRequests.length;
  await until("back", () => server.feedRequests.length > before);
});

test("unknown keys cause one request", async (context) => {
  const { server, verifier } = await started(context, (script) => {
    script.keys = { keys: [] };
  });
  await verifier.ready();
  for (const name of ["header: without kid", 'header: typ "JWT"', "form: one part"]) {
    await assert.rejects(verifier.check(tokenOf(name)), Refusal);
  }
  assert.equal(server.keyRequests, 1);
  server.keys = corpus.keys.usual;
  const codes = await Promise.all(Array.from({ length: 50 }, () => codeOf(verifier.check(TOKEN))));
  assert.deepEqual(new Set(codes), new Set(["valid"]));
  assert.equal(server.keyRequests, 2);
  for (const name of ["header: kid of a stranger", "header: kid a path", "header: kid very long", "header: kid SQL"]) {
    for (let time = 0; time < 100; time += 1) {
      assert.equal(await codeOf(verifier.check(tokenOf(name))), "unknown_key");
      assert.equal(await codeOf(verifier.verify(tokenOf(name))), "unknown_key");
    }
  }
  assert.equal(server.keyRequests, 2);
});

test("a revoked key is refused at once, and the keys are fetched", async (context) => {
  const { server, verifier } = await started(context);
  await verifier.ready();
  await verifier.verify(TOKEN);
  server.say(event("key", { kid: KID, revoked_at: "2027-01-15T08:00:00.000Z" }));
  await until("refused", async () => (await codeOf(verifier.verify(TOKEN))) === "key_revoked");
  await until("fetched", () => server.keyRequests === 2);
});

for (const [whenStale, active, verdict] of [
  ["refuse", true, "stale"],
  ["accept", false, "valid"],
  ["introspect", true, "valid"],
  ["introspect", false, "token_revoked"],
  ["introspect", undefined, "introspect"],
]) {
  test(`a stale verifier does as its policy says: ${whenStale}, ${active}`, async (context) => {
    const change = (script) => Object.assign(script, { feedStatus: 503, active });
    const { verifier } = await started(context, change, { whenStale });
    await until("keys", async () => (await codeOf(verifier.verify(TOKEN))) !== "not_ready");
    assert.equal(await codeOf(verifier.check(TOKEN)), verdict);
    // A proof is used up, whatever the policy is.
    const once = await presented();
    assert.equal(await codeOf(verifier.check(BOUND)), "proof_required");
    assert.equal(await codeOf(verifier.checkBound(once)), verdict);
    assert.equal(await codeOf(verifier.checkBound(once)), verdict === "valid" ? "proof_replayed" : verdict);
  });
}

test("processes tell each other of proofs", async (context) => {
  let shared = new Map();
  const claimProof = async (digest, seconds) => {
    const isNew = !shared.has(digest);
    shared.set(digest, seconds);
    return isNew;
  };
  const [{ verifier: one }, { verifier: other }] = [
    await started(context, undefined, { claimProof }),
    await started(context, undefined, { claimProof }),
  ];
  await Promise.all([one.ready(), other.ready()]);
  const once = await presented();
  const codes = await Promise.all([codeOf(one.verifyBound(once)), codeOf(other.verifyBound(once))]);
  assert.deepEqual(codes.sort(), ["proof_replayed", "valid"]);
  assert.deepEqual([...shared.values()], [66]);
  shared = undefined;
  assert.equal(await codeOf(one.checkBound(await presented())), "proof_unknown");
});

test("a full memory of proofs refuses", async (context) => {
  const { verifier } = await started(context, undefined, { proofs: 1 });
  await verifier.ready();
  assert.equal(await codeOf(verifier.verifyBound(await presented())), "valid");
  assert.equal(await codeOf(verifier.verifyBound(await presented())), "proof_unknown");
  assert.equal(await codeOf(verifier.verify(TOKEN)), "valid");
});

test("events are read however the stream is divided", () => {
  const stream =
    ': comment\n\nevent: sync\nid: 7\ndata: {"a":\ndata: 1}\n\nevent:key\r\ndata:x\r\n\r\nid: 8\n\n' +
    "retry: 5\rdata\r\revent: half\n";
  const expected = [
    { name: "sync", id: "7", data: '{"a":\n1}' },
    { name: "key", data: "x" },
    { name: "", data: "" },
  ];
  for (let size = 1; size < stream.length; size += 1) {
    const events = new Events();
    const read = [];
    for (let start = 0; start < stream.length; start += size) read.push(...events.read(stream.slice(start, start + size)));
    assert.deepEqual(read, expected, String(size));
  }
});
