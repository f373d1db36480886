// The key of a Quern that asks for one (any that listens beyond this machine). Kept in this browser, sent with every request.
const name = "quern.api-key";
let inMemory: string | undefined;

export function apiKey(): string | undefined {
  try {
    return localStorage.getItem(name) ?? inMemory;
  } catch {
    return inMemory; // storage is switched off
  }
}

export function setApiKey(key: string): void {
  inMemory = key;
  try {
    localStorage.setItem(name, key);
  } catch {
    // Storage is switched off: the key holds until the tab closes.
  }
}
