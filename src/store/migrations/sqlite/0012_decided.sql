-- A repair of a peer on which nothing could be decided: how often that was tried, why not, and when it is tried again.
ALTER TABLE recognising ADD COLUMN failures INTEGER NOT NULL DEFAULT 0;
ALTER TABLE recognising ADD COLUMN fault TEXT;
ALTER TABLE recognising ADD COLUMN next_ms INTEGER;

-- On which policies it rests that a subject may be followed: their ids, a space between, and the digest of the set; and the
-- digest of the subject's authorisation, where one was given.
ALTER TABLE watch ADD COLUMN policies TEXT;
ALTER TABLE watch ADD COLUMN policy_set TEXT;
ALTER TABLE watch ADD COLUMN authorisation TEXT;
