-- Which descriptor an invitation was used with: the same introduction again, after a lost answer, is told the same.
ALTER TABLE invitation ADD COLUMN used_by TEXT; -- digest of the statement; NULL where it was withdrawn

-- A confirmation that was a mistake is taken back before another person has approved it.
INSERT INTO peer_step (before, after) VALUES ('confirmed', 'fetched');
