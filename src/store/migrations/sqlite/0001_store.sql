-- The store of a node, SQLite. `migrations/postgres` has the same tables and columns; queries are written once for both.
-- Integers that are sizes, indices and row numbers count from 0, times are milliseconds since 1970 (`iat`: seconds),
-- flags are 0 or 1, hashes and digests 32 bytes, texts UTF-8 and compared byte by byte.

-- Logs, own and mirrored, one row each: the head, and how far and over what tree the entries are stored.
CREATE TABLE log (
  id          INTEGER PRIMARY KEY,          -- its number in this database, never on the wire
  origin      TEXT NOT NULL UNIQUE,         -- kaopu/<node>/<name>/<generation>
  hash        TEXT NOT NULL UNIQUE,         -- SHA-256 of the origin, lower-case hexadecimal: how URLs name it
  node        TEXT NOT NULL,                -- the owner
  name        TEXT NOT NULL CHECK (name IN ('records', 'exchange')),
  generation  INTEGER NOT NULL,             -- from 1
  own         INTEGER NOT NULL CHECK (own IN (0, 1)), -- this node's own; else a mirror
  state       TEXT NOT NULL CHECK (state IN ('open', 'frozen', 'closed')),
  reason      TEXT,                         -- why it is not open
  revoked_ms  INTEGER,                    -- when its owner was revoked here; what it says stays as it was then
  size        INTEGER NOT NULL,             -- entries stored, all proven: the cursor of a pull
  edge        BLOB NOT NULL,                -- the partial tiles of the tree over them, level by level
  max_iat     INTEGER NOT NULL,             -- the highest iat among them, seconds
  descriptor  INTEGER,                      -- index of the last descriptor among them
  unvoided    INTEGER,                      -- a descriptor voids what compromised keys signed from here on, still to be done
  head_size   INTEGER,                      -- the newest checkpoint that this node stands by; an own log's is its size
  head_root   BLOB,
  head_note   TEXT,                         -- the signed note
  head_ms     INTEGER,                      -- when it came
  complete_size  INTEGER, -- the newest checkpoint whose entries are all stored: what others are served
  complete_root  BLOB,
  complete_note  TEXT,
  complete_ms    INTEGER,
  CHECK ((head_size IS NULL) = (head_note IS NULL) AND (head_size IS NULL) = (head_root IS NULL)),
  CHECK (head_size IS NULL OR head_size >= size)
) STRICT;

-- Full tiles of the hash tree; partial ones are prefixes of them or stand in log.edge.
CREATE TABLE tile (
  log     INTEGER NOT NULL,
  level   INTEGER NOT NULL,                 -- 0: leaf hashes
  n       INTEGER NOT NULL,
  hashes  BLOB NOT NULL,                    -- 256 hashes
  PRIMARY KEY (log, level, n)
) STRICT;

-- Cosignatures of witnesses on checkpoints, a row for each witness's newest and for those that a proof was built on.
CREATE TABLE cosignature (
  log      INTEGER NOT NULL,
  size     INTEGER NOT NULL,                -- of the checkpoint
  witness  TEXT NOT NULL,                   -- kaopu/<node>/witness
  at       INTEGER NOT NULL,                -- seconds, as signed
  line     TEXT NOT NULL,                   -- the note's signature line
  PRIMARY KEY (log, size, witness)
) STRICT, WITHOUT ROWID;

-- What proves why a log was stopped: never changed, never dropped.
CREATE TABLE evidence (
  id      INTEGER PRIMARY KEY,
  log     INTEGER NOT NULL,
  reason  TEXT NOT NULL,                    -- in words
  proof   BLOB NOT NULL,                    -- notes, tiles, statements: whatever shows it
  at_ms   INTEGER NOT NULL
) STRICT;
CREATE INDEX evidence_log ON evidence (log);

-- One row an entry. Class and digest are the entry; the rest is the body and what was judged of it.
CREATE TABLE statement (
  log       INTEGER NOT NULL,
  idx       INTEGER NOT NULL,               -- index in the log
  class     INTEGER NOT NULL,               -- 0 open, 1 addressed
  digest    BLOB NOT NULL,
  kind      TEXT,                           -- NULL where the statement could not be read
  version   INTEGER,                        -- of the kind
  iat       INTEGER,                        -- seconds
  subject   TEXT,                           -- key of the subject, where there is one
  identity  BLOB,                           -- of a record that is accepted (leads to its row in `record`), held, or refused for its prev
  prev      BLOB,                           -- the version that it says it replaces
  instead   BLOB,                           -- the one that it replaced, where the body of prev is not here
  verdict   TEXT NOT NULL,                  -- accepted; held: early, tried again; refused: evidence; unread: no body came
  reason    TEXT,                           -- why held or refused
  body      TEXT NOT NULL,                  -- here, withheld (by who served it), erased
  erasure   BLOB,                           -- digest of the erasure statement that made it be dropped
  jws       BLOB,                           -- the compact JWS as it was signed, NULL unless body is 'here'
  PRIMARY KEY (log, idx)
) STRICT;
CREATE INDEX statement_digest ON statement (digest);
CREATE INDEX statement_subject ON statement (subject) WHERE subject IS NOT NULL;
CREATE INDEX statement_held ON statement (log, idx) WHERE verdict = 'held';
CREATE INDEX statement_unknown ON statement (log, kind) WHERE verdict = 'held' AND identity IS NULL;
CREATE INDEX statement_aside ON statement (identity) WHERE identity IS NOT NULL AND verdict <> 'accepted';
CREATE INDEX statement_prev ON statement (prev) WHERE prev IS NOT NULL;
CREATE INDEX statement_descriptor ON statement (log, idx) WHERE kind = 'descriptor';

-- Which statements are about a statement: accepted ones that name its digest in `ref`.
CREATE TABLE reference (
  digest  BLOB NOT NULL,                    -- the one that they are about
  log     INTEGER NOT NULL,
  idx     INTEGER NOT NULL,
  PRIMARY KEY (digest, log, idx)
) STRICT, WITHOUT ROWID;

-- The one current version of each record. It moves only from the version that the new one names as `prev`.
CREATE TABLE record (
  issuer    TEXT NOT NULL,
  kind      TEXT NOT NULL,
  identity  BLOB NOT NULL,                  -- SHA-256 over the identifying members
  log       INTEGER NOT NULL,               -- where the current version stands
  idx       INTEGER NOT NULL,
  digest    BLOB NOT NULL,                  -- of the current version
  prev      BLOB,                           -- of the one before it in this row's history
  content   BLOB NOT NULL,                  -- SHA-256 over what the current version says
  versions  INTEGER NOT NULL,               -- how many there have been
  PRIMARY KEY (identity, kind, issuer)      -- the one that tells rows apart first: it leads, whatever a planner knows
) STRICT, WITHOUT ROWID;

-- Names under which statements named a subject.
CREATE TABLE subject (
  key     TEXT NOT NULL,
  folded  TEXT NOT NULL,                    -- the name as it is compared
  name    TEXT NOT NULL,                    -- the name as it was first stated
  PRIMARY KEY (key, folded)
) STRICT, WITHOUT ROWID;
CREATE INDEX subject_folded ON subject (folded);

-- Uploads and how far each has come. One unfinished upload a file, kind and department.
CREATE TABLE upload (
  id           INTEGER PRIMARY KEY AUTOINCREMENT,
  digest       TEXT NOT NULL,               -- of the file
  file         TEXT NOT NULL,
  kind         TEXT NOT NULL,
  layout       TEXT NOT NULL,
  encoding     TEXT NOT NULL,
  department   TEXT,
  operator     TEXT NOT NULL,
  begun_ms     INTEGER NOT NULL,
  finished_ms  INTEGER,                     -- NULL while rows are still to come
  next_row     INTEGER NOT NULL,            -- a step is taken only from here
  read         INTEGER NOT NULL,
  published    INTEGER NOT NULL,
  skipped      INTEGER NOT NULL,
  warned       INTEGER NOT NULL,
  refused      INTEGER NOT NULL,
  unknown      TEXT NOT NULL                -- columns that no layout knows, a JSON list
) STRICT;
CREATE UNIQUE INDEX upload_unfinished ON upload (digest, kind, COALESCE(department, '')) WHERE finished_ms IS NULL;

-- Faults and warnings of an upload's rows.
CREATE TABLE fault (
  upload    INTEGER NOT NULL,
  line      INTEGER NOT NULL,               -- data row, from 1
  position  INTEGER NOT NULL,               -- among the faults of its row
  header    TEXT,                           -- the column's header as it came; NULL: the row's own fault
  code      TEXT NOT NULL,
  message   TEXT NOT NULL,
  PRIMARY KEY (upload, line, position)
) STRICT, WITHOUT ROWID;

-- Persons who may work at this node. Never deleted: what they did names them.
CREATE TABLE account (
  name       TEXT PRIMARY KEY NOT NULL,     -- [a-z0-9._-]{1,32}
  hash       TEXT NOT NULL,                 -- argon2id of the secret, as a PHC string
  state      TEXT NOT NULL CHECK (state IN ('active', 'disabled')),
  added_ms   INTEGER NOT NULL,
  failures   INTEGER NOT NULL,              -- wrong secrets in a row
  failed_ms  INTEGER,                       -- the last of them
  CHECK (name = lower(name) AND length(name) BETWEEN 1 AND 32)
) STRICT, WITHOUT ROWID;

-- Peers. The same person never proposes and approves; an invited node is not here yet, but in `invitation`.
CREATE TABLE peer (
  node         TEXT PRIMARY KEY NOT NULL,
  state        TEXT NOT NULL CHECK (state IN ('fetched', 'confirmed', 'approved', 'active', 'suspended', 'revoked')),
  descriptor   TEXT NOT NULL,               -- its newest descriptor statement
  sequence     INTEGER NOT NULL,            -- of that descriptor; never goes back
  root         TEXT,                        -- thumbprint of its root key when the ceremony began
  url          TEXT,                        -- another address than the descriptor's
  proposed_by  TEXT,                        -- who typed the fingerprint
  approved_by  TEXT,                        -- who agreed: another person
  by_file      INTEGER NOT NULL CHECK (by_file IN (0, 1)), -- 1: taken by a file, before this node had accounts
  changed_ms   INTEGER NOT NULL,            -- when the state last changed
  reason       TEXT,                        -- why it was suspended or revoked
  added_ms     INTEGER NOT NULL,
  picked_up    INTEGER,                     -- the sequence of this node's own descriptor that it says it holds
  success_ms   INTEGER,                     -- the last contact that went well
  error_ms     INTEGER,                     -- the last that did not, and what happened
  error        TEXT,
  standing     TEXT,                        -- what it last said of how this node stands there, JSON
  standing_ms  INTEGER,                     -- when it said so
  CHECK (approved_by IS NULL OR (proposed_by IS NOT NULL AND approved_by <> proposed_by)),
  CHECK (by_file = 1 OR state IN ('fetched', 'revoked') OR proposed_by IS NOT NULL),
  CHECK (by_file = 1 OR state IN ('fetched', 'confirmed', 'revoked') OR approved_by IS NOT NULL)
) STRICT, WITHOUT ROWID;

-- Root keys, present and next, of nodes that were revoked: never taken again.
CREATE TABLE revoked_root (
  node  TEXT NOT NULL,
  root  TEXT NOT NULL,                      -- thumbprint
  PRIMARY KEY (node, root)
) STRICT, WITHOUT ROWID;

-- Invitations: whoever shows the secret may introduce that node, once, in time.
CREATE TABLE invitation (
  secret      BLOB PRIMARY KEY NOT NULL,    -- SHA-256 of it
  node        TEXT NOT NULL,                -- for whom
  invited_by  TEXT NOT NULL,
  made_ms     INTEGER NOT NULL,
  until_ms    INTEGER NOT NULL,
  used_ms     INTEGER                       -- when it was used, or withdrawn by a newer one
) STRICT, WITHOUT ROWID;

-- Changes that were made, on their way into the exchange log: written with the change, dropped once logged.
CREATE TABLE pending_change (
  id       INTEGER PRIMARY KEY AUTOINCREMENT,
  about    TEXT NOT NULL,                   -- peer, account
  subject  TEXT NOT NULL,
  action   TEXT NOT NULL,
  done_by  TEXT NOT NULL,
  reason   TEXT,
  digest   TEXT,
  at_ms    INTEGER NOT NULL,
  taken_ms INTEGER                          -- a process is at it since then
) STRICT;

-- The steps that there are between states.
CREATE TABLE peer_step (
  before  TEXT NOT NULL,
  after   TEXT NOT NULL,
  PRIMARY KEY (before, after)
) STRICT, WITHOUT ROWID;
INSERT INTO peer_step (before, after) VALUES
  ('fetched', 'confirmed'), ('confirmed', 'approved'), ('approved', 'active'), ('active', 'suspended'),
  ('suspended', 'active'), ('fetched', 'revoked'), ('confirmed', 'revoked'), ('approved', 'revoked'),
  ('active', 'revoked'), ('suspended', 'revoked');

-- Descriptors that peers offered and that were not taken: evidence, never changed.
CREATE TABLE refused_descriptor (
  node      TEXT NOT NULL,
  digest    BLOB NOT NULL,
  sequence  INTEGER NOT NULL, -- 0 where it could not be read
  reason    TEXT NOT NULL, -- lower-sequence, fork, expired, root, next-root, signature
  words     TEXT NOT NULL,
  jws       BLOB NOT NULL, -- as it was offered
  held      BLOB, -- the one that was taken under the same sequence, of a fork
  at_ms     INTEGER NOT NULL, -- when it was first offered
  PRIMARY KEY (node, digest)
) STRICT, WITHOUT ROWID;

-- Every descriptor that this node took from a peer.
CREATE TABLE descriptor (
  node      TEXT NOT NULL,
  sequence  INTEGER NOT NULL,
  jws       TEXT NOT NULL,
  taken_ms  INTEGER NOT NULL,
  PRIMARY KEY (node, sequence)
) STRICT, WITHOUT ROWID;

-- The TLS certificates that other nodes showed in handshakes.
CREATE TABLE certificate (
  node      TEXT PRIMARY KEY NOT NULL,
  until_ms  INTEGER NOT NULL          -- when the last one ends
) STRICT, WITHOUT ROWID;

-- Member lists of federations: the newest that this node stands by, and the newest that it took.
CREATE TABLE member_list (
  federation  TEXT NOT NULL,
  done        TEXT NOT NULL CHECK (done IN ('signed', 'taken')),
  sequence    INTEGER NOT NULL,             -- never goes back
  digest      BLOB NOT NULL,                -- of the list's text
  file        TEXT NOT NULL,                -- the list and the signatures that came with it
  at_ms       INTEGER NOT NULL,
  PRIMARY KEY (federation, done)
) STRICT;

-- One row: a number that grows with each change of the peers, so that processes see that they must read them again.
CREATE TABLE registry (
  id       INTEGER PRIMARY KEY CHECK (id = 1),
  version  INTEGER NOT NULL
) STRICT;
INSERT INTO registry (id, version) VALUES (1, 0);

-- Whoever writes to it: a peer takes no step that is none, no person's place is taken by another, and where there are
-- accounts nobody begins but by being fetched.
CREATE TRIGGER peer_begins BEFORE INSERT ON peer
WHEN (EXISTS (SELECT 1 FROM account) OR NEW.by_file = 0)
  AND (NEW.state <> 'fetched' OR NEW.by_file = 1 OR NEW.proposed_by IS NOT NULL OR NEW.approved_by IS NOT NULL)
BEGIN SELECT RAISE(ABORT, 'a peer begins as fetched'); END;
CREATE TRIGGER peer_root BEFORE INSERT ON peer
WHEN EXISTS (SELECT 1 FROM revoked_root r WHERE r.node = NEW.node AND r.root = NEW.root)
BEGIN SELECT RAISE(ABORT, 'this root key was revoked'); END;
CREATE TRIGGER peer_steps BEFORE UPDATE ON peer
WHEN NEW.state <> OLD.state
  AND NOT EXISTS (SELECT 1 FROM peer_step s WHERE s.before = OLD.state AND s.after = NEW.state)
  AND NOT (OLD.state = 'revoked' AND NEW.state = 'fetched' AND NEW.root IS NOT NULL
    AND NOT EXISTS (SELECT 1 FROM revoked_root r WHERE r.node = NEW.node AND r.root = NEW.root))
BEGIN SELECT RAISE(ABORT, 'a peer takes no such step'); END;
CREATE TRIGGER peer_stays BEFORE UPDATE ON peer
WHEN NEW.node <> OLD.node OR (OLD.by_file = 0 AND NEW.by_file = 1)
  OR (OLD.state = 'revoked' AND NEW.state = 'revoked' AND NEW.descriptor <> OLD.descriptor)
BEGIN SELECT RAISE(ABORT, 'this does not change'); END;
CREATE TRIGGER peer_persons BEFORE UPDATE ON peer
WHEN (NEW.state = 'fetched' AND (NEW.proposed_by IS NOT NULL OR NEW.approved_by IS NOT NULL))
  OR (NEW.state <> 'fetched' AND OLD.proposed_by IS NOT NULL AND OLD.proposed_by IS NOT NEW.proposed_by)
  OR (NEW.state <> 'fetched' AND OLD.approved_by IS NOT NULL AND OLD.approved_by IS NOT NEW.approved_by)
  OR (OLD.proposed_by IS NULL AND NEW.proposed_by IS NOT NULL
    AND NOT EXISTS (SELECT 1 FROM account a WHERE a.name = NEW.proposed_by AND a.state = 'active'))
  OR (OLD.approved_by IS NULL AND NEW.approved_by IS NOT NULL
    AND (OLD.proposed_by IS NULL
      OR NOT EXISTS (SELECT 1 FROM account a WHERE a.name = NEW.approved_by AND a.state = 'active')))
BEGIN SELECT RAISE(ABORT, 'two persons of this node, one after the other'); END;
CREATE TRIGGER peer_remains BEFORE DELETE ON peer
BEGIN SELECT RAISE(ABORT, 'a peer is revoked, not deleted'); END;
CREATE TRIGGER account_remains BEFORE DELETE ON account
BEGIN SELECT RAISE(ABORT, 'an account is disabled, not deleted'); END;
CREATE TRIGGER account_name BEFORE UPDATE ON account WHEN NEW.name <> OLD.name
BEGIN SELECT RAISE(ABORT, 'an account keeps its name'); END;
CREATE TRIGGER revoked_root_remains BEFORE DELETE ON revoked_root
BEGIN SELECT RAISE(ABORT, 'what was revoked stays revoked'); END;

-- What a revoked node said stands as it was held then; nothing is added, whoever serves it.
CREATE TRIGGER peer_revoked AFTER UPDATE ON peer WHEN NEW.state = 'revoked' AND OLD.state <> 'revoked'
BEGIN
  UPDATE log SET revoked_ms = COALESCE(revoked_ms, NEW.changed_ms), reason = COALESCE(reason, 'its owner was revoked'),
    state = CASE state WHEN 'open' THEN 'closed' ELSE state END WHERE node = NEW.node AND own = 0;
END;
