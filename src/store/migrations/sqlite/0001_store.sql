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
  size        INTEGER NOT NULL,             -- entries stored, all proven: the cursor of a pull
  edge        BLOB NOT NULL,                -- the partial tiles of the tree over them, level by level
  max_iat     INTEGER NOT NULL,             -- the highest iat among them, seconds
  descriptor  INTEGER,                      -- index of the last descriptor among them
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

-- Peers. The same person never proposes and approves.
CREATE TABLE peer (
  node         TEXT PRIMARY KEY NOT NULL,
  state        TEXT NOT NULL,               -- invited, fetched, confirmed, approved, active, suspended, revoked
  descriptor   TEXT NOT NULL,               -- its newest descriptor statement
  sequence     INTEGER NOT NULL,            -- of that descriptor; never goes back
  url          TEXT,                        -- another address than the descriptor's
  proposed_by  TEXT,                        -- who typed the fingerprint
  approved_by  TEXT,                        -- who agreed: another person
  added_ms     INTEGER NOT NULL,
  picked_up    INTEGER,              -- the sequence of this node's own descriptor that it says it holds
  success_ms   INTEGER,                     -- the last contact that went well
  error_ms     INTEGER,                     -- the last that did not, and what happened
  error        TEXT,
  CHECK (approved_by IS NULL OR (proposed_by IS NOT NULL AND approved_by <> proposed_by))
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
