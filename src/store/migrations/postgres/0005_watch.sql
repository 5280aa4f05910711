-- Watch lists 动态监测: who follows which subject and what for, what they were told, and what is still to be delivered.

-- Where followers want to be told: a receiver of notices.
CREATE TABLE webhook (
  id          BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  url         TEXT COLLATE "C" NOT NULL UNIQUE,
  added_ms    BIGINT NOT NULL,
  failures    BIGINT NOT NULL,             -- in a row, of the receiver as a whole
  next_ms     BIGINT NOT NULL,             -- it is not asked before
  success_ms  BIGINT,                      -- the last notice that it took
  error_ms    BIGINT,                      -- the last that it did not, and why
  error       TEXT COLLATE "C"
);

-- Who follows which subject. The unique index leads by subject: what is published costs one look-up in it.
CREATE TABLE watch (
  id        BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  subject   TEXT COLLATE "C" NOT NULL,                  -- its key
  follower  TEXT COLLATE "C" NOT NULL,
  purpose   TEXT COLLATE "C" NOT NULL,                  -- of DOMAIN.md, "Purposes of a query"
  name      TEXT COLLATE "C",                           -- the subject's, as the follower has it
  since_ms  BIGINT NOT NULL,
  until_ms  BIGINT,                        -- tells nothing from then on
  webhook   BIGINT,
  added_by  TEXT COLLATE "C" NOT NULL
);
CREATE UNIQUE INDEX watch_subject ON watch (subject, follower, purpose);
CREATE INDEX watch_follower ON watch (follower, subject);
CREATE INDEX watch_webhook ON watch (webhook) WHERE webhook IS NOT NULL;

-- How far followers have been told of each log.
CREATE TABLE followed (
  log  BIGINT PRIMARY KEY,
  idx  BIGINT NOT NULL                     -- everything below it
);

-- One row, taken by whoever tells, so that notices have their numbers in the order in which they are committed.
CREATE TABLE telling (
  id    BIGINT PRIMARY KEY CHECK (id = 1),
  turn  BIGINT NOT NULL
);
INSERT INTO telling (id, turn) VALUES (1, 0);

-- Statements whose verdict turned after they were stored: settled after they had been held, or void after they had been
-- accepted. Written in the transaction that turns it, told when the log is followed past them, and then dropped.
CREATE TABLE turned (
  id       BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  log      BIGINT NOT NULL,
  idx      BIGINT NOT NULL,
  subject  TEXT COLLATE "C" NOT NULL,
  stands   BIGINT NOT NULL CHECK (stands IN (0, 1)) -- accepted from then on, or refused
);
CREATE INDEX turned_place ON turned (log, idx);

-- The inbox: what was told. Envelopes only, never a body.
CREATE TABLE notice (
  id        BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- in the order of telling
  watch     BIGINT NOT NULL,
  follower  TEXT COLLATE "C" NOT NULL,
  purpose   TEXT COLLATE "C" NOT NULL,
  subject   TEXT COLLATE "C" NOT NULL,
  name      TEXT COLLATE "C" NOT NULL,                  -- as the statement has it; masked of a natural person
  log       BIGINT NOT NULL,
  idx       BIGINT NOT NULL,
  turn      BIGINT NOT NULL,               -- number of the row in `turned`; 0: as it was stored
  stands    BIGINT NOT NULL CHECK (stands IN (0, 1)), -- published; else it is void
  digest    BYTEA NOT NULL,
  kind      TEXT COLLATE "C" NOT NULL,
  version   BIGINT NOT NULL,
  iat       BIGINT NOT NULL,               -- seconds
  about     TEXT COLLATE "C" NOT NULL,                  -- digests of the statements that it is about, a space between
  at_ms     BIGINT NOT NULL,
  seen_ms   BIGINT                         -- acknowledged
);
CREATE UNIQUE INDEX notice_once ON notice (log, idx, watch, turn);
CREATE INDEX notice_follower ON notice (follower, id);
CREATE INDEX notice_unread ON notice (follower, id) WHERE seen_ms IS NULL;

-- What is still to be delivered, in lines: one for each subject at each webhook. The first of a line holds the others up.
CREATE TABLE delivery (
  webhook  BIGINT NOT NULL,
  subject  TEXT COLLATE "C" NOT NULL,
  notice   BIGINT NOT NULL,
  PRIMARY KEY (webhook, subject, notice)
);
CREATE INDEX delivery_notice ON delivery (notice);
CREATE TABLE line (
  webhook   BIGINT NOT NULL,
  subject   TEXT COLLATE "C" NOT NULL,
  failures  BIGINT NOT NULL,               -- in a row, of its first notice
  next_ms   BIGINT NOT NULL,               -- nobody takes it before
  taken     TEXT COLLATE "C",                           -- by whom it was taken last
  PRIMARY KEY (webhook, subject)
);
CREATE INDEX line_due ON line (webhook, next_ms);
