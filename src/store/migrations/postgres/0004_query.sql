-- Queries of peers that this node answered. Each is written with its receipt and its answer, which stand in the own exchange
-- log; the query itself stands in no log of this node. A peer uses a nonce once, for ever.
CREATE TABLE answered (
  asker   TEXT COLLATE "C" NOT NULL,
  nonce   TEXT COLLATE "C" NOT NULL,
  query   BYTEA NOT NULL, -- digest of the query
  jws     BYTEA NOT NULL, -- the query as it came
  answer  BYTEA NOT NULL, -- digest of the answer
  at_ms   BIGINT NOT NULL,
  UNIQUE (asker, nonce)
);

-- What peers answered to queries of this node. Each is written with its receipt; the query stands in the own exchange log.
CREATE TABLE heard (
  query    BYTEA NOT NULL UNIQUE, -- digest of the query
  peer     TEXT COLLATE "C" NOT NULL,
  digest   BYTEA NOT NULL, -- of what came
  jws      BYTEA NOT NULL, -- what came, whether it verifies or not
  outcome  TEXT COLLATE "C" NOT NULL, -- yes, none, insufficient-identity, denied; invalid: kept as evidence
  reason   TEXT COLLATE "C", -- why it is invalid
  at_ms    BIGINT NOT NULL
);
