-- The store of a node, PostgreSQL. `migrations/sqlite` has the same tables and columns; queries are written once for both.
-- Integers that are sizes, indices and row numbers count from 0, times are milliseconds since 1970 (`iat`: seconds),
-- flags are 0 or 1, hashes and digests 32 bytes, texts UTF-8 and compared byte by byte.

-- Logs, own and mirrored, one row each: the head, and how far and over what tree the entries are stored.
CREATE TABLE log (
  id          BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- its number in this database, never on the wire
  origin      TEXT COLLATE "C" NOT NULL UNIQUE, -- kaopu/<node>/<name>/<generation>
  hash        TEXT COLLATE "C" NOT NULL UNIQUE, -- SHA-256 of the origin, lower-case hexadecimal: how URLs name it
  node        TEXT COLLATE "C" NOT NULL, -- the owner
  name        TEXT COLLATE "C" NOT NULL CHECK (name IN ('records', 'exchange')),
  generation  BIGINT NOT NULL, -- from 1
  own         BIGINT NOT NULL CHECK (own IN (0, 1)), -- this node's own; else a mirror
  state       TEXT COLLATE "C" NOT NULL CHECK (state IN ('open', 'frozen', 'closed')),
  reason      TEXT COLLATE "C", -- why it is not open
  revoked_ms  BIGINT,                     -- when its owner was revoked here; what it says stays as it was then
  size        BIGINT NOT NULL, -- entries stored, all proven: the cursor of a pull
  edge        BYTEA NOT NULL, -- the partial tiles of the tree over them, level by level
  max_iat     BIGINT NOT NULL, -- the highest iat among them, seconds
  descriptor  BIGINT, -- index of the last descriptor among them
  unvoided    BIGINT, -- a descriptor voids what compromised keys signed from here on, still to be done
  head_size   BIGINT, -- the newest checkpoint that this node stands by; an own log's is its size
  head_root   BYTEA,
  head_note   TEXT COLLATE "C", -- the signed note
  head_ms     BIGINT, -- when it came
  complete_size  BIGINT, -- the newest checkpoint whose entries are all stored: what others are served
  complete_root  BYTEA,
  complete_note  TEXT COLLATE "C",
  complete_ms    BIGINT,
  CHECK ((head_size IS NULL) = (head_note IS NULL) AND (head_size IS NULL) = (head_root IS NULL)),
  CHECK (head_size IS NULL OR head_size >= size)
);

-- Full tiles of the hash tree; partial ones are prefixes of them or stand in log.edge.
CREATE TABLE tile (
  log     BIGINT NOT NULL,
  level   BIGINT NOT NULL, -- 0: leaf hashes
  n       BIGINT NOT NULL,
  hashes  BYTEA NOT NULL, -- 256 hashes
  PRIMARY KEY (log, level, n)
);

-- Cosignatures of witnesses on checkpoints, a row for each witness's newest and for those that a proof was built on.
CREATE TABLE cosignature (
  log      BIGINT NOT NULL,
  size     BIGINT NOT NULL, -- of the checkpoint
  witness  TEXT COLLATE "C" NOT NULL, -- kaopu/<node>/witness
  at       BIGINT NOT NULL, -- seconds, as signed
  line     TEXT COLLATE "C" NOT NULL, -- the note's signature line
  PRIMARY KEY (log, size, witness)
);

-- What proves why a log was stopped: never changed, never dropped.
CREATE TABLE evidence (
  id      BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  log     BIGINT NOT NULL,
  reason  TEXT COLLATE "C" NOT NULL, -- in words
  proof   BYTEA NOT NULL, -- notes, tiles, statements: whatever shows it
  at_ms   BIGINT NOT NULL
);
CREATE INDEX evidence_log ON evidence (log);

-- One row an entry. Class and digest are the entry; the rest is the body and what was judged of it.
CREATE TABLE statement (
  log       BIGINT NOT NULL,
  idx       BIGINT NOT NULL, -- index in the log
  class     BIGINT NOT NULL, -- 0 open, 1 addressed
  digest    BYTEA NOT NULL,
  kind      TEXT COLLATE "C", -- NULL where the statement could not be read
  version   BIGINT, -- of the kind
  iat       BIGINT, -- seconds
  subject   TEXT COLLATE "C", -- key of the subject, where there is one
  identity  BYTEA, -- of a record that is accepted (leads to its row in `record`), held, or refused for its prev
  prev      BYTEA, -- the version that it says it replaces
  instead   BYTEA, -- the one that it replaced, where the body of prev is not here
  verdict   TEXT COLLATE "C" NOT NULL, -- accepted; held: early, tried again; refused: evidence; unread: no body came
  reason    TEXT COLLATE "C", -- why held or refused
  body      TEXT COLLATE "C" NOT NULL, -- here, withheld (by who served it), erased
  erasure   BYTEA, -- digest of the erasure statement that made it be dropped
  jws       BYTEA, -- the compact JWS as it was signed, NULL unless body is 'here'
  PRIMARY KEY (log, idx)
) PARTITION BY HASH (log);
CREATE TABLE statement_0 PARTITION OF statement FOR VALUES WITH (MODULUS 16, REMAINDER 0);
CREATE TABLE statement_1 PARTITION OF statement FOR VALUES WITH (MODULUS 16, REMAINDER 1);
CREATE TABLE statement_2 PARTITION OF statement FOR VALUES WITH (MODULUS 16, REMAINDER 2);
CREATE TABLE statement_3 PARTITION OF statement FOR VALUES WITH (MODULUS 16, REMAINDER 3);
CREATE TABLE statement_4 PARTITION OF statement FOR VALUES WITH (MODULUS 16, REMAINDER 4);
CREATE TABLE statement_5 PARTITION OF statement FOR VALUES WITH (MODULUS 16, REMAINDER 5);
CREATE TABLE statement_6 PARTITION OF statement FOR VALUES WITH (MODULUS 16, REMAINDER 6);
CREATE TABLE statement_7 PARTITION OF statement FOR VALUES WITH (MODULUS 16, REMAINDER 7);
CREATE TABLE statement_8 PARTITION OF statement FOR VALUES WITH (MODULUS 16, REMAINDER 8);
CREATE TABLE statement_9 PARTITION OF statement FOR VALUES WITH (MODULUS 16, REMAINDER 9);
CREATE TABLE statement_10 PARTITION OF statement FOR VALUES WITH (MODULUS 16, REMAINDER 10);
CREATE TABLE statement_11 PARTITION OF statement FOR VALUES WITH (MODULUS 16, REMAINDER 11);
CREATE TABLE statement_12 PARTITION OF statement FOR VALUES WITH (MODULUS 16, REMAINDER 12);
CREATE TABLE statement_13 PARTITION OF statement FOR VALUES WITH (MODULUS 16, REMAINDER 13);
CREATE TABLE statement_14 PARTITION OF statement FOR VALUES WITH (MODULUS 16, REMAINDER 14);
CREATE TABLE statement_15 PARTITION OF statement FOR VALUES WITH (MODULUS 16, REMAINDER 15);
CREATE INDEX statement_digest ON statement (digest);
CREATE INDEX statement_subject ON statement (subject) WHERE subject IS NOT NULL;
CREATE INDEX statement_held ON statement (log, idx) WHERE verdict = 'held';
CREATE INDEX statement_unknown ON statement (log, kind) WHERE verdict = 'held' AND identity IS NULL;
CREATE INDEX statement_aside ON statement (identity) WHERE identity IS NOT NULL AND verdict <> 'accepted';
CREATE INDEX statement_prev ON statement (prev) WHERE prev IS NOT NULL;
CREATE INDEX statement_descriptor ON statement (log, idx) WHERE kind = 'descriptor';

-- Which statements are about a statement: accepted ones that name its digest in `ref`.
CREATE TABLE reference (
  digest  BYTEA NOT NULL, -- the one that they are about
  log     BIGINT NOT NULL,
  idx     BIGINT NOT NULL,
  PRIMARY KEY (digest, log, idx)
);

-- The one current version of each record. It moves only from the version that the new one names as `prev`.
CREATE TABLE record (
  issuer    TEXT COLLATE "C" NOT NULL,
  kind      TEXT COLLATE "C" NOT NULL,
  identity  BYTEA NOT NULL, -- SHA-256 over the identifying members
  log       BIGINT NOT NULL, -- where the current version stands
  idx       BIGINT NOT NULL,
  digest    BYTEA NOT NULL, -- of the current version
  prev      BYTEA, -- of the one before it in this row's history
  content   BYTEA NOT NULL, -- SHA-256 over what the current version says
  versions  BIGINT NOT NULL, -- how many there have been
  PRIMARY KEY (identity, kind, issuer) -- the one that tells rows apart first: it leads, whatever a planner knows
);

-- Names under which statements named a subject.
CREATE TABLE subject (
  key     TEXT COLLATE "C" NOT NULL,
  folded  TEXT COLLATE "C" NOT NULL, -- the name as it is compared
  name    TEXT COLLATE "C" NOT NULL, -- the name as it was first stated
  PRIMARY KEY (key, folded)
);
CREATE INDEX subject_folded ON subject (folded);

-- Uploads and how far each has come. One unfinished upload a file, kind and department.
CREATE TABLE upload (
  id           BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  digest       TEXT COLLATE "C" NOT NULL, -- of the file
  file         TEXT COLLATE "C" NOT NULL,
  kind         TEXT COLLATE "C" NOT NULL,
  layout       TEXT COLLATE "C" NOT NULL,
  encoding     TEXT COLLATE "C" NOT NULL,
  department   TEXT COLLATE "C",
  operator     TEXT COLLATE "C" NOT NULL,
  begun_ms     BIGINT NOT NULL,
  finished_ms  BIGINT, -- NULL while rows are still to come
  next_row     BIGINT NOT NULL, -- a step is taken only from here
  read         BIGINT NOT NULL,
  published    BIGINT NOT NULL,
  skipped      BIGINT NOT NULL,
  warned       BIGINT NOT NULL,
  refused      BIGINT NOT NULL,
  unknown      TEXT COLLATE "C" NOT NULL -- columns that no layout knows, a JSON list
);
CREATE UNIQUE INDEX upload_unfinished ON upload (digest, kind, COALESCE(department, '')) WHERE finished_ms IS NULL;

-- Faults and warnings of an upload's rows.
CREATE TABLE fault (
  upload    BIGINT NOT NULL,
  line      BIGINT NOT NULL, -- data row, from 1
  position  BIGINT NOT NULL, -- among the faults of its row
  header    TEXT COLLATE "C", -- the column's header as it came; NULL: the row's own fault
  code      TEXT COLLATE "C" NOT NULL,
  message   TEXT COLLATE "C" NOT NULL,
  PRIMARY KEY (upload, line, position)
);

-- Persons who may work at this node. Never deleted: what they did names them.
CREATE TABLE account (
  name       TEXT COLLATE "C" PRIMARY KEY NOT NULL, -- [a-z0-9._-]{1,32}
  hash       TEXT COLLATE "C" NOT NULL, -- argon2id of the secret, as a PHC string
  state      TEXT COLLATE "C" NOT NULL CHECK (state IN ('active', 'disabled')),
  added_ms   BIGINT NOT NULL,
  failures   BIGINT NOT NULL, -- wrong secrets in a row
  failed_ms  BIGINT, -- the last of them
  CHECK (name = lower(name) AND length(name) BETWEEN 1 AND 32)
);

-- Peers. The same person never proposes and approves; an invited node is not here yet, but in `invitation`.
CREATE TABLE peer (
  node         TEXT COLLATE "C" PRIMARY KEY NOT NULL,
  state        TEXT COLLATE "C" NOT NULL CHECK (state IN ('fetched', 'confirmed', 'approved', 'active', 'suspended', 'revoked')),
  descriptor   TEXT COLLATE "C" NOT NULL, -- its newest descriptor statement
  sequence     BIGINT NOT NULL, -- of that descriptor; never goes back
  root         TEXT COLLATE "C", -- thumbprint of its root key when the ceremony began
  url          TEXT COLLATE "C", -- another address than the descriptor's
  proposed_by  TEXT COLLATE "C", -- who typed the fingerprint
  approved_by  TEXT COLLATE "C", -- who agreed: another person
  by_file      BIGINT NOT NULL CHECK (by_file IN (0, 1)), -- 1: taken by a file, before this node had accounts
  changed_ms   BIGINT NOT NULL, -- when the state last changed
  reason       TEXT COLLATE "C", -- why it was suspended or revoked
  added_ms     BIGINT NOT NULL,
  picked_up    BIGINT, -- the sequence of this node's own descriptor that it says it holds
  success_ms   BIGINT, -- the last contact that went well
  error_ms     BIGINT, -- the last that did not, and what happened
  error        TEXT COLLATE "C",
  standing     TEXT COLLATE "C", -- what it last said of how this node stands there, JSON
  standing_ms  BIGINT, -- when it said so
  CHECK (approved_by IS NULL OR (proposed_by IS NOT NULL AND approved_by <> proposed_by)),
  CHECK (by_file = 1 OR state IN ('fetched', 'revoked') OR proposed_by IS NOT NULL),
  CHECK (by_file = 1 OR state IN ('fetched', 'confirmed', 'revoked') OR approved_by IS NOT NULL)
);

-- Root keys, present and next, of nodes that were revoked: never taken again.
CREATE TABLE revoked_root (
  node  TEXT COLLATE "C" NOT NULL,
  root  TEXT COLLATE "C" NOT NULL, -- thumbprint
  PRIMARY KEY (node, root)
);

-- Invitations: whoever shows the secret may introduce that node, once, in time.
CREATE TABLE invitation (
  secret      BYTEA PRIMARY KEY NOT NULL, -- SHA-256 of it
  node        TEXT COLLATE "C" NOT NULL, -- for whom
  invited_by  TEXT COLLATE "C" NOT NULL,
  made_ms     BIGINT NOT NULL,
  until_ms    BIGINT NOT NULL,
  used_ms     BIGINT -- when it was used, or withdrawn by a newer one
);

-- Changes that were made, on their way into the exchange log: written with the change, dropped once logged.
CREATE TABLE pending_change (
  id       BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  about    TEXT COLLATE "C" NOT NULL, -- peer, account
  subject  TEXT COLLATE "C" NOT NULL,
  action   TEXT COLLATE "C" NOT NULL,
  done_by  TEXT COLLATE "C" NOT NULL,
  reason   TEXT COLLATE "C",
  digest   TEXT COLLATE "C",
  at_ms    BIGINT NOT NULL,
  taken_ms BIGINT -- a process is at it since then
);

-- The steps that there are between states.
CREATE TABLE peer_step (
  before  TEXT COLLATE "C" NOT NULL,
  after   TEXT COLLATE "C" NOT NULL,
  PRIMARY KEY (before, after)
);
INSERT INTO peer_step (before, after) VALUES
  ('fetched', 'confirmed'), ('confirmed', 'approved'), ('approved', 'active'), ('active', 'suspended'),
  ('suspended', 'active'), ('fetched', 'revoked'), ('confirmed', 'revoked'), ('approved', 'revoked'),
  ('active', 'revoked'), ('suspended', 'revoked');

-- Descriptors that peers offered and that were not taken: evidence, never changed.
CREATE TABLE refused_descriptor (
  node      TEXT COLLATE "C" NOT NULL,
  digest    BYTEA NOT NULL,
  sequence  BIGINT NOT NULL, -- 0 where it could not be read
  reason    TEXT COLLATE "C" NOT NULL, -- lower-sequence, fork, expired, root, next-root, signature
  words     TEXT COLLATE "C" NOT NULL,
  jws       BYTEA NOT NULL, -- as it was offered
  held      BYTEA, -- the one that was taken under the same sequence, of a fork
  at_ms     BIGINT NOT NULL, -- when it was first offered
  PRIMARY KEY (node, digest)
);

-- Every descriptor that this node took from a peer.
CREATE TABLE descriptor (
  node      TEXT COLLATE "C" NOT NULL,
  sequence  BIGINT NOT NULL,
  jws       TEXT COLLATE "C" NOT NULL,
  taken_ms  BIGINT NOT NULL,
  PRIMARY KEY (node, sequence)
);

-- The TLS certificates that other nodes showed in handshakes.
CREATE TABLE certificate (
  node      TEXT COLLATE "C" PRIMARY KEY NOT NULL,
  until_ms  BIGINT NOT NULL           -- when the last one ends
);

-- Member lists of federations: the newest that this node stands by, and the newest that it took.
CREATE TABLE member_list (
  federation  TEXT COLLATE "C" NOT NULL,
  done        TEXT COLLATE "C" NOT NULL CHECK (done IN ('signed', 'taken')),
  sequence    BIGINT NOT NULL, -- never goes back
  digest      BYTEA NOT NULL, -- of the list's text
  file        TEXT COLLATE "C" NOT NULL, -- the list and the signatures that came with it
  at_ms       BIGINT NOT NULL,
  PRIMARY KEY (federation, done)
);

-- One row: a number that grows with each change of the peers, so that processes see that they must read them again.
CREATE TABLE registry (
  id       BIGINT PRIMARY KEY CHECK (id = 1),
  version  BIGINT NOT NULL
);
INSERT INTO registry (id, version) VALUES (1, 0);

-- Whoever writes to it: a peer takes no step that is none, no person's place is taken by another, and where there are
-- accounts nobody begins but by being fetched.
CREATE FUNCTION peer_begins() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF (EXISTS (SELECT 1 FROM account) OR NEW.by_file = 0)
    AND (NEW.state <> 'fetched' OR NEW.by_file = 1 OR NEW.proposed_by IS NOT NULL OR NEW.approved_by IS NOT NULL)
  THEN RAISE EXCEPTION 'a peer begins as fetched'; END IF;
  IF EXISTS (SELECT 1 FROM revoked_root r WHERE r.node = NEW.node AND r.root = NEW.root)
  THEN RAISE EXCEPTION 'this root key was revoked'; END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER peer_begins BEFORE INSERT ON peer FOR EACH ROW EXECUTE FUNCTION peer_begins();
CREATE FUNCTION peer_steps() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.state <> OLD.state
    AND NOT EXISTS (SELECT 1 FROM peer_step s WHERE s.before = OLD.state AND s.after = NEW.state)
    AND NOT (OLD.state = 'revoked' AND NEW.state = 'fetched' AND NEW.root IS NOT NULL
      AND NOT EXISTS (SELECT 1 FROM revoked_root r WHERE r.node = NEW.node AND r.root = NEW.root))
  THEN RAISE EXCEPTION 'a peer takes no such step'; END IF;
  IF NEW.node <> OLD.node OR (OLD.by_file = 0 AND NEW.by_file = 1)
    OR (OLD.state = 'revoked' AND NEW.state = 'revoked' AND NEW.descriptor <> OLD.descriptor)
  THEN RAISE EXCEPTION 'this does not change'; END IF;
  IF (NEW.state = 'fetched' AND (NEW.proposed_by IS NOT NULL OR NEW.approved_by IS NOT NULL))
    OR (NEW.state <> 'fetched' AND OLD.proposed_by IS NOT NULL AND OLD.proposed_by IS DISTINCT FROM NEW.proposed_by)
    OR (NEW.state <> 'fetched' AND OLD.approved_by IS NOT NULL AND OLD.approved_by IS DISTINCT FROM NEW.approved_by)
    OR (OLD.proposed_by IS NULL AND NEW.proposed_by IS NOT NULL
      AND NOT EXISTS (SELECT 1 FROM account a WHERE a.name = NEW.proposed_by AND a.state = 'active'))
    OR (OLD.approved_by IS NULL AND NEW.approved_by IS NOT NULL
      AND (OLD.proposed_by IS NULL
        OR NOT EXISTS (SELECT 1 FROM account a WHERE a.name = NEW.approved_by AND a.state = 'active')))
  THEN RAISE EXCEPTION 'two persons of this node, one after the other'; END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER peer_steps BEFORE UPDATE ON peer FOR EACH ROW EXECUTE FUNCTION peer_steps();
CREATE FUNCTION remains() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'this stays'; END $$;
CREATE TRIGGER peer_remains BEFORE DELETE ON peer FOR EACH ROW EXECUTE FUNCTION remains();
CREATE TRIGGER account_remains BEFORE DELETE ON account FOR EACH ROW EXECUTE FUNCTION remains();
CREATE TRIGGER account_name BEFORE UPDATE ON account FOR EACH ROW WHEN (NEW.name <> OLD.name) EXECUTE FUNCTION remains();
CREATE TRIGGER revoked_root_remains BEFORE DELETE ON revoked_root FOR EACH ROW EXECUTE FUNCTION remains();

-- What a revoked node said stands as it was held then; nothing is added, whoever serves it.
CREATE FUNCTION peer_revoked() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE log SET revoked_ms = COALESCE(revoked_ms, NEW.changed_ms), reason = COALESCE(reason, 'its owner was revoked'),
    state = CASE state WHEN 'open' THEN 'closed' ELSE state END WHERE node = NEW.node AND own = 0;
  RETURN NULL;
END $$;
CREATE TRIGGER peer_revoked AFTER UPDATE ON peer FOR EACH ROW WHEN (NEW.state = 'revoked' AND OLD.state <> 'revoked')
  EXECUTE FUNCTION peer_revoked();
