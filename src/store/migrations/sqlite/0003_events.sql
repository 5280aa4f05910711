-- Events that are accepted, by the record that they are about, whichever of its versions or events they name.
CREATE TABLE event (
  issuer    TEXT NOT NULL,                  -- of the record
  kind      TEXT NOT NULL,                  -- of the record
  identity  BLOB NOT NULL,                  -- of the record
  log       INTEGER NOT NULL,               -- where the event stands
  idx       INTEGER NOT NULL,
  PRIMARY KEY (identity, kind, issuer, log, idx)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX event_place ON event (log, idx);

-- Repairs and revocations of others that this node has not decided on for good. A row comes with the statement and goes with
-- this node's own recognition.
CREATE TABLE recognising (
  digest    BLOB PRIMARY KEY NOT NULL,
  came_ms   INTEGER NOT NULL,
  state     TEXT NOT NULL CHECK (state IN ('new', 'pending')), -- pending: a person is to decide
  taken_ms  INTEGER -- a process is at it since then
) STRICT, WITHOUT ROWID;
CREATE INDEX recognising_came ON recognising (state, came_ms);
