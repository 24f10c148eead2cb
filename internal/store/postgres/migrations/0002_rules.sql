-- What rules, approvals and revocations come to. The views of what is live leave out what a revocation in force ends.

-- The revocation in force that ends it; empty where there is none.
ALTER TABLE crm_access.crm_user ADD COLUMN revoked_by text NOT NULL DEFAULT '';
ALTER TABLE crm_access.tuple ADD COLUMN revoked_by text NOT NULL DEFAULT '';
ALTER TABLE crm_access.holder
    -- The role that the user holds by it, with all that the role gives; empty where it is less than that.
    ADD COLUMN role text NOT NULL DEFAULT '',
    ADD COLUMN revoked_by text NOT NULL DEFAULT '';

-- Which role inherits from which, over any number of steps.
CREATE TABLE crm_access.role_lineage (
    tenant text NOT NULL,
    owner_kind text NOT NULL,
    owner_name text NOT NULL,
    key text NOT NULL,
    role text NOT NULL,
    ancestor text NOT NULL,
    PRIMARY KEY (tenant, owner_kind, owner_name, key)
);

CREATE INDEX role_lineage_role ON crm_access.role_lineage (tenant, role);
CREATE INDEX role_lineage_ancestor ON crm_access.role_lineage (tenant, ancestor);

-- The guardrails' rules, in their order.
CREATE TABLE crm_access.guardrail_rule (
    tenant text NOT NULL,
    owner_kind text NOT NULL,
    owner_name text NOT NULL,
    key text NOT NULL,
    position text NOT NULL,
    -- json, not jsonb: the text stays as it was written.
    rule json NOT NULL CHECK (json_typeof(rule) = 'object'),
    PRIMARY KEY (tenant, owner_kind, owner_name, key)
);

-- One person's yes or no, and what it was about. What was shown is null where nobody has shown it.
CREATE TABLE crm_access.approval (
    tenant text NOT NULL,
    owner_kind text NOT NULL,
    owner_name text NOT NULL,
    key text NOT NULL,
    for_kind text NOT NULL,
    for_name text NOT NULL,
    effect text NOT NULL,
    decision text NOT NULL,
    approver text NOT NULL,
    person text NOT NULL,
    -- json, not jsonb: the text is what effect is the digest of.
    document json CHECK (json_typeof(document) = 'object'),
    PRIMARY KEY (tenant, owner_kind, owner_name, key)
);

CREATE OR REPLACE VIEW crm_access.live_grants AS
SELECT
    h.tenant, h.user_name, h.owner_kind, h.owner_name, h.bundle, h.not_before, h.not_after,
    t.owner_kind AS tuple_owner_kind, t.owner_name AS tuple_owner_name, t.path, t.digest, t.origin,
    t.object, t.actions, t.scopes, t.ids, t.owners, t.departments, t.department_trees,
    t.conditions, t.field_rules, t.restricted, t.only_fields
FROM crm_access.holder AS h
JOIN crm_access.tuple AS t ON t.tenant = h.tenant AND t.bundle = h.bundle
WHERE (h.not_before IS NULL OR h.not_before <= (SELECT now FROM crm_access.clock))
    AND (h.not_after IS NULL OR h.not_after > (SELECT now FROM crm_access.clock))
    AND h.revoked_by = '' AND t.revoked_by = ''
    AND EXISTS (
        SELECT FROM crm_access.crm_user AS u
        WHERE u.tenant = h.tenant AND u.user_name = h.user_name AND u.state = 'Active' AND u.revoked_by = '')
    AND EXISTS (
        SELECT FROM crm_access.object_type AS o
        WHERE o.tenant = h.tenant AND o.object = t.object AND o.enabled);

CREATE OR REPLACE VIEW crm_access.live_holders AS
SELECT h.tenant, h.user_name, h.bundle, h.owner_kind, h.owner_name, h.not_before, h.not_after
FROM crm_access.holder AS h
WHERE (h.not_before IS NULL OR h.not_before <= (SELECT now FROM crm_access.clock))
    AND (h.not_after IS NULL OR h.not_after > (SELECT now FROM crm_access.clock))
    AND h.revoked_by = ''
    AND EXISTS (
        SELECT FROM crm_access.crm_user AS u
        WHERE u.tenant = h.tenant AND u.user_name = h.user_name AND u.state = 'Active' AND u.revoked_by = '');

CREATE TRIGGER role_lineage_inserted AFTER INSERT ON crm_access.role_lineage REFERENCING NEW TABLE AS written
FOR EACH STATEMENT EXECUTE FUNCTION crm_access.mark_written();
CREATE TRIGGER role_lineage_updated AFTER UPDATE ON crm_access.role_lineage REFERENCING OLD TABLE AS was NEW TABLE AS written
FOR EACH STATEMENT EXECUTE FUNCTION crm_access.mark_updated();
CREATE TRIGGER role_lineage_deleted AFTER DELETE ON crm_access.role_lineage REFERENCING OLD TABLE AS written
FOR EACH STATEMENT EXECUTE FUNCTION crm_access.mark_written();
CREATE TRIGGER role_lineage_truncated AFTER TRUNCATE ON crm_access.role_lineage
FOR EACH STATEMENT EXECUTE FUNCTION crm_access.mark_truncated();

CREATE TRIGGER guardrail_rule_inserted AFTER INSERT ON crm_access.guardrail_rule REFERENCING NEW TABLE AS written
FOR EACH STATEMENT EXECUTE FUNCTION crm_access.mark_written();
CREATE TRIGGER guardrail_rule_updated AFTER UPDATE ON crm_access.guardrail_rule REFERENCING OLD TABLE AS was NEW TABLE AS written
FOR EACH STATEMENT EXECUTE FUNCTION crm_access.mark_updated();
CREATE TRIGGER guardrail_rule_deleted AFTER DELETE ON crm_access.guardrail_rule REFERENCING OLD TABLE AS written
FOR EACH STATEMENT EXECUTE FUNCTION crm_access.mark_written();
CREATE TRIGGER guardrail_rule_truncated AFTER TRUNCATE ON crm_access.guardrail_rule
FOR EACH STATEMENT EXECUTE FUNCTION crm_access.mark_truncated();

CREATE TRIGGER approval_inserted AFTER INSERT ON crm_access.approval REFERENCING NEW TABLE AS written
FOR EACH STATEMENT EXECUTE FUNCTION crm_access.mark_written();
CREATE TRIGGER approval_updated AFTER UPDATE ON crm_access.approval REFERENCING OLD TABLE AS was NEW TABLE AS written
FOR EACH STATEMENT EXECUTE FUNCTION crm_access.mark_updated();
CREATE TRIGGER approval_deleted AFTER DELETE ON crm_access.approval REFERENCING OLD TABLE AS written
FOR EACH STATEMENT EXECUTE FUNCTION crm_access.mark_written();
CREATE TRIGGER approval_truncated AFTER TRUNCATE ON crm_access.approval
FOR EACH STATEMENT EXECUTE FUNCTION crm_access.mark_truncated();
