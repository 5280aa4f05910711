-- Events that are accepted, by the record that they are about, whichever of its versions or events they name.
CREATE TABLE event (
  issuer    TEXT COLLATE "C" NOT NULL, -- of the record
  kind      TEXT COLLATE "C" NOT NULL, -- of the record
  identity  BYTEA NOT NULL, -- of the record
  log       BIGINT NOT NULL, -- where the event stands
  idx       BIGINT NOT NULL,
  PRIMARY KEY (identity, kind, issuer, log, idx)
);
CREATE UNIQUE INDEX event_place ON event (log, idx);

-- Repairs and revocations of others that this node has not decided on for good. A row comes with the statement and goes with
-- this node's own recognition.
CREATE TABLE recognising (
  digest    BYTEA PRIMARY KEY NOT NULL,
  came_ms   BIGINT NOT NULL,
  state     TEXT COLLATE "C" NOT NULL CHECK (state IN ('new', 'pending')), -- pending: a person is to decide
  taken_ms  BIGINT -- a process is at it since then
);
CREATE INDEX recognising_came ON recognising (state, came_ms);
