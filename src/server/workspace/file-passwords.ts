// Passwords of encrypted files that go with messages: known while the program runs, and written nowhere. The store, its append-only audit log,
// backups and exported conversations must not hold them; after a restart a protected file is asked for again.
import type { Workspace } from "../../workspace/workspace.ts";
import type { AttachedDocument } from "../api-types.ts";
import { given } from "../fields.ts";

const mostPasswords = 1000;
const known = new WeakMap<Workspace, Map<string, string>>();

/** The document as it may be kept. */
export function withoutPassword({ password: _password, ...kept }: AttachedDocument): AttachedDocument {
  return kept;
}

export function rememberPassword(workspace: Workspace, fileId: string, { password }: AttachedDocument): void {
  if (password === undefined) return;
  const passwords = known.get(workspace) ?? new Map<string, string>();
  known.set(workspace, passwords);
  passwords.delete(fileId);
  passwords.set(fileId, password);
  const [oldest] = passwords.keys();
  if (passwords.size > mostPasswords && oldest !== undefined) passwords.delete(oldest);
}

/** The document as it is read: with the password that was last given for the file. */
export function withPassword(workspace: Workspace, fileId: string, document: AttachedDocument): AttachedDocument {
  return { ...document, ...given("password", document.password ?? known.get(workspace)?.get(fileId)) };
}
