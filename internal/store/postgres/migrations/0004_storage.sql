-- Which table of the CRM's database holds the records of an object, and which columns their facts. A column that is empty
-- is not there.
CREATE TABLE crm_access.object_storage (
    tenant text NOT NULL,
    owner_kind text NOT NULL,
    owner_name text NOT NULL,
    key text NOT NULL,
    object text NOT NULL,
    table_name text NOT NULL,
    id_column text NOT NULL,
    owner_column text NOT NULL,
    department_column text NOT NULL,
    participants_column text NOT NULL,
    creator_column text NOT NULL,
    tenant_column text NOT NULL,
    tenant_value text NOT NULL,
    columns jsonb CHECK (jsonb_typeof(columns) = 'object'),
    PRIMARY KEY (tenant, owner_kind, owner_name, key)
);

CREATE INDEX object_storage_object ON crm_access.object_storage (tenant, object);

CREATE TRIGGER object_storage_inserted AFTER INSERT ON crm_access.object_storage REFERENCING NEW TABLE AS written
FOR EACH STATEMENT EXECUTE FUNCTION crm_access.mark_written();
CREATE TRIGGER object_storage_updated AFTER UPDATE ON crm_access.object_storage REFERENCING OLD TABLE AS was NEW TABLE AS written
FOR EACH STATEMENT EXECUTE FUNCTION crm_access.mark_updated();
CREATE TRIGGER object_storage_deleted AFTER DELETE ON crm_access.object_storage REFERENCING OLD TABLE AS written
FOR EACH STATEMENT EXECUTE FUNCTION crm_access.mark_written();
CREATE TRIGGER object_storage_truncated AFTER TRUNCATE ON crm_access.object_storage
FOR EACH STATEMENT EXECUTE FUNCTION crm_access.mark_truncated();
