-- Cosignatures of witnesses on checkpoints of own logs, and this node's own on those of its peers: of each witness the
-- newest on each log.
DROP TABLE cosignature;
CREATE TABLE cosignature (
  log      INTEGER NOT NULL,
  witness  TEXT NOT NULL,                   -- kaopu/<node>/witness
  size     INTEGER NOT NULL,                -- of the checkpoint
  at       INTEGER NOT NULL,                -- seconds, as signed
  line     TEXT NOT NULL,                   -- the note's signature line, without the newline
  given    INTEGER NOT NULL,                -- how many came, this one counted
  PRIMARY KEY (log, witness)
) STRICT, WITHOUT ROWID;
