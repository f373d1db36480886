// Reads and checks the audit log that the triggers keep (schema.ts). Each row's hash covers the row and the hash before it, so a row that
// was changed, removed from the middle or inserted breaks the chain at a place that can be named. Rows cut off the end leave a shorter
// valid chain: keep the head hash that `quern audit verify` prints to notice that too.
import type { Row, Store } from "./store.ts";
import { auditHash } from "./store.ts";

export interface AuditEntry {
  sequence: number;
  at: number;
  actor: string;
  action: "insert" | "update" | "delete";
  entity: string;
  entityId: string;
  before: unknown;
  after: unknown;
  hash: string;
}

export type AuditVerdict =
  | { ok: true; rows: number; headHash: string }
  | { ok: false; rows: number; sequence: number; fault: string };

/** The newest entries first, of one entity or of all. */
export function listAudit(
  store: Store,
  options: { entity?: string; entityId?: string; limit?: number } = {},
): AuditEntry[] {
  const { entity = null, entityId = null, limit = 100 } = options;
  const rows = store.rows(
    `SELECT * FROM audit WHERE (?1 IS NULL OR entity = ?1) AND (?2 IS NULL OR entity_id = ?2) ORDER BY sequence DESC LIMIT ?3`,
    entity,
    entityId,
    limit,
  );
  return rows.map(toEntry);
}

/** Recomputes the whole chain. */
export function verifyAudit(store: Store): AuditVerdict {
  let previousHash = "";
  let previousSequence = 0;
  let count = 0;
  const rows = store.database.prepare("SELECT * FROM audit ORDER BY sequence").iterate() as Iterable<Row>;
  for (const row of rows) {
    const sequence = Number(row.sequence);
    const fault = faultOf(row, previousSequence, previousHash);
    if (fault) return { ok: false, rows: count, sequence, fault };
    previousHash = String(row.hash);
    previousSequence = sequence;
    count++;
  }
  const newest = Number(store.row("SELECT seq FROM sqlite_sequence WHERE name = 'audit'")?.seq ?? 0);
  if (newest > previousSequence) {
    return { ok: false, rows: count, sequence: newest, fault: `rows ${previousSequence + 1} to ${newest} are missing` };
  }
  return { ok: true, rows: count, headHash: previousHash };
}

function faultOf(row: Row, previousSequence: number, previousHash: string): string | undefined {
  const sequence = Number(row.sequence);
  if (sequence !== previousSequence + 1) {
    return sequence === previousSequence + 2
      ? `row ${previousSequence + 1} is missing`
      : `rows ${previousSequence + 1} to ${sequence - 1} are missing`;
  }
  if (row.previous_hash !== previousHash) return "it does not follow from the row before";
  const { at, actor, action, entity, entity_id, before, after } = row;
  const hash = auditHash([previousHash, sequence, at, actor, action, entity, entity_id, before, after]);
  return hash === row.hash ? undefined : "its content was changed";
}

function toEntry(row: Row): AuditEntry {
  return {
    sequence: Number(row.sequence),
    at: Number(row.at),
    actor: String(row.actor),
    action: String(row.action) as AuditEntry["action"],
    entity: String(row.entity),
    entityId: String(row.entity_id),
    before: row.before === null ? undefined : JSON.parse(String(row.before)),
    after: row.after === null ? undefined : JSON.parse(String(row.after)),
    hash: String(row.hash),
  };
}
