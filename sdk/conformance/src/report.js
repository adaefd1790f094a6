// Says how a client behaved, as text and as JSON.

/** Returns the lines about a scenario: what was wrong, or with `isVerbose` everything. */
export function inText({ name, isMet, checks, output }, isVerbose) {
  const shown = checks.filter((check) => isVerbose || !check.isMet);
  const lines = shown.map((check) => `      ${check.isMet ? "ok  " : "FAIL"}  ${check.name}${because(check)}\n`);
  const printed = isVerbose && !isMet ? output.replaceAll(/^(?=.)/gm, "      | ") : "";
  return `${isMet ? "ok  " : "FAIL"}  ${name}\n${lines.join("")}${printed}`;
}

function because({ wrong }) {
  return wrong ? `: ${wrong.join("; ")}` : "";
}

export function summary(results) {
  const met = results.filter(({ isMet }) => isMet).length;
  return `\n${met} of ${results.length} scenarios passed\n`;
}

/** Returns the whole result as JSON. */
export function inJson(results) {
  const scenarios = results.map(({ name, isMet, checks }) => ({
    name,
    passed: isMet,
    checks: checks.map(({ name: check, isMet: passed, wrong }) => ({ name: check, passed, ...(wrong && { wrong }) })),
  }));
  const passed = scenarios.filter((scenario) => scenario.passed).length;
  return `${JSON.stringify({ passed, failed: scenarios.length - passed, scenarios }, null, 2)}\n`;
}
