-- Repairs and revocations are few among many statements: those of this node are looked up to tell which partners are late.
CREATE INDEX statement_repair ON statement (log, idx) WHERE kind IN ('repair', 'repair-revocation');
