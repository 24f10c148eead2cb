-- What people make while the CRM runs. See docs/store.md. It is nobody's content: no declaration owns it, no revision or
-- ledger counts it, and no trigger marks who wrote it.

-- The state of a tenant's shares: another number with each of their changes.
CREATE TABLE runtime (
    tenant TEXT NOT NULL PRIMARY KEY,
    version INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- A record that its maker shares with somebody: not_before <= now < not_after. Ending it early brings not_after forward.
CREATE TABLE share (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    maker TEXT NOT NULL,
    recipient TEXT NOT NULL,
    object TEXT NOT NULL,
    record_id TEXT NOT NULL CHECK (record_id <> ''),
    actions TEXT NOT NULL CHECK (json_array_length(actions) > 0),
    level TEXT NOT NULL CHECK (level IN ('none', 'masked', 'read', 'edit')),
    restricted INTEGER NOT NULL CHECK (restricted IN (0, 1)),
    only_fields TEXT CHECK (json_array_length(only_fields) > 0),
    reason TEXT NOT NULL,
    not_before TEXT NOT NULL CHECK (not_before IS strftime('%Y-%m-%dT%H:%M:%SZ', not_before)),
    not_after TEXT NOT NULL CHECK (not_after IS strftime('%Y-%m-%dT%H:%M:%SZ', not_after)),
    ended_by TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (tenant, id),
    CHECK (maker <> recipient),
    CHECK (not_after >= not_before AND not_after <= strftime('%Y-%m-%dT%H:%M:%SZ', not_before, '+31 days'))
) STRICT, WITHOUT ROWID;

CREATE INDEX share_recipient ON share (tenant, recipient, not_after);
CREATE INDEX share_maker ON share (tenant, maker, not_after);
CREATE INDEX share_not_after ON share (tenant, not_after);

-- A request for the approval of one operation, once, and who answered it.
CREATE TABLE request (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    subject TEXT NOT NULL,
    action TEXT NOT NULL,
    object TEXT NOT NULL,
    record_id TEXT NOT NULL,
    proposed TEXT NOT NULL,
    target_user TEXT NOT NULL,
    target_department TEXT NOT NULL,
    rows INTEGER CHECK (rows >= 0),
    fields TEXT CHECK (json_array_length(fields) > 0),
    question TEXT NOT NULL CHECK (json_valid(question)),
    reason TEXT NOT NULL,
    not_before TEXT NOT NULL CHECK (not_before IS strftime('%Y-%m-%dT%H:%M:%SZ', not_before)),
    not_after TEXT NOT NULL CHECK (not_after IS strftime('%Y-%m-%dT%H:%M:%SZ', not_after)),
    used_at TEXT CHECK (used_at IS strftime('%Y-%m-%dT%H:%M:%SZ', used_at)),
    PRIMARY KEY (tenant, id),
    CHECK (not_after > not_before AND not_after <= strftime('%Y-%m-%dT%H:%M:%SZ', not_before, '+7 days'))
) STRICT, WITHOUT ROWID;

CREATE INDEX request_subject ON request (tenant, subject, not_before);
CREATE INDEX request_not_after ON request (tenant, not_after);

CREATE TABLE answer (
    tenant TEXT NOT NULL,
    request TEXT NOT NULL,
    approver TEXT NOT NULL,
    approves INTEGER NOT NULL CHECK (approves IN (0, 1)),
    comment TEXT NOT NULL,
    at TEXT NOT NULL CHECK (at IS strftime('%Y-%m-%dT%H:%M:%SZ', at)),
    PRIMARY KEY (tenant, request, approver)
) STRICT, WITHOUT ROWID;

-- What was decided about whom, and never what a record holds.
CREATE TABLE decision (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant TEXT NOT NULL,
    at TEXT NOT NULL CHECK (at IS strftime('%Y-%m-%dT%H:%M:%SZ', at)),
    application TEXT NOT NULL,
    subject TEXT NOT NULL,
    action TEXT NOT NULL,
    object TEXT NOT NULL,
    record_id TEXT NOT NULL,
    effect TEXT NOT NULL,
    reasons TEXT CHECK (json_valid(reasons)),
    revision TEXT NOT NULL,
    request_id TEXT NOT NULL,
    stands_for INTEGER NOT NULL CHECK (stands_for > 0)
) STRICT;

CREATE INDEX decision_subject ON decision (tenant, subject, id);
CREATE INDEX decision_at ON decision (tenant, at);
