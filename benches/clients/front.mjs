// What a browser reaches: the pages of an app, its API, and behind the fault of the moment the server that logs people
// in. All of it has one origin, so that a library sees what came instead of an answer, and not only that the browser
// refused it.
import { once } from "node:events";
import { createServer } from "node:http";
import { challenge, json, page, problem, send } from "../../sdk/conformance/src/replies.js";

const LOCKS = {
  present: "",
  absent: "Object.defineProperty(navigator, 'locks', { value: undefined });",
  denied: `navigator.locks.request = async () => {
    throw new DOMException("Access to the Locks API is denied in this context.", "SecurityError");
  };`,
};

// Runs last in each page.
const STARTED = `const isBack = location.pathname === "/callback";
  window.started = subject.start().then(() => (window.isBack = isBack));`;

// Runs first in each page: the time of its device, as `leap` and `skew` of the front say, and its locks.
function device({ leap, skew }, locks) {
  return `window.device = { leap: ${leap}, skew: ${skew} };
    const [now, tick, RealDate] = [Date.now, performance.now.bind(performance), Date];
    const time = () => now() + device.leap + device.skew;
    window.Date = class extends RealDate {
      constructor(...given) {
        given.length ? super(...given) : super(time());
      }
      static now = time;
    };
    performance.now = () => tick() + device.leap;
    ${LOCKS[locks]}`;
}

async function bodyOf(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

export class Front {
  /** What is played instead of a refresh: `{play, duration, endsAt}`. */
  fault;
  /** Called with each call that has a good access token, before its answer. */
  onCall;
  /** How much time has passed for everybody besides the real one, and how wrong the devices' clocks are. */
  device = { leap: 0, skew: 0 };
  refreshes = 0;
  locks = "present";
  #server;

  constructor(backend, script) {
    Object.assign(this, { backend, script });
  }

  get origin() {
    return `http://127.0.0.1:${this.#server.address().port}`;
  }

  async listen() {
    this.#server = createServer((request, response) => {
      this.#serve(request, response).catch((error) => response.destroy(error));
    });
    await once(this.#server.listen(0, "127.0.0.1"), "listening");
  }

  close() {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  leap(milliseconds) {
    this.device.leap += milliseconds;
    this.backend.ahead += milliseconds;
  }

  async #serve(request, response) {
    // Browsers send a request again by themselves when a connection that was used before breaks.
    response.setHeader("connection", "close");
    response.setHeader("date", new Date(this.backend.now()).toUTCString());
    const body = await bodyOf(request);
    const url = new URL(request.url, this.origin);
    if (url.pathname === "/subject.js") return send(response, this.#file("text/javascript", this.script));
    if (["/app", "/callback"].includes(url.pathname)) return send(response, this.#page());
    if (url.pathname === "/login") return send(response, page(200));
    const bearer = /^Bearer (.+)$/.exec(request.headers.authorization ?? "")?.[1];
    if (url.pathname === "/api/me") return this.#call(response, bearer);
    const asked = { url, body, bearer, headers: request.headers };
    const answer = () => this.backend.answer(asked);
    if (!this.backend.isRefresh(url, body)) return send(response, answer());
    this.refreshes += 1;
    return this.#refresh({ request, response, answer });
  }

  async #refresh(given) {
    const { fault } = this;
    if (fault?.play && !(Date.now() >= fault.endsAt)) {
      fault.endsAt ??= Date.now() + fault.duration;
      // The faults of the conformance kit know its fake server.
      const sessions = { now: () => this.backend.now() };
      const fake = { sessions, elsewhereUrl: this.origin, refreshes: [] };
      return fault.play({ ...given, fake, entry: {}, stallFor: 3600, backend: this.backend });
    }
    return send(given.response, given.answer());
  }

  async #call(response, bearer) {
    if (!this.backend.isGood(bearer)) return send(response, problem(401, "invalid_token", challenge("invalid_token")));
    if (await this.onCall?.(bearer)) return response.destroy();
    return send(response, json(200, { name: "Ada" }));
  }

  #file(type, body) {
    return { status: 200, headers: { "content-type": type, "cache-control": "no-store" }, body };
  }

  #page() {
    const head = `<!doctype html><title>app</title><script>${device(this.device, this.locks)}</script>`;
    return this.#file("text/html", `${head}<script src="/subject.js"></script><script>${STARTED}</script>`);
  }
}
