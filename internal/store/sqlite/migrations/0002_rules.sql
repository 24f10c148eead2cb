-- What rules, approvals and revocations come to. The views of what is live leave out what a revocation in force ends.

-- The revocation in force that ends it; empty where there is none.
ALTER TABLE crm_user ADD COLUMN revoked_by TEXT NOT NULL DEFAULT '';
ALTER TABLE tuple ADD COLUMN revoked_by TEXT NOT NULL DEFAULT '';
ALTER TABLE holder ADD COLUMN revoked_by TEXT NOT NULL DEFAULT '';
-- The role that the user holds by it, with all that the role gives; empty where it is less than that.
ALTER TABLE holder ADD COLUMN role TEXT NOT NULL DEFAULT '';

-- Which role inherits from which, over any number of steps.
CREATE TABLE role_lineage (
    tenant TEXT NOT NULL,
    owner_kind TEXT NOT NULL,
    owner_name TEXT NOT NULL,
    key TEXT NOT NULL,
    role TEXT NOT NULL,
    ancestor TEXT NOT NULL,
    PRIMARY KEY (tenant, owner_kind, owner_name, key)
) STRICT;

CREATE INDEX role_lineage_role ON role_lineage (tenant, role);
CREATE INDEX role_lineage_ancestor ON role_lineage (tenant, ancestor);

-- The guardrails' rules, in their order.
CREATE TABLE guardrail_rule (
    tenant TEXT NOT NULL,
    owner_kind TEXT NOT NULL,
    owner_name TEXT NOT NULL,
    key TEXT NOT NULL,
    position TEXT NOT NULL,
    rule TEXT NOT NULL CHECK (json_valid(rule) AND json_type(rule) = 'object'),
    PRIMARY KEY (tenant, owner_kind, owner_name, key)
) STRICT;

-- One person's yes or no, and what it was about. What was shown is null where nobody has shown it.
CREATE TABLE approval (
    tenant TEXT NOT NULL,
    owner_kind TEXT NOT NULL,
    owner_name TEXT NOT NULL,
    key TEXT NOT NULL,
    for_kind TEXT NOT NULL,
    for_name TEXT NOT NULL,
    effect TEXT NOT NULL,
    decision TEXT NOT NULL,
    approver TEXT NOT NULL,
    person TEXT NOT NULL,
    document TEXT CHECK (json_valid(document) AND json_type(document) = 'object'),
    PRIMARY KEY (tenant, owner_kind, owner_name, key)
) STRICT;

DROP VIEW live_grants;
CREATE VIEW live_grants AS
SELECT
    h.tenant, h.user_name, h.owner_kind, h.owner_name, h.bundle, h.not_before, h.not_after,
    t.owner_kind AS tuple_owner_kind, t.owner_name AS tuple_owner_name, t.path, t.digest, t.origin,
    t.object, t.actions, t.scopes, t.ids, t.owners, t.departments, t.department_trees,
    t.conditions, t.field_rules, t.restricted, t.only_fields
FROM holder AS h
JOIN tuple AS t ON t.tenant = h.tenant AND t.bundle = h.bundle
WHERE (h.not_before IS NULL OR h.not_before <= (SELECT now FROM clock))
    AND (h.not_after IS NULL OR h.not_after > (SELECT now FROM clock))
    AND h.revoked_by = '' AND t.revoked_by = ''
    AND EXISTS (
        SELECT 1 FROM crm_user AS u
        WHERE u.tenant = h.tenant AND u.user_name = h.user_name AND u.state = 'Active' AND u.revoked_by = '')
    AND EXISTS (SELECT 1 FROM object_type AS o WHERE o.tenant = h.tenant AND o.object = t.object AND o.enabled);

DROP VIEW live_holders;
CREATE VIEW live_holders AS
SELECT h.tenant, h.user_name, h.bundle, h.owner_kind, h.owner_name, h.not_before, h.not_after
FROM holder AS h
WHERE (h.not_before IS NULL OR h.not_before <= (SELECT now FROM clock))
    AND (h.not_after IS NULL OR h.not_after > (SELECT now FROM clock))
    AND h.revoked_by = ''
    AND EXISTS (
        SELECT 1 FROM crm_user AS u
        WHERE u.tenant = h.tenant AND u.user_name = h.user_name AND u.state = 'Active' AND u.revoked_by = '');

CREATE TRIGGER role_lineage_inserted AFTER INSERT ON role_lineage
WHEN (SELECT writing FROM tenant WHERE name = NEW.tenant) = 0
BEGIN UPDATE tenant SET tampered = tampered + 1 WHERE name = NEW.tenant; END;

CREATE TRIGGER role_lineage_updated AFTER UPDATE ON role_lineage
WHEN (SELECT writing FROM tenant WHERE name = OLD.tenant) = 0 OR (SELECT writing FROM tenant WHERE name = NEW.tenant) = 0
BEGIN UPDATE tenant SET tampered = tampered + 1 WHERE (name = OLD.tenant OR name = NEW.tenant) AND writing = 0; END;

CREATE TRIGGER role_lineage_deleted AFTER DELETE ON role_lineage
WHEN (SELECT writing FROM tenant WHERE name = OLD.tenant) = 0
BEGIN UPDATE tenant SET tampered = tampered + 1 WHERE name = OLD.tenant; END;

CREATE TRIGGER guardrail_rule_inserted AFTER INSERT ON guardrail_rule
WHEN (SELECT writing FROM tenant WHERE name = NEW.tenant) = 0
BEGIN UPDATE tenant SET tampered = tampered + 1 WHERE name = NEW.tenant; END;

CREATE TRIGGER guardrail_rule_updated AFTER UPDATE ON guardrail_rule
WHEN (SELECT writing FROM tenant WHERE name = OLD.tenant) = 0 OR (SELECT writing FROM tenant WHERE name = NEW.tenant) = 0
BEGIN UPDATE tenant SET tampered = tampered + 1 WHERE (name = OLD.tenant OR name = NEW.tenant) AND writing = 0; END;

CREATE TRIGGER guardrail_rule_deleted AFTER DELETE ON guardrail_rule
WHEN (SELECT writing FROM tenant WHERE name = OLD.tenant) = 0
BEGIN UPDATE tenant SET tampered = tampered + 1 WHERE name = OLD.tenant; END;

CREATE TRIGGER approval_inserted AFTER INSERT ON approval
WHEN (SELECT writing FROM tenant WHERE name = NEW.tenant) = 0
BEGIN UPDATE tenant SET tampered = tampered + 1 WHERE name = NEW.tenant; END;

CREATE TRIGGER approval_updated AFTER UPDATE ON approval
WHEN (SELECT writing FROM tenant WHERE name = OLD.tenant) = 0 OR (SELECT writing FROM tenant WHERE name = NEW.tenant) = 0
BEGIN UPDATE tenant SET tampered = tampered + 1 WHERE (name = OLD.tenant OR name = NEW.tenant) AND writing = 0; END;

CREATE TRIGGER approval_deleted AFTER DELETE ON approval
WHEN (SELECT writing FROM tenant WHERE name = OLD.tenant) = 0
BEGIN UPDATE tenant SET tampered = tampered + 1 WHERE name = OLD.tenant; END;
