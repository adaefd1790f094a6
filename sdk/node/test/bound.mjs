// Verifies tokens of a server, by themselves or with proofs. Prints the verdicts.
import { Refusal, createVerifier } from "@keyturn/verify";

const { presented, ...options } = JSON.parse(process.argv[2]);
const verifier = createVerifier({ ...options, audience: "keyturn" });
await verifier.ready();
const verdicts = [];
for (const { token, ...request } of presented) {
  const check = request.proof ? verifier.checkBound({ token, ...request }) : verifier.check(token);
  verdicts.push(await check.then(() => "valid", (error) => (error instanceof Refusal ? error.code : String(error))));
}
verifier.close();
console.log(JSON.stringify(verdicts));
