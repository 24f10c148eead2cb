-- The tenants, their content, the ledger, and the views that others read. See docs/store.md.
-- Lists and nested values are JSON text; instants are RFC 3339 in UTC and whole seconds, so that text order is time order.

CREATE TABLE tenant (
    name TEXT NOT NULL PRIMARY KEY,
    cluster_uid TEXT NOT NULL,
    namespace_uid TEXT NOT NULL,
    fence INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    ledger_head TEXT NOT NULL DEFAULT '',
    -- Text: an unsigned 64-bit number does not fit an INTEGER.
    resource_version TEXT NOT NULL DEFAULT '0',
    settled_through TEXT NOT NULL CHECK (settled_through IS strftime('%Y-%m-%dT%H:%M:%SZ', settled_through)),
    tampered INTEGER NOT NULL DEFAULT 0,
    writing INTEGER NOT NULL DEFAULT 0 CHECK (writing IN (0, 1)),
    brake TEXT NOT NULL DEFAULT ''
) STRICT, WITHOUT ROWID;

-- One clock for all tenants: this is where it stands at least.
CREATE INDEX tenant_settled_through ON tenant (settled_through);

-- The declarations as last acted on: what an object asked for, and what stands in for it while its absence is not believed.
CREATE TABLE source (
    tenant TEXT NOT NULL,
    owner_kind TEXT NOT NULL,
    owner_name TEXT NOT NULL,
    key TEXT NOT NULL,
    uid TEXT NOT NULL,
    spec TEXT NOT NULL CHECK (json_valid(spec)),
    PRIMARY KEY (tenant, owner_kind, owner_name, key)
) STRICT;

-- The objects of the CRM, their actions, and where a record says whose it is.
CREATE TABLE object_type (
    tenant TEXT NOT NULL,
    owner_kind TEXT NOT NULL,
    owner_name TEXT NOT NULL,
    key TEXT NOT NULL,
    object TEXT NOT NULL,
    enabled INTEGER NOT NULL CHECK (enabled IN (0, 1)),
    owner_field TEXT NOT NULL,
    department_field TEXT NOT NULL,
    label_field TEXT NOT NULL,
    parent_object TEXT NOT NULL,
    parent_field TEXT NOT NULL,
    actions TEXT CHECK (json_valid(actions)),
    PRIMARY KEY (tenant, owner_kind, owner_name, key)
) STRICT;

CREATE INDEX object_type_object ON object_type (tenant, object);

-- The fields of the objects, their class and mask.
CREATE TABLE object_field (
    tenant TEXT NOT NULL,
    owner_kind TEXT NOT NULL,
    owner_name TEXT NOT NULL,
    key TEXT NOT NULL,
    object TEXT NOT NULL,
    field TEXT NOT NULL,
    class TEXT NOT NULL,
    mask TEXT NOT NULL CHECK (json_valid(mask)),
    PRIMARY KEY (tenant, owner_kind, owner_name, key)
) STRICT;

CREATE INDEX object_field_object ON object_field (tenant, object);

-- The organisation tree.
CREATE TABLE department (
    tenant TEXT NOT NULL,
    owner_kind TEXT NOT NULL,
    owner_name TEXT NOT NULL,
    key TEXT NOT NULL,
    department TEXT NOT NULL,
    display_name TEXT NOT NULL,
    parent TEXT NOT NULL,
    manager TEXT NOT NULL,
    PRIMARY KEY (tenant, owner_kind, owner_name, key)
) STRICT;

CREATE INDEX department_department ON department (tenant, department);

-- Which department lies in the subtree of which; each lies in its own.
CREATE TABLE department_closure (
    tenant TEXT NOT NULL,
    owner_kind TEXT NOT NULL,
    owner_name TEXT NOT NULL,
    key TEXT NOT NULL,
    department TEXT NOT NULL,
    ancestor TEXT NOT NULL,
    PRIMARY KEY (tenant, owner_kind, owner_name, key)
) STRICT;

CREATE INDEX department_closure_department ON department_closure (tenant, department);
CREATE INDEX department_closure_ancestor ON department_closure (tenant, ancestor);

-- The accounts. Only state Active has access.
CREATE TABLE crm_user (
    tenant TEXT NOT NULL,
    owner_kind TEXT NOT NULL,
    owner_name TEXT NOT NULL,
    key TEXT NOT NULL,
    user_name TEXT NOT NULL,
    display_name TEXT NOT NULL,
    type TEXT NOT NULL,
    state TEXT NOT NULL,
    manager TEXT NOT NULL,
    successor TEXT NOT NULL,
    PRIMARY KEY (tenant, owner_kind, owner_name, key)
) STRICT;

CREATE INDEX crm_user_user_name ON crm_user (tenant, user_name);

-- Who is in which department.
CREATE TABLE user_department (
    tenant TEXT NOT NULL,
    owner_kind TEXT NOT NULL,
    owner_name TEXT NOT NULL,
    key TEXT NOT NULL,
    user_name TEXT NOT NULL,
    department TEXT NOT NULL,
    is_primary INTEGER NOT NULL CHECK (is_primary IN (0, 1)),
    PRIMARY KEY (tenant, owner_kind, owner_name, key)
) STRICT;

CREATE INDEX user_department_user_name ON user_department (tenant, user_name);

-- What a bundle (a role, or one entry of a temporary grant) permits: undivided tuples.
CREATE TABLE tuple (
    tenant TEXT NOT NULL,
    owner_kind TEXT NOT NULL,
    owner_name TEXT NOT NULL,
    key TEXT NOT NULL,
    bundle TEXT NOT NULL,
    path TEXT NOT NULL,
    digest TEXT NOT NULL,
    origin TEXT NOT NULL,
    object TEXT NOT NULL,
    actions TEXT CHECK (json_valid(actions)),
    scopes TEXT CHECK (json_valid(scopes)),
    ids TEXT CHECK (json_valid(ids)),
    owners TEXT CHECK (json_valid(owners)),
    departments TEXT CHECK (json_valid(departments)),
    department_trees TEXT CHECK (json_valid(department_trees)),
    conditions TEXT CHECK (json_valid(conditions)),
    field_rules TEXT CHECK (json_valid(field_rules)),
    restricted INTEGER NOT NULL CHECK (restricted IN (0, 1)),
    only_fields TEXT CHECK (json_valid(only_fields)),
    PRIMARY KEY (tenant, owner_kind, owner_name, key)
) STRICT;

CREATE INDEX tuple_bundle ON tuple (tenant, bundle);

-- Who holds which bundle, because of which object (its owner), and when: not_before <= now < not_after.
CREATE TABLE holder (
    tenant TEXT NOT NULL,
    owner_kind TEXT NOT NULL,
    owner_name TEXT NOT NULL,
    key TEXT NOT NULL,
    user_name TEXT NOT NULL,
    bundle TEXT NOT NULL,
    not_before TEXT CHECK (not_before IS strftime('%Y-%m-%dT%H:%M:%SZ', not_before)),
    not_after TEXT CHECK (not_after IS strftime('%Y-%m-%dT%H:%M:%SZ', not_after)),
    PRIMARY KEY (tenant, owner_kind, owner_name, key)
) STRICT;

CREATE INDEX holder_user_name ON holder (tenant, user_name);
CREATE INDEX holder_bundle ON holder (tenant, bundle);
CREATE INDEX holder_not_after ON holder (tenant, not_after) WHERE not_after IS NOT NULL;

-- Every commit, one entry, chained by hash. body is the canonical JSON that hash is over.
CREATE TABLE ledger (
    tenant TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    at TEXT NOT NULL,
    cause TEXT NOT NULL,
    previous TEXT NOT NULL,
    hash TEXT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (tenant, epoch, revision)
) STRICT;

CREATE TRIGGER ledger_updated BEFORE UPDATE ON ledger BEGIN SELECT raise(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER ledger_deleted BEFORE DELETE ON ledger BEGIN SELECT raise(ABORT, 'the ledger is append-only'); END;

-- The store's clock: the machine's, but never earlier than what has been settled.
CREATE VIEW clock AS
SELECT max(strftime('%Y-%m-%dT%H:%M:%SZ', 'now'), (SELECT max(settled_through) FROM tenant)) AS now;

-- What is live: one row for each user, object that gives the user a bundle, and tuple of that bundle.
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
    AND EXISTS (SELECT 1 FROM crm_user AS u WHERE u.tenant = h.tenant AND u.user_name = h.user_name AND u.state = 'Active')
    AND EXISTS (SELECT 1 FROM object_type AS o WHERE o.tenant = h.tenant AND o.object = t.object AND o.enabled);

-- Who holds what now, tuples left aside.
CREATE VIEW live_holders AS
SELECT h.tenant, h.user_name, h.bundle, h.owner_kind, h.owner_name, h.not_before, h.not_after
FROM holder AS h
WHERE (h.not_before IS NULL OR h.not_before <= (SELECT now FROM clock))
    AND (h.not_after IS NULL OR h.not_after > (SELECT now FROM clock))
    AND EXISTS (SELECT 1 FROM crm_user AS u WHERE u.tenant = h.tenant AND u.user_name = h.user_name AND u.state = 'Active');

-- Writes that are not the store's own are counted on the tenant row. The store's own transactions set tenant.writing
-- first and clear it again before they commit, so that nobody else ever sees it set.

CREATE TRIGGER source_inserted AFTER INSERT ON source
WHEN (SELECT writing FROM tenant WHERE name = NEW.tenant) = 0
BEGIN UPDATE tenant SET tampered = tampered + 1 WHERE name = NEW.tenant; END;

CREATE TRIGGER source_updated AFTER UPDATE ON source
WHEN (SELECT writing FROM tenant WHERE name = OLD.tenant) = 0 OR (SELECT writing FROM tenant WHERE name = NEW.tenant) = 0
BEGIN UPDATE tenant SET tampered = tampered + 1 WHERE (name = OLD.tenant OR name = NEW.tenant) AND writing = 0; END;

CREATE TRIGGER source_deleted AFTER DELETE ON source
WHEN (SELECT writing FROM tenant WHERE name = OLD.tenant) = 0
BEGIN UPDATE tenant SET tampered = tampered + 1 WHERE name = OLD.tenant; END;

CREATE TRIGGER object_type_inserted AFTER INSERT ON object_type
WHEN (SELECT writing FROM tenant WHERE name = NEW.tenant) = 0
BEGIN UPDATE tenant SET tampered = tampered + 1 WHERE name = NEW.tenant; END;

CREATE TRIGGER object_type_updated AFTER UPDATE ON object_type
WHEN (SELECT writing FROM tenant WHERE name = OLD.tenant) = 0 OR (SELECT writing FROM tenant WHERE name = NEW.tenant) = 0
BEGIN UPDATE tenant SET tampered = tampered + 1 WHERE (name = OLD.tenant OR name = NEW.tenant) AND writing = 0; END;

CREATE TRIGGER object_type_deleted AFTER DELETE ON object_type
WHEN (SELECT writing FROM tenant WHERE name = OLD.tenant) = 0
BEGIN UPDATE tenant SET tampered = tampered + 1 WHERE name = OLD.tenant; END;

CREATE TRIGGER object_field_inserted AFTER INSERT ON object_field
WHEN (SELECT writing FROM tenant WHERE name = NEW.tenant) = 0
BEGIN UPDATE tenant SET tampered = tampered + 1 WHERE name = NEW.tenant; END;

CREATE TRIGGER object_field_updated AFTER UPDATE ON object_field
WHEN (SELECT writing FROM tenant WHERE name = OLD.tenant) = 0 OR (SELECT writing FROM tenant WHERE name = NEW.tenant) = 0
BEGIN UPDATE tenant SET tampered = tampered + 1 WHERE (name = OLD.tenant OR name = NEW.tenant) AND writing = 0; END;

CREATE TRIGGER object_field_deleted AFTER DELETE ON object_field
WHEN (SELECT writing FROM tenant WHERE name = OLD.tenant) = 0
BEGIN UPDATE tenant SET tampered = tampered + 1 WHERE name = OLD.tenant; END;

CREATE TRIGGER department_inserted AFTER INSERT ON department
WHEN (SELECT writing FROM tenant WHERE name = NEW.tenant) = 0
BEGIN UPDATE tenant SET tampered = tampered + 1 WHERE name = NEW.tenant; END;

CREATE TRIGGER department_updated AFTER UPDATE ON department
WHEN (SELECT writing FROM tenant WHERE name = OLD.tenant) = 0 OR (SELECT writing FROM tenant WHERE name = NEW.tenant) = 0
BEGIN UPDATE tenant SET tampered = tampered + 1 WHERE (name = OLD.tenant OR name = NEW.tenant) AND writing = 0; END;

CREATE TRIGGER department_deleted AFTER DELETE ON department
WHEN (SELECT writing FROM tenant WHERE name = OLD.tenant) = 0
BEGIN UPDATE tenant SET tampered = tampered + 1 WHERE name = OLD.tenant; END;

CREATE TRIGGER department_closure_inserted AFTER INSERT ON department_closure
WHEN (SELECT writing FROM tenant WHERE name = NEW.tenant) = 0
BEGIN UPDATE tenant SET tampered = tampered + 1 WHERE name = NEW.tenant; END;

CREATE TRIGGER department_closure_updated AFTER UPDATE ON department_closure
WHEN (SELECT writing FROM tenant WHERE name = OLD.tenant) = 0 OR (SELECT writing FROM tenant WHERE name = NEW.tenant) = 0
BEGIN UPDATE tenant SET tampered = tampered + 1 WHERE (name = OLD.tenant OR name = NEW.tenant) AND writing = 0; END;

CREATE TRIGGER department_closure_deleted AFTER DELETE ON department_closure
WHEN (SELECT writing FROM tenant WHERE name = OLD.tenant) = 0
BEGIN UPDATE tenant SET tampered = tampered + 1 WHERE name = OLD.tenant; END;

CREATE TRIGGER crm_user_inserted AFTER INSERT ON crm_user
WHEN (SELECT writing FROM tenant WHERE name = NEW.tenant) = 0
BEGIN UPDATE tenant SET tampered = tampered + 1 WHERE name = NEW.tenant; END;

CREATE TRIGGER crm_user_updated AFTER UPDATE ON crm_user
WHEN (SELECT writing FROM tenant WHERE name = OLD.tenant) = 0 OR (SELECT writing FROM tenant WHERE name = NEW.tenant) = 0
BEGIN UPDATE tenant SET tampered = tampered + 1 WHERE (name = OLD.tenant OR name = NEW.tenant) AND writing = 0; END;

CREATE TRIGGER crm_user_deleted AFTER DELETE ON crm_user
WHEN (SELECT writing FROM tenant WHERE name = OLD.tenant) = 0
BEGIN UPDATE tenant SET tampered = tampered + 1 WHERE name = OLD.tenant; END;

CREATE TRIGGER user_department_inserted AFTER INSERT ON user_department
WHEN (SELECT writing FROM tenant WHERE name = NEW.tenant) = 0
BEGIN UPDATE tenant SET tampered = tampered + 1 WHERE name = NEW.tenant; END;

CREATE TRIGGER user_department_updated AFTER UPDATE ON user_department
WHEN (SELECT writing FROM tenant WHERE name = OLD.tenant) = 0 OR (SELECT writing FROM tenant WHERE name = NEW.tenant) = 0
BEGIN UPDATE tenant SET tampered = tampered + 1 WHERE (name = OLD.tenant OR name = NEW.tenant) AND writing = 0; END;

CREATE TRIGGER user_department_deleted AFTER DELETE ON user_department
WHEN (SELECT writing FROM tenant WHERE name = OLD.tenant) = 0
BEGIN UPDATE tenant SET tampered = tampered + 1 WHERE name = OLD.tenant; END;

CREATE TRIGGER tuple_inserted AFTER INSERT ON tuple
WHEN (SELECT writing FROM tenant WHERE name = NEW.tenant) = 0
BEGIN UPDATE tenant SET tampered = tampered + 1 WHERE name = NEW.tenant; END;

CREATE TRIGGER tuple_updated AFTER UPDATE ON tuple
WHEN (SELECT writing FROM tenant WHERE name = OLD.tenant) = 0 OR (SELECT writing FROM tenant WHERE name = NEW.tenant) = 0
BEGIN UPDATE tenant SET tampered = tampered + 1 WHERE (name = OLD.tenant OR name = NEW.tenant) AND writing = 0; END;

CREATE TRIGGER tuple_deleted AFTER DELETE ON tuple
WHEN (SELECT writing FROM tenant WHERE name = OLD.tenant) = 0
BEGIN UPDATE tenant SET tampered = tampered + 1 WHERE name = OLD.tenant; END;

CREATE TRIGGER holder_inserted AFTER INSERT ON holder
WHEN (SELECT writing FROM tenant WHERE name = NEW.tenant) = 0
BEGIN UPDATE tenant SET tampered = tampered + 1 WHERE name = NEW.tenant; END;

CREATE TRIGGER holder_updated AFTER UPDATE ON holder
WHEN (SELECT writing FROM tenant WHERE name = OLD.tenant) = 0 OR (SELECT writing FROM tenant WHERE name = NEW.tenant) = 0
BEGIN UPDATE tenant SET tampered = tampered + 1 WHERE (name = OLD.tenant OR name = NEW.tenant) AND writing = 0; END;

CREATE TRIGGER holder_deleted AFTER DELETE ON holder
WHEN (SELECT writing FROM tenant WHERE name = OLD.tenant) = 0
BEGIN UPDATE tenant SET tampered = tampered + 1 WHERE name = OLD.tenant; END;
