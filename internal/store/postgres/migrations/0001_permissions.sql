-- The tenants, their content, the ledger, and the views that others read. See docs/store.md. The schema crm_access is
-- there already: an administrator may have made it, for a role that may not.

CREATE TABLE crm_access.tenant (
    name text NOT NULL PRIMARY KEY,
    cluster_uid text NOT NULL,
    namespace_uid text NOT NULL,
    fence bigint NOT NULL,
    epoch bigint NOT NULL,
    revision bigint NOT NULL,
    ledger_head text NOT NULL DEFAULT '',
    -- An unsigned 64-bit number does not fit a bigint.
    resource_version numeric(20, 0) NOT NULL DEFAULT 0,
    settled_through timestamptz NOT NULL
        CHECK (isfinite(settled_through) AND date_trunc('second', settled_through) = settled_through),
    tampered bigint NOT NULL DEFAULT 0,
    writing boolean NOT NULL DEFAULT false,
    brake text NOT NULL DEFAULT ''
);

-- One clock for all tenants: this is where it stands at least.
CREATE INDEX tenant_settled_through ON crm_access.tenant (settled_through);

-- The declarations as last acted on: what an object asked for, and what stands in for it while its absence is not believed.
CREATE TABLE crm_access.source (
    tenant text NOT NULL,
    owner_kind text NOT NULL,
    owner_name text NOT NULL,
    key text NOT NULL,
    uid text NOT NULL,
    -- json, not jsonb: the text stays as it was written, numbers and all.
    spec json NOT NULL,
    PRIMARY KEY (tenant, owner_kind, owner_name, key)
);

-- The objects of the CRM, their actions, and where a record says whose it is.
CREATE TABLE crm_access.object_type (
    tenant text NOT NULL,
    owner_kind text NOT NULL,
    owner_name text NOT NULL,
    key text NOT NULL,
    object text NOT NULL,
    enabled boolean NOT NULL,
    owner_field text NOT NULL,
    department_field text NOT NULL,
    label_field text NOT NULL,
    parent_object text NOT NULL,
    parent_field text NOT NULL,
    actions text[] CHECK (array_ndims(actions) = 1 AND array_position(actions, NULL) IS NULL),
    PRIMARY KEY (tenant, owner_kind, owner_name, key)
);

CREATE INDEX object_type_object ON crm_access.object_type (tenant, object);

-- The fields of the objects, their class and mask.
CREATE TABLE crm_access.object_field (
    tenant text NOT NULL,
    owner_kind text NOT NULL,
    owner_name text NOT NULL,
    key text NOT NULL,
    object text NOT NULL,
    field text NOT NULL,
    class text NOT NULL,
    mask jsonb NOT NULL CHECK (jsonb_typeof(mask) = 'object'),
    PRIMARY KEY (tenant, owner_kind, owner_name, key)
);

CREATE INDEX object_field_object ON crm_access.object_field (tenant, object);

-- The organisation tree.
CREATE TABLE crm_access.department (
    tenant text NOT NULL,
    owner_kind text NOT NULL,
    owner_name text NOT NULL,
    key text NOT NULL,
    department text NOT NULL,
    display_name text NOT NULL,
    parent text NOT NULL,
    manager text NOT NULL,
    PRIMARY KEY (tenant, owner_kind, owner_name, key)
);

CREATE INDEX department_department ON crm_access.department (tenant, department);

-- Which department lies in the subtree of which; each lies in its own.
CREATE TABLE crm_access.department_closure (
    tenant text NOT NULL,
    owner_kind text NOT NULL,
    owner_name text NOT NULL,
    key text NOT NULL,
    department text NOT NULL,
    ancestor text NOT NULL,
    PRIMARY KEY (tenant, owner_kind, owner_name, key)
);

CREATE INDEX department_closure_department ON crm_access.department_closure (tenant, department);
CREATE INDEX department_closure_ancestor ON crm_access.department_closure (tenant, ancestor);

-- The accounts. Only state Active has access.
CREATE TABLE crm_access.crm_user (
    tenant text NOT NULL,
    owner_kind text NOT NULL,
    owner_name text NOT NULL,
    key text NOT NULL,
    user_name text NOT NULL,
    display_name text NOT NULL,
    type text NOT NULL,
    state text NOT NULL,
    manager text NOT NULL,
    successor text NOT NULL,
    PRIMARY KEY (tenant, owner_kind, owner_name, key)
);

CREATE INDEX crm_user_user_name ON crm_access.crm_user (tenant, user_name);

-- Who is in which department.
CREATE TABLE crm_access.user_department (
    tenant text NOT NULL,
    owner_kind text NOT NULL,
    owner_name text NOT NULL,
    key text NOT NULL,
    user_name text NOT NULL,
    department text NOT NULL,
    is_primary boolean NOT NULL,
    PRIMARY KEY (tenant, owner_kind, owner_name, key)
);

CREATE INDEX user_department_user_name ON crm_access.user_department (tenant, user_name);

-- What a bundle (a role, or one entry of a temporary grant) permits: undivided tuples.
CREATE TABLE crm_access.tuple (
    tenant text NOT NULL,
    owner_kind text NOT NULL,
    owner_name text NOT NULL,
    key text NOT NULL,
    bundle text NOT NULL,
    path text NOT NULL,
    digest text NOT NULL,
    origin text NOT NULL,
    object text NOT NULL,
    actions text[] CHECK (array_ndims(actions) = 1 AND array_position(actions, NULL) IS NULL),
    scopes text[] CHECK (array_ndims(scopes) = 1 AND array_position(scopes, NULL) IS NULL),
    ids text[] CHECK (array_ndims(ids) = 1 AND array_position(ids, NULL) IS NULL),
    owners text[] CHECK (array_ndims(owners) = 1 AND array_position(owners, NULL) IS NULL),
    departments text[] CHECK (array_ndims(departments) = 1 AND array_position(departments, NULL) IS NULL),
    department_trees text[] CHECK (array_ndims(department_trees) = 1 AND array_position(department_trees, NULL) IS NULL),
    conditions jsonb CHECK (jsonb_typeof(conditions) = 'array'),
    field_rules jsonb CHECK (jsonb_typeof(field_rules) = 'array'),
    restricted boolean NOT NULL,
    only_fields text[] CHECK (array_ndims(only_fields) = 1 AND array_position(only_fields, NULL) IS NULL),
    PRIMARY KEY (tenant, owner_kind, owner_name, key)
);

CREATE INDEX tuple_bundle ON crm_access.tuple (tenant, bundle);

-- Who holds which bundle, because of which object (its owner), and when: not_before <= now < not_after.
CREATE TABLE crm_access.holder (
    tenant text NOT NULL,
    owner_kind text NOT NULL,
    owner_name text NOT NULL,
    key text NOT NULL,
    user_name text NOT NULL,
    bundle text NOT NULL,
    not_before timestamptz CHECK (isfinite(not_before) AND date_trunc('second', not_before) = not_before),
    not_after timestamptz CHECK (isfinite(not_after) AND date_trunc('second', not_after) = not_after),
    PRIMARY KEY (tenant, owner_kind, owner_name, key)
);

CREATE INDEX holder_user_name ON crm_access.holder (tenant, user_name);
CREATE INDEX holder_bundle ON crm_access.holder (tenant, bundle);
CREATE INDEX holder_not_after ON crm_access.holder (tenant, not_after) WHERE not_after IS NOT NULL;

-- Every commit, one entry, chained by hash. body is the canonical JSON that hash is over.
CREATE TABLE crm_access.ledger (
    tenant text NOT NULL,
    epoch bigint NOT NULL,
    revision bigint NOT NULL,
    at timestamptz NOT NULL,
    cause text NOT NULL,
    previous text NOT NULL,
    hash text NOT NULL,
    body text NOT NULL,
    PRIMARY KEY (tenant, epoch, revision)
);

CREATE FUNCTION crm_access.refuse_rewriting() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the ledger is append-only';
END
$$;

CREATE TRIGGER ledger_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON crm_access.ledger
FOR EACH STATEMENT EXECUTE FUNCTION crm_access.refuse_rewriting();

-- The store's clock: the server's, but never earlier than what has been settled. Read it as a scalar subselect,
-- (SELECT now FROM crm_access.clock): then it is evaluated once in each query. Not now() or statement_timestamp(): they
-- stand still in a transaction or a DO block, and access would outlive its end there.
CREATE VIEW crm_access.clock AS
SELECT greatest(clock_timestamp(), (SELECT max(settled_through) FROM crm_access.tenant)) AS now;

-- What is live: one row for each user, object that gives the user a bundle, and tuple of that bundle.
CREATE VIEW crm_access.live_grants AS
SELECT
    h.tenant, h.user_name, h.owner_kind, h.owner_name, h.bundle, h.not_before, h.not_after,
    t.owner_kind AS tuple_owner_kind, t.owner_name AS tuple_owner_name, t.path, t.digest, t.origin,
    t.object, t.actions, t.scopes, t.ids, t.owners, t.departments, t.department_trees,
    t.conditions, t.field_rules, t.restricted, t.only_fields
FROM crm_access.holder AS h
JOIN crm_access.tuple AS t ON t.tenant = h.tenant AND t.bundle = h.bundle
WHERE (h.not_before IS NULL OR h.not_before <= (SELECT now FROM crm_access.clock))
    AND (h.not_after IS NULL OR h.not_after > (SELECT now FROM crm_access.clock))
    AND EXISTS (
        SELECT FROM crm_access.crm_user AS u
        WHERE u.tenant = h.tenant AND u.user_name = h.user_name AND u.state = 'Active')
    AND EXISTS (
        SELECT FROM crm_access.object_type AS o
        WHERE o.tenant = h.tenant AND o.object = t.object AND o.enabled);

-- Who holds what now, tuples left aside.
CREATE VIEW crm_access.live_holders AS
SELECT h.tenant, h.user_name, h.bundle, h.owner_kind, h.owner_name, h.not_before, h.not_after
FROM crm_access.holder AS h
WHERE (h.not_before IS NULL OR h.not_before <= (SELECT now FROM crm_access.clock))
    AND (h.not_after IS NULL OR h.not_after > (SELECT now FROM crm_access.clock))
    AND EXISTS (
        SELECT FROM crm_access.crm_user AS u
        WHERE u.tenant = h.tenant AND u.user_name = h.user_name AND u.state = 'Active');

-- Writes that are not the store's own are counted on the tenant row. The store's own transactions set tenant.writing
-- first and clear it again before they commit, so that nobody else ever sees it set. The functions have their owner's
-- rights: who may write a table, but not the tenant row, is counted all the same.
CREATE FUNCTION crm_access.mark_written() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
    UPDATE crm_access.tenant AS t SET tampered = t.tampered + 1
    WHERE NOT t.writing AND t.name IN (SELECT w.tenant FROM written AS w);
    RETURN NULL;
END
$$;

CREATE FUNCTION crm_access.mark_updated() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
    UPDATE crm_access.tenant AS t SET tampered = t.tampered + 1
    WHERE NOT t.writing AND t.name IN (SELECT w.tenant FROM was AS w UNION SELECT w.tenant FROM written AS w);
    RETURN NULL;
END
$$;

CREATE FUNCTION crm_access.mark_truncated() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
    UPDATE crm_access.tenant AS t SET tampered = t.tampered + 1 WHERE NOT t.writing;
    RETURN NULL;
END
$$;

CREATE TRIGGER source_inserted AFTER INSERT ON crm_access.source REFERENCING NEW TABLE AS written
FOR EACH STATEMENT EXECUTE FUNCTION crm_access.mark_written();
CREATE TRIGGER source_updated AFTER UPDATE ON crm_access.source REFERENCING OLD TABLE AS was NEW TABLE AS written
FOR EACH STATEMENT EXECUTE FUNCTION crm_access.mark_updated();
CREATE TRIGGER source_deleted AFTER DELETE ON crm_access.source REFERENCING OLD TABLE AS written
FOR EACH STATEMENT EXECUTE FUNCTION crm_access.mark_written();
CREATE TRIGGER source_truncated AFTER TRUNCATE ON crm_access.source
FOR EACH STATEMENT EXECUTE FUNCTION crm_access.mark_truncated();

CREATE TRIGGER object_type_inserted AFTER INSERT ON crm_access.object_type REFERENCING NEW TABLE AS written
FOR EACH STATEMENT EXECUTE FUNCTION crm_access.mark_written();
CREATE TRIGGER object_type_updated AFTER UPDATE ON crm_access.object_type REFERENCING OLD TABLE AS was NEW TABLE AS written
FOR EACH STATEMENT EXECUTE FUNCTION crm_access.mark_updated();
CREATE TRIGGER object_type_deleted AFTER DELETE ON crm_access.object_type REFERENCING OLD TABLE AS written
FOR EACH STATEMENT EXECUTE FUNCTION crm_access.mark_written();
CREATE TRIGGER object_type_truncated AFTER TRUNCATE ON crm_access.object_type
FOR EACH STATEMENT EXECUTE FUNCTION crm_access.mark_truncated();

CREATE TRIGGER object_field_inserted AFTER INSERT ON crm_access.object_field REFERENCING NEW TABLE AS written
FOR EACH STATEMENT EXECUTE FUNCTION crm_access.mark_written();
CREATE TRIGGER object_field_updated AFTER UPDATE ON crm_access.object_field REFERENCING OLD TABLE AS was NEW TABLE AS written
FOR EACH STATEMENT EXECUTE FUNCTION crm_access.mark_updated();
CREATE TRIGGER object_field_deleted AFTER DELETE ON crm_access.object_field REFERENCING OLD TABLE AS written
FOR EACH STATEMENT EXECUTE FUNCTION crm_access.mark_written();
CREATE TRIGGER object_field_truncated AFTER TRUNCATE ON crm_access.object_field
FOR EACH STATEMENT EXECUTE FUNCTION crm_access.mark_truncated();

CREATE TRIGGER department_inserted AFTER INSERT ON crm_access.department REFERENCING NEW TABLE AS written
FOR EACH STATEMENT EXECUTE FUNCTION crm_access.mark_written();
CREATE TRIGGER department_updated AFTER UPDATE ON crm_access.department REFERENCING OLD TABLE AS was NEW TABLE AS written
FOR EACH STATEMENT EXECUTE FUNCTION crm_access.mark_updated();
CREATE TRIGGER department_deleted AFTER DELETE ON crm_access.department REFERENCING OLD TABLE AS written
FOR EACH STATEMENT EXECUTE FUNCTION crm_access.mark_written();
CREATE TRIGGER department_truncated AFTER TRUNCATE ON crm_access.department
FOR EACH STATEMENT EXECUTE FUNCTION crm_access.mark_truncated();

CREATE TRIGGER department_closure_inserted AFTER INSERT ON crm_access.department_closure REFERENCING NEW TABLE AS written
FOR EACH STATEMENT EXECUTE FUNCTION crm_access.mark_written();
CREATE TRIGGER department_closure_updated AFTER UPDATE ON crm_access.department_closure REFERENCING OLD TABLE AS was NEW TABLE AS written
FOR EACH STATEMENT EXECUTE FUNCTION crm_access.mark_updated();
CREATE TRIGGER department_closure_deleted AFTER DELETE ON crm_access.department_closure REFERENCING OLD TABLE AS written
FOR EACH STATEMENT EXECUTE FUNCTION crm_access.mark_written();
CREATE TRIGGER department_closure_truncated AFTER TRUNCATE ON crm_access.department_closure
FOR EACH STATEMENT EXECUTE FUNCTION crm_access.mark_truncated();

CREATE TRIGGER crm_user_inserted AFTER INSERT ON crm_access.crm_user REFERENCING NEW TABLE AS written
FOR EACH STATEMENT EXECUTE FUNCTION crm_access.mark_written();
CREATE TRIGGER crm_user_updated AFTER UPDATE ON crm_access.crm_user REFERENCING OLD TABLE AS was NEW TABLE AS written
FOR EACH STATEMENT EXECUTE FUNCTION crm_access.mark_updated();
CREATE TRIGGER crm_user_deleted AFTER DELETE ON crm_access.crm_user REFERENCING OLD TABLE AS written
FOR EACH STATEMENT EXECUTE FUNCTION crm_access.mark_written();
CREATE TRIGGER crm_user_truncated AFTER TRUNCATE ON crm_access.crm_user
FOR EACH STATEMENT EXECUTE FUNCTION crm_access.mark_truncated();

CREATE TRIGGER user_department_inserted AFTER INSERT ON crm_access.user_department REFERENCING NEW TABLE AS written
FOR EACH STATEMENT EXECUTE FUNCTION crm_access.mark_written();
CREATE TRIGGER user_department_updated AFTER UPDATE ON crm_access.user_department REFERENCING OLD TABLE AS was NEW TABLE AS written
FOR EACH STATEMENT EXECUTE FUNCTION crm_access.mark_updated();
CREATE TRIGGER user_department_deleted AFTER DELETE ON crm_access.user_department REFERENCING OLD TABLE AS written
FOR EACH STATEMENT EXECUTE FUNCTION crm_access.mark_written();
CREATE TRIGGER user_department_truncated AFTER TRUNCATE ON crm_access.user_department
FOR EACH STATEMENT EXECUTE FUNCTION crm_access.mark_truncated();

CREATE TRIGGER tuple_inserted AFTER INSERT ON crm_access.tuple REFERENCING NEW TABLE AS written
FOR EACH STATEMENT EXECUTE FUNCTION crm_access.mark_written();
CREATE TRIGGER tuple_updated AFTER UPDATE ON crm_access.tuple REFERENCING OLD TABLE AS was NEW TABLE AS written
FOR EACH STATEMENT EXECUTE FUNCTION crm_access.mark_updated();
CREATE TRIGGER tuple_deleted AFTER DELETE ON crm_access.tuple REFERENCING OLD TABLE AS written
FOR EACH STATEMENT EXECUTE FUNCTION crm_access.mark_written();
CREATE TRIGGER tuple_truncated AFTER TRUNCATE ON crm_access.tuple
FOR EACH STATEMENT EXECUTE FUNCTION crm_access.mark_truncated();

CREATE TRIGGER holder_inserted AFTER INSERT ON crm_access.holder REFERENCING NEW TABLE AS written
FOR EACH STATEMENT EXECUTE FUNCTION crm_access.mark_written();
CREATE TRIGGER holder_updated AFTER UPDATE ON crm_access.holder REFERENCING OLD TABLE AS was NEW TABLE AS written
FOR EACH STATEMENT EXECUTE FUNCTION crm_access.mark_updated();
CREATE TRIGGER holder_deleted AFTER DELETE ON crm_access.holder REFERENCING OLD TABLE AS written
FOR EACH STATEMENT EXECUTE FUNCTION crm_access.mark_written();
CREATE TRIGGER holder_truncated AFTER TRUNCATE ON crm_access.holder
FOR EACH STATEMENT EXECUTE FUNCTION crm_access.mark_truncated();
