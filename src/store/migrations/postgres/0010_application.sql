-- Applications are few among many statements.
CREATE INDEX statement_application ON statement (log, idx) WHERE kind = 'application';

-- Files beside applications, sealed for the node that decides: what was filed here for others, and what others filed for
-- this node.
CREATE TABLE attachment (
  digest       BYTEA NOT NULL, -- of the sealed file
  peer         TEXT COLLATE "C" NOT NULL, -- own: whom it is for; else: whose it is
  own          BIGINT NOT NULL CHECK (own IN (0, 1)), -- filed here
  size         BIGINT NOT NULL, -- of the sealed file
  added_ms     BIGINT NOT NULL,
  reserved     BIGINT NOT NULL CHECK (reserved IN (0, 1)), -- counts as taking up room
  failures     BIGINT NOT NULL,
  next_ms      BIGINT NOT NULL, -- not fetched before
  error        TEXT COLLATE "C", -- why it was not fetched, the last time
  complete_ms  BIGINT,
  erased_ms    BIGINT,
  PRIMARY KEY (digest, peer, own)
);
CREATE INDEX attachment_wanted ON attachment (next_ms) WHERE complete_ms IS NULL AND erased_ms IS NULL;

-- Its bytes: sealed, so there is nothing to compress.
CREATE TABLE attachment_part (
  digest  BYTEA NOT NULL,
  peer    TEXT COLLATE "C" NOT NULL,
  own     BIGINT NOT NULL,
  first   BIGINT NOT NULL, -- where in the file they begin
  bytes   BYTEA NOT NULL,
  PRIMARY KEY (digest, peer, own, first)
);
ALTER TABLE attachment_part ALTER COLUMN bytes SET STORAGE EXTERNAL;
