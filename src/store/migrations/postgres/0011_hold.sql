-- Uploads that a second person looks at before they are published (复核).
ALTER TABLE upload ADD COLUMN held BIGINT NOT NULL DEFAULT 0 CHECK (held IN (0, 1)); -- 1: it has a row in upload_hold
DROP INDEX upload_unfinished;
CREATE UNIQUE INDEX upload_unfinished ON upload (digest, kind, COALESCE(department, ''), held) WHERE finished_ms IS NULL;
CREATE TABLE upload_hold (
  upload      BIGINT PRIMARY KEY,
  state       TEXT COLLATE "C" NOT NULL CHECK (state IN ('holding', 'held', 'approved', 'refused', 'expired')), -- holding: rows are still to come
  held_by     TEXT COLLATE "C" NOT NULL,
  until_ms    BIGINT NOT NULL, -- it is dropped then, unless somebody has decided on it
  headers     TEXT COLLATE "C" NOT NULL, -- of the file's columns, a JSON list
  rows        BIGINT NOT NULL, -- of the file
  bytes       BIGINT NOT NULL, -- of what is kept of them
  decided_by  TEXT COLLATE "C",
  decided_ms  BIGINT,
  reason      TEXT COLLATE "C", -- why it was refused
  CHECK (state NOT IN ('approved', 'refused') OR (decided_by IS NOT NULL AND decided_ms IS NOT NULL)),
  CHECK (state <> 'approved' OR decided_by <> held_by)
);
CREATE INDEX upload_hold_waits ON upload_hold (until_ms) WHERE state IN ('holding', 'held');

-- Their rows as they were accepted, sealed under the node's secret; gone once they are published or dropped.
CREATE TABLE held_rows (
  upload  BIGINT NOT NULL,
  first   BIGINT NOT NULL, -- rows of the file before the first one
  sealed  BYTEA NOT NULL,
  PRIMARY KEY (upload, first)
);

-- Whoever writes to it: what was decided stays decided.
CREATE FUNCTION upload_hold_steps() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.held_by <> OLD.held_by OR (NEW.state <> OLD.state
    AND NOT (OLD.state = 'holding' AND NEW.state IN ('held', 'refused', 'expired'))
    AND NOT (OLD.state = 'held' AND NEW.state IN ('approved', 'refused', 'expired')))
  THEN RAISE EXCEPTION 'a held upload takes no such step'; END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER upload_hold_steps BEFORE UPDATE ON upload_hold FOR EACH ROW EXECUTE FUNCTION upload_hold_steps();
CREATE TRIGGER upload_hold_remains BEFORE DELETE ON upload_hold FOR EACH ROW EXECUTE FUNCTION remains();

-- Who had this node say a statement that came with no upload.
CREATE TABLE said_by (
  log       BIGINT NOT NULL,
  idx       BIGINT NOT NULL,
  operator  TEXT COLLATE "C" NOT NULL,
  PRIMARY KEY (log, idx)
);
CREATE INDEX upload_span_place ON upload_span (log, first);
