import type { Client } from "../client.js";
import { type SignedOutReason, isKeyturnError } from "../errors.js";
import { explain } from "./calls.js";
import { focusHeading, h } from "./dom.js";
import type { ElementEvents } from "./events.js";
import { actions, alert, button, headline } from "./parts.js";
import { styleSheet } from "./style.js";
import { type SomeTexts, type Texts, completed, english } from "./texts.js";

/** What elements are given, each by a property of its own or all of them by `defineElements`. */
export interface ElementOptions {
  client?: Client | undefined;
  /** What the elements say in place of the English texts. Give one object, and not another one at each rendering. */
  texts?: SomeTexts | undefined;
}

/** What a view knows of its element. */
export interface Host {
  readonly client: Client;
  readonly texts: Texts;
  /** The language of dates, if the page has a valid one. */
  readonly language: string | undefined;
  readonly root: ShadowRoot;
  /** Says something to those who cannot see it. */
  say(text: string): void;
  tell<E extends keyof ElementEvents>(name: E, detail: ElementEvents[E]): void;
  /** Loads what is shown again. Returns what went wrong. */
  refresh(): Promise<unknown>;
  /** Takes up other texts, which wait while recovery codes are shown. */
  renew(): void;
}

/** What an element shows to somebody who is logged in. */
export interface View {
  readonly content: HTMLElement;
  /** Loads what there is to show, and returns what shows it. `isNew` says whether somebody may have logged in since. */
  load(signal: AbortSignal, isNew: boolean): Promise<() => void>;
  /** Follows what happens, until the signal. */
  follow(signal: AbortSignal): void;
}

// There is none on servers.
const Base = (globalThis.HTMLElement ?? class {}) as typeof HTMLElement;
const connected = new Set<KeyturnElement>();
let defaults: ElementOptions = {};

function languageOf(element: Element): string | undefined {
  const { lang } = element.closest<HTMLElement>("[lang]") ?? document.documentElement;
  try {
    return Intl.getCanonicalLocales(lang || [])[0];
  } catch {
    return undefined;
  }
}

/** Returns whether two catalogues say the same. */
function isSame(one?: SomeTexts, other?: SomeTexts): boolean {
  const names = Object.keys(english) as (keyof Texts)[];
  return names.every((name) => one?.[name] === other?.[name]);
}

/** Shows a view, or why there is nothing to show. Has all made anew when somebody has logged in after a logout. */
function frame(host: Host, view: View, body: HTMLElement, restart: () => void) {
  const { client, texts } = host;
  let state: "empty" | "shown" | "out" = "empty";
  let turn = 0;

  function put(...nodes: HTMLElement[]): void {
    const hadFocus = host.root.activeElement;
    body.replaceChildren(...nodes);
    if (hadFocus) focusHeading(host.root);
  }

  function leave(reason?: SignedOutReason): void {
    turn += 1;
    if (state === "out") return;
    state = "out";
    const told = { session_expired: texts.sessionExpired, logout: "" }[reason as string];
    const text = told ?? (reason ? texts.sessionEnded : "");
    const heading = headline(texts.signedOutTitle);
    const login = h("slot", { name: "signed-out" }, h("p", {}, texts.signedOutText));
    put(h("div", { part: "state signed-out" }, heading, text !== "" && h("p", {}, text), login));
    host.say(`${texts.signedOutTitle}. ${text}`);
    host.tell("keyturn-signed-out", { reason });
  }

  function fail(error: unknown, signal: AbortSignal): void {
    const again = button(texts.retry, () => {
      put(headline(texts.loading));
      void load(signal);
    });
    const place = h("div", { part: "state" }, actions(again));
    alert(place, explain(error, texts) ?? texts.failed);
    const hadFocus = host.root.activeElement;
    body.replaceChildren(place);
    if (hadFocus) again.focus();
  }

  async function load(signal: AbortSignal, isNew = state !== "shown"): Promise<unknown> {
    const own = (turn += 1);
    const isLate = () => signal.aborted || own !== turn;
    try {
      const show = await view.load(signal, isNew);
      if (isLate()) return;
      if (state === "out") return restart();
      show();
      if (state !== "shown") put(view.content);
      state = "shown";
    } catch (error) {
      if (isLate()) return;
      if (isKeyturnError(error) && error.kind === "signed_out") leave(error.reason);
      else if (state !== "shown") fail(error, signal);
      return error;
    }
    return undefined;
  }

  function connect(signal: AbortSignal): void {
    // Nobody is to see what the former person typed or was shown.
    const begin = () => (state === "out" ? restart() : load(signal, true));
    signal.addEventListener("abort", client.on("signedIn", begin));
    signal.addEventListener("abort", client.on("signedOut", ({ reason }) => leave(reason)));
    view.follow(signal);
    void load(signal);
  }

  return { connect, load };
}

/** An element that shows something of the account of a client. */
export abstract class KeyturnElement extends Base {
  private own: ElementOptions = {};
  private life: AbortController | undefined;
  private connectView: ((signal: AbortSignal) => void) | undefined;
  private hasWarned = false;
  // What the view was made with.
  private made: ElementOptions & Partial<Pick<Host, "language">> = {};

  static get observedAttributes(): string[] {
    return ["lang"];
  }

  /** What elements have that are given nothing of their own. */
  static set defaults(options: ElementOptions) {
    defaults = { ...defaults, ...options };
    for (const element of connected) element.renew();
  }

  constructor() {
    super();
    this.attachShadow({ mode: "open" }).adoptedStyleSheets = [styleSheet()];
  }

  /** The client that is asked. */
  get client(): Client | undefined {
    return this.own.client ?? defaults.client;
  }

  set client(client: Client | undefined) {
    this.own.client = client ?? undefined;
    this.renew();
  }

  /** What the element says in place of its English texts. */
  get texts(): SomeTexts | undefined {
    return this.own.texts ?? defaults.texts;
  }

  set texts(texts: SomeTexts | undefined) {
    this.own.texts = texts ?? undefined;
    this.renew();
  }

  connectedCallback(): void {
    // What was set before the element was defined hides the accessors.
    for (const name of ["client", "texts"] as const) {
      const early = Object.getOwnPropertyDescriptor(this, name);
      if (!early) continue;
      delete this[name];
      this.own = { ...this.own, [name]: early.value };
    }
    connected.add(this);
    this.renew();
  }

  disconnectedCallback(): void {
    connected.delete(this);
    this.life?.abort();
  }

  attributeChangedCallback(): void {
    this.renew();
  }

  // Shows the view, made anew if it is another one now. Codes that are not shown again stay until they are kept.
  private renew(): void {
    if (!connected.has(this)) return;
    const { client, texts, language } = this.made;
    const isSpoken = language === languageOf(this) && isSame(texts, this.texts);
    const isKept = isSpoken || this.shadowRoot!.querySelector(".codes");
    if (client !== this.client || !isKept) this.connectView = undefined;
    if (this.connectView && !this.life!.signal.aborted) return;
    this.life?.abort();
    this.life = new AbortController();
    this.connectView ??= this.build();
    this.connectView?.(this.life.signal);
  }

  private restart(): void {
    this.connectView = undefined;
    this.renew();
  }

  private build(): ((signal: AbortSignal) => void) | undefined {
    const { client, shadowRoot } = this;
    const language = languageOf(this);
    this.made = { client, texts: this.texts, language };
    const texts = completed(english, this.texts);
    const status = h("div", { part: "status", role: "status" });
    const body = h("div", { part: "body" }, h("p", { part: "loading" }, texts.loading));
    shadowRoot!.replaceChildren(status, body);
    if (!client?.on) return this.warn();
    const host: Host = {
      client,
      texts,
      language,
      root: shadowRoot!,
      say: (text) => (status.textContent = text),
      tell: (name, detail) =>
        void this.dispatchEvent(new CustomEvent(name, { detail, bubbles: true, composed: true })),
      refresh: () => framed.load(this.life!.signal),
      renew: () => this.renew(),
    };
    const framed = frame(host, this.view(host), body, () => this.restart());
    return framed.connect;
  }

  // Tells once who makes a page that the client is missing, unless it is given in the meantime.
  private warn(): undefined {
    setTimeout(() => {
      if (this.hasWarned || !connected.has(this) || this.client?.on) return;
      this.hasWarned = true;
      console.warn(`<${this.localName}> has no keyturn client`);
    });
  }

  protected abstract view(host: Host): View;
}

