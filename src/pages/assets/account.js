// @ts-check
// Improves the pages of people, all of which work without it: times of this place, a list that is up to date, the end
// of the login as soon as it is there, and what a new password is worth while it is typed.

/** How often the server is asked, in milliseconds. */
const INTERVAL = 1500;

/** How long typing rests before a new password is judged, in milliseconds. */
const REST = 500;

/**
 * Shows the times within an element as people here write them.
 * @param {ParentNode} within
 */
function localize(within) {
  // Administrators compare times of many places: in the console they stay in UTC.
  if (document.body.classList.contains("console")) return;
  const format = new Intl.DateTimeFormat(document.documentElement.lang, { dateStyle: "long", timeStyle: "short" });
  for (const time of within.querySelectorAll("time")) {
    const at = new Date(time.dateTime);
    if (!Number.isNaN(at.getTime())) {
      time.title = time.textContent ?? "";
      time.textContent = format.format(at);
    }
  }
}

/**
 * Loads a page of this server, without running anything in it.
 * @param {string} url
 * @returns {Promise<Document | null>}
 */
function load(url) {
  return new Promise((resolve) => {
    const request = new XMLHttpRequest();
    request.open("GET", url);
    request.responseType = "document";
    // A list whose filter is refused is empty.
    request.onload = () => resolve([200, 422].includes(request.status) ? request.responseXML : null);
    request.onerror = () => resolve(null);
    request.send();
  });
}

/**
 * Returns whether somebody is doing something in an element: its contents stay.
 * @param {Element} element
 */
function isBusy(element) {
  return element.contains(document.activeElement) || element.querySelector("details[open]") !== null;
}

/**
 * Says something to those who cannot see it.
 * @param {string} text
 */
function announce(text) {
  let status = document.querySelector("body > [role=status]");
  if (!status) {
    status = document.createElement("p");
    status.className = "unseen";
    status.setAttribute("role", "status");
    document.body.append(status);
  }
  status.textContent = text;
}

/**
 * Replaces the list of sessions with the present one.
 * @param {HTMLElement} main
 */
async function update(main) {
  const loaded = await load(location.href);
  const present = loaded?.querySelector("main");
  if (!present) return;
  const focused = document.activeElement;
  const children = [...present.children].map((child) => {
    const old = child.id ? document.getElementById(child.id) : null;
    if (old && isBusy(old)) return old;
    // What has not changed keeps the focus, such as the heading.
    const same = [...main.children].find((former) => former.isEqualNode(child));
    if (same) return same;
    const adopted = document.importNode(child, true);
    adopted.querySelector("[autofocus]")?.removeAttribute("autofocus");
    if (adopted.hasAttribute("autofocus")) adopted.removeAttribute("autofocus");
    localize(adopted);
    return adopted;
  });
  main.replaceChildren(...children);
  main.dataset.version = present.dataset.version;
  if (focused instanceof HTMLElement && main.contains(focused)) focused.focus();
  announce(main.dataset.changed ?? "");
}

/**
 * Says that the login has ended, in place of the page.
 * @param {{ title: string, text: string, login: string }} ended
 */
function end(ended) {
  const card = document.createElement("div");
  card.className = "card";
  const heading = document.createElement("h1");
  heading.tabIndex = -1;
  heading.textContent = ended.title;
  const text = document.createElement("p");
  text.textContent = ended.text;
  const link = document.createElement("a");
  link.className = "button primary";
  link.href = `${document.body.dataset.login}?return_to=${encodeURIComponent(location.pathname + location.search)}`;
  link.textContent = ended.login;
  card.append(heading, text, link);
  document.querySelector(".tabs")?.remove();
  document.querySelector(".top form")?.remove();
  document.querySelector("main")?.replaceChildren(card);
  heading.focus();
}

/**
 * Follows the sessions of the person who is logged in, while the page is seen.
 * @param {string} url
 */
function follow(url) {
  const main = document.querySelector("main");
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  let hasEnded = false;

  async function ask() {
    clearTimeout(timer);
    if (hasEnded || document.visibilityState !== "visible") return;
    try {
      const response = await fetch(url, { headers: { accept: "application/json" } });
      if (response.status === 401) {
        hasEnded = true;
        end(await response.json());
        return;
      }
      if (response.ok && main?.dataset.version) {
        const { version } = await response.json();
        if (version !== main.dataset.version) await update(main);
      }
    } catch {
      // The connection may be back the next time.
    }
    clearTimeout(timer);
    timer = setTimeout(ask, INTERVAL);
  }

  document.addEventListener("visibilitychange", ask);
  // A page that the browser had kept may be somebody's who has logged out since.
  addEventListener("pageshow", ask);
}

/**
 * Says what a new password is worth while it is typed.
 * @param {HTMLInputElement} input
 */
function judge(input) {
  const told = document.createElement("p");
  told.className = "feedback";
  told.setAttribute("role", "status");
  input.after(told);
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  let asked = 0;

  async function ask() {
    asked += 1;
    const own = asked;
    if (!input.value) {
      told.textContent = "";
      return;
    }
    const body = new URLSearchParams({ new_password: input.value });
    for (const name of ["email", "username", "name"]) {
      const field = input.form?.elements.namedItem(name);
      if (field instanceof HTMLInputElement && field.value) body.set(name === "username" ? "email" : name, field.value);
    }
    try {
      const response = await fetch(input.dataset.judge ?? "", { method: "POST", body });
      if (!response.ok || own !== asked) return;
      const { is_accepted: isAccepted, text } = await response.json();
      told.textContent = text;
      told.classList.toggle("accepted", isAccepted);
    } catch {
      // The form tells it, too.
    }
  }

  input.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(ask, REST);
  });
}

/**
 * Finds while somebody types what the form of a list would find.
 * @param {HTMLFormElement} form
 */
function search(form) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  let asked = 0;

  async function find() {
    asked += 1;
    const own = asked;
    const query = new URLSearchParams();
    for (const [name, value] of new FormData(form)) if (value) query.set(name, String(value));
    const url = `${form.action}?${query}`;
    const found = (await load(url))?.getElementById("results");
    const shown = document.getElementById("results");
    if (!found || !shown || own !== asked) return;
    shown.replaceWith(document.importNode(found, true));
    history.replaceState(null, "", url);
    announce(found.dataset.found ?? "");
  }

  form.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(find, REST);
  });
}

/** Shows the buttons that need a script: copy and print. */
function showButtons() {
  const status = document.querySelector("[data-status]");
  for (const button of document.querySelectorAll("button")) {
    const { copy, done } = button.dataset;
    if (copy !== undefined) {
      button.hidden = false;
      button.addEventListener("click", async () => {
        await navigator.clipboard.writeText(copy);
        if (status) status.textContent = done ?? "";
      });
    } else if (button.hasAttribute("data-print")) {
      button.hidden = false;
      button.addEventListener("click", () => print());
    }
  }
}

localize(document);
showButtons();
for (const input of document.querySelectorAll("input")) {
  if (input.dataset.judge) judge(input);
}
for (const form of document.querySelectorAll("form")) {
  if (form.getAttribute("role") === "search") search(form);
}
const live = document.body.dataset.live;
if (live) follow(live);
