-- Applications are few among many statements.
CREATE INDEX statement_application ON statement (log, idx) WHERE kind = 'application';

-- Files beside applications, sealed for the node that decides: what was filed here for others, and what others filed for
-- this node.
CREATE TABLE attachment (
  digest       BLOB NOT NULL,                  -- of the sealed file
  peer         TEXT NOT NULL,                  -- own: whom it is for; else: whose it is
  own          INTEGER NOT NULL CHECK (own IN (0, 1)), -- filed here
  size         INTEGER NOT NULL,               -- of the sealed file
  added_ms     INTEGER NOT NULL,
  reserved     INTEGER NOT NULL CHECK (reserved IN (0, 1)), -- counts as taking up room
  failures     INTEGER NOT NULL,
  next_ms      INTEGER NOT NULL,               -- not fetched before
  error        TEXT,                           -- why it was not fetched, the last time
  complete_ms  INTEGER,
  erased_ms    INTEGER,
  PRIMARY KEY (digest, peer, own)
) STRICT, WITHOUT ROWID;
CREATE INDEX attachment_wanted ON attachment (next_ms) WHERE complete_ms IS NULL AND erased_ms IS NULL;

-- Its bytes.
CREATE TABLE attachment_part (
  digest  BLOB NOT NULL,
  peer    TEXT NOT NULL,
  own     INTEGER NOT NULL,
  first   INTEGER NOT NULL,                    -- where in the file they begin
  bytes   BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX attachment_part_place ON attachment_part (digest, peer, own, first);
