-- Cosignatures of witnesses on checkpoints of own logs, and this node's own on those of its peers: of each witness the
-- newest on each log.
DROP TABLE cosignature;
CREATE TABLE cosignature (
  log      BIGINT NOT NULL,
  witness  TEXT COLLATE "C" NOT NULL, -- kaopu/<node>/witness
  size     BIGINT NOT NULL, -- of the checkpoint
  at       BIGINT NOT NULL, -- seconds, as signed
  line     TEXT COLLATE "C" NOT NULL, -- the note's signature line, without the newline
  given    BIGINT NOT NULL, -- how many came, this one counted
  PRIMARY KEY (log, witness)
);
