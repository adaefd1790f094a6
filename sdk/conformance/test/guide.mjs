// The client of docs/guides/mobile-app.md, in the file that is named, as the conformance kit starts it.
import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { drive, tell } from "../example/main.js";
import { FINAL } from "../src/sessions.js";

const { Session, SessionOver } = await import(pathToFileURL(process.argv[2]).href);
const path = join(process.env.KEYTURN_FOLDER, "session");
const store = {
  read: async () => {
    try {
      return readFileSync(path, "utf8");
    } catch {
      return null;
    }
  },
  write: async (text) => {
    writeFileSync(`${path}.${process.pid}`, text);
    renameSync(`${path}.${process.pid}`, path);
  },
  clear: async () => rmSync(path, { force: true }),
};

// This client has no events: whoever calls it is told.
const told = new Set();
function isSignedOut(error) {
  const isOver = error instanceof SessionOver;
  if (isOver && FINAL.includes(error.message) && !told.has(error.message)) tell(error.message);
  told.add(error.message);
  return isOver;
}

await drive(new Session(process.env.KEYTURN_URL, store), isSignedOut);
