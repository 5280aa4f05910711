-- The sets of policies that were in force: statements name them by their digests, and whoever asks later can read them.
CREATE TABLE policy_set (
  digest   TEXT COLLATE "C" PRIMARY KEY,
  files    BYTEA NOT NULL, -- JSON: name and text of each file
  first_ms BIGINT NOT NULL -- when it was first in force
);

-- The set that is in force, in one row.
CREATE TABLE policy_in_force (
  id       BIGINT PRIMARY KEY CHECK (id = 1),
  digest   TEXT COLLATE "C" NOT NULL,
  since_ms BIGINT NOT NULL
);
