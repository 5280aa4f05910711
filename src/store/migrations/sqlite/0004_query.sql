-- Queries of peers that this node answered. Each is written with its receipt and its answer, which stand in the own exchange
-- log; the query itself stands in no log of this node. A peer uses a nonce once, for ever.
CREATE TABLE answered (
  asker   TEXT NOT NULL,
  nonce   TEXT NOT NULL,
  query   BLOB NOT NULL,                    -- digest of the query
  jws     BLOB NOT NULL,                    -- the query as it came
  answer  BLOB NOT NULL,                    -- digest of the answer
  at_ms   INTEGER NOT NULL,
  UNIQUE (asker, nonce)
) STRICT;

-- What peers answered to queries of this node. Each is written with its receipt; the query stands in the own exchange log.
CREATE TABLE heard (
  query    BLOB NOT NULL,                   -- digest of the query
  peer     TEXT NOT NULL,
  digest   BLOB NOT NULL,                   -- of what came
  jws      BLOB NOT NULL,                   -- what came, whether it verifies or not
  outcome  TEXT NOT NULL,                   -- yes, none, insufficient-identity, denied; invalid: kept as evidence
  reason   TEXT,                            -- why it is invalid
  at_ms    INTEGER NOT NULL,
  UNIQUE (query)
) STRICT;
