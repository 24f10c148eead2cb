-- The keys of subject tokens. A key is nobody's content: no declaration owns it, no revision or ledger counts it.
CREATE TABLE token_key (
    tenant TEXT NOT NULL,
    number INTEGER NOT NULL,
    secret BLOB NOT NULL CHECK (length(secret) = 32),
    -- Until when it verifies. The newest has no end, and alone mints.
    not_after TEXT CHECK (not_after IS strftime('%Y-%m-%dT%H:%M:%SZ', not_after)),
    PRIMARY KEY (tenant, number)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX token_key_newest ON token_key (tenant) WHERE not_after IS NULL;
