import type { ConversationHead } from "../conversation.ts";
import type { UnsentMessage } from "../store-server.ts";
import type { Workbench } from "../workbench.ts";

/** Where a message would stand that were sent now. A conversation that the server does not know brings its settings along. */
export function placeOf(
  workbench: Workbench,
  { id, leafId, settings }: ConversationHead,
  system?: string,
): Pick<UnsentMessage, "conversationId" | "parentId" | "settings"> {
  if (workbench.isStored(id)) return { conversationId: id, parentId: leafId ?? null };
  const isOwnSystem = system === undefined || settings.systemPrompt.trim() !== "";
  return { settings: isOwnSystem ? settings : { ...settings, systemPrompt: system } };
}
