import { explain } from "./calls.js";
import { type Attributes, type Child, h, newId, svg } from "./dom.js";
import type { Host } from "./element.js";
import type { Texts } from "./texts.js";

/**
 * Makes a button, which sends its form unless it is told what to do. `kind` is `primary` or `danger`, if it is either.
 * `labelledBy` are the ids of what names it to those who cannot see what is around it, its own first.
 */
export function button(text: string, press?: () => unknown, kind = "", labelledBy?: string): HTMLButtonElement {
  const name = { "aria-labelledby": labelledBy, id: labelledBy?.split(" ")[0] };
  const act = press ? { type: "button", click: press } : { type: "submit" };
  return h("button", { part: `button ${kind}`, ...name, ...act }, text);
}

/** Makes the heading of an element, which can have the focus. */
export function headline(text: string): HTMLElement {
  return h("h2", { part: "heading", tabindex: -1 }, text);
}

/** Makes a card with a heading, which can have the focus. */
export function card(name: string, title: string, ...children: Child[]): HTMLElement {
  const heading = h("h3", { id: newId(), tabindex: -1 }, title);
  return h("section", { part: `card ${name}`, "aria-labelledby": heading.id }, heading, ...children);
}

/** Makes a row of buttons. */
export function actions(...children: Child[]): HTMLElement {
  return h("div", { part: "actions" }, ...children);
}

/** Makes a word about what stands beside it. `kind` is `success` or `warning`, if it is either. */
export function badge(text: string, kind = ""): HTMLElement {
  return h("span", { part: `badge ${kind}` }, text);
}

/** A field of a form, with its label, and what is wrong with it. */
export interface Field {
  readonly row: HTMLElement;
  readonly input: HTMLInputElement;
  /** Says what is wrong, and has it corrected; without a text nothing is wrong. */
  refuse(text?: string): void;
}

/** Makes a field. */
export function field(name: string, label: string, attributes: Attributes = {}, hint?: string): Field {
  const id = newId();
  const error = h("p", { part: "error", id: newId(), hidden: true });
  const below = hint !== undefined && h("p", { part: "hint", id: newId() }, hint);
  const input = h("input", { part: "input", id, name, autocapitalize: "none", spellcheck: "false", ...attributes });
  const row = h("div", { part: "field" }, h("label", { part: "label", for: id }, label), below, input, error);
  const refuse = (text = "") => {
    error.hidden = !text;
    error.textContent = text;
    input.setAttribute("aria-invalid", String(text !== ""));
    input.setAttribute("aria-describedby", `${text && error.id} ${below ? below.id : ""}`.trim());
    if (text) input.focus();
  };
  refuse();
  return { row, input, refuse };
}

/** Makes the field of a password. Its name tells password managers which one it is. */
export function password(name: "current-password" | "new-password", label: string, hint?: string): Field {
  return field(name, label, { type: "password", required: true, autocomplete: name }, hint);
}

/** Makes the field of a code of an authenticator app. */
export function codeField(label: string, hint?: string): Field {
  return field("code", label, { required: true, autocomplete: "one-time-code", dir: "ltr" }, hint);
}

/** Makes a box to tick. */
export function checkbox(label: string, hint: string): { row: HTMLElement; input: HTMLInputElement } {
  const below = h("p", { part: "hint", id: newId() }, hint);
  const input = h("input", { part: "checkbox", type: "checkbox", id: newId(), "aria-describedby": below.id });
  return { row: h("div", { part: "check" }, input, h("label", { for: input.id }, label), below), input };
}

/** Makes a form. A field that is required and empty is asked for before it is sent. */
export function form(
  texts: Texts,
  fields: Field[],
  send: () => Promise<unknown>,
  attributes: Attributes,
  ...children: Child[]
): HTMLFormElement {
  const submit = (event: Event) => {
    event.preventDefault();
    for (const { refuse } of fields) refuse();
    const empty = fields.find(({ input }) => input.required && !input.value && !input.closest("[hidden]"));
    if (empty) return empty.refuse(texts.missing);
    return attempt(made, texts, send);
  };
  const made: HTMLFormElement = h("form", { part: "form", novalidate: true, submit, ...attributes }, ...children);
  return made;
}

/** Shows an alert at the beginning of a place, in place of the one that is there. */
export function alert(place: HTMLElement, text?: string, attributes: Attributes = { part: "alert", role: "alert" }): void {
  place.querySelector(":scope > .alert")?.remove();
  if (text) place.prepend(h("div", attributes, text));
}

/** Tells at the beginning of a place that something is done. */
export function succeed({ say }: Pick<Host, "say">, place: HTMLElement, text: string): void {
  alert(place, text, { part: "alert success" });
  say(text);
}

/** Returns the listener with which the key Escape does something. */
export function onEscape(act: () => void): Attributes {
  return { keydown: (event) => (event as KeyboardEvent).key === "Escape" && act() };
}

/** Makes the hidden field by which password managers know whose password it is. */
export function username(email: string): HTMLElement {
  const name = "username";
  return h("input", { type: "email", name, autocomplete: name, readonly: true, hidden: true, value: email });
}

/** Does something that a place asks for, once at a time, and tells there what went wrong. */
export async function attempt(place: HTMLElement, texts: Texts, act: () => Promise<unknown>): Promise<void> {
  if (place.hasAttribute("aria-busy")) return;
  place.setAttribute("aria-busy", "true");
  alert(place);
  try {
    await act();
  } catch (error) {
    alert(place, explain(error, texts));
  } finally {
    place.removeAttribute("aria-busy");
  }
}

/** Asks something before it is done. */
export function question(
  texts: Texts,
  text: string,
  yes: string,
  act: () => Promise<unknown>,
  no: () => void,
): HTMLElement {
  const id = newId();
  const asked: HTMLElement = h(
    "div",
    { part: "question", role: "group", tabindex: -1, "aria-labelledby": id, ...onEscape(no) },
    h("p", { id }, text),
    actions(button(yes, () => attempt(asked, texts, act), "danger"), button(texts.cancel, no)),
  );
  return asked;
}

const DESKTOP = "M3 4h18v12H3zM8 20h8m-4-4v4";
const PATHS: Record<string, string> = {
  mobile: "M7 3h10v18H7zm4 15h2",
  tablet: "M5 3h14v18H5zm6 15h2",
  program: "M3 4h18v16H3zm4 5 3 3-3 3m5 0h5",
};

/** Makes the icon of a type of device. Text beside it says the same. */
export function icon(type: string): SVGElement {
  const stroke = { fill: "none", stroke: "currentColor", "stroke-width": 2, "stroke-linejoin": "round" };
  const path = svg("path", { d: PATHS[type] ?? DESKTOP });
  return svg("svg", { part: "icon", viewBox: "0 0 24 24", "aria-hidden": "true", ...stroke }, path);
}
