-- Uploads that a second person looks at before they are published (复核).
ALTER TABLE upload ADD COLUMN held INTEGER NOT NULL DEFAULT 0 CHECK (held IN (0, 1)); -- 1: it has a row in upload_hold
DROP INDEX upload_unfinished;
CREATE UNIQUE INDEX upload_unfinished ON upload (digest, kind, COALESCE(department, ''), held) WHERE finished_ms IS NULL;
CREATE TABLE upload_hold (
  upload      INTEGER PRIMARY KEY,
  state       TEXT NOT NULL CHECK (state IN ('holding', 'held', 'approved', 'refused', 'expired')), -- holding: rows are still to come
  held_by     TEXT NOT NULL,
  until_ms    INTEGER NOT NULL,             -- it is dropped then, unless somebody has decided on it
  headers     TEXT NOT NULL,                -- of the file's columns, a JSON list
  rows        INTEGER NOT NULL,             -- of the file
  bytes       INTEGER NOT NULL,             -- of what is kept of them
  decided_by  TEXT,
  decided_ms  INTEGER,
  reason      TEXT,                         -- why it was refused
  CHECK (state NOT IN ('approved', 'refused') OR (decided_by IS NOT NULL AND decided_ms IS NOT NULL)),
  CHECK (state <> 'approved' OR decided_by <> held_by)
) STRICT;
CREATE INDEX upload_hold_waits ON upload_hold (until_ms) WHERE state IN ('holding', 'held');

-- Their rows as they were accepted, sealed under the node's secret; gone once they are published or dropped.
CREATE TABLE held_rows (
  upload  INTEGER NOT NULL,
  first   INTEGER NOT NULL,                 -- rows of the file before the first one
  sealed  BLOB NOT NULL,
  PRIMARY KEY (upload, first)
) STRICT;

-- Whoever writes to it: what was decided stays decided.
CREATE TRIGGER upload_hold_steps BEFORE UPDATE ON upload_hold
WHEN NEW.held_by <> OLD.held_by OR (NEW.state <> OLD.state
  AND NOT (OLD.state = 'holding' AND NEW.state IN ('held', 'refused', 'expired'))
  AND NOT (OLD.state = 'held' AND NEW.state IN ('approved', 'refused', 'expired')))
BEGIN SELECT RAISE(ABORT, 'a held upload takes no such step'); END;
CREATE TRIGGER upload_hold_remains BEFORE DELETE ON upload_hold
BEGIN SELECT RAISE(ABORT, 'who held an upload, and who decided, stays known'); END;

-- Who had this node say a statement that came with no upload.
CREATE TABLE said_by (
  log       INTEGER NOT NULL,
  idx       INTEGER NOT NULL,
  operator  TEXT NOT NULL,
  PRIMARY KEY (log, idx)
) STRICT, WITHOUT ROWID;
CREATE INDEX upload_span_place ON upload_span (log, first);
