// The emails that a server writes to files while it has no mail server.
import { readFile, readdir } from "node:fs/promises";
import PostalMime from "postal-mime";

// A file is never changed once it has its name.
const parsed = new Map();

async function read(file) {
  const { from, to, subject, text, html } = await PostalMime.parse(await readFile(file));
  const links = text.match(/https?:\/\/\S+/g) ?? [];
  return { from: from.address, to: to[0].address, subject, text, html, links };
}

/** Returns all emails in a folder, the oldest first. */
export async function readEmails(folder) {
  const names = await readdir(folder).catch((error) => {
    if (error.code === "ENOENT") return [];
    throw error;
  });
  // One whose name begins with a dot is being written.
  const files = names.filter((name) => /^[^.].*\.eml$/.test(name)).sort().map((name) => `${folder}/${name}`);
  for (const file of files) if (!parsed.has(file)) parsed.set(file, read(file));
  return Promise.all(files.map((file) => parsed.get(file)));
}
