-- Which table of the CRM's database holds the records of an object, and which columns their facts. A column that is empty
-- is not there.
CREATE TABLE object_storage (
    tenant TEXT NOT NULL,
    owner_kind TEXT NOT NULL,
    owner_name TEXT NOT NULL,
    key TEXT NOT NULL,
    object TEXT NOT NULL,
    table_name TEXT NOT NULL,
    id_column TEXT NOT NULL,
    owner_column TEXT NOT NULL,
    department_column TEXT NOT NULL,
    participants_column TEXT NOT NULL,
    creator_column TEXT NOT NULL,
    tenant_column TEXT NOT NULL,
    tenant_value TEXT NOT NULL,
    columns TEXT CHECK (json_valid(columns) AND json_type(columns) = 'object'),
    PRIMARY KEY (tenant, owner_kind, owner_name, key)
) STRICT;

CREATE INDEX object_storage_object ON object_storage (tenant, object);

CREATE TRIGGER object_storage_inserted AFTER INSERT ON object_storage
WHEN (SELECT writing FROM tenant WHERE name = NEW.tenant) = 0
BEGIN UPDATE tenant SET tampered = tampered + 1 WHERE name = NEW.tenant; END;

CREATE TRIGGER object_storage_updated AFTER UPDATE ON object_storage
WHEN (SELECT writing FROM tenant WHERE name = OLD.tenant) = 0 OR (SELECT writing FROM tenant WHERE name = NEW.tenant) = 0
BEGIN UPDATE tenant SET tampered = tampered + 1 WHERE (name = OLD.tenant OR name = NEW.tenant) AND writing = 0; END;

CREATE TRIGGER object_storage_deleted AFTER DELETE ON object_storage
WHEN (SELECT writing FROM tenant WHERE name = OLD.tenant) = 0
BEGIN UPDATE tenant SET tampered = tampered + 1 WHERE name = OLD.tenant; END;
