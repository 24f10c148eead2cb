-- When a key of subject tokens was made, so that it is followed by another in time. Of those before it is not known: they are
-- followed at once.
ALTER TABLE token_key ADD COLUMN made TEXT CHECK (made IS strftime('%Y-%m-%dT%H:%M:%SZ', made));
