// Checks the types of scripts, as their comments declare them.
import ts from "typescript";

const { files } = JSON.parse(process.argv[2]);
const { ES2022: target } = ts.ScriptTarget;
const options = {
  ...{ allowJs: true, checkJs: true, noEmit: true, strict: true, noUncheckedIndexedAccess: true },
  // Not those of all packages that are there.
  types: [],
  ...{ target, module: ts.ModuleKind.ES2022, lib: ["lib.es2022.d.ts", "lib.dom.d.ts", "lib.dom.iterable.d.ts"] },
};
const found = ts.getPreEmitDiagnostics(ts.createProgram(files, options));
const texts = found.map(({ file, start, messageText }) => {
  const line = file && start !== undefined ? file.getLineAndCharacterOfPosition(start).line + 1 : 0;
  return `${file?.fileName ?? ""}:${line}: ${ts.flattenDiagnosticMessageText(messageText, " ")}`;
});
process.stdout.write(JSON.stringify(texts));
