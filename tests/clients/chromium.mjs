// Starts Chromium without a window, which connects to this machine alone.
import { chromium } from "playwright-core";

export function launch(executablePath, hosts = "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1") {
  const args = [
    ...["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"],
    ...["--disable-background-networking", "--disable-component-update"],
    `--host-resolver-rules=${hosts}`,
  ];
  return chromium.launch({ executablePath, args });
}
