-- What each user has used of the limits in the last 24 hours. It is nobody's content: no declaration owns it, no revision
-- or ledger counts it, and it outlives the objects that it names. A minute is one since 1970.
CREATE TABLE usage (
    tenant TEXT NOT NULL,
    user_name TEXT NOT NULL,
    minute INTEGER NOT NULL,
    object TEXT NOT NULL,
    action TEXT NOT NULL,
    rows INTEGER NOT NULL,
    PRIMARY KEY (tenant, user_name, minute, object, action)
) STRICT, WITHOUT ROWID;
