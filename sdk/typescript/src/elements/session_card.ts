import type { components } from "../wire.js";
import { codeOf } from "./calls.js";
import { h, isolated, named, replaced } from "./dom.js";
import type { Host } from "./element.js";
import { actions, badge, button, field, form, icon, onEscape, question } from "./parts.js";
import type { EndReason, Texts } from "./texts.js";
import type { timesOf } from "./times.js";

type Session = components["schemas"]["Session"];

/** What is needed to tell of a session. */
export interface FactContext {
  readonly host: Host;
  readonly times: ReturnType<typeof timesOf>;
  /** The present time of the server, in milliseconds. */
  readonly now: () => number;
}

/** What the cards of a list have in common. */
export interface CardContext extends FactContext {
  /** Shows a session that was renamed here. */
  renamed(session: Session): void;
  /** Shows that a session was ended here. */
  ended(session: Session): void;
}

export interface Card {
  readonly root: HTMLElement;
  /** The list of the sessions that were opened within this one. */
  readonly within: HTMLElement;
  show(session: Session, hasOthersWithin: boolean): void;
}

/** Returns how its owner or its device calls a session. */
export function nameOf({ name, device }: Session): string {
  return name ?? device.label;
}

// Returns where a session is, with the country in the language of the page.
function placeOf({ location, ip_address }: Session, language: string | undefined): string {
  let country = location?.country_name;
  try {
    const countries = new Intl.DisplayNames(language, { type: "region" });
    if (location?.country) country = countries.of(location.country) ?? country;
  } catch {
    // It is no code that this browser knows.
  }
  return [location?.city, country, ip_address].filter(Boolean).join(", ");
}

function reasonOf({ revoked_reason }: Session, { reasons }: Texts): string {
  return reasons[(revoked_reason ?? "expired") as EndReason] ?? reasons.other;
}

/** Makes what is told of a session. */
export function factsOf(session: Session, { host, times, now }: FactContext): HTMLElement {
  const { texts, language } = host;
  const facts = h("dl", { part: "details" });
  const add = (term: string, ...value: (Node | string)[]) =>
    facts.append(h("dt", { part: "term" }, term), h("dd", { part: "value" }, ...value));
  const place = placeOf(session, language);
  if (place) add(texts.from, named(place));
  add(texts.lastUsed, times.relative(session.last_active_at, now(), session.is_expired ? undefined : texts.now));
  const isInTwoSteps = session.amr.some((method) => method === "mfa" || method === "otp");
  const how = isInTwoSteps ? texts.inTwoSteps : session.amr.includes("pwd") && texts.byPassword;
  add(texts.begun, times.absolute(session.created_at), ...(how ? [", ", how] : []));
  if (session.is_expired) {
    add(texts.ended, times.absolute(session.revoked_at ?? session.expires_at), ": ", reasonOf(session, texts));
  } else add(texts.expires, times.absolute(session.expires_at));
  return facts;
}

/** Makes what stands above the facts of a session, around the heading with its name. */
export function headOf({ device, is_current, impersonated_by }: Session, heading: Node, { texts }: Host): HTMLElement {
  const here = is_current && badge(texts.thisDevice, "success");
  const support = impersonated_by !== null && badge(texts.support, "warning");
  return h("div", { part: "title" }, icon(device.type), h("div", { part: "name" }, heading, here, support));
}

/** Makes the line below it: the device, unless that is the name, and where its owner logged in. */
export function hintOf({ name, device, kind }: Session, { texts }: Host): HTMLElement {
  const how = kind === "browser" ? texts.onLoginPage : texts.withApp;
  return h("p", { part: "hint" }, ...(name === null ? [] : [named(device.label), " · "]), how);
}

/** Makes the card of a session, with which it is renamed and ended. */
export function sessionCard(first: Session, context: CardContext): Card {
  const { host } = context;
  const { client, texts } = host;
  const { id } = first;
  let session = first;
  const heading = h("h3", { id: `name-${id}`, tabindex: -1 });
  let hint = hintOf(first, host);
  let facts = factsOf(first, context);
  const within = h("ul", { part: "list", role: "list" });
  const children = h("div", { hidden: true }, h("p", { part: "label" }, texts.within), within);
  const place = h("div", {});
  const rename = button(texts.rename, askName, "", `rename-${id} name-${id}`);
  const end = button(texts.end, askEnd, "danger", `end-${id} name-${id}`);
  const idle = actions(rename, !first.is_current && end);

  function put(shown: HTMLElement, focused?: HTMLElement): void {
    place.replaceChildren(shown);
    focused?.focus();
  }

  function askName(): void {
    const name = field("name", texts.name, { maxlength: 100, autocomplete: "off" });
    name.input.value = session.name ?? "";
    const back = () => put(idle, rename);
    const send = async () => {
      try {
        const renamed = await client.sessions.rename(id, name.input.value.trim() || null);
        host.tell("keyturn-session-renamed", { session_id: id, name: renamed.name });
        context.renamed(renamed);
        back();
        host.say(texts.renamed);
      } catch (error) {
        if (codeOf(error) !== "invalid_input") throw error;
        name.refuse(texts.nameRefused);
      }
    };
    const buttons = actions(button(texts.save, undefined, "primary"), button(texts.cancel, back));
    put(form(texts, [name], send, onEscape(back), name.row, buttons), name.input);
  }

  function askEnd(): void {
    const act = async () => {
      try {
        await client.sessions.end(id);
      } catch (error) {
        // It has ended in the meantime.
        if (codeOf(error) !== "not_found") throw error;
      }
      context.ended(session);
    };
    const text = texts.endQuestion(isolated(nameOf(session)));
    const asked = question(texts, text, texts.end, act, () => put(idle, end));
    put(asked, asked);
  }

  function show(present: Session, hasOthersWithin: boolean): void {
    session = present;
    if (heading.textContent !== nameOf(session)) heading.replaceChildren(named(nameOf(session)));
    hint = replaced(hint, hintOf(session, host));
    facts = replaced(facts, factsOf(session, context));
    children.hidden = !hasOthersWithin;
  }

  const part = `card session ${first.is_current ? "current" : ""}`;
  const root = h("li", { part }, headOf(first, heading, host), hint, facts, place, children);
  put(idle);
  return { root, within, show };
}
