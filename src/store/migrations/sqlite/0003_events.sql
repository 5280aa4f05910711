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
