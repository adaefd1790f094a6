type Value = string | number | boolean | undefined | ((event: Event) => unknown);

/** What an element is given: functions are listeners, `true` is an attribute without a value, `false` is none. */
export type Attributes = Record<string, Value>;
export type Child = Node | string | false | undefined;

function fill<E extends Element>(made: E, attributes: Attributes, children: Child[]): E {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(name, value);
    // The style sheet of the elements knows parts as classes.
    else if (name === "part") for (const known of ["part", "class"]) made.setAttribute(known, String(value));
    else if (value !== undefined && value !== false) made.setAttribute(name, value === true ? "" : String(value));
  }
  made.append(...children.filter((child): child is Node | string => child !== undefined && child !== false));
  return made;
}

/** Makes an element of HTML. Texts among its children stay texts. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  return fill(document.createElement(tag), attributes, children);
}

/** Makes an element of SVG. */
export function svg(tag: string, attributes: Attributes, ...children: Child[]): SVGElement {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag) as SVGElement, attributes, children);
}

let ids = 0;

/** Returns an id that nothing else has. */
export function newId(): string {
  return `k${(ids += 1)}`;
}

/** Puts an element in the place of a former one, unless they are equal. Returns which one stands there. */
export function replaced<E extends HTMLElement>(former: E, next: E): E {
  if (former.isEqualNode(next)) return former;
  former.replaceWith(next);
  return next;
}

/** Makes a text that names something, in whatever direction that is written. */
export function named(text: string): HTMLElement {
  return h("bdi", { translate: "no" }, text);
}

/** Keeps the direction of what is put into a sentence from that of the sentence. */
export function isolated(text: string): string {
  return `\u2068${text}\u2069`;
}

/** Moves the focus to the first heading that is shown: one with an app's own in its place is not. */
export function focusHeading(root: ShadowRoot): void {
  for (const heading of root.querySelectorAll<HTMLElement>("h2, h3")) {
    heading.focus();
    if (root.activeElement === heading) return;
  }
}
