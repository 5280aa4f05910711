-- Which entries an upload published: ranges of a log, written in the transaction that moves its cursor.
CREATE TABLE upload_span (
  upload  BIGINT NOT NULL,
  log     BIGINT NOT NULL,
  first   BIGINT NOT NULL, -- index of the first one
  next    BIGINT NOT NULL, -- behind the last one
  PRIMARY KEY (upload, log, first)
);

-- Uploads that are taken back as a whole: one person proposes it, another approves.
CREATE TABLE upload_withdrawal (
  upload       BIGINT PRIMARY KEY,
  reason       TEXT COLLATE "C" NOT NULL,
  proposed_by  TEXT COLLATE "C" NOT NULL,
  proposed_ms  BIGINT NOT NULL,
  approved_by  TEXT COLLATE "C" CHECK (approved_by <> proposed_by),
  approved_ms  BIGINT,
  finished_ms  BIGINT CHECK (finished_ms IS NULL OR approved_by IS NOT NULL)
);
