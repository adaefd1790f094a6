// JSON that every parser reads in the same way (docs/verifiers.md, "Strict JSON").

const MAX_DEPTH = 127;
const INTEGER = /^(?:0|-?[1-9][0-9]*)$/;
const MAX_INTEGER = 2n ** 63n;
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const LETTERS = new Map([..."ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"].map((c, i) => [c, i]));

// Returns whether base64url, of the right alphabet, is in its one form.
export function isCanonical(part) {
  const rest = part.length % 4;
  if (rest === 0) return true;
  if (rest === 1) return false;
  return (LETTERS.get(part[part.length - 1]) & (rest === 2 ? 15 : 3)) === 0;
}

// Decodes a part of a token. Returns the object, and whether a member of it is an integer of 64 bits; undefined for
// anything that is not strict.
export function decode(part) {
  if (!isCanonical(part)) return undefined;
  try {
    const text = decoder.decode(Buffer.from(part, "base64url"));
    const value = JSON.parse(text);
    if (value === null || typeof value !== "object" || Array.isArray(value)) return undefined;
    // What a server writes is read and written again as it stands, which no repeated member is.
    if (!text.includes("\\") && isFlat(value) && JSON.stringify(value) === text) {
      return { value, isInteger: (name) => Number.isSafeInteger(value[name]) };
    }
    const numbers = scan(text);
    return { value, isInteger: (name) => numbers.has(name) && isInteger(numbers.get(name)) };
  } catch {
    return undefined;
  }
}

// Returns whether the values are plain: so deep, and no numbers whose text may be another.
function isFlat(value) {
  const isPlain = (member) =>
    typeof member === "string" || typeof member === "boolean" || member === null || Number.isSafeInteger(member);
  return Object.values(value).every(
    (member) => isPlain(member) || (typeof member === "object" && Object.values(member).every(isPlain)),
  );
}

function isInteger(text) {
  if (!INTEGER.test(text)) return false;
  const number = BigInt(text);
  return number >= -MAX_INTEGER && number < MAX_INTEGER;
}

// Reads valid JSON once more. Throws for what JSON.parse lets pass. Returns the texts of the numbers in the object.
function scan(text) {
  const numbers = new Map();
  const token = /[\s,:]*(?:("(?:[^"\\]|\\.)*")|([-0-9][-+.0-9eE]*)|([[\]{}])|true|false|null)/y;
  const open = [];
  let name;
  while (token.lastIndex < text.trimEnd().length) {
    const [, string, number, bracket] = token.exec(text);
    const names = open.at(-1);
    if (bracket === "{" || bracket === "[") {
      name = undefined;
      open.push(bracket === "{" ? new Set() : null);
      if (open.length > MAX_DEPTH) throw new SyntaxError("too deep");
    } else if (bracket) {
      open.pop();
      name = undefined;
    } else if (string && names && name === undefined) {
      name = JSON.parse(string);
      if (!name.isWellFormed() || names.has(name)) throw new SyntaxError("a member is repeated");
      names.add(name);
    } else {
      if (string && !JSON.parse(string).isWellFormed()) throw new SyntaxError("half of a surrogate pair");
      if (number && !Number.isFinite(Number(number))) throw new SyntaxError("a number is too large");
      if (number && open.length === 1) numbers.set(name, number);
      name = undefined;
    }
  }
  return numbers;
}
