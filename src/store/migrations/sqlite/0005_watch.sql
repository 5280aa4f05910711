-- Watch lists 动态监测: who follows which subject and what for, what they were told, and what is still to be delivered.

-- Where followers want to be told: a receiver of notices.
CREATE TABLE webhook (
  id          INTEGER PRIMARY KEY AUTOINCREMENT,
  url         TEXT NOT NULL UNIQUE,
  added_ms    INTEGER NOT NULL,
  failures    INTEGER NOT NULL,             -- in a row, of the receiver as a whole
  next_ms     INTEGER NOT NULL,             -- it is not asked before
  success_ms  INTEGER,                      -- the last notice that it took
  error_ms    INTEGER,                      -- the last that it did not, and why
  error       TEXT
) STRICT;

-- Who follows which subject. The unique index leads by subject: what is published costs one look-up in it.
CREATE TABLE watch (
  id        INTEGER PRIMARY KEY AUTOINCREMENT,
  subject   TEXT NOT NULL,                  -- its key
  follower  TEXT NOT NULL,
  purpose   TEXT NOT NULL,                  -- of DOMAIN.md, "Purposes of a query"
  name      TEXT,                           -- the subject's, as the follower has it
  since_ms  INTEGER NOT NULL,
  until_ms  INTEGER,                        -- tells nothing from then on
  webhook   INTEGER,
  added_by  TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX watch_subject ON watch (subject, follower, purpose);
CREATE INDEX watch_follower ON watch (follower, subject);
CREATE INDEX watch_webhook ON watch (webhook) WHERE webhook IS NOT NULL;

-- How far followers have been told of each log.
CREATE TABLE followed (
  log  INTEGER PRIMARY KEY,
  idx  INTEGER NOT NULL                     -- everything below it
) STRICT;

-- One row, taken by whoever tells, so that notices have their numbers in the order in which they are committed.
CREATE TABLE telling (
  id    INTEGER PRIMARY KEY CHECK (id = 1),
  turn  INTEGER NOT NULL
) STRICT;
INSERT INTO telling (id, turn) VALUES (1, 0);

-- Statements whose verdict turned after they were stored: settled after they had been held, or void after they had been
-- accepted. Written in the transaction that turns it, told when the log is followed past them, and then dropped.
CREATE TABLE turned (
  id       INTEGER PRIMARY KEY AUTOINCREMENT,
  log      INTEGER NOT NULL,
  idx      INTEGER NOT NULL,
  subject  TEXT NOT NULL,
  stands   INTEGER NOT NULL CHECK (stands IN (0, 1)) -- accepted from then on, or refused
) STRICT;
CREATE INDEX turned_place ON turned (log, idx);

-- The inbox: what was told. Envelopes only, never a body.
CREATE TABLE notice (
  id        INTEGER PRIMARY KEY AUTOINCREMENT, -- in the order of telling
  watch     INTEGER NOT NULL,
  follower  TEXT NOT NULL,
  purpose   TEXT NOT NULL,
  subject   TEXT NOT NULL,
  name      TEXT NOT NULL,                  -- as the statement has it; masked of a natural person
  log       INTEGER NOT NULL,
  idx       INTEGER NOT NULL,
  turn      INTEGER NOT NULL,               -- number of the row in `turned`; 0: as it was stored
  stands    INTEGER NOT NULL CHECK (stands IN (0, 1)), -- published; else it is void
  digest    BLOB NOT NULL,
  kind      TEXT NOT NULL,
  version   INTEGER NOT NULL,
  iat       INTEGER NOT NULL,               -- seconds
  about     TEXT NOT NULL,                  -- digests of the statements that it is about, a space between
  at_ms     INTEGER NOT NULL,
  seen_ms   INTEGER                         -- acknowledged
) STRICT;
CREATE UNIQUE INDEX notice_once ON notice (log, idx, watch, turn);
CREATE INDEX notice_follower ON notice (follower, id);
CREATE INDEX notice_unread ON notice (follower, id) WHERE seen_ms IS NULL;

-- What is still to be delivered, in lines: one for each subject at each webhook. The first of a line holds the others up.
CREATE TABLE delivery (
  webhook  INTEGER NOT NULL,
  subject  TEXT NOT NULL,
  notice   INTEGER NOT NULL,
  PRIMARY KEY (webhook, subject, notice)
) STRICT, WITHOUT ROWID;
CREATE INDEX delivery_notice ON delivery (notice);
CREATE TABLE line (
  webhook   INTEGER NOT NULL,
  subject   TEXT NOT NULL,
  failures  INTEGER NOT NULL,               -- in a row, of its first notice
  next_ms   INTEGER NOT NULL,               -- nobody takes it before
  taken     TEXT,                           -- by whom it was taken last
  PRIMARY KEY (webhook, subject)
) STRICT, WITHOUT ROWID;
CREATE INDEX line_due ON line (webhook, next_ms);
