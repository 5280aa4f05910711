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
