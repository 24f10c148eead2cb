-- What people make while the CRM runs. See docs/store.md. It is nobody's content: no declaration owns it, no revision or
-- ledger counts it, and no trigger marks who wrote it.

-- The state of a tenant's shares: another number with each of their changes.
CREATE TABLE crm_access.runtime (
    tenant text NOT NULL PRIMARY KEY,
    version bigint NOT NULL
);

-- A record that its maker shares with somebody: not_before <= now < not_after. Ending it early brings not_after forward.
CREATE TABLE crm_access.share (
    tenant text NOT NULL,
    id text NOT NULL,
    maker text NOT NULL,
    recipient text NOT NULL,
    object text NOT NULL,
    record_id text NOT NULL CHECK (record_id <> ''),
    actions text[] NOT NULL CHECK (array_ndims(actions) = 1 AND array_position(actions, NULL) IS NULL),
    level text NOT NULL CHECK (level IN ('none', 'masked', 'read', 'edit')),
    restricted boolean NOT NULL,
    only_fields text[] CHECK (array_ndims(only_fields) = 1 AND array_position(only_fields, NULL) IS NULL),
    reason text NOT NULL,
    not_before timestamptz NOT NULL CHECK (isfinite(not_before) AND date_trunc('second', not_before) = not_before),
    not_after timestamptz NOT NULL CHECK (isfinite(not_after) AND date_trunc('second', not_after) = not_after),
    ended_by text NOT NULL DEFAULT '',
    PRIMARY KEY (tenant, id),
    CHECK (maker <> recipient),
    CHECK (not_after >= not_before AND not_after <= not_before + interval '744 hours')
);

CREATE INDEX share_recipient ON crm_access.share (tenant, recipient, not_after);
CREATE INDEX share_maker ON crm_access.share (tenant, maker, not_after);
CREATE INDEX share_not_after ON crm_access.share (tenant, not_after);

-- A request for the approval of one operation, once, and who answered it.
CREATE TABLE crm_access.request (
    tenant text NOT NULL,
    id text NOT NULL,
    subject text NOT NULL,
    action text NOT NULL,
    object text NOT NULL,
    record_id text NOT NULL,
    proposed text NOT NULL,
    target_user text NOT NULL,
    target_department text NOT NULL,
    rows bigint CHECK (rows >= 0),
    fields text[] CHECK (array_ndims(fields) = 1 AND array_position(fields, NULL) IS NULL),
    question json NOT NULL,
    reason text NOT NULL,
    not_before timestamptz NOT NULL CHECK (isfinite(not_before) AND date_trunc('second', not_before) = not_before),
    not_after timestamptz NOT NULL CHECK (isfinite(not_after) AND date_trunc('second', not_after) = not_after),
    used_at timestamptz CHECK (isfinite(used_at) AND date_trunc('second', used_at) = used_at),
    PRIMARY KEY (tenant, id),
    CHECK (not_after > not_before AND not_after <= not_before + interval '168 hours')
);

CREATE INDEX request_subject ON crm_access.request (tenant, subject, not_before);
CREATE INDEX request_not_after ON crm_access.request (tenant, not_after);

CREATE TABLE crm_access.answer (
    tenant text NOT NULL,
    request text NOT NULL,
    approver text NOT NULL,
    approves boolean NOT NULL,
    comment text NOT NULL,
    at timestamptz NOT NULL CHECK (isfinite(at) AND date_trunc('second', at) = at),
    PRIMARY KEY (tenant, request, approver)
);

-- What was decided about whom, and never what a record holds.
CREATE TABLE crm_access.decision (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant text NOT NULL,
    at timestamptz NOT NULL,
    application text NOT NULL,
    subject text NOT NULL,
    action text NOT NULL,
    object text NOT NULL,
    record_id text NOT NULL,
    effect text NOT NULL,
    reasons text[],
    revision text NOT NULL,
    request_id text NOT NULL,
    stands_for bigint NOT NULL CHECK (stands_for > 0)
);

CREATE INDEX decision_subject ON crm_access.decision (tenant, subject, id);
-- Entries come in the order of time: a summary of the blocks finds the old ones.
CREATE INDEX decision_at ON crm_access.decision USING brin (at);
