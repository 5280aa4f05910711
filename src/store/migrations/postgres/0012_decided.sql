-- A repair of a peer on which nothing could be decided: how often that was tried, why not, and when it is tried again.
ALTER TABLE recognising ADD COLUMN failures BIGINT NOT NULL DEFAULT 0;
ALTER TABLE recognising ADD COLUMN fault TEXT COLLATE "C";
ALTER TABLE recognising ADD COLUMN next_ms BIGINT;

-- On which policies it rests that a subject may be followed: their ids, a space between, and the digest of the set; and the
-- digest of the subject's authorisation, where one was given.
ALTER TABLE watch ADD COLUMN policies TEXT COLLATE "C";
ALTER TABLE watch ADD COLUMN policy_set TEXT COLLATE "C";
ALTER TABLE watch ADD COLUMN authorisation TEXT COLLATE "C";
