// Every address of the workspace, in one table; docs/workbench-api.md describes them.
import type { Api } from "../api.ts";
import { boundRoutes, type RouteTable } from "../bound-routes.ts";
import { addMessage, answer, messageEvents, readMessage, stopMessage } from "./answer-routes.ts";
import { countBudget, slimText } from "./budget-routes.ts";
import { importConversations } from "./conversation-import.ts";
import {
  changeConversation,
  createConversation,
  deleteConversation,
  exportConversation,
  listConversations,
  readConversation,
  restoreConversation,
  searchConversations,
} from "./conversation-routes.ts";
import { changeEngine, measureEngine, readEngine } from "./engine-routes.ts";
import {
  addFile,
  cancelJob,
  changeSettings,
  checkAudit,
  deleteModel,
  fileContent,
  live,
  pullModel,
  readAudit,
  readFile,
  readJob,
  readModels,
  readSettings,
} from "./machine-routes.ts";
import { makeTitle, prefillDraft, suggestFollowUps } from "./side-routes.ts";
import {
  addTemplates,
  deleteTemplate,
  exportTemplates,
  fillTemplateRoute,
  listTemplates,
  readTemplate,
  restoreTemplate,
  saveTemplate,
} from "./template-routes.ts";
import type { WorkspaceDoor } from "./workspace-door.ts";

const table: RouteTable<WorkspaceDoor> = {
  "/workspace/conversations": { GET: listConversations, POST: createConversation },
  "/workspace/conversations/:id": { GET: readConversation, PATCH: changeConversation, DELETE: deleteConversation },
  "/workspace/conversations/:id/restore": { POST: restoreConversation },
  "/workspace/conversations/:id/export": { GET: exportConversation },
  "/workspace/conversations/:id/messages": { POST: addMessage },
  "/workspace/conversations/:id/answer": { POST: answer },
  "/workspace/conversations/:id/title": { POST: makeTitle },
  "/workspace/conversations/:id/follow-ups": { POST: suggestFollowUps },
  "/workspace/messages/:id": { GET: readMessage },
  "/workspace/messages/:id/events": { GET: messageEvents },
  "/workspace/messages/:id/stop": { POST: stopMessage },
  "/workspace/search": { GET: searchConversations },
  "/workspace/import": { POST: importConversations },
  "/workspace/files": { POST: addFile },
  "/workspace/files/:id": { GET: readFile },
  "/workspace/files/:id/content": { GET: fileContent },
  "/workspace/settings": { GET: readSettings, PATCH: changeSettings },
  "/workspace/templates": { GET: listTemplates, POST: addTemplates },
  "/workspace/templates/export": { GET: exportTemplates },
  "/workspace/templates/:id": { GET: readTemplate, PUT: saveTemplate, DELETE: deleteTemplate },
  "/workspace/templates/:id/restore": { POST: restoreTemplate },
  "/workspace/templates/:id/fill": { POST: fillTemplateRoute },
  "/workspace/draft": { POST: prefillDraft },
  "/workspace/slim": { POST: slimText },
  "/workspace/budget": { POST: countBudget },
  "/workspace/live": { GET: live },
  "/workspace/engine": { GET: readEngine, PATCH: changeEngine },
  "/workspace/engine/measure": { POST: measureEngine },
  "/workspace/models": { GET: readModels },
  "/workspace/models/:id": { DELETE: deleteModel },
  "/workspace/models/:id/pull": { POST: pullModel },
  "/workspace/jobs/:id": { GET: readJob },
  "/workspace/jobs/:id/cancel": { POST: cancelJob },
  "/workspace/audit": { GET: readAudit },
  "/workspace/audit/verify": { GET: checkAudit },
};

export const workspacePaths: readonly string[] = Object.keys(table);

/** The addresses with handlers that know `door`; `api` tells what the door's own work stands on at the time. */
export function workspaceRoutes(door: WorkspaceDoor, api: () => Api): ReturnType<typeof boundRoutes> {
  door.attach(api);
  return boundRoutes(table, door);
}
