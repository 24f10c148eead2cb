-- What questions may say instead of the names that are declared: which actions they tell apart by a property, and by which
-- logins they name users. Null where there are none.
ALTER TABLE crm_access.object_type ADD COLUMN variants jsonb CHECK (jsonb_typeof(variants) = 'array');
ALTER TABLE crm_access.crm_user ADD COLUMN logins jsonb CHECK (jsonb_typeof(logins) = 'array');
