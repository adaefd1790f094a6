// Clients that misbehave, each in one way: the conformance kit starts this with the name of the way.
import { randomUUID } from "node:crypto";
import { Client, Store } from "../example/client.js";
import { drive, tell } from "../example/main.js";

const { KEYTURN_URL, KEYTURN_FOLDER } = process.env;

const WAYS = {
  "signs out at any 401": class extends Client {
    isOver({ status }) {
      return status === 401;
    }
  },
  "signs out at 500": class extends Client {
    isOver(answer) {
      return super.isOver(answer) || answer.status >= 500;
    }
  },
  "goes by the code alone": class extends Client {
    isOver({ code, body }) {
      return super.isOver({ status: 401, code: code ?? body?.code });
    }
  },
  "makes a key for each request": class extends Client {
    keyFor() {
      return randomUUID();
    }
  },
  "uses before it stores": class extends Client {
    keep(grant, sent) {
      this.access = { text: grant.access_token, refreshAt: sent + grant.refresh_after * 1000 };
      this.unstored = { token: grant.refresh_token };
      return this.access;
    }

    async send(...call) {
      const response = await super.send(...call);
      if (this.unstored) this.store.write(this.unstored);
      this.unstored = undefined;
      return response;
    }
  },
  "hammers": class extends Client {
    pauseAfter() {
      return 0;
    }
  },
  "keeps the tokens at the end": class extends Client {
    store = Object.assign(this.store, { clear: () => {} });
  },
  "believes the clock": class extends Client {
    keep(grant, sent) {
      const { exp } = JSON.parse(Buffer.from(grant.access_token.split(".")[1], "base64url"));
      const access = super.keep(grant, sent);
      return Object.defineProperty(access, "refreshAt", {
        get: () => (Date.now() / 1000 < exp ? Infinity : -Infinity),
      });
    }
  },
  "sends its token anywhere": class extends Client {
    async fetch(url, init = {}) {
      return url.startsWith(this.url) ? super.fetch(url, init) : this.send(url, init, this.access);
    }
  },
  "writes a log": class extends Client {
    keep(grant, sent) {
      console.error(`logged in with ${JSON.stringify(grant)}`);
      return super.keep(grant, sent);
    }
  },
};

const Bad = WAYS[process.argv[2]];
await drive(new Bad(KEYTURN_URL, new Store(KEYTURN_FOLDER), tell));
