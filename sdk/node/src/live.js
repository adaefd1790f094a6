// A verifier that fetches the keys and follows the feed of revocations.

import { setTimeout as sleep } from "node:timers/promises";
import { decode } from "./json.js";
import { Refusal } from "./refusal.js";
import { Events } from "./events.js";
import { Verifier } from "./verifier.js";

const TIMEOUT = 5000;
// How long nothing may arrive on the feed. The server sends something every second.
const SILENCE = 15_000;
const MIN_PAUSE = 100;
const MAX_PAUSE = 5000;
// The least time between two fetches that unknown ids of keys cause, and how long such an id is not asked for again.
const MIN_INTERVAL = 5000;
const UNKNOWN_FOR = 60_000;
const MAX_UNKNOWN = 1024;

class Failure extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

const jitter = (max) => Math.random() * max;
const form = (text) => encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16)}`);

// A promise that is resolved once.
class Latch {
  constructor() {
    this.wait = new Promise((resolve) => {
      this.open = resolve;
    });
  }
}

class LiveVerifier {
  #verifier;
  #url;
  #authorization;
  #stop = new AbortController();
  #wake = new AbortController();
  #fetching;
  #askedAt = -Infinity;
  #unknown = new Map();
  #keys = new Latch();
  #snapshot = new Latch();
  #cursor;
  lastError;

  constructor({ url, clientId, clientSecret, publicUrl, ...options }) {
    if (!clientId || !clientSecret) throw new TypeError("clientId and clientSecret are needed");
    this.#verifier = new Verifier(options);
    this.publicUrl = publicUrl?.replace(/\/+$/, "");
    this.#url = (url ?? options.issuer).replace(/\/+$/, "");
    if (!/^https?:$/.test(new URL(this.#url).protocol)) throw new TypeError("url is neither http:// nor https://");
    this.#authorization = `Basic ${Buffer.from(`${form(clientId)}:${form(clientSecret)}`).toString("base64")}`;
    this.#run(this.#refreshKeys());
    this.#run(this.#follow());
  }

  #run(task) {
    task.catch((error) => {
      if (!this.#stop.signal.aborted) this.lastError = error;
    });
  }

  // Waits until the keys and a whole snapshot of the revocations are there.
  async ready() {
    await Promise.all([this.#keys.wait, this.#snapshot.wait]);
  }

  // Verifies a token that came by itself, without I/O. Returns its claims or throws a Refusal. If its key is unknown, the
  // keys are fetched in the background for the next one.
  verify(token) {
    return this.#now(token, () => this.#verifier.verify(token));
  }

  // Verifies a token that came with a proof, `{ token, proof, method, url }`, and else as `verify` does. The proof is used
  // up.
  verifyBound(presented) {
    return this.#now(presented.token, () => this.#verifier.verifyBound(presented));
  }

  // Verifies a token as `verify` does. Waits for the keys if they may have the unknown one, and asks keyturn where the
  // policy is to introspect and the knowledge is stale.
  check(token) {
    const verify = () => this.#verifier.verify(token);
    return this.#check(token, verify, () => this.#verifier.verifyButForAge(token), (claims) => claims);
  }

  // Verifies a token and its proof as `verifyBound` does, and else as `check` does.
  checkBound(presented) {
    const verifier = this.#verifier;
    const verify = () => verifier.verifyBound(presented);
    const verifyButForAge = () => verifier.verifyBoundButForAge(presented);
    return this.#check(presented.token, verify, verifyButForAge, (certain) => verifier.useUp(certain));
  }

  async #now(token, verify) {
    try {
      return await verify();
    } catch (error) {
      if (error.code === "unknown_key" && this.#mayAsk(token)) this.#wake.abort();
      throw error;
    }
  }

  async #check(token, verify, verifyButForAge, finish) {
    try {
      return await verify().catch((error) => this.#again(token, verify, error));
    } catch (error) {
      if (error.code !== "introspect") throw error;
    }
    const certain = await verifyButForAge();
    if (!(await this.#isActive(token))) throw new Refusal("token_revoked");
    return finish(certain);
  }

  async #again(token, verify, error) {
    if (error.code !== "unknown_key") throw error;
    if (this.#mayAsk(token)) await this.#fetchKeys().catch((failure) => this.#note(failure));
    else await this.#fetching?.catch(() => {});
    return verify();
  }

  async #isActive(token) {
    try {
      const headers = { authorization: this.#authorization, "content-type": "application/x-www-form-urlencoded" };
      const response = await this.#fetch("/oauth/introspect", { method: "POST", headers, body: `token=${form(token)}` });
      const { active } = await response.json();
      if (typeof active === "boolean") return active;
    } catch (error) {
      this.#note(error);
    }
    throw new Refusal("introspect");
  }

  // Returns how many milliseconds old the knowledge about revocations is, undefined if there is none yet.
  age() {
    return this.#verifier.age();
  }

  get revocations() {
    return this.#verifier.revocations;
  }

  // Ends the connections.
  close() {
    this.#stop.abort();
    this.#wake.abort();
  }

  #note(error) {
    this.lastError = error;
  }

  async #fetch(path, options = {}, signal = AbortSignal.timeout(TIMEOUT)) {
    const both = AbortSignal.any([this.#stop.signal, signal]);
    const response = await fetch(`${this.#url}${path}`, { redirect: "error", ...options, signal: both });
    if (response.status !== 200) {
      await response.body?.cancel();
      throw new Failure(`keyturn answered ${response.status}`, response.status);
    }
    return response;
  }

  // Fetches the keys, once at a time. Returns for how many milliseconds they may be kept.
  #fetchKeys() {
    this.#fetching ??= (async () => {
      const response = await this.#fetch("/.well-known/jwks.json");
      const maxAge = /(?:^|[\s,])max-age=([0-9]+)/.exec(response.headers.get("cache-control") ?? "")?.[1];
      await this.#verifier.setKeys(await response.json());
      for (const kid of this.#unknown.keys()) if (this.#verifier.hasKey(kid)) this.#unknown.delete(kid);
      this.#keys.open();
      return Math.min(Math.max(Number(maxAge ?? 300), 10), 3600) * 1000;
    })().finally(() => {
      this.#fetching = undefined;
    });
    return this.#fetching;
  }

  async #refreshKeys() {
    let pause = MIN_PAUSE;
    while (!this.#stop.signal.aborted) {
      this.#wake = new AbortController();
      let wait;
      try {
        wait = await this.#fetchKeys();
        pause = MIN_PAUSE;
      } catch (error) {
        this.#note(error);
        pause = Math.min(pause * 2, MAX_PAUSE);
        wait = jitter(pause);
      }
      await sleep(wait, undefined, { ref: false, signal: this.#wake.signal }).catch(() => {});
    }
  }

  // Returns whether to fetch the keys for a token now. Notes the id of its key as unknown, until the keys have it.
  #mayAsk(token) {
    const kid = decode(token.split(".")[0]).value.kid;
    const now = performance.now();
    if (now - this.#askedAt < MIN_INTERVAL || now - (this.#unknown.get(kid) ?? -Infinity) < UNKNOWN_FOR) return false;
    if (this.#unknown.size >= MAX_UNKNOWN) this.#unknown.clear();
    this.#askedAt = now;
    this.#unknown.set(kid, now);
    return true;
  }

  async #follow() {
    let pause = MIN_PAUSE;
    while (!this.#stop.signal.aborted) {
      const result = { hasSynced: false, retry: undefined };
      let wait;
      try {
        await this.#readFeed(result);
        wait = jitter(pause);
      } catch (error) {
        this.#note(error);
        // A cursor that leads nowhere, or data that cannot be read: a snapshot is always right.
        if (error instanceof TypeError || error instanceof SyntaxError || [400, 404, 410, 422].includes(error.status)) {
          if (error.cause === undefined) this.#cursor = undefined;
        }
        wait = pause + jitter(pause);
      }
      if (result.retry !== undefined) {
        wait = Math.min(result.retry, MAX_PAUSE) + jitter(Math.min(Math.max(result.retry, MIN_PAUSE), MAX_PAUSE));
      }
      pause = result.hasSynced ? MIN_PAUSE : Math.min(pause * 2, MAX_PAUSE);
      await sleep(wait, undefined, { ref: false, signal: this.#stop.signal }).catch(() => {});
    }
  }

  async #readFeed(result) {
    const headers = { accept: "text/event-stream", authorization: this.#authorization };
    if (this.#cursor) headers["last-event-id"] = this.#cursor;
    const silence = new AbortController();
    let timer = setTimeout(() => silence.abort(), TIMEOUT).unref();
    try {
      const response = await this.#fetch("/api/v1/revocations", { headers }, silence.signal);
      const events = new Events();
      const decoder = new TextDecoder("utf-8", { fatal: true });
      for await (const chunk of response.body) {
        clearTimeout(timer);
        timer = setTimeout(() => silence.abort(), SILENCE).unref();
        for (const event of events.read(decoder.decode(chunk, { stream: true }))) {
          this.#apply(event, result);
          if (result.retry !== undefined) return;
        }
      }
    } finally {
      clearTimeout(timer);
      silence.abort();
    }
  }

  #apply({ name, data, id }, result) {
    const parsed = JSON.parse(data);
    this.#verifier.apply(name, parsed);
    if (name === "reset") this.#cursor = undefined;
    if (name === "key") this.#wake.abort();
    if (name === "bye") result.retry = parsed.retry_ms;
    if (name === "sync") {
      this.#cursor = id || undefined;
      result.hasSynced = true;
      this.#snapshot.open();
    }
  }
}

// Starts a verifier for tokens of the keyturn at `issuer` for `audience`. `clientId` and `clientSecret` are those of a
// client with the scope `revocations`.
export function createVerifier(options) {
  return new LiveVerifier(options);
}
