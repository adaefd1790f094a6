"use strict";

const base = document.querySelector("main").dataset.base;
const token = document.getElementById("token");

// Reads the form: its fields go into the path, the query or the headers.
function request(form) {
  const { method, token: needsToken } = form.dataset;
  const query = new URLSearchParams();
  const headers = {};
  let path = form.dataset.path;
  for (const { name, value, dataset } of form.elements) {
    if (!name || value === "") continue;
    if (dataset.place === "path") path = path.replace(`{${name}}`, encodeURIComponent(value));
    if (dataset.place === "query") query.append(name, value);
    if (dataset.place === "header") headers[name] = value;
  }
  if (needsToken && token.value) headers.Authorization = `Bearer ${token.value.trim()}`;
  const body = form.querySelector("textarea")?.value.trim() || undefined;
  if (body) headers["Content-Type"] = "application/json";
  const url = base + path + (query.size ? `?${query}` : "");
  // Cookies of a login in this browser are not this page's to use.
  return [url, { method, headers, body, credentials: "omit", cache: "no-store" }];
}

// Formats JSON, and takes over the access token of a login.
function readable(text) {
  try {
    const json = JSON.parse(text);
    if (typeof json.access_token === "string") token.value = json.access_token;
    return JSON.stringify(json, null, 2);
  } catch {
    return text;
  }
}

async function send(form) {
  const answer = form.querySelector(".answer");
  answer.hidden = false;
  answer.textContent = "…";
  try {
    const response = await fetch(...request(form));
    const text = await response.text();
    const retry = response.headers.get("retry-after");
    const notes = retry ? ` – try again after ${retry} s` : "";
    answer.textContent = `${response.status} ${response.statusText}${notes}\n\n${readable(text)}`.trim();
  } catch (error) {
    answer.textContent = `No answer: ${error.message}`;
  }
}

for (const form of document.querySelectorAll("form[data-path]")) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send(form);
  });
}

// A link to a route opens it.
function open() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (target?.tagName === "DETAILS") target.open = true;
}
addEventListener("hashchange", open);
open();
