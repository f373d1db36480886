// The tables of the workspace, as numbered migrations: migration N takes a store of version N to N+1, and PRAGMA user_version holds the
// number. Never edit one that has shipped; add the next. Times are milliseconds since 1970, ids are text.
//
// Audit is kept by triggers, not by callers, so that no code path can forget it: each change of an audited table appends a row with the
// state before and after and a hash over itself and the row before (audit.ts checks the chain). Text that streams goes to
// `answer_pieces`, which is not audited piece by piece; the finished message is.

/** Audited tables and the columns whose before and after are recorded. */
const audited: Readonly<Record<string, readonly string[]>> = {
  conversations: ["title", "pinned", "deleted_at", "settings", "leaf_id"],
  messages: ["conversation_id", "parent_id", "role", "content", "state", "reason", "failure", "details"],
  files: ["sha256", "name", "bytes", "media_type", "deleted_at"],
  templates: ["version", "language", "body", "deleted_at"],
  settings: ["value"],
  jobs: ["kind", "state", "request", "result"],
};

const keyOf: Readonly<Record<string, string>> = { settings: "name" };

function auditTriggers(): string {
  return Object.entries(audited)
    .flatMap(([table, columns]) => {
      const key = keyOf[table] ?? "id";
      const state = (row: "old" | "new"): string =>
        `json_object(${columns.map((column) => `'${column}', ${row}.${column}`).join(", ")})`;
      const append = (action: string, row: "old" | "new", before: string, after: string): string =>
        `INSERT INTO audit (at, actor, action, entity, entity_id, before, after)
         VALUES (now_ms(), current_actor(), '${action}', '${table}', ${row}.${key}, ${before}, ${after});`;
      return [
        `CREATE TRIGGER audit_${table}_insert AFTER INSERT ON ${table} BEGIN ${append("insert", "new", "NULL", state("new"))} END;`,
        `CREATE TRIGGER audit_${table}_update AFTER UPDATE OF ${columns.join(", ")} ON ${table}
         WHEN ${state("old")} IS NOT ${state("new")} BEGIN ${append("update", "new", state("old"), state("new"))} END;`,
        `CREATE TRIGGER audit_${table}_delete AFTER DELETE ON ${table} BEGIN ${append("delete", "old", state("old"), "NULL")} END;`,
      ];
    })
    .join("\n");
}

const first = `
CREATE TABLE conversations (
  id TEXT PRIMARY KEY,
  title TEXT NOT NULL,
  pinned INTEGER NOT NULL DEFAULT 0 CHECK (pinned IN (0, 1)),
  settings TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(settings)),
  -- The message at the end of the branch that is shown; the branch is its chain of parents.
  leaf_id TEXT REFERENCES messages (id) DEFERRABLE INITIALLY DEFERRED,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  deleted_at INTEGER
) STRICT;
CREATE INDEX conversations_by_time ON conversations (updated_at DESC) WHERE deleted_at IS NULL;

CREATE TABLE messages (
  -- Named, so that VACUUM keeps it: message_terms refers to it.
  row_id INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  conversation_id TEXT NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
  parent_id TEXT REFERENCES messages (id) ON DELETE CASCADE,
  role TEXT NOT NULL CHECK (role IN ('system', 'user', 'assistant', 'tool')),
  content TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('streaming', 'done', 'stopped', 'failed')),
  reason TEXT,
  failure TEXT,
  -- Usage, timings, citations, attachments' names: what the page shows beside the text.
  details TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(details)),
  created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX messages_of ON messages (conversation_id, created_at);
CREATE INDEX messages_children ON messages (parent_id);

CREATE TABLE answer_pieces (
  message_id TEXT NOT NULL REFERENCES messages (id) ON DELETE CASCADE,
  -- Offset of the piece in the answer, in UTF-16 units.
  position INTEGER NOT NULL,
  text TEXT NOT NULL,
  PRIMARY KEY (message_id, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE files (
  id TEXT PRIMARY KEY,
  sha256 TEXT NOT NULL,
  name TEXT NOT NULL,
  bytes INTEGER NOT NULL,
  media_type TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  deleted_at INTEGER
) STRICT;
CREATE INDEX files_by_content ON files (sha256);

CREATE TABLE message_files (
  message_id TEXT NOT NULL REFERENCES messages (id) ON DELETE CASCADE,
  file_id TEXT NOT NULL REFERENCES files (id),
  PRIMARY KEY (message_id, file_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE templates (
  row_id INTEGER PRIMARY KEY,
  id TEXT NOT NULL,
  version INTEGER NOT NULL,
  language TEXT NOT NULL CHECK (language IN ('zh', 'en')),
  body TEXT NOT NULL CHECK (json_valid(body)),
  created_at INTEGER NOT NULL,
  deleted_at INTEGER,
  UNIQUE (id, version, language)
) STRICT;

CREATE TABLE settings (
  name TEXT PRIMARY KEY,
  value TEXT NOT NULL CHECK (json_valid(value))
) STRICT, WITHOUT ROWID;

CREATE TABLE jobs (
  id TEXT PRIMARY KEY,
  kind TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('waiting', 'running', 'done', 'failed', 'cancelled')),
  request TEXT NOT NULL CHECK (json_valid(request)),
  result TEXT CHECK (result IS NULL OR json_valid(result)),
  progress REAL NOT NULL DEFAULT 0,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) STRICT;
CREATE INDEX jobs_by_state ON jobs (state, created_at);

CREATE TABLE audit (
  sequence INTEGER PRIMARY KEY AUTOINCREMENT,
  at INTEGER NOT NULL,
  actor TEXT NOT NULL,
  action TEXT NOT NULL,
  entity TEXT NOT NULL,
  entity_id TEXT NOT NULL,
  before TEXT,
  after TEXT,
  previous_hash TEXT NOT NULL DEFAULT '',
  hash TEXT NOT NULL DEFAULT ''
) STRICT;
-- The one update an audit row ever sees: its own seal, in the statement that inserts it.
CREATE TRIGGER audit_seal AFTER INSERT ON audit BEGIN
  UPDATE audit SET
    previous_hash = coalesce((SELECT hash FROM audit WHERE sequence < new.sequence ORDER BY sequence DESC LIMIT 1), ''),
    hash = audit_hash(
      coalesce((SELECT hash FROM audit WHERE sequence < new.sequence ORDER BY sequence DESC LIMIT 1), ''),
      new.sequence, new.at, new.actor, new.action, new.entity, new.entity_id, new.before, new.after)
  WHERE sequence = new.sequence;
END;
CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit WHEN old.hash <> '' BEGIN
  SELECT RAISE(ABORT, 'the audit log is append-only');
END;
CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit BEGIN
  SELECT RAISE(ABORT, 'the audit log is append-only');
END;

-- FTS5 finds words; Chinese has no spaces between them. search_terms() puts spaces around each Chinese character, and a query becomes a
-- phrase of characters, so that any two neighbouring ones are found (search.ts).
CREATE VIRTUAL TABLE message_terms USING fts5 (terms, content = '', contentless_delete = 1, tokenize = 'unicode61 remove_diacritics 2');
CREATE TRIGGER messages_search_insert AFTER INSERT ON messages WHEN new.state <> 'streaming' BEGIN
  INSERT INTO message_terms (rowid, terms) VALUES (new.row_id, search_terms(new.content));
END;
CREATE TRIGGER messages_search_update AFTER UPDATE OF content, state ON messages WHEN new.state <> 'streaming' BEGIN
  DELETE FROM message_terms WHERE rowid = new.row_id;
  INSERT INTO message_terms (rowid, terms) VALUES (new.row_id, search_terms(new.content));
END;
CREATE TRIGGER messages_search_delete AFTER DELETE ON messages BEGIN
  DELETE FROM message_terms WHERE rowid = old.row_id;
END;
`;

/** Migration N takes a store of version N to N + 1. */
export const migrations: readonly string[] = [`${first}\n${auditTriggers()}`];
