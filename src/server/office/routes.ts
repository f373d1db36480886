// Which address leads to which office route.
import { boundRoutes, type RouteTable } from "../bound-routes.ts";
import { analysisRoute, deliverableRoute, fileTables } from "./analysis-routes.ts";
import { readDocumentRoute } from "./document-routes.ts";
import { deleteFile, fileContent, filePage, getFile, listFiles, uploadFile } from "./file-routes.ts";
import type { OfficeDoor } from "./office-door.ts";

const table: RouteTable<OfficeDoor> = {
  "/v1/files": { GET: listFiles, POST: uploadFile },
  "/v1/files/:id": { GET: getFile, DELETE: deleteFile },
  "/v1/files/:id/content": { GET: fileContent },
  "/v1/files/:id/pages/:page": { GET: filePage },
  "/v1/files/:id/tables": { GET: fileTables },
  "/v1/documents": { POST: readDocumentRoute },
  "/v1/analysis": { POST: analysisRoute },
  "/v1/deliverables": { POST: deliverableRoute },
};

export function officeRoutes(office: OfficeDoor): ReturnType<typeof boundRoutes> {
  return boundRoutes(table, office);
}
