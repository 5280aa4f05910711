-- Which entries an upload published: ranges of a log, written in the transaction that moves its cursor.
CREATE TABLE upload_span (
  upload  INTEGER NOT NULL,
  log     INTEGER NOT NULL,
  first   INTEGER NOT NULL,                 -- index of the first one
  next    INTEGER NOT NULL,                 -- behind the last one
  PRIMARY KEY (upload, log, first)
) STRICT, WITHOUT ROWID;

-- Uploads that are taken back as a whole: one person proposes it, another approves.
CREATE TABLE upload_withdrawal (
  upload       INTEGER PRIMARY KEY,
  reason       TEXT NOT NULL,
  proposed_by  TEXT NOT NULL,
  proposed_ms  INTEGER NOT NULL,
  approved_by  TEXT CHECK (approved_by <> proposed_by),
  approved_ms  INTEGER,
  finished_ms  INTEGER CHECK (finished_ms IS NULL OR approved_by IS NOT NULL)
) STRICT;
