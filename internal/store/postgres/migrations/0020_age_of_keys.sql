-- When a key of subject tokens was made, so that it is followed by another in time. Of those before it is not known: they are
-- followed at once. One that an administrator makes with crm_access.rotate_token_key is made now.
ALTER TABLE crm_access.token_key ADD made timestamptz CHECK (isfinite(made) AND date_trunc('second', made) = made);
ALTER TABLE crm_access.token_key ALTER made SET DEFAULT date_trunc('second', statement_timestamp());
