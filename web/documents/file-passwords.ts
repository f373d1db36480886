// Passwords of encrypted files, for as long as this tab is open: the server keeps none, so the pane that shows such a file needs it again after
// the page was loaded anew.
const keyOf = (fileId: string): string => `quern-file-password-${fileId}`;

export function keepPassword(fileId: string, password: string): void {
  try {
    sessionStorage.setItem(keyOf(fileId), password);
  } catch {
    // Storage may be switched off: then the file is asked for again.
  }
}

export function passwordFor(fileId: string): string | undefined {
  try {
    return sessionStorage.getItem(keyOf(fileId)) ?? undefined;
  } catch {
    return undefined;
  }
}
