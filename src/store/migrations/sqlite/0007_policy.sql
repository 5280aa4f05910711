-- The sets of policies that were in force: statements name them by their digests, and whoever asks later can read them.
CREATE TABLE policy_set (
  digest   TEXT PRIMARY KEY,
  files    BLOB NOT NULL,                   -- JSON: name and text of each file
  first_ms INTEGER NOT NULL                 -- when it was first in force
) STRICT;

-- The set that is in force, in one row.
CREATE TABLE policy_in_force (
  id       INTEGER PRIMARY KEY CHECK (id = 1),
  digest   TEXT NOT NULL,
  since_ms INTEGER NOT NULL
) STRICT;
